#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""dmaheap top in a terminal: top.py CASE DMAHEAP ROOT; --list: the cases"""

import os
import signal
import sys
import time

sys.dont_write_bytecode = True
from terminal import Terminal  # noqa: E402  (must not leave files in the tree)

UTF8 = {'TERM': 'xterm', 'LC_ALL': 'C.UTF-8'}
ASCII = {'TERM': 'vt100', 'LC_ALL': 'C'}


def need(what, message):
    if not what:
        raise AssertionError(message)


def after(t):
    """What must be true when the program has gone, or stopped."""
    need(t.drain(), 'its output does not end')
    need(t.screen.plain(), 'the screen is not what it was')
    need(t.restored(), 'the modes of the terminal are not what they were')


def begin(env=None, arguments=(), rows=24, columns=80, jobs=True):
    t = Terminal([dmaheap, '--root', root, 'top', '-d', '0.2', *arguments],
                 rows, columns, env or UTF8, jobs)
    need(t.shows('PID'), f'no screen: {t.output!r}')
    need(t.screen.alternate and not t.screen.cursor and not t.screen.wrap,
         'the screen is not its own')
    need(not t.restored(), 'keys do not come at once')
    return t


def runs(pid):
    """Nobody may be there to see to the dead."""
    try:
        with open(f'/proc/{pid}/stat', encoding='latin1') as file:
            return file.read().rpartition(')')[2].split()[0] not in 'ZX'
    except OSError:
        return False


def end(t, by):
    need(t.ended(), 'it does not end')
    need(t.status == by, f'it ended with {t.status:#x}, not {by:#x}')
    after(t)
    t.close()


def quit_by_key():
    for key in 'qQ':
        t = begin()
        t.key('x' + key)
        end(t, 0)


def by_signal(number):
    def case():
        t = begin()
        t.kill(number)
        end(t, number)
    return case


def interrupt_key():
    t = begin()
    t.key('\x03')
    end(t, signal.SIGINT)


def stop_and_go():
    t = begin()
    for _ in range(2):
        t.key('\x1a')
        need(t.stops(), 'it does not stop')
        after(t)
        need(t.output.endswith(b'\x1b[?1049l'), 'it draws after it has left')
        t.kill(signal.SIGCONT)
        need(t.wait(lambda: t.screen.alternate), 'it does not come back')
        need(t.shows('PID'), 'it does not draw again')
        need(not t.restored(), 'keys do not come at once any more')
    t.key('q')
    end(t, 0)


def stop_alone():
    """With nobody to let it go on, as in a pane of tmux, it must not stop."""
    t = begin(jobs=False)
    for _ in range(2):
        seen = len(t.output)
        t.key('\x1a')
        need(t.wait(lambda: b'\x1b[?1049l' in t.output[seen:]), 'it does not leave')
        need(t.wait(lambda: t.screen.alternate), 'it does not come back')
        need(t.shows('PID'), 'it does not draw again')
        need(t.draws(2), 'it does not go on')
        need(t.screen.alternate and not t.screen.cursor, 'it is not there to stay')
        need(not t.restored(), 'keys do not come at once any more')
        need(not t.stopped, 'the kernel stops it')
    t.key('q')
    end(t, 0)


def hard_stop():
    t = begin()
    t.kill(signal.SIGSTOP)
    need(t.stops(), 'it does not stop')
    t.kill(signal.SIGCONT)
    seen = len(t.output)
    need(t.wait(lambda: b'\x1b[?1049h' in t.output[seen:]), 'it does not begin anew')
    t.key('q')
    end(t, 0)


def iterations():
    t = Terminal([dmaheap, '--root', root, 'top', '-d', '0.1', '-n', '3'], env=UTF8)
    end(t, 0)
    need(t.output.count(b'\x1b[H') == 3, 'not three frames')


def hang_up():
    t = begin()
    os.close(t.slave)
    os.close(t.master)
    os.waitpid(t.shell, 0)
    limit = time.monotonic() + 30
    while runs(t.pid):
        need(time.monotonic() < limit, 'it does not end')
        time.sleep(0.02)


def resize():
    t = begin()
    for rows, columns in ((40, 132), (10, 60), (6, 20), (3, 5), (1, 1), (24, 80)):
        t.resize(rows, columns)
        need(t.redraws(), f'it does not draw in {rows}x{columns}')
        lines = t.screen.text().split('\n')
        need(lines[0].startswith('dmaheap'[:max(columns - 1, 0)]),
             f'no title in {rows}x{columns}: {lines[0]!r}')
    need(t.shows('PID'), 'processes are gone')
    t.key('q')
    end(t, 0)


def resize_at_once():
    t = begin(arguments=('-d', '86400'))
    t.resize(30, 120)
    need(t.wait(lambda: t.screen.cells[5][119][0] != ' '), 'it does not draw at once')
    t.key('q')
    end(t, 0)


def wide():
    t = begin(rows=50, columns=200)
    need(t.draws(), 'it does not go on')
    for row in t.screen.cells[3:6]:
        need(''.join(c for c, _ in row).rstrip()[-1] in '0123456789.-', 'no hit rate')
        need(row[199][0] != ' ', 'the line does not end at the edge')
    t.key('q')
    end(t, 0)


def blocks():
    t = begin()
    need('\u2588' in t.screen.text(), 'no bars of blocks')
    styles = {s for row in t.screen.cells for _, s in row}
    need({(7,), (1,), (32,), (34,)} <= styles, f'colours are missing: {styles}')
    t.key('q')
    end(t, 0)


def fine_end():
    """Of 128 MiB in the pool of system 65 are clean and none is dirty."""
    base = f'{root}/sys/class/dma_heap/system/pool/'
    for name, value in (('zeroed_bytes', 65 << 20), ('unzeroed_bytes', 0)):
        with open(base + name, 'w', encoding='ascii') as file:
            file.write(f'{value}\n')
    t = begin(rows=24, columns=120)
    row = next(r for r in t.screen.cells if ''.join(c for c, _ in r).startswith('system '))
    fine = [s for c, s in row if '\u2588' <= c <= '\u258f']
    need(fine and (33,) not in fine[-5:], f'colours of the pool: {fine}')
    t.key('q')
    end(t, 0)


def ascii_only():
    t = begin(ASCII)
    need(all(c < '\x7f' for c in t.screen.text()), 'not all is ASCII')
    need('##' in t.screen.text(), 'no bars')
    t.key('q')
    end(t, 0)


def no_keys():
    t = Terminal(['sh', '-c', 'exec "$0" "$@" </dev/null', dmaheap, '--root', root,
                  'top', '-d', '0.1', '-n', '5'], env=UTF8)
    end(t, 0)


def dumb():
    t = Terminal([dmaheap, '--root', root, 'top'], env={'TERM': 'dumb'})
    end(t, 1 << 8)
    need(b'--batch' in t.output and b'\x1b' not in t.output, 'no advice')


CASES = {
    'keys_q_end_it': quit_by_key,
    'sigint_restores_the_screen': by_signal(signal.SIGINT),
    'sigterm_restores_the_screen': by_signal(signal.SIGTERM),
    'sigquit_restores_the_screen': by_signal(signal.SIGQUIT),
    'ctrl_c_ends_it': interrupt_key,
    'ctrl_z_stops_and_fg_draws_again': stop_and_go,
    'ctrl_z_without_a_shell_does_not_stop': stop_alone,
    'sigcont_draws_again': hard_stop,
    'iterations_are_counted': iterations,
    'hang_up_ends_it': hang_up,
    'every_size_is_filled': resize,
    'new_size_is_drawn_at_once': resize_at_once,
    'wide_lines_end_at_the_edge': wide,
    'bars_are_blocks_in_colours': blocks,
    'bar_of_clean_memory_has_no_other_colour': fine_end,
    'plain_terminal_gets_ascii': ascii_only,
    'end_of_input_is_no_key': no_keys,
    'dumb_terminal_is_refused': dumb,
}

if __name__ == '__main__':
    if len(sys.argv) == 2 and sys.argv[1] == '--list':
        print('\n'.join(CASES))
        sys.exit(0)
    case, dmaheap, root = sys.argv[1:]
    try:
        CASES[case]()
    except (AssertionError, ValueError, OSError) as error:
        sys.exit(f'{case}: {error}')
