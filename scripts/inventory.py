# SPDX-License-Identifier: GPL-2.0
"""The inventory of the check: which parts there are, which tests run in which part, and
which of them may be skipped there, and why.

  make TARGET: PART...          what "make check" runs, and "make check-all" as well
  SUITE
  	PART: VARIANT...      the tests below run here, with each of these heaps;
  	PART: -               once, without any;
  	PART: x3              so many times, or with so many values of a KUnit parameter
  		TEST
  	skip PART TEST -- REASON
  		VARIANT...    only with these heaps or values

A number in a reason is any number. Lines at the top that begin with "#" are kept.
"""
import collections
import re

HARNESS = re.compile(r'(\w+)\.(?:(.+)\.)?(\w+)$')


def split(path):
    """The name of a test, and the heap or the value it ran with"""
    if not path:
        return '(whole)', '-'
    if len(path) > 1:
        # KUnit: the values of a parameter are counted
        return path[0], 'x'
    name = HARNESS.match(path[0])
    if name:
        return f'{name[1]}.{name[3]}', name[2] or '-'
    # KTAP allows a result without a name
    return path[0] or '(no name)', '-'


def same_reason(one, two):
    return re.sub(r'-?\d+', '#', one) == re.sub(r'-?\d+', '#', two)


class Inventory:
    """tests: {(part, suite): {test: variants}}; skips: {(part, suite, test, variant): reason}"""

    def __init__(self):
        self.tests = collections.defaultdict(dict)
        self.skips = {}
        self.targets = {}
        self.head = []

    def add_run(self, run):
        """What a run had; returns its results that are neither passed nor failed"""
        others = []
        for suite in run.suites:
            counts = collections.Counter()
            tests = {}
            for leaf in suite.leaves:
                test, variant = split(leaf.path)
                if variant == 'x':
                    counts[test] += 1
                else:
                    tests[test] = tests.get(test, ()) + (variant,)
                if leaf.outcome == 'skipped':
                    value = '/'.join(leaf.path[1:]).replace(' ', '_') or variant
                    self.skips[run.name, suite.name, test, value] = leaf.reason
                if leaf.outcome not in ('passed', 'failed'):
                    others.append((suite.name, leaf))
            for test, variants in tests.items():
                if variants.count('-') > 1:
                    counts[test] = len(variants)
            for test, count in counts.items():
                tests[test] = (f'x{count}',)
            for test, variants in tests.items():
                before = self.tests[run.name, suite.name].get(test, ())
                self.tests[run.name, suite.name][test] = before + variants
        return others

    def lost_parts(self):
        """Parts that have tests but that no target runs"""
        run = {part for parts in self.targets.values() for part in parts}
        return sorted({part for part, _ in self.tests} - run)

    def compare(self, other, parts):
        """Messages of what the inventory has and other has not, and the reverse, in parts"""
        for key in sorted(set(self.tests) | set(other.tests)):
            part, suite = key
            if part not in parts:
                continue
            here, there = self.tests.get(key, {}), other.tests.get(key, {})
            if not there:
                yield part, f'{suite}: the whole suite is missing'
                continue
            for test in sorted(set(here) | set(there)):
                wanted = collections.Counter(here.get(test, ()))
                came = collections.Counter(there.get(test, ()))
                for variant in sorted((wanted - came).elements()):
                    yield part, f'{suite}: missing: {test} {variant}'
                for variant in sorted((came - wanted).elements()):
                    yield part, f'{suite}: not in the inventory: {test} {variant}'
        for key, reason in sorted(other.skips.items()):
            part, suite, test, variant = key
            allowed = self.skips.get(key)
            if part in parts and (allowed is None or not same_reason(allowed, reason)):
                yield part, f'{suite}: no skip is allowed: {test} {variant}: {reason}'

    def unused_skips(self, other, parts):
        """Skips that are allowed and did not happen; another host can need them"""
        for part, suite, test, variant in sorted(set(self.skips) - set(other.skips)):
            if part in parts:
                yield f'{part}: {suite}: {test} {variant}'

    def replace(self, other, parts):
        """The tests and skips of parts are those of other from now on"""
        for mine, new in (self.tests, other.tests), (self.skips, other.skips):
            for key in [key for key in mine if key[0] in parts]:
                del mine[key]
            mine.update({key: value for key, value in new.items() if key[0] in parts})

    @classmethod
    def read(cls, path):
        self = cls()
        suite, where, listing = None, {}, False
        with open(path, encoding='utf-8') as file:
            for line in file.read().splitlines():
                text = line.lstrip('\t')
                depth = len(line) - len(text)
                if not text or text.startswith('#'):
                    if suite is None:
                        self.head.append(line)
                elif text.startswith('make '):
                    target, parts = text[len('make '):].split(':')
                    self.targets[target] = parts.split()
                elif depth == 0:
                    suite, where, listing = text, {}, False
                elif text.startswith('skip '):
                    what, reason = text.split(' -- ', 1)
                    _, *skip = what.split(' ', 2)
                    where = None
                elif depth == 1:
                    if listing:
                        where, listing = {}, False
                    part, variants = text.split(': ', 1)
                    where[part] = tuple(variants.split())
                elif where is None:
                    for variant in text.split():
                        self.skips[skip[0], suite, skip[1], variant] = reason
                else:
                    listing = True
                    for part, variants in where.items():
                        self.tests[part, suite][text] = variants
        return self

    def write(self, path):
        suites = collections.defaultdict(lambda: collections.defaultdict(dict))
        for (part, suite), tests in sorted(self.tests.items()):
            for test, variants in tests.items():
                suites[suite][test][part] = ' '.join(sorted(variants))
        lines = self.head + [f'make {target}: {" ".join(parts)}'
                             for target, parts in self.targets.items()]
        for suite, tests in sorted(suites.items()):
            lines.append(suite)
            groups = collections.defaultdict(list)
            for test, where in tests.items():
                groups[tuple(where.items())].append(test)
            for where, names in sorted(groups.items()):
                lines += [f'\t{part}: {variants}' for part, variants in where]
                lines += [f'\t\t{name}' for name in sorted(names)]
            skips = collections.defaultdict(list)
            for (part, name, test, variant), reason in sorted(self.skips.items()):
                if name == suite:
                    skips[f'\tskip {part} {test} -- {reason}'].append(variant)
            for line, variants in skips.items():
                lines += [line, '\t\t' + ' '.join(variants)]
        with open(path, 'w', encoding='utf-8') as file:
            file.write('\n'.join(lines) + '\n')
