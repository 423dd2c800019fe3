#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Break the code on purpose: mutants.py [GLOB...] applies the changes of
scripts/mutants.list to build/linux, one by one, and runs the test that has to find each.
A mutant is found if that test has a result that is not ok, the kernel complains, or the
run does not end. One that does not apply, does not build or is not found fails.

The table is build/mutants/table.txt, the logs are beside it. Exit 0: all were found.
"""
import fnmatch
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIST = ROOT / 'scripts/mutants.list'
TREE = ROOT / 'build/linux'
LOG = ROOT / 'build/log'
RESULTS = ROOT / 'build/results'
DIR = ROOT / 'build/mutants'
NAME = re.compile(r'([a-z0-9-]+): (\S+) (\S+) ?(\S+)?$')
# The output of the guest
GUEST = LOG / 'selftest/guest.log'
EXPECTATION = r'# (\S+\.c:\d+:\w+:.*)'
# Seconds: what a test takes, many times over
LIMIT = 240


class Mutant:
    """A change of one file, and where the test runs that finds it."""

    def __init__(self, number, lines):
        head = NAME.match(lines[0])
        changes = [line for line in lines[2:] if line[:1] in '-+']
        if not head or len(changes) != len(lines) - 2:
            sys.exit(f'{LIST.name}:{number}: not a mutant')
        self.name, self.part, self.program, self.test = head.groups()
        self.path = TREE / lines[1]
        self.old, self.new = (''.join(line[1:] + '\n' for line in changes if line[0] == sign)
                              for sign in '-+')
        # A line that ends with "(" goes on behind the change
        if changes and changes[-1].endswith('('):
            self.old, self.new = self.old[:-1], self.new[:-1]

    def where(self):
        return ' '.join(filter(None, (self.part, self.program, self.test)))


def read_list():
    mutants, lines, begin = [], [], 0
    for number, line in enumerate(LIST.read_text().splitlines() + [''], 1):
        if line.startswith('#'):
            continue
        if line:
            begin = begin if lines else number
            lines.append(line)
        elif lines:
            mutants.append(Mutant(begin, lines))
            lines = []
    return mutants


def run(log, *command, **environment):
    """True if the command ends with 0. A test that has failed need not go on."""
    with open(log, 'a', encoding='utf-8') as file, \
            subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=file,
                             stderr=subprocess.STDOUT, start_new_session=True,
                             env={**os.environ, **environment}) as process:
        try:
            while process.poll() is None:
                time.sleep(0.2)
                if first_line(GUEST, EXPECTATION):
                    return False
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait()
        return not process.returncode


def first_line(path, pattern):
    if path.exists():
        for line in path.read_text(errors='replace').splitlines():
            if match := re.search(pattern, line):
                return match[1]
    return None


def evidence(mutant):
    """What says that the mutant was found, after a run that failed"""
    if mutant.part == 'uml':
        log, ktap = LOG / 'kunit-uml-run.log.plain', RESULTS / 'kunit-uml.ktap'
    else:
        log, ktap = LOG / 'selftest/console.log', RESULTS / 'selftest.ktap'
    texts = (ROOT / 'guest/splats').read_text().splitlines()
    splats = '|'.join(re.escape(text) for text in texts
                      if text and text[0] not in '#!?' and text != 'not ok')
    harmless = '|'.join(re.escape(text[1:]) for text in texts if text[:1] == '!')
    found = first_line(ktap, r'not ok \d+ (?:- )?(?!no kernel splat)(\S+)')
    found = found or first_line(log, f'((?!{harmless})(?:{splats}).*)')
    return found or first_line(GUEST, EXPECTATION) or first_line(ktap, '# (stopped after .*)')


def build(mutant, log):
    if mutant.part == 'uml':
        return run(log, 'scripts/kunit.sh', 'build')
    return run(log, 'bash', '-c', '. scripts/lib.sh; . scripts/parts.sh; build_part "$1"',
               'build', 'kunit-arm64' if mutant.part == 'kunit' else mutant.part)


def test(mutant, log):
    if mutant.part == 'uml':
        return run(log, 'scripts/kunit.sh', 'run', mutant.program, TIMEOUT=str(LIMIT))
    if mutant.part == 'kunit':
        return run(log, 'scripts/selftest.sh', mutant.program, 'kunit-arm64',
                   STEP_LIMIT=str(LIMIT))
    return run(log, 'scripts/selftest.sh', mutant.program, mutant.part,
               TEST=mutant.test or '', STEP_LIMIT=str(LIMIT))


def look_for(mutant):
    """How it was found, or None and why not"""
    log = DIR / f'{mutant.name}.log'
    log.unlink(missing_ok=True)
    for old in (RESULTS / 'kunit-uml.ktap', RESULTS / 'selftest.ktap', GUEST):
        old.unlink(missing_ok=True)
    text = mutant.path.read_text()
    if text.count(mutant.old) != 1:
        return None, 'the text is not there once'
    try:
        mutant.path.write_text(text.replace(mutant.old, mutant.new))
        if not build(mutant, log):
            return None, 'does not build'
        if test(mutant, log):
            return None, 'SURVIVED'
        found = evidence(mutant)
        return (found, None) if found else (None, f'no test ran, see {log.name}')
    finally:
        mutant.path.write_text(text)


def main():
    globs = sys.argv[1:] or ['*']
    mutants = [mutant for mutant in read_list()
               if any(fnmatch.fnmatch(mutant.name, glob) for glob in globs)]
    # Those of one kernel one after the other
    mutants.sort(key=lambda mutant: (mutant.part != 'uml', mutant.part == 'kunit', mutant.part))
    DIR.mkdir(parents=True, exist_ok=True)
    failed = 0
    with open(DIR / 'table.txt', 'w', encoding='utf-8') as table:
        for mutant in mutants:
            start = time.monotonic()
            found, why = look_for(mutant)
            failed += not found
            line = (f'{"found" if found else "NOT":5} {mutant.name:46} {mutant.where():58} '
                    f'{time.monotonic() - start:4.0f} s  {found or why}')
            print(line, flush=True)
            print(line, file=table, flush=True)
    print(f'{len(mutants) - failed} passed, {failed} failed, 0 skipped')
    return bool(failed)


if __name__ == '__main__':
    sys.exit(main())
