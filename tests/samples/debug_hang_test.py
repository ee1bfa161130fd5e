#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""debug_hang_test.py DEBUG_HANG: the report shows both clerks, where each waits and where the other
one took what it waits for; in a run that throws and in one that goes on."""

import re
import subprocess
import sys

CLERK = re.compile(r"(├─|└─) transfer \(\S+debug_hang\.cpp:(\d+)\): waits for mutex::lock, which "
                   r"transfer took at \S+debug_hang\.cpp:(\d+)")


def output_of(*arguments):
    done = subprocess.run([sys.argv[1], *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == "", done
    return done.stdout


def main():
    for workers in "1", "2":
        for live in [], ["--live"]:
            text = output_of("--workers", workers, *live)
            assert ("run threw:\ndeadlock: " in text) == (not live), text
            assert ("given up" in text) == bool(live), text
            assert re.search(r"office \(\S+debug_hang\.cpp:\d+\)", text), text
            clerks = CLERK.findall(text)
            assert len(clerks) == 2, text
            assert all(int(waits) == int(took) + 2 for _, waits, took in clerks), text


main()
