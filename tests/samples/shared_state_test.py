#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""shared_state_test.py SHARED_STATE: nothing is lost between awaits on a loop, and nowhere where it
is guarded; updates are lost across an await, on a loop and on a pool."""

import re
import subprocess
import sys


def lost(*arguments):
    """Of each way of counting: what was lost on a loop, and on a pool of two."""
    done = subprocess.run([sys.argv[1], "--workers", "2", *arguments], capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == 0 and done.stderr == "", done
    heading, *rows = done.stdout.splitlines()
    assert re.fullmatch(r"lost of \d+ +event loop +pool of 2", heading), heading
    matches = [re.fullmatch(r"(\S.*?) +(\d+) +(\d+)", row) for row in rows]
    assert all(matches), done.stdout
    return {match[1]: (int(match[2]), int(match[3])) for match in matches}


def check(counted, tasks, times):
    updates = tasks * times
    assert len(counted) == 5, counted
    for name in "with a mutex", "with an atomic", "with a channel":
        assert counted[name] == (0, 0), counted
    on_a_loop, on_a_pool = counted["between awaits"]
    assert on_a_loop == 0, counted
    assert 0 <= on_a_pool < updates, counted  # it may be none: that is what makes such bugs hard
    if tasks > 1:
        assert all(0 < gone < updates for gone in counted["across an await"]), counted
    else:
        assert counted["across an await"] == (0, 0) and on_a_pool == 0, counted


def main():
    check(lost(), 8, 10_000)
    check(lost("--tasks", "100", "--times", "50"), 100, 50)
    check(lost("--tasks", "1", "--times", "1000"), 1, 1000)


main()
