# SPDX-License-Identifier: GPL-2.0
"""Read KTAP: what run_kselftest.sh (inner lines behind "# "), single kselftest programs
and KUnit (inner lines indented by four blanks) print, and the "## " lines of the guest's
init and of check.sh:

  ## expect STEP            the run has this step
  ## step STEP              it begins
  ## exit STEP STATUS SECS  it has ended
  ## status NAME STATUS     NAME failed, whatever the results say
  ## seconds SECS           how long the whole part took

A Run has rows, one for each suite, with a Leaf for each innermost result. A plan that
is missing or not kept, a step that is missing and a suite without any result are
failures, too: they are messages without a Leaf.
"""
import collections
import os
import re

VERSION = re.compile(r'K?TAP version \d+$')
PLAN = re.compile(r'1\.\.(\d+)(?:\s+# SKIP ?(.*))?$')
RESULT = re.compile(r'(not )?ok (\d+)\b(?: -)? ?(.*)$')
DIRECTIVE = re.compile(r'(?:^|\s)# ?(SKIP|XFAIL|XPASS|TODO|TIMEOUT)\b ?(.*)$', re.I)
COMMENT = re.compile(r'(?:^|\s)# .*$')
GUEST = re.compile(r'## (expect|step|exit|status|seconds) (\S+) ?(-?\d+)? ?([\d.]+)?')
PREFIX = re.compile(r'# |    ')
# A test names a line of its source, KUnit an expectation, a script itself, before a result
DETAIL = re.compile(r'[# ]*(\S+\.[ch]:\d+:.*|.*(?:EXPECTATION|ASSERTION) FAILED at .*'
                    r'|\S+\.(?:sh|py): .*)$')
# Init prints the processes and their stacks when the time of a step is up
BEGUN = re.compile(r'(?:# )?#  RUN +(\S+) \.\.\.$')
STOPPED = re.compile(r'# (stopped after \d+ s)$')
PROCESS = re.compile(r'#   \d+ \((.*)\) (\w) ')
FRAME = re.compile(r'#     \[<0>\] (\w+)')
MAX_DETAILS = 12

# What a directive makes of "ok" and of "not ok"; all else is a failure
OUTCOME = {(False, None): 'passed', (False, 'SKIP'): 'skipped',
           (False, 'XFAIL'): 'xfail', (False, 'TODO'): 'todo', (True, 'TODO'): 'todo'}

Leaf = collections.namedtuple('Leaf', 'path outcome reason')


class Suite:
    """The leaves of a suite, and a message for each failure."""

    def __init__(self, name='', seconds=None):
        self.name = name
        self.seconds = seconds
        self.leaves = []
        self.messages = []

    def __iadd__(self, inner):
        self.leaves += inner.leaves
        self.messages += inner.messages
        return self

    def count(self, outcome):
        return sum(leaf.outcome == outcome for leaf in self.leaves)

    @property
    def failed(self):
        return len(self.messages)


class Level(Suite):
    """The results of one nesting depth that no outer result has claimed yet."""

    def __init__(self, kunit):
        super().__init__()
        self.kunit = kunit
        self.begun = False
        self.planned = None
        self.seen = 0

    def used(self):
        return self.begun or self.planned is not None or self.seen

    def check_plan(self, depth):
        # KUnit prints the values of a parameter without a plan
        if self.planned is None and not (self.kunit and depth > 1):
            self.messages.append('no plan')
        elif self.planned is not None and self.planned != self.seen:
            self.messages.append(f'{self.planned} results planned, {self.seen} came')


class Parser:
    """Turns the lines of one KTAP stream into suites."""

    def __init__(self):
        self.levels = []
        self.suites = []
        self.details = []

    def line(self, text):
        depth, kunit = 0, False
        if detail := DETAIL.match(text):
            self.details.append(detail[1])
        while not self.token(text, depth, kunit):
            prefix = PREFIX.match(text)
            if not prefix:
                return
            kunit = prefix.group() != '# '
            text = text[prefix.end():]
            depth += 1

    def has_begun(self):
        return self.suites or any(level.used() for level in self.levels)

    def token(self, text, depth, kunit):
        plan, result = PLAN.match(text), RESULT.match(text)
        if plan:
            self.plan(self.level(depth, kunit), int(plan[1]), plan[2])
        elif result:
            self.result(self.level(depth, kunit), depth, *result.groups())
        elif VERSION.match(text):
            self.level(depth, kunit).begun = True
        else:
            return False
        return True

    def level(self, depth, kunit):
        while len(self.levels) <= depth:
            self.levels.append(Level(kunit))
        return self.levels[depth]

    @staticmethod
    def plan(level, number, skip):
        if level.planned is not None:
            level.messages.append('a second plan')
        level.planned = number
        if skip is not None:
            level.leaves.append(Leaf((), 'skipped', skip))

    def claim(self, depth):
        """All levels from depth on as one, None if nothing was there."""
        total = Suite()
        used = False
        for at, level in enumerate(self.levels[depth:], depth):
            if level.used():
                level.check_plan(at)
                total += level
                used = True
        del self.levels[depth:]
        return total if used else None

    def result(self, level, depth, bad, number, text):
        inner = self.claim(depth + 1)
        details, self.details = self.details, []
        level.seen += 1
        if int(number) != level.seen:
            level.messages.append(f'result {number} came as number {level.seen}: {text}')
        name = COMMENT.sub('', text).split(': ')[-1] if inner else COMMENT.sub('', text)
        if inner is None:
            level += self.leaf(bool(bad), number, name, text, details)
            return
        if bad and not inner.failed:
            inner.messages.append(f'not ok {number} {text} (though all in it are ok)')
        if not inner.leaves and not inner.failed:
            inner.messages.append(f'no result in {text}')
        if depth == 0:
            inner.name = name
            self.suites.append(inner)
        else:
            inner.leaves = [leaf._replace(path=(name,) + leaf.path)
                            for leaf in inner.leaves]
            level += inner

    @staticmethod
    def leaf(bad, number, name, text, details):
        one = Suite()
        directive = DIRECTIVE.search(text)
        key = bad, directive[1].upper() if directive else None
        outcome = OUTCOME.get(key, 'failed')
        if outcome == 'failed':
            one.messages.append('\n    '.join([f'{"not " if bad else ""}ok {number} {text}',
                                              *details[:MAX_DETAILS]]))
        one.leaves.append(Leaf((name,), outcome, directive[2] if directive else ''))
        return one

    def finish(self, name):
        lost = self.claim(1)
        if lost:
            lost.name = f'{name} (cut short)'
            lost.messages.append('did not come to an end')
            self.suites.append(lost)
        top = self.claim(0) or Suite()
        if top.leaves or top.messages or not self.suites:
            top.name = name
            if not top.leaves and not top.messages:
                top.messages.append('no result')
            self.suites.append(top)
        return self.suites


class Run:
    """One result file: a guest run with its steps, or a single stream."""

    def __init__(self, path):
        self.name = os.path.basename(path).removesuffix('.ktap')
        self.suites = []
        self.seconds = None
        self.open = None
        self.expected = []
        self.done = set()
        self.status = {}
        self.parser = None
        self.begun = ''
        self.stopped = []
        try:
            with open(path, errors='replace', encoding='utf-8') as lines:
                for line in lines:
                    self.line(line.rstrip('\r\n'))
        except OSError:
            self.fail(self.name, 'was not run')
            return
        self.end()

    @property
    def failed(self):
        return sum(suite.failed for suite in self.suites)

    def fail(self, name, message):
        suite = Suite(name)
        suite.messages.append(message)
        self.suites.append(suite)

    def line(self, text):
        guest = GUEST.match(text)
        if not guest:
            self.parser = self.parser or Parser()
            self.parser.line(text)
            self.stop(text)
            return
        kind, name, status, seconds = guest.groups()
        if kind == 'expect':
            self.expected.append(name)
        elif kind == 'step':
            # It begins once more in a kernel that it has booted, if it has said nothing yet
            if name != self.open or self.parser.has_begun():
                self.close(self.open)
            self.open, self.parser = name, Parser()
        elif kind == 'exit':
            self.done.add(name)
            self.close(name, int(status or 1), float(seconds or 0))
        elif kind == 'seconds':
            self.seconds = float(name)
        else:
            self.status[name] = int(status or 1)

    def stop(self, text):
        """Where a step was whose time is up"""
        if begun := BEGUN.match(text):
            self.begun = f' in {begun[1]}'
        elif stopped := STOPPED.match(text):
            self.stopped = [stopped[1] + self.begun]
        elif self.stopped and (process := PROCESS.match(text)):
            self.stopped.append(f'{process[1]} ({process[2]}):')
        elif self.stopped and (frame := FRAME.match(text)):
            self.stopped[-1] += f' {frame[1]}'

    def close(self, name, status=0, seconds=None):
        if not self.parser:
            return
        suites = self.parser.finish(self.open or self.name)
        suites[-1].seconds = seconds
        suites[-1].messages += self.stopped
        self.begun, self.stopped = '', []
        if status and not any(suite.failed for suite in suites):
            suites[-1].messages.append(f'exit status {status} of {name}')
        self.suites += suites
        self.parser = self.open = None

    def end(self):
        cut = self.open
        self.close(self.name)
        if cut:
            self.done.add(cut)
            self.suites[-1].messages.append('did not end')
        for name in self.expected:
            if name not in self.done:
                self.fail(name, 'did not end')
        if not self.suites:
            self.fail(self.name, 'no result')
        for name, status in self.status.items():
            if status and not self.failed:
                self.fail(self.name, f'exit status {status} of {name}')
