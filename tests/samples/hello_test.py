#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""hello_test.py HELLO: the words come out, on a loop and on pools."""

import subprocess
import sys


def main():
    for workers in "1", "2", "0":
        done = subprocess.run([sys.argv[1], "--workers", workers], capture_output=True, text=True,
                              timeout=60)
        assert done.returncode == 0, done
        assert done.stdout == "hello, world\n", done
        assert done.stderr == "", done


main()
