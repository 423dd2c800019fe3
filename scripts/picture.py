#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Draw the last screen of a terminal session: picture.py ROWS COLUMNS FONT SESSION PNG

FONT is a font of the kernel's, lib/fonts/font_*x*.c, in code page 437; block
elements are drawn by rule. The PNG has a palette and no more than it needs.
"""

import re
import struct
import sys
import zlib

sys.dont_write_bytecode = True
sys.path.insert(0, sys.path[0] + '/../tools/dma-buf/tests')
from terminal import Screen  # noqa: E402

# Background, text; then the colours 30 to 37 and 90
PALETTE = ['16191d', 'd3d7cf', '2e3436', 'e06c66', '73c24a', 'e5c04b', '5f9fea', 'b48ac0',
           '45c1c9', 'eeeeec', '4a5057']
LEAVE = b'\x1b[?1049l'


def read_font(path):
    """Its size, and the bytes of its characters."""
    with open(path, encoding='ascii') as file:
        text = file.read()
    width, height = map(int, re.search(r'(\d+)x(\d+)\.c$', path).groups())
    text = re.sub(r'/\*.*?\*/', '', text[text.index('FONTDATAMAX, 0'):], flags=re.S)
    data = bytes(int(x, 16) for x in re.findall(r'0x([0-9a-fA-F]+)', text))
    size = (width + 7) // 8 * height
    if len(data) != 256 * size:
        sys.exit(f'{path}: {len(data)} bytes are no font')
    return width, height, [data[i * size:(i + 1) * size] for i in range(256)]


def cell_bits(char, font):
    """Rows of booleans: where the cell has the colour of the text."""
    width, height, glyphs = font
    code = ord(char)
    if 0x2588 <= code <= 0x258f:
        filled = (0x2590 - code) * width // 8
        # A line is left free between two rows of the terminal
        return [[x < filled and 2 <= y < height - 2 for x in range(width)]
                for y in range(height)]
    if code == 0x2591:
        return [[x % 4 == 1 and y % 4 == 1 and 2 <= y < height - 2 for x in range(width)]
                for y in range(height)]
    glyph = glyphs[char.encode('cp437', 'replace')[0]]
    step = (width + 7) // 8
    return [[glyph[y * step + x // 8] >> (7 - x % 8) & 1 for x in range(width)]
            for y in range(height)]


def colors(style):
    """Of text and background, as numbers of the palette."""
    text = 1
    for number in style:
        if 30 <= number <= 37:
            text = number - 28
        elif number == 90:
            text = 10
        elif number == 1:
            text = 9
    return (0, text) if 7 in style else (text, 0)


def draw(screen, font, border=8):
    width, height = font[:2]
    columns = screen.columns * width + 2 * border
    rows = [[0] * columns for _ in range(border)]
    for cells in screen.cells:
        lines = [[0] * border for _ in range(height)]
        for char, style in cells:
            text, ground = colors(style)
            for line, bits in zip(lines, cell_bits(char, font)):
                line.extend(text if bit else ground for bit in bits)
        rows.extend(line + [0] * border for line in lines)
    rows.extend([0] * columns for _ in range(border))
    return rows


def chunk(name, data):
    return (struct.pack('>I', len(data)) + name + data +
            struct.pack('>I', zlib.crc32(name + data)))


def write_png(path, rows):
    """Four bits for each dot."""
    width = len(rows[0])
    lines = b''
    for row in rows:
        row = row + [0] * (width % 2)
        lines += b'\0' + bytes(row[i] << 4 | row[i + 1] for i in range(0, len(row), 2))
    palette = b''.join(bytes.fromhex(color) for color in PALETTE)
    with open(path, 'wb') as file:
        file.write(b'\x89PNG\r\n\x1a\n' +
                   chunk(b'IHDR', struct.pack('>IIBBBBB', width, len(rows), 4, 3, 0, 0, 0)) +
                   chunk(b'PLTE', palette) + chunk(b'IDAT', zlib.compress(lines, 9)) +
                   chunk(b'IEND', b''))


def main():
    rows, columns, font, session, png = sys.argv[1:]
    with open(session, 'rb') as file:
        data = file.read()
    end = data.rfind(LEAVE)
    if end < 0:
        sys.exit(f'{session}: the program has not left its screen')
    screen = Screen(int(rows), int(columns))
    # Up to the end of the last frame, before the modes are set back
    screen.feed(data[:data.rindex(b'\x1b[J', 0, end) + 3])
    write_png(png, draw(screen, read_font(font)))
    print(screen.text())


if __name__ == '__main__':
    main()
