#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Measure stock heaps and ours on the same machines: results.csv, table.txt and
# plots in build/bench. QUICK=1: less of it. "bench.sh tool" only builds the tool.
# MACHINES: which of cortex-a72, max, smp and uml, instead of all.
. "$(dirname "$0")/lib.sh"

BENCH=$ROOT/build/bench
QUICK=${QUICK:-0}
MACHINES=${MACHINES:-cortex-a72 max smp uml}
native=$OUT/bench-native

# tool DIR MAKE-ARGS...
tool()
{
	mkdir -p "$1"
	limited make -C tools/dma-buf OUTPUT="$1/" LDFLAGS=-static "${@:2}" \
		>"$LOG/bench-tool.log" 2>&1 || {
		first_errors "$LOG/bench-tool.log" >&2
		die "the benchmark does not build; log $LOG/bench-tool.log"
	}
}

# measure_heap HEAP SCENARIO OPTIONS...: a step of the guest. What it prints is kept
# until it has ended, so that nobody else wants the CPU.
measure_heap()
{
	echo "$1-$2 300 /bench/dmaheap-bench -c -H $1 -S ${*:2} >/tmp/csv; r=\$?; cat /tmp/csv; exit \$r"
}

measure() { measure_heap system "$@"; }

# contiguous_steps KERNEL: CMA, and the carveout that only ours can use
contiguous_steps()
{
	local cma=4k,64k,1m,8m,32m carveout=64k,1m,8m,64m steps=20000

	if [ "$QUICK" = 1 ]; then
		cma=4k,8m carveout=64k,64m steps=2000
	fi
	measure_heap reserved warm -s $cma -n 11
	measure_heap reserved cold -s $cma -n 25
	measure_heap reserved untouched -s $cma -n 2
	[ "$1" = ours ] || return 0
	measure_heap carveout warm -s $carveout -n 11
	measure_heap carveout unpooled -s $carveout -n 11
	measure_heap carveout untouched -s $carveout -n 2
	[ -n "$fragmented" ] || measure_heap carveout fragment -o $steps
}

# The machines whose time is the number of instructions
icount_steps()
{
	local few=4k,1m,8m,32m

	if [ "$QUICK" = 1 ]; then
		measure warm -s 4k,1m,8294400,32m -n 5
		measure cold -s 4k,1m,8m -n 25
		measure burst -s 1m,8m -n 10
		measure spin -s 4k,8m -n 5
		measure untouched -s 4k,32m -n 2
		measure mix -o 600
		measure browser -b 2000
		measure dma -D 64k,64m -i 1,8 -n 3
		contiguous_steps "$1"
		return
	fi
	measure warm
	measure cold
	measure burst
	measure spin -s $few -n 11
	measure untouched -n 5
	measure browser
	measure rival
	measure shattered
	measure mix-cold
	measure mix
	measure mix-paced
	measure live
	measure dma
	contiguous_steps "$1"
}

# on_qemu MACHINE KERNEL NUMBER STEPS
on_qemu()
{
	local run=bench-$1-$2-$3

	"$4" "$2" >"$LOG/$run.steps"
	# Not on a terminal: two of them may run at once
	scripts/guest.sh "$run" "bench-$2" "$LOG/$run.steps" guest/dt/bench.dtso 2>&1 |
		cat || exit
	record "$1" "$2" "$3" "$RESULTS/$run.ktap"
}

on_icount()
{
	local cpu=$1

	[ "$cpu" != max ] || cpu=max,pauth-impdef=on
	QEMU_CPU="-accel tcg -cpu $cpu -icount shift=0,sleep=off" MEM=4G CPUS=1 \
		on_qemu "icount-$1" "$2" 1 icount_steps
}

# Counted instructions do not care who else runs: both kernels at once
icount()
{
	local rc=0 pid

	if [ "$JOBS" -lt 2 ]; then
		on_icount "$1" stock
		on_icount "$1" ours
		return
	fi
	# A process group of its own, to be ended as a whole
	set -m
	on_icount "$1" stock </dev/null &
	pid=$!
	set +m
	# shellcheck disable=SC2064
	trap "kill -- -$pid; exit 130" INT TERM
	(on_icount "$1" ours) || rc=$?
	wait $pid || rc=$?
	trap - INT TERM
	[ $rc -eq 0 ] || exit $rc
}

thread_steps() { measure threads -T 4k,1m,8m -n 300; }

on_smp() { MEM=4G CPUS=4 on_qemu smp "$1" "$2" thread_steps; }

on_uml()
{
	local run=bench-uml-$1-$2
	local log=$RESULTS/$run.ktap start=$SECONDS

	echo "$native/dmaheap-bench -c -m -n 30 -S warm,cold,burst,mix,mix-paced" >"$LOG/$run.sh"
	LIMIT=600 limited "$OUT/uml-$1/linux" mem=4G con=null con0=null,fd:1 quiet \
		root=/dev/root rootfstype=hostfs rootflags=/ ro \
		init="$ROOT/guest/uml.sh" -- "$LOG/$run.sh" >"$log" 2>"$LOG/$run.log" || :
	if ! grep -q '^## exit uml 0' "$log"; then
		tail -n 5 "$log" "$LOG/$run.log" >&2
		die "run $run has no result"
	fi
	say "$run" "$((SECONDS - start)) s"
	record uml "$1" "$2" "$log"
}

# runs FUNCTION: noise falls on both kernels
runs()
{
	"$1" stock 1
	"$1" ours 1
	"$1" ours 2
	"$1" stock 2
}

uml()
{
	local kernel

	if [ "$(uname -m)" != x86_64 ]; then
		say bench "User Mode Linux needs an x86-64 machine: left out"
		return
	fi
	tool "$native"
	for kernel in stock ours; do
		scripts/kbuild.sh uml-$kernel
	done
	runs on_uml
}

# record MACHINE KERNEL NUMBER LOG: the lines of the tool, with where they are from
record()
{
	tr -d '\r' <"$4" | grep -E '^[a-z0-9-]+,[a-z0-9-]+,[0-9]+,[0-9]+,[a-z]+,[0-9]' |
		sed "s/^/$1,$2,$3,/" >"$BENCH/$1-$2-$3.csv" || die "nothing measured in $4"
}

tool "$OUT/bench" CROSS_COMPILE="$CROSS"
[ "${1:-}" != tool ] || exit 0

scripts/deps.sh bench
for kernel in stock ours; do
	scripts/kbuild.sh bench-$kernel
done
rm -rf "$BENCH"
mkdir -p "$BENCH"
start=$SECONDS fragmented=
[ "$QUICK" = 0 ] || MACHINES=max
for machine in $MACHINES; do
	case $machine in
	cortex-a72 | max)
		icount "$machine"
		# The places are the same on every CPU
		fragmented=1
		;;
	smp) runs on_smp ;;
	uml) uml ;;
	*) die "no machine $machine" ;;
	esac
done
{
	echo "machine,kernel,run,scenario,heap,size,threads,phase,samples,p50_ns,p99_ns,max_ns,wall_ns,caller_ns,scrubber_ns,scrubbed_bytes,paid_bytes,maintained_bytes,step,free_bytes,largest_bytes,failed"
	cat "$BENCH"/*-*-*.csv
} >"$BENCH/results"
rm "$BENCH"/*.csv
mv "$BENCH/results" "$BENCH/results.csv"
scripts/bench-table.py "$BENCH" >"$BENCH/table.txt" || die "no table of $BENCH/results.csv"
cat "$BENCH/table.txt"
gnuplot -c scripts/bench.gp "$BENCH" >"$LOG/bench-plot.log" 2>&1 ||
	die "gnuplot fails; log $LOG/bench-plot.log"
echo
say bench "$((SECONDS - start)) s; table, results.csv and plots in $BENCH"
