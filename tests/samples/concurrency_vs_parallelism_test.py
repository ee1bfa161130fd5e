#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""concurrency_vs_parallelism_test.py PROGRAM: the demo in small runs to its end, its table holds
every workload, its files are readable, and waiting is what the event loop saves. How fast the pool
computes is no business of a test: other programs share the cores."""

import json
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

UNITS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}
WORKLOADS = ["waiting", "computing", "files", "both"]


def rows_of(output):
    """Workload -> its three times in seconds."""
    rows = {}
    for line in output.splitlines():
        words = line.split()
        times = re.findall(r"([\d.]+) (s|ms|µs|ns)\b", line)
        if words and words[0] in WORKLOADS and len(times) == 3 and words[0] not in rows:
            rows[words[0]] = [float(number) * UNITS[unit] for number, unit in times]
    return rows


def run(*arguments):
    return subprocess.run([sys.argv[1], "--quick", *arguments], capture_output=True, text=True,
                          timeout=170)


def main():
    with tempfile.TemporaryDirectory() as directory:
        files = os.path.join(directory, "files")
        os.mkdir(files)
        for number in range(100):
            with open(os.path.join(files, str(number)), "wb") as file:
                file.write(os.urandom(number * 1000))
        out = os.path.join(directory, "a", "new one")
        done = run("--dir", files, "--out", out, "--workers", "2")
        assert done.returncode == 0, done
        assert done.stderr == "", done
        assert "All three ways gave the same results" in done.stdout, done

        rows = rows_of(done.stdout)
        assert list(rows) == WORKLOADS, done.stdout
        in_turn, loop, pool = rows["waiting"]
        assert in_turn > 20 * 0.020, "a request took less than the server's delay"
        assert loop < in_turn / 1.5 and pool < in_turn / 1.5, done.stdout

        svg = xml.etree.ElementTree.parse(os.path.join(out, "timeline.svg")).getroot()
        assert svg.tag.endswith("svg"), svg.tag
        text = " ".join(svg.itertext())
        for title in *WORKLOADS, "one after the other", "event loop", "pool of 2", "worker 1":
            assert title in text, title
        assert os.path.getsize(os.path.join(out, "timeline.svg")) < 1_000_000
        with open(os.path.join(out, "timeline.json"), encoding="utf-8") as file:
            trace = json.load(file)
        events = trace["traceEvents"] if isinstance(trace, dict) else trace
        assert len(events) > 100, len(events)

        done = run("--dir", os.path.join(directory, "missing"), "--out", out)
        assert done.returncode == 1 and "missing" in done.stderr, done


main()
