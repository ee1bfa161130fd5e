#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""life_test.py LIFE: plays by the rules, the same on loop and pool."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import zlib


def cells_of(path, width, height):
    """The board of a PNG that life has written: rows of 0 and 1."""
    data = pathlib.Path(path).read_bytes()
    at, packed = 8, b""
    while at < len(data):
        length = int.from_bytes(data[at:at + 4], "big")
        if data[at + 4:at + 8] == b"IDAT":
            packed += data[at + 8:at + 8 + length]
        at += 12 + length
    pixels = bytearray(zlib.decompress(packed))
    row_bytes = 1 + 3 * width
    assert len(pixels) == height * row_bytes
    rows, above = [], bytearray(3 * width)
    for y in range(height):
        kind, row = pixels[y * row_bytes], pixels[y * row_bytes + 1:(y + 1) * row_bytes]
        for i in range(len(row)):  # PNG's filters
            left = row[i - 3] if i >= 3 else 0
            corner = above[i - 3] if i >= 3 else 0
            guess = left + above[i] - corner
            nearest = min((left, above[i], corner), key=lambda value: abs(guess - value))
            row[i] = (row[i] + (0, left, above[i], (left + above[i]) // 2, nearest)[kind]) % 256
        above = row
        rows.append([pixel // 255 for pixel in row[::3]])
    return rows


def next_generation(cells):
    height, width = len(cells), len(cells[0])

    def around(y, x):
        return sum(cells[(y + dy) % height][(x + dx) % width]
                   for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx)
    return [[int(around(y, x) == 3 or (cells[y][x] == 1 and around(y, x) == 2))
             for x in range(width)] for y in range(height)]


def run(*arguments):
    return subprocess.run([sys.argv[1], *arguments], capture_output=True, text=True, timeout=120)


def main():
    width, height = 61, 40
    with tempfile.TemporaryDirectory() as directory:
        def board(generations, workers, seed="1"):
            path = os.path.join(directory, f"{generations}-{workers}-{seed}.png")
            done = run("--size", str(width), str(height), "--generations", str(generations),
                       "--seed", seed, "-o", path, "--workers", workers)
            assert done.returncode == 0, done
            cells = cells_of(path, width, height)
            alive = re.fullmatch(rf"{re.escape(path)}: 61 x 40 cells, (\d+) alive after "
                                 rf"{generations} generations, computed in .*\n", done.stdout)
            assert alive and int(alive[1]) == sum(map(sum, cells)) > 50, done
            return cells

        expected = board(0, "1")
        for _ in range(10):
            expected = next_generation(expected)
        assert board(10, "1") == expected
        assert board(10, "2") == expected
        assert board(0, "1", seed="2") != board(0, "1")

        nowhere = os.path.join(directory, "missing", "x.png")
        done = run("--size", "8", "8", "-o", nowhere)
        assert done.returncode == 1 and nowhere in done.stderr, done
        assert run("--size", "0", "8").returncode != 0


if __name__ == "__main__":
    main()
