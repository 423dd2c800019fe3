#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Which lines of ours have run: coverage.py PART... takes what the guests of these parts have
counted (COVERAGE=1 scripts/check.sh PART...); coverage.py --sources prints the files that the
kernels have to count: ours, and those that patches change.

Of a file of ours all lines count, of another the functions that a patch changes. A line that has
not run must have its reason in scripts/coverage.reasons, and a line there must not have run.
The table is build/coverage/table.txt, the pages are in build/coverage/html.
Exit 0: FLOOR is reached and the reasons are those of the lines; 1: they are not.
"""
import difflib
import json
import pathlib
import re
import shutil
import subprocess
import sys

FLOOR = 95.0

ROOT = pathlib.Path(__file__).resolve().parent.parent
TREE = ROOT / 'build/linux'
DIR = ROOT / 'build/coverage'
REASONS = ROOT / 'scripts/coverage.reasons'
GCOV = {'arm': 'arm-linux-gnueabihf-gcov', 'riscv': 'riscv64-linux-gnu-gcov', 'x86': 'gcov'}


def our_sources():
    found = ROOT.glob('drivers/dma-buf/*.c'), ROOT.glob('drivers/dma-buf/heaps/*.c')
    return sorted(str(path.relative_to(ROOT)) for paths in found for path in paths)


def patched_sources():
    found = set()
    for patch in ROOT.glob('patches/*.patch'):
        found |= set(re.findall(r'^\+\+\+ b/(\S+\.c)', patch.read_text(), re.M))
    return sorted(found)


def changed(path, text):
    """The numbers of the lines that patches add, or where they take lines away"""
    base = subprocess.run(['scripts/tree.sh', '--base'], cwd=ROOT, check=True, text=True,
                          capture_output=True).stdout.strip()
    old = (pathlib.Path(base) / path).read_text().splitlines()
    found = set()
    for tag, _, _, begin, end in difflib.SequenceMatcher(None, old, text, False).get_opcodes():
        if tag != 'equal':
            found |= set(range(begin + 1, max(end, begin + 1) + 1))
    return found


def unpack(part, kernel):
    """The counts of a part beside what the compiler has noted, in a tree of its own"""
    data = (DIR / 'log' / part / 'file').read_bytes()
    objects = DIR / 'out' / kernel
    target = DIR / 'data' / part
    shutil.rmtree(target, ignore_errors=True)
    while data:
        head, _, data = data.partition(b'\n')
        path, size = head.decode().rsplit(' ', 1)
        # An object of m can be one of y
        name = pathlib.Path(*pathlib.Path(path.split('/coverage/out/', 1)[1]).parts[1:])
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(data[:int(size)])
        (target / name.with_suffix('.gcno')).symlink_to(objects / name.with_suffix('.gcno'))
        data = data[int(size):]
    return target


def gcovr(*arguments):
    subprocess.run(['gcovr', '--root', TREE, '--exclude-throw-branches',
                    '--exclude-unreachable-branches', *arguments], check=True, cwd=TREE)


def kernel_of(part):
    return subprocess.run(['bash', '-c', '. scripts/parts.sh; kernel_of "$1"', 'kernel', part],
                          cwd=ROOT, check=True, text=True, capture_output=True).stdout.strip()


def collect(parts):
    """All parts in one: file -> its record"""
    traces = []
    for part in parts:
        kernel = kernel_of(part)
        trace = DIR / 'data' / f'{part}.json'
        gcovr('--gcov-executable', GCOV.get(kernel, 'aarch64-linux-gnu-gcov'),
              '--json', trace, unpack(part, kernel))
        traces += ['--add-tracefile', trace]
    shutil.rmtree(DIR / 'html', ignore_errors=True)
    (DIR / 'html').mkdir()
    gcovr(*traces, '--json', DIR / 'all.json', '--html-details', DIR / 'html/index.html')
    files = json.loads((DIR / 'all.json').read_text())['files']
    return {record['file']: record['lines'] for record in files}


def functions(text):
    """(name, first line, last line) of each function, by the kernel's layout"""
    name, begin = None, 0
    for number, line in enumerate(text, 1):
        if head := re.match(r'(?:[a-z].*[ *])?([a-zA-Z_]\w*)\(', line):
            name, begin = head[1], number
        elif line.startswith('}') and name:
            yield name, begin, number
            name = None


def wanted(path, ours):
    """Line -> (function, text) of what has to be covered in a file"""
    text = (TREE / path).read_text().splitlines()
    counts = None if ours else changed(path, text)
    lines = {}
    for name, begin, end in functions(text):
        part = range(begin, end + 1)
        if ours or not counts.isdisjoint(part):
            lines.update({n: (name, text[n - 1].strip()) for n in part})
    return lines


def read_reasons():
    """(file, function, text) -> the reason; the text * is for all lines of the function"""
    reasons, reason, where = {}, None, None
    for line in REASONS.read_text().splitlines():
        if line.startswith('#') or not line:
            continue
        if line.startswith('\t'):
            reasons[(*where, line.strip())] = reason
        elif re.match(r'\S+\.c \w+$', line):
            where = tuple(line.split())
        else:
            reason = line
    return reasons


def share(part, whole):
    return f'{100 * part / whole:5.1f}' if whole else '    -'


def main():
    ours, others = our_sources(), patched_sources()
    if sys.argv[1:] == ['--sources']:
        print('\n'.join(ours + others))
        return 0

    counted, table, missed = collect(sys.argv[1:]), [], set()
    total = [0, 0, 0, 0]
    for path in ours + others:
        lines = wanted(path, path in ours)
        records = [record for record in counted.get(path, [])
                   if record['line_number'] in lines and not record.get('gcovr/noncode')]
        branches = [branch for record in records for branch in record['branches']]
        row = (sum(record['count'] > 0 for record in records), len(records),
               sum(branch['count'] > 0 for branch in branches), len(branches))
        missed |= {(path, *lines[record['line_number']]) for record in records
                   if not record['count']}
        total = [a + b for a, b in zip(total, row)]
        if row[1]:
            table.append((path, *row))
    table.append(('all', *total))
    text = ''.join(f'{name:48} {hit:5}/{lines:<5} {share(hit, lines)} %  '
                   f'{taken:5}/{ways:<5} {share(taken, ways)} %\n'
                   for name, hit, lines, taken, ways in table)
    (DIR / 'table.txt').write_text(f'{"":48} {"lines":19}  branches\n' + text)
    print((DIR / 'table.txt').read_text(), end='')

    reasons = read_reasons()
    without = sorted(where for where in missed
                     if where not in reasons and (*where[:2], '*') not in reasons)
    stale = sorted(where for where in reasons if where not in missed and
                   (where[2] != '*' or where[:2] not in {other[:2] for other in missed}))
    for where in without:
        print('no reason:', *where)
    for where in stale:
        print('has run:', *where)
    reached = 100 * total[0] >= FLOOR * total[1]
    if not reached:
        print(f'fewer than {FLOOR} % of the lines have run')
    return bool(without or stale or not reached)


if __name__ == '__main__':
    sys.exit(main())
