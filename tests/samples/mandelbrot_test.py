#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""mandelbrot_test.py MANDELBROT: a PNG of the size asked for, the same from loop and pool."""

import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib


def pixels_of(path):
    """Width, height and unpacked rows of an 8-bit RGB PNG, every chunk's checksum checked."""
    data = pathlib.Path(path).read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length:at + 12 + length])[0] == \
            zlib.crc32(kind + body), kind
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            assert (depth, colour) == (8, 2)
        if kind == b"IDAT":
            packed += body
        at += 12 + length
    rows = zlib.decompress(packed)
    assert len(rows) == height * (1 + 3 * width)
    return width, height, rows


def run(*arguments):
    return subprocess.run([sys.argv[1], *arguments], capture_output=True, text=True, timeout=120)


def main():
    with tempfile.TemporaryDirectory() as directory:
        pictures = []
        for workers in "1", "2":
            path = os.path.join(directory, f"{workers}.png")
            done = run("--size", "161", "90", "-o", path, "--workers", workers)
            assert done.returncode == 0, done
            assert done.stdout.startswith(f"{path}: 161 x 90 pixels, computed in "), done
            pictures.append(pixels_of(path))
        assert pictures[0] == pictures[1]
        assert pictures[0][:2] == (161, 90)
        assert len(set(pictures[0][2])) > 50, "a picture, not one colour"

        whole = os.path.join(directory, "whole.png")
        assert run("--size", "64", "64", "--whole", "-o", whole).returncode == 0
        assert pixels_of(whole) != pixels_of(os.path.join(directory, "1.png"))

        nowhere = os.path.join(directory, "missing", "x.png")
        done = run("--size", "8", "8", "-o", nowhere)
        assert done.returncode == 1 and nowhere in done.stderr, done
        assert run("--size", "0", "8", "-o", whole).returncode != 0
        assert run("--size", "100000", "100000", "-o", whole).returncode == 1


main()
