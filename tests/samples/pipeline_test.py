#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pipeline_test.py PIPELINE: it finds what grep finds, stops when told to, and names the file that
it cannot read, on a loop and on a pool."""

import pathlib
import subprocess
import sys
import tempfile


def run(*arguments):
    return subprocess.run([sys.argv[1], *arguments], capture_output=True, text=True, timeout=120)


def expected(word, paths):
    return [f"{path}:{number}:{line}" for path in paths
            for number, line in enumerate(pathlib.Path(path).read_text().splitlines(), 1)
            if word in line]


def main():
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{name}" for name in ("one", "two", "three")]
        for size, path in zip((0, 1_000, 20_000), paths):
            pathlib.Path(path).write_text("".join(f"line {i} of {size}\n" for i in range(size)))
        for workers in "1", "2":
            found = run("--workers", workers, "7", *paths)
            assert found.returncode == 0 and found.stderr == "", found
            lines = found.stdout.splitlines()
            for path in paths:  # the lines of each file stay in their order
                mine = [line for line in lines if line.startswith(path + ":")]
                assert mine == expected("7", [path]), path
            assert len(lines) == len(expected("7", paths))
            some = run("--workers", workers, "--count", "5", "line", *paths)
            assert some.returncode == 0 and len(some.stdout.splitlines()) == 5, some
            missing = run("--workers", workers, "7", folder + "/missing", *paths)
            assert missing.returncode == 1 and "missing" in missing.stderr, missing


main()
