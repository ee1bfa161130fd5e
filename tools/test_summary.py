#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints `N passed, N failed[, N skipped[: WHY]]` of a build: test_summary.py BUILD MESON_EXIT_CODE

What failed follows, an indented line each: the test, and of a doctest program the case, the place
and what it found there. Of a sanitizer's report: its heading, and each stack in a line.

A doctest program counts by its cases, anything else as one. A test that says that it was skipped,
and cases that a program leaves out, are counted as skipped, a skipped test with CI set as failed:
nothing is left out unseen. What a skipped test gives as its reason (a line `skipped: WHY`) is
repeated. A run that wrote no log, or whose failure left no trace in it, is one failure.
"""

import json
import os
import pathlib
import re
import sys

CASES = re.compile(r"^\[doctest\] test cases: +(\d+) \| +(\d+) passed \| +(\d+) failed"
                   r" \| +(\d+) skipped", re.MULTILINE)
REASON = re.compile(r"^skipped: (.+)$", re.MULTILINE)
# What doctest prints may be coloured.
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# Where a case begins, and where a check failed with what doctest says of it.
FAILURE = re.compile(r"^TEST CASE: +(?P<case>.+)$|"
                     r"^(?:\.\./)*(?P<error>\S+:\d+: (?:FATAL )?ERROR: .+(?:\n  .+)*)",
                     re.MULTILINE)
FAILURES_SHOWN = 5
# The heading of a sanitizer's report; a stack in it, under a line that says of what; where in the
# house a frame is.
REPORT = re.compile(r"^(?:==\d+==ERROR: |WARNING: )(\w+Sanitizer: .+)$|"
                    r"^(?:\S*\.\./)?(\S+:\d+:\d+: runtime error: .+)$", re.MULTILINE)
STACK = re.compile(r"^[ \t]*(?P<of>\S.*)\n(?P<frames>(?: +#\d.*\n)+)", re.MULTILINE)
PLACE = re.compile(r"/\.\./((?:include/weft|runtime|io|sched|tests|bench|samples)/\S+:\d+)")
ADDRESS = re.compile(r" (?:at |on address |pc |bp |sp )*0x[0-9a-f]+")
STACKS_SHOWN = 4
FRAMES_SHOWN = 6


def count(test):
    """(passed, failed, skipped) of one line of meson's testlog.json."""
    succeeded = test["result"] in ("OK", "EXPECTEDFAIL")
    if test["result"] == "SKIP":
        return (0, 1, 0) if os.environ.get("CI") else (0, 0, 1)
    cases = CASES.search(COLOURS.sub("", test.get("stdout", "")))
    if not cases:
        return (1, 0, 0) if succeeded else (0, 1, 0)
    _, passed, failed, skipped = map(int, cases.groups())
    return (passed, failed if succeeded else max(failed, 1), skipped)


def reasons(tests):
    """Why tests were skipped, each reason once."""
    said = (REASON.findall(test.get("stdout", "")) for test in tests if test["result"] == "SKIP")
    return list(dict.fromkeys(sum(said, [])))


def sanitizer_report(output):
    """The first report of a sanitizer, told in a line each: its heading, and its stacks."""
    heading = REPORT.search(output)
    if not heading:
        return []
    report = output[heading.start():].partition("\nSUMMARY: ")[0]
    told = [heading[1] or heading[2]]
    for stack in list(STACK.finditer(report))[:STACKS_SHOWN]:
        places = ", ".join(PLACE.findall(stack["frames"])[:FRAMES_SHOWN])
        if stack["of"].endswith(told[0]):  # one stack, under the heading
            told[0] += ": " + places
        else:
            told.append(f"{stack['of'].rstrip(':')}: {places}")
    return [ADDRESS.sub("", line) for line in told]


def failures(test):
    """What failed in one line of meson's testlog.json, told in a line each."""
    if not count(test)[1]:
        return []
    name = test.get("name", "?").rpartition(" / ")[2]
    output = COLOURS.sub("", test.get("stdout", "") + test.get("stderr", ""))
    case, found = "", [f"{name}: {line}" for line in sanitizer_report(output)]
    for part in FAILURE.finditer(output):
        if part["case"]:
            case = part["case"]
        else:
            found.append(" ".join(f"{name}: {case}: {part['error']}".split()))
    left_out = len(found) - FAILURES_SHOWN
    more = [f"{name}: and {left_out} more"] if left_out > 0 else []
    return found[:FAILURES_SHOWN] + more or [f"{name}: {test['result']}"]


def main():
    log = pathlib.Path(sys.argv[1]) / "meson-logs" / "testlog.json"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    tests = [json.loads(line) for line in lines if line.strip()]
    counts = [count(test) for test in tests]
    passed, failed, skipped = (sum(one[i] for one in counts) for i in range(3))
    if (sys.argv[2] != "0" or not counts) and failed == 0:
        failed = 1
    why = ": " + "; ".join(reasons(tests)) if reasons(tests) else ""
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else "") + why)
    for failure in sum((failures(test) for test in tests), []):
        print("  " + failure)


if __name__ == "__main__":
    main()
