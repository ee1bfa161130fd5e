#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rate_limit_test.py RATE_LIMIT: neither limit is ever exceeded, and the tighter one is what the
time comes from, on a loop and on a pool."""

import re
import subprocess
import sys

FORM = (r"(\d+) requests in ([\d.]+) s\n"
        r"at once   (\d+), at most (\d+)\n"
        r"a second  ([\d.]+), at most (\d+)\n")


def check(requests, time, at_once, rate, workers):
    """`time` in seconds."""
    done = subprocess.run([sys.argv[1], "--requests", str(requests), "--time",
                           str(round(1000 * time)), "--at-once", str(at_once), "--rate", str(rate),
                           "--workers", workers], capture_output=True, text=True, timeout=120)
    match = re.fullmatch(FORM, done.stdout)
    assert done.returncode == 0 and done.stderr == "" and match, done
    count, seconds, most, most_allowed, achieved, rate_allowed = map(float, match.groups())
    assert (count, most_allowed, rate_allowed) == (requests, at_once, rate), done.stdout
    rounding = 0.001
    assert seconds + rounding >= requests / rate, done.stdout
    assert seconds + rounding >= requests / at_once * time, done.stdout
    assert 1 <= most <= at_once and achieved <= rate, done.stdout
    assert most * (seconds + rounding) >= requests * time, "so much work needs as many at once"


def main():
    for workers in "1", "2":
        check(100, 0.001, 100, 200, workers)  # the rate is the tighter limit
        check(30, 0.05, 3, 100_000, workers)  # the number at once is
        check(5, 0.01, 1, 1000, workers)      # one after the other


main()
