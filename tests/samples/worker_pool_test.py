#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""worker_pool_test.py WORKER_POOL: the same result on a loop and on a pool, whatever the number of
tasks, and each job is done once."""

import re
import subprocess
import sys

FORM = (r"(\d+) has the longest chain: (\d+) steps\n"
        r"jobs done by each task:((?: \d+)+)\n"
        r"[\d.]+ s\n")


def check(workers, tasks, below, number, steps):
    done = subprocess.run([sys.argv[1], "--workers", workers, "--tasks", str(tasks), "--below",
                           str(below)], capture_output=True, text=True, timeout=120)
    match = re.fullmatch(FORM, done.stdout)
    assert done.returncode == 0 and done.stderr == "" and match, done
    assert (int(match[1]), int(match[2])) == (number, steps), done.stdout
    jobs = [int(count) for count in match[3].split()]
    assert len(jobs) == tasks and sum(jobs) == -(-(below - 1) // 1_000), done.stdout


def main():
    for workers in "1", "2":
        check(workers, 4, 1_000_000, 837799, 524)
        check(workers, 1, 100_000, 77031, 350)
        check(workers, 200, 100_000, 77031, 350)  # more tasks than jobs
        check(workers, 3, 2, 1, 0)


main()
