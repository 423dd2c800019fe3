#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Compare the kernels in DIR/results.csv: bench-table.py DIR

Prints the tables and leaves DIR/*.dat for the plots. Several runs of a kernel
become the median of their figures. What one kernel has and the other has not
is an error.
"""

import csv
import statistics
import sys

BUDGET = {"alloc": 2.2, "close": 3.3}
KIB, MIB = 1 << 10, 1 << 20
# Warm, in us, and how many times less than stock
PHASE_BUDGET = {
    "icount-cortex-a72": {(32 * MIB, "mmap"): 4, (32 * MIB, "touch"): 51,
                          (32 * MIB, "munmap"): 7, (32 * MIB, "cycle"): 67,
                          (8 * MIB, "cycle"): 28, (MIB, "cycle"): 50},
    "icount-max": {},
}
GAIN_BUDGET = {
    "icount-max": {(8 * MIB, "cycle"): 50, (32 * MIB, "cycle"): 100},
}
# Warm allocations of heaps: how many times as much as one that is smaller
RATIO_BUDGET = {("reserved", 8 * MIB): (4 * KIB, 1.1),
                ("carveout", 64 * MIB): (64 * KIB, 2)}
DMA_PHASES = ("attach", "map", "sync", "partial", "unmap", "detach")
PHASES = ("alloc", "mmap", "touch", "munmap", "close", "cycle")
MACHINES = {
    "icount-cortex-a72": "Cortex-A72 (no hardware dirty bit), 1 us = 1000 instructions",
    "icount-max": "QEMU's newest CPU (with hardware dirty bit), 1 us = 1000 instructions",
    "smp": "4 emulated CPUs, plain TCG: noisy, ratios below 2 mean nothing",
    "uml": "User Mode Linux, speed of this machine, CPU time in 10 ms: noisy, ratios below 2 mean nothing",
}
NOTES = """\
stock is the base's own system heap, ours is build/linux, same configuration.
icount counts instructions, and knows no caches. A "dc zva" or a "dc civac", which
zero or write back 64 bytes, is one instruction like any other, so zeroing and cache
maintenance look too cheap: see the bytes zeroed and the bytes maintained, too.
Stock zeroes every byte within alloc.

cold   pools emptied and caches dropped before each buffer
warm   the same size again, 20 ms between buffers
spin   warm, with a busy process on every CPU
burst  8 buffers at once, then 20 ms or, if that is more, 80 us for each MiB of
       them, the time in which one CPU can zero them
untouched  the same size again and again without a pause, and nobody writes to it
mix    64 live buffers of 4 KiB to 32 MiB, each step closes one and allocates one
browser  the same with 40 buffers of 4 KiB to 16 MiB, all sizes in proportion; chunks:
       how many the live ones have in the end, free: blocks of that size in the end
rival  1 MiB, 2 ms between buffers, alone and beside a process that allocates 4 MiB
       without a rest
large  eight buffers of 4K RGBA: allocate, map, write to every page, when all memory
       is free, and once more; shattered: when half of it is free, every other page,
       and 379 MiB are in buffers of 1080p RGBA that nobody uses
cpu    CPU time of the caller, + of the scrubber threads; on one CPU and without
       pauses the wall time is all CPU time, that of RCU and interrupts included
zeroed bytes zeroed by the scrubber, + by the caller
unpooled  warm, but the pool keeps nothing: scrubbed memory goes back to the heap
reserved  the CMA heap, of 128 MiB that other pages may be in meanwhile
carveout  a heap of 256 MiB that stock has not; fragment: a step allocates a buffer
       of 4 KiB to 12 MiB, for which random ones are closed until all fit into so
       many percent. A step fails if there is no place for it. Free, and largest:
       the largest buffer to be had then, looked for in 20 moments of the run. In
       the end, all are closed, and the whole region is had as one buffer.
dma-*  devices share a recycled buffer: all attach, all map, the CPU accesses it
       all (sync: begin and end) and then 4 KiB of it (partial; stock has to do
       all of it), all unmap, all detach. dma-coherent: the devices are coherent
"""


class Results:
    """
    The figures by machine, scenario, size, threads, phase and kernel. A scenario
    is that of the system heap, else the heap's name is put before it.
    """

    def __init__(self, path):
        self.runs = {}
        # Machine, scenario: one row for each look at the space that is left
        self.spaces = {}
        with open(path, encoding="ascii", newline="") as file:
            for row in csv.DictReader(file):
                self.add(row)
        lacking = [key for key, kernels in self.runs.items()
                   if len(kernels["stock"]) != len(kernels["ours"])
                   and not (key[1].startswith("carveout-") and kernels["ours"])
                   and key[4] != "hit_permille"]
        if lacking or not self.runs:
            sys.exit(f"bench-table.py: not measured for both kernels: {lacking}")

    def add(self, row):
        figures = {name: int(row[name]) for name in row
                   if name.endswith(("_ns", "_bytes", "samples", "step", "failed"))
                   and row[name]}
        scenario = row["scenario"]
        if row["heap"] != "system":
            scenario = f"{row['heap']}-{scenario}"
        if "step" in figures:
            self.spaces.setdefault((row["machine"], scenario), []).append(figures)
            return
        key = (row["machine"], scenario, int(row["size"]), int(row["threads"]),
               row["phase"])
        kernels = self.runs.setdefault(key, {"stock": [], "ours": []})
        kernels[row["kernel"]].append(figures)

    def get(self, key, kernel, name):
        """The median over the runs, None if not measured"""
        values = [run[name] for run in self.runs.get(key, {}).get(kernel, [])
                  if name in run]
        return statistics.median(values) if values else None

    def machines(self):
        return [m for m in MACHINES if any(key[0] == m for key in self.runs)]

    def of(self, machine, scenario):
        """The (size, threads) measured"""
        return sorted({key[2:4] for key in self.runs
                       if key[:2] == (machine, scenario)})


def us(ns):
    return "-" if ns is None else f"{ns / 1e3:.{1 if ns < 1e6 else 0}f}"


def ratio(ours, stock):
    if ours is None or not stock:
        return "-"
    return f"{ours / stock:.{2 if ours * 20 > stock else 4}f}"


def name_of(size):
    for unit, letter in ((1 << 20, "M"), (1 << 10, "K")):
        if size % unit == 0 and 0 < size // unit < 1024:
            return f"{size // unit}{letter}"
    return str(size)


def table(title, head, rows):
    """Columns as wide as what is in them, numbers to the right"""
    rows = [head] + rows
    width = [max(len(row[i]) for row in rows) for i in range(len(head))]
    print(f"\n{title}")
    for row in rows:
        print("  ".join(cell.rjust(w) for cell, w in zip(row, width)).rstrip())


def usage(results, key, kernel):
    """CPU time and bytes zeroed for each cycle, caller and scrubber"""
    n = results.get(key, kernel, "samples")
    caller, scrubber, scrubbed, paid = (
        results.get(key, kernel, name)
        for name in ("caller_ns", "scrubber_ns", "scrubbed_bytes", "paid_bytes"))
    if caller is None:
        return "-", "-"
    cpu = us(caller / n)
    if kernel == "stock":
        return cpu, "-"
    return (f"{cpu} + {us(scrubber / n)}",
            f"{scrubbed / n / 1024:.0f} + {paid / n / 1024:.0f}")


def by_size(results, machine, scenario, phases):
    """p50 of phases against size, and what it took"""
    budget = scenario in ("warm", "burst", "spin") and machine.startswith("icount")
    head = ["size"]
    for phase in phases:
        head += [phase, "ours", "ratio"]
        head += ["budget"] if budget and phase in BUDGET else []
    with_usage = "cycle" in phases and not scenario.endswith("cold")
    head += ["cpu stock", "cpu ours", "KiB zeroed"] if with_usage else []
    rows = []
    for size, threads in results.of(machine, scenario):
        row = [name_of(size)]
        for phase in phases:
            key = (machine, scenario, size, threads, phase)
            stock, ours = (results.get(key, kernel, "p50_ns")
                           for kernel in ("stock", "ours"))
            row += [us(stock), us(ours), ratio(ours, stock)]
            row += [str(BUDGET[phase])] if budget and phase in BUDGET else []
        key = (machine, scenario, size, threads, "cycle")
        if with_usage:
            row += [usage(results, key, "stock")[0], *usage(results, key, "ours")]
        rows.append(row)
    if rows:
        table(f"{scenario}: p50 in us, stock and ours, of a buffer", head, rows)


def carveout(results, machine):
    """What there is nothing to compare with"""
    head = ["size"]
    for scenario in ("warm", "unpooled"):
        head += [scenario, "close", "cycle", "cpu", "KiB zeroed"]
    rows = []
    for size, threads in results.of(machine, "carveout-warm"):
        row = [name_of(size)]
        for scenario in ("carveout-warm", "carveout-unpooled"):
            key = (machine, scenario, size, threads)
            row += [us(results.get((*key, phase), "ours", "p50_ns"))
                    for phase in ("alloc", "close", "cycle")]
            row += usage(results, (*key, "cycle"), "ours")
        rows.append(row)
    if rows:
        table("carveout: p50 in us to allocate, close, and of the cycle", head, rows)


def shares(spaces):
    """How much of what is free the largest buffer gets"""
    return [space["largest_bytes"] / space["free_bytes"] for space in spaces]


def fragments(results, machine):
    head = ["filled", "steps", "failed", "free MiB", "largest MiB", "largest/free",
            "least", "at last", "alloc us", "p99"]
    rows = []
    for (where, scenario), spaces in results.spaces.items():
        if where != machine:
            continue
        share = shares(spaces)
        free, largest, p50, p99 = (
            statistics.median(space[name] for space in spaces)
            for name in ("free_bytes", "largest_bytes", "p50_ns", "p99_ns"))
        rows.append([f"{scenario.split('-')[-1]} %", str(spaces[-1]["step"]),
                     str(spaces[-1]["failed"]), f"{free / MIB:.1f}",
                     f"{largest / MIB:.1f}", f"{statistics.median(share):.2f}",
                     f"{min(share):.2f}", f"{share[-1]:.2f}", us(p50), us(p99)])
    if rows:
        table("carveout: what a long run leaves, medians of the looks; in the end "
              "the whole region is had at once", head, rows)


def mix(results, machine):
    head = ["mix", "phase", "p50", "ours", "p99", "ours", "max", "ours",
            "wall ms", "ours", "cpu ms", "ours", "MiB zeroed"]
    rows = []
    for scenario in ("mix-cold", "mix", "mix-paced", "browser"):
        for size, threads in results.of(machine, scenario):
            for phase in ("alloc", "close", "cycle"):
                key = (machine, scenario, size, threads, phase)
                row = [scenario, phase]
                for name in ("p50_ns", "p99_ns", "max_ns"):
                    row += [us(results.get(key, kernel, name))
                            for kernel in ("stock", "ours")]
                if phase == "cycle":
                    row += [f"{results.get(key, kernel, name) / 1e6:.0f}"
                            for kernel, name in (("stock", "wall_ns"), ("ours", "wall_ns"),
                                                 ("stock", "caller_ns"))]
                    row += [" + ".join(
                        f"{results.get(key, 'ours', name) / unit:.0f}"
                        for name in names)
                        for names, unit in ((("caller_ns", "scrubber_ns"), 1e6),
                                            (("scrubbed_bytes", "paid_bytes"), 1 << 20))]
                else:
                    row += [""] * 5
                rows.append(row)
    if rows:
        table("mix: us, stock and ours", head, rows)


def chunks(results, machine):
    """Into how many chunks memory falls, and what is left for others"""
    rows = []
    for scenario in ("browser", "large-first", "large-again", "shattered-first",
                     "shattered-again"):
        for size, threads in results.of(machine, scenario):
            key = (machine, scenario, size, threads, "chunks")
            row = [scenario]
            for name in ("p50_ns", "p99_ns", "max_ns"):
                row += [str(results.get(key, k, name)) for k in ("stock", "ours")]
            rows.append(row)
    if rows:
        table("chunks of a buffer, stock and ours",
              ["buffers", "p50", "ours", "p99", "ours", "max", "ours"], rows)
    rows = []
    for size, threads in results.of(machine, "browser-free"):
        key = (machine, "browser-free", size, threads, "chunks")
        rows.append([name_of(size)] + [str(results.get(key, k, "p50_ns"))
                                       for k in ("stock", "ours")])
    if rows:
        hits = results.get((machine, "browser", 0, 1, "hit_permille"), "ours", "p50_ns")
        table(f"browser: free blocks in the end; {hits / 10:.1f} % of the allocations "
              "were hits", ["block", "stock", "ours"], rows)


def large(results, machine):
    rows = []
    for scenario in ("large-first", "large-again", "shattered-first",
                     "shattered-again"):
        for size, threads in results.of(machine, scenario):
            row = [scenario]
            for phase in ("alloc", "mmap", "touch", "cycle"):
                key = (machine, scenario, size, threads, phase)
                row += [us(results.get(key, k, "p50_ns")) for k in ("stock", "ours")]
            rows.append(row)
    if rows:
        table("4K RGBA, eight at once: p50 in us, stock and ours, of a buffer",
              ["memory", "alloc", "ours", "mmap", "ours", "touch", "ours", "sum", "ours"],
              rows)


def rival(results, machine):
    rows = []
    for scenario in ("alone", "rival"):
        for size, threads in results.of(machine, scenario):
            row = [scenario]
            for phase in ("alloc", "close"):
                key = (machine, scenario, size, threads, phase)
                for name in ("p50_ns", "p99_ns"):
                    row += [us(results.get(key, k, name)) for k in ("stock", "ours")]
            rows.append(row)
    if rows:
        table("1 MiB, a client that rests: us, stock and ours",
              ["client", "alloc p50", "ours", "p99", "ours", "close p50", "ours",
               "p99", "ours"], rows)


def threads_table(results, machine):
    head = ["size", "threads", "ops/s", "ours", "ratio", "p50 us", "ours",
            "p99 us", "ours", "runs of stock", "runs of ours"]
    rows = []
    for size, threads in results.of(machine, "threads"):
        key = (machine, "threads", size, threads, "cycle")
        runs = {kernel: [run["samples"] * 1e9 / run["wall_ns"] for run in of]
                for kernel, of in results.runs[key].items()}
        stock, ours = (statistics.median(runs[k]) for k in ("stock", "ours"))
        row = [name_of(size), str(threads), f"{stock:.0f}", f"{ours:.0f}",
               ratio(ours, stock)]
        for name in ("p50_ns", "p99_ns"):
            row += [us(results.get(key, k, name)) for k in ("stock", "ours")]
        rows.append(row + [" ".join(f"{x:.0f}" for x in runs[k])
                           for k in ("stock", "ours")])
    if rows:
        table("threads that allocate and close, no pause: buffers per second, "
              "p50 and p99 of both calls", head, rows)


def live(results, machine):
    rows = []
    for scenario in sorted({key[1] for key in results.runs if key[0] == machine
                            and key[1].startswith("live-")}, key=len):
        for phase in ("alloc", "close"):
            key = (machine, scenario, 4096, 1, phase)
            row = [scenario[5:], phase]
            for name in ("p50_ns", "p99_ns"):
                row += [us(results.get(key, k, name)) for k in ("stock", "ours")]
            rows.append(row)
    if rows:
        table("4 KiB buffers while others live: us, stock and ours",
              ["live", "phase", "p50", "ours", "p99", "ours"], rows)


def budgets(results, machine):
    """What was set out to be reached, warm, and what is"""
    rows = []
    for (size, phase), limit in PHASE_BUDGET.get(machine, {}).items():
        ours = results.get((machine, "warm", size, 1, phase), "ours", "p50_ns")
        if ours is not None:
            rows.append([name_of(size), phase, us(ours), f"<= {limit}",
                         "yes" if ours <= limit * 1000 else "no"])
    for phase in ("mmap", "cycle"):
        key = (machine, "warm", 4 * KIB, 1, phase)
        stock, ours = (results.get(key, k, "p50_ns") for k in ("stock", "ours"))
        if ours is not None:
            rows.append(["4K", phase, us(ours), f"<= {us(stock)} (stock)",
                         "yes" if ours <= stock else "no"])
    for (heap, size), (small, limit) in RATIO_BUDGET.items():
        large_ns, small_ns = (
            results.get((machine, f"{heap}-warm", s, 1, "alloc"), "ours", "p50_ns")
            for s in (size, small))
        if large_ns is not None:
            rows.append([f"{heap} {name_of(size)}", "alloc", us(large_ns),
                         f"<= {limit} x {us(small_ns)} ({name_of(small)})",
                         "yes" if large_ns <= limit * small_ns else "no"])
    for (size, phase), limit in GAIN_BUDGET.get(machine, {}).items():
        key = (machine, "warm", size, 1, phase)
        stock, ours = (results.get(key, k, "p50_ns") for k in ("stock", "ours"))
        if ours is not None:
            rows.append([name_of(size), phase, f"stock / {stock / ours:.0f}",
                         f"stock / {limit}", "yes" if stock >= limit * ours else "no"])
    if rows:
        table("warm: budgets", ["size", "phase", "ours", "budget", "kept"], rows)


def dma(results, machine):
    """What it costs to share a buffer with devices"""
    for scenario in ("dma-untouched", "dma-written", "dma-coherent"):
        times, kept = [], []
        for size, importers in results.of(machine, scenario):
            start = [name_of(size), str(importers)]
            times.append(list(start))
            kept.append(list(start))
            for phase in DMA_PHASES:
                key = (machine, scenario, size, importers, phase)
                times[-1] += [us(results.get(key, k, "p50_ns")) for k in ("stock", "ours")]
                if phase in ("attach", "detach"):
                    continue
                kept[-1] += [f"{results.get(key, k, 'maintained_bytes') / KIB:.0f}"
                             for k in ("stock", "ours")]
        if not times:
            continue
        head = ["size", "devices"]
        table(f"{scenario}: p50 in us, stock and ours, of all devices together",
              head + [cell for p in DMA_PHASES for cell in (p, "ours")], times)
        table(f"{scenario}: KiB of caches maintained, stock and ours",
              head + [cell for p in DMA_PHASES[1:-1] for cell in (p, "ours")], kept)


def spread(results, machine):
    """How far the runs of one kernel are apart: what the noise alone does"""
    worst = 1.0
    for key, kernels in results.runs.items():
        for runs in kernels.values():
            p50 = [run["p50_ns"] for run in runs]
            if key[0] == machine and min(p50, default=0):
                worst = max(worst, max(p50) / min(p50))
    if worst > 1:
        print(f"\nThe p50 of two runs of one kernel differ by up to {worst:.1f} times.")


def data(results, directory):
    """What the plots need"""
    for machine in results.machines():
        with open(f"{directory}/warm-{machine}.dat", "w", encoding="ascii") as file:
            for size, threads in results.of(machine, "warm"):
                values = [results.get((machine, "warm", size, threads, phase), kernel,
                                      "p50_ns") / 1e3
                          for phase in ("alloc", "close", "cycle")
                          for kernel in ("stock", "ours")]
                print(size, *values, file=file)
        with open(f"{directory}/dma-{machine}.dat", "w", encoding="ascii") as file:
            sizes = results.of(machine, "dma-written")
            for size, importers in sizes:
                if size != sizes[-1][0]:
                    continue
                sums = [sum(results.get((machine, "dma-written", size, importers, phase),
                                        kernel, "maintained_bytes")
                            for phase in ("map", "sync", "unmap")) / MIB
                        for kernel in ("stock", "ours")]
                print(importers, *sums, file=file)
        with open(f"{directory}/mix-{machine}.dat", "w", encoding="ascii") as file:
            for scenario in ("mix-cold", "mix", "mix-paced"):
                for size, threads in results.of(machine, scenario):
                    for phase in ("alloc", "close"):
                        key = (machine, scenario, size, threads, phase)
                        values = [results.get(key, kernel, name) / 1e3
                                  for name in ("p50_ns", "p99_ns", "max_ns")
                                  for kernel in ("stock", "ours")]
                        print(f'"{scenario}\\n{phase}"', *values, file=file)
    for (_, scenario), spaces in results.spaces.items():
        name = scenario.removeprefix("carveout-")
        with open(f"{directory}/{name}.dat", "w", encoding="ascii") as file:
            for space, share in zip(spaces, shares(spaces)):
                print(space["step"], share, space["failed"], file=file)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: bench-table.py DIR")
    results = Results(f"{sys.argv[1]}/results.csv")
    print(NOTES, end="")
    for machine in results.machines():
        print(f"\n\n== {machine}: {MACHINES[machine]}")
        for scenario in ("warm", "untouched", "spin", "burst", "cold",
                         "reserved-warm", "reserved-cold", "reserved-untouched",
                         "carveout-untouched"):
            mapped = (machine, scenario) in {
                key[:2] for key in results.runs if key[4] == "mmap"}
            by_size(results, machine, scenario, ("alloc", "close", "cycle"))
            if mapped and scenario.endswith("warm"):
                by_size(results, machine, scenario, ("mmap", "touch", "munmap"))
        carveout(results, machine)
        fragments(results, machine)
        budgets(results, machine)
        mix(results, machine)
        chunks(results, machine)
        large(results, machine)
        rival(results, machine)
        dma(results, machine)
        threads_table(results, machine)
        live(results, machine)
        spread(results, machine)
    data(results, sys.argv[1])


main()
