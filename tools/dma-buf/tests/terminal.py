# SPDX-License-Identifier: GPL-2.0
"""A terminal to run a program in: as much of one as dmaheap top draws on.

Anything else in its output is an error, so that nothing goes unseen.
"""

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

# Not of the program: all before it has come
MARK = b'\x05'
SEQUENCE = re.compile(r'\x1b\[(\??)([0-9;]*)([A-Za-z])')


class Screen:
    """Rows of cells; a cell is a character and how it looks."""

    def __init__(self, rows, columns):
        self.alternate = False
        # The program may not know of its size yet
        self.lenient = False
        self.cursor = True
        self.wrap = True
        self.style = ()
        self.row = self.column = 0
        self.rest = ''
        self.decoder = codecs.getincrementaldecoder('utf-8')()
        self.resize(rows, columns)

    def resize(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.row, self.column = min(self.row, rows - 1), min(self.column, columns)
        self.cells = [[(' ', ())] * columns for _ in range(rows)]

    def feed(self, data):
        text = self.rest + self.decoder.decode(data)
        self.rest = ''
        while text:
            if text[0] != '\x1b':
                self.put(text[0])
                text = text[1:]
                continue
            match = SEQUENCE.match(text)
            if not match:
                if len(text) > 32:
                    raise ValueError(f'unknown sequence {text[:32]!r}')
                self.rest = text
                return
            self.obey(*match.groups())
            text = text[match.end():]

    def put(self, char):
        if char == '\r':
            self.column = 0
        elif char == '\n':
            self.row += 1
            if self.row == self.rows:
                if self.alternate and not self.lenient:
                    raise ValueError('the screen scrolls')
                self.row -= 1
        elif char < ' ' or '\x7f' <= char < '\xa0':
            raise ValueError(f'control character {char!r}')
        elif self.column < self.columns:
            self.cells[self.row][self.column] = (char, self.style)
            self.column += 1
        elif self.alternate and not self.lenient:
            raise ValueError(f'line {self.row} is too long')

    def clear(self, row, column):
        self.cells[row][column:] = [(' ', ())] * (self.columns - column)

    def obey(self, private, numbers, letter):
        if private:
            on = letter == 'h'
            if letter not in 'hl':
                raise ValueError(f'unknown mode {numbers}{letter}')
            name = {'1049': 'alternate', '25': 'cursor', '7': 'wrap'}[numbers]
            # xterm takes either for on, but off must come after on
            setattr(self, name, on)
        elif letter == 'H' and not numbers:
            self.row = self.column = 0
        elif letter == 'K' and not numbers:
            self.clear(self.row, self.column)
        elif letter == 'J':
            if numbers != '2':
                self.clear(self.row, self.column)
            first = 0 if numbers == '2' else self.row + 1
            for row in range(first, self.rows):
                self.clear(row, 0)
        elif letter == 'm':
            for number in (numbers or '0').split(';'):
                self.style = () if number in ('', '0') else self.style + (int(number),)
        else:
            raise ValueError(f'unknown sequence {numbers}{letter}')

    def text(self):
        return '\n'.join(''.join(c for c, _ in row).rstrip() for row in self.cells)

    def plain(self):
        """Is it as a shell expects it?"""
        return not self.alternate and self.cursor and self.wrap and not self.style


class Terminal:
    """A program in a terminal of its own, which it controls.

    Without job control it leads the session, and the kernel does not stop it.
    """

    def __init__(self, command, rows=24, columns=80, env=None, jobs=True):
        self.screen = Screen(rows, columns)
        self.output = b''
        self.status = None
        self.marks = False
        self.master, self.slave = pty.openpty()
        self.set_size(rows, columns)
        self.modes = termios.tcgetattr(self.slave)
        self.reports, report = os.pipe()
        self.stopped = False
        self.shell = os.fork()
        if not self.shell:
            try:
                os.close(self.master)
                self.play_shell(report, command, {**os.environ, **(env or {})}, jobs)
            finally:
                os._exit(127)
        os.close(report)
        self.pid = None
        self.wait(lambda: self.pid)

    def lead_session(self):
        os.setsid()
        fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)

    def play_shell(self, report, command, env, jobs):
        """What can be stopped needs a shell: a process that could let it go on."""
        if jobs:
            self.lead_session()
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        ready, go = os.pipe()
        pid = os.fork()
        if not pid:
            try:
                os.read(ready, 1)
                if not jobs:
                    self.lead_session()
                # In the background, interrupts are ignored
                for number in (signal.SIGTTOU, signal.SIGINT, signal.SIGQUIT):
                    signal.signal(number, signal.SIG_DFL)
                for fd in range(3):
                    os.dup2(self.slave, fd)
                os.execvpe(command[0], command, env)
            finally:
                os._exit(127)
        if jobs:
            os.setpgid(pid, pid)
            os.tcsetpgrp(self.slave, pid)
        os.write(go, b'x')
        os.write(report, f'{pid} '.encode())
        while True:
            _, status = os.waitpid(pid, os.WUNTRACED)
            os.write(report, b'S ' if os.WIFSTOPPED(status) else f'{status} '.encode())
            if not os.WIFSTOPPED(status):
                os._exit(0)

    def set_size(self, rows, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ,
                    struct.pack('HHHH', rows, columns, 0, 0))

    def resize(self, rows, columns):
        """Have another size, of which the program hears by a signal."""
        self.screen.resize(rows, columns)
        self.screen.lenient = True
        self.set_size(rows, columns)

    def redraws(self):
        """Until a whole screen is drawn that began after a change of the size."""
        seen = len(self.output)

        def begun(count):
            return self.wait(lambda: self.output.count(b'\x1b[H', seen) >= count)

        # One may have been on its way, and one have begun with the old size
        if not begun(3):
            return False
        self.screen.lenient = False
        return begun(5)

    def wait(self, done, seconds=60):
        """Take the output until done() or the time is over."""
        end = time.monotonic() + seconds
        while not done():
            left = end - time.monotonic()
            if left <= 0:
                return False
            if select.select([self.master], [], [], min(left, 0.05))[0]:
                data = os.read(self.master, 65536)
                self.marks = MARK in data
                data = data.replace(MARK, b'')
                self.output += data
                self.screen.feed(data)
            else:
                self.poll()
        return True

    def poll(self):
        while select.select([self.reports], [], [], 0)[0]:
            reports = os.read(self.reports, 64).split()
            if not reports:
                break
            for report in reports:
                if self.pid is None:
                    self.pid = int(report)
                elif report == b'S':
                    self.stopped = True
                else:
                    self.status = int(report)

    def shows(self, text):
        return self.wait(lambda: text in self.screen.text())

    def ended(self):
        return self.wait(lambda: self.status is not None)

    def drain(self):
        """Take what a program has written that has ended, or stopped."""
        os.write(self.slave, MARK)
        return self.wait(lambda: self.marks)

    def draws(self, count=1):
        """Until so many screens more have been drawn from begin to end."""
        seen = len(self.output)
        frame = re.compile(rb'\x1b\[H.*?\x1b\[J', re.DOTALL)
        return self.wait(lambda: len(frame.findall(self.output, seen)) >= count)

    def stops(self):
        """Once for each time that it stops."""
        if not self.wait(lambda: self.stopped):
            return False
        self.stopped = False
        return True

    def key(self, text):
        os.write(self.master, text.encode())

    def kill(self, number):
        os.kill(self.pid, number)

    def restored(self):
        """Are its modes those from before?"""
        return termios.tcgetattr(self.slave) == self.modes

    def close(self):
        if self.status is None:
            self.kill(signal.SIGKILL)
        os.waitpid(self.shell, 0)
        for fd in (self.master, self.slave, self.reports):
            os.close(fd)
