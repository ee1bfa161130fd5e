#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the benchmarks and prints ratios: run_bench.py [--peers] PROGRAMS_DIR OUTPUT_DIR [FILTER]

Benchmarks are named area/question/variant/key:value/...; the variant `weft` is compared with every
other variant of the same question and the same arguments (a baseline may lack some: serial code has
no workers). A ratio is baseline time / weft time, of medians from one run: above 1 weft is faster.
A counter that both have is compared in the same way: a time, or where it is called `bytes` memory.
Where there is a counter `per_item`, times are those of one item. The whole run takes five minutes
at most; what did not fit in is named. With WEFT_BENCH_FULL in the environment the benchmarks take
the sizes that others publish for, and the run as long as it needs. With --peers the peers in other
languages (bench/peers/) are built, and measured after the rest.

Ends with 1 when something is wrong or was not measured; without a FILTER (or with that of all, `.`)
also when a floor was not measured, or a benchmark has nothing to be compared with. Whether a floor,
a goal, an extra or a limit that is missed is the machine's fault is for the reader to judge.
"""

import fnmatch
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import bench_peers  # noqa: E402

FULL = "WEFT_BENCH_FULL" in os.environ
SECONDS_MAX = 290 if not FULL else 6 * 3600
REPETITIONS = 5 if not FULL else 7
# Of a benchmark's run, what is not measured time: finding the number of iterations, setting up.
OVERHEAD = 3
# What rules out a wrong design: (question, variant to compare with, counter, least ratio). The
# call through a function pointer stands for 2 ns: so an await may take 25 ns, a yield 30. `*`
# stands for a size.
FLOORS = [
    ("runtime/task_await", "function_pointer", "time", 2 / 25),
    ("runtime/yield tasks:1 workers:1", "function_pointer", "time", 2 / 30),
    ("sched/fork_join_fib scheduler:loop n:* workers:1", "tbb_task_group", "time", 1),
    ("sched/fork_join_fib scheduler:loop n:* workers:1", "tbb_parallel_invoke", "time", 1),
    ("sched/fork_join_fib scheduler:pool n:* workers:1", "tbb_task_group", "time", 1),
    ("sched/fork_join_fib scheduler:pool n:* workers:1", "tbb_parallel_invoke", "time", 1),
    ("io/tcp_ping_pong kernel:uring connections:50", "raw_liburing", "server_cpu", 0.85),
    ("io/tcp_ping_pong kernel:epoll connections:50", "epoll_loop", "server_cpu", 1 / 1.10),
    ("io/tcp_ping_pong kernel:epoll connections:1000", "epoll_loop", "server_cpu", 1 / 1.10),
    ("io/tcp_ping_pong kernel:epoll connections:50", "asio", "server_cpu", 1),
    ("io/tcp_ping_pong kernel:epoll connections:1000", "asio", "server_cpu", 1),
]
FORK_JOIN = "sched/fork_join_%s scheduler:pool n:* workers:%s"
# What is aimed at, in the same form. A comparison with `weft` is with weft's own row of other
# arguments: two workers with one, and more workers than there are cores with two.
GOALS = [
    *((FORK_JOIN % (question, workers), against, "time", 1 / share)
      for question, against, share in (("fib", "tbb_parallel_invoke", 0.15),
                                       ("skynet", "tbb_task_group", 0.30),
                                       ("nqueens", "tbb_task_group", 0.68),
                                       ("matmul", "tbb_task_group", 1))
      for workers in (1, 2)),
    (FORK_JOIN % ("*", 2), "weft workers:1", "time", 1.95),
    (FORK_JOIN % ("*", 2), "loop_for_each_core", "time", 0.95),
    (FORK_JOIN % ("*", 16), "weft workers:2", "time", 0.9),
    (FORK_JOIN % ("*", 64), "weft workers:2", "time", 0.9),
    # Times that are aimed at, as shares of what Asio takes where both were measured once, in ns.
    *((title, "asio", "time", asio / aim) for title, asio, aim in (
        ("runtime/task_await", 13.4, 5.5),
        ("runtime/task_await_inlinable", 13.6, 2.5),
        ("runtime/task_chain depth:1000", 37, 8),
        ("runtime/yield tasks:1000 workers:1", 59, 12),
        ("runtime/yield tasks:1000 workers:2", 370, 20),
        ("runtime/spawn_join tasks:1000000 workers:1", 478, 25),
        ("runtime/spawn_join tasks:1000000 workers:2", 1085, 45),
        ("runtime/channel pairs:1 workers:1 slots:1024", 443, 12),
        ("runtime/channel pairs:1 workers:2 slots:1024", 988, 13),
        ("runtime/channel pairs:4 workers:1 slots:1024", 446, 25),
        ("runtime/channel pairs:4 workers:2 slots:1024", 878, 50))),
    *(("sched/wake_up * idle_us:1000 workers:*", against, "there_p50", 1 / 1.1)
      for against in ("message_ring", "eventfd_poll")),
    ("sched/wake_up * idle_us:20 workers:*", "eventfd_poll", "there_p50", 3),  # 2 us
    *(("sched/parallel_* workers:*", against, "time", 1)
      for against in ("tbb", "tbb_deterministic", "std_par")),
    ("runtime/mutex workers:*", "compare_exchange", "time", 1 / 1.25),
    # The same as shares of tokio's.
    *((title, "tokio", "time", tokio / aim) for title, tokio, aim in (
        ("runtime/when_all tasks:1000 workers:1", 126, 12),
        ("runtime/when_all tasks:1000 workers:2", 336, 25),
        ("runtime/contended_mutex waiting:1000 workers:1", 265, 25),
        ("runtime/contended_mutex waiting:1000 workers:2", 283, 60))),
]
# What weft may take beyond a baseline: (question, variant to compare with, counter, most in ns).
EXTRAS = [
    ("sched/parallel_for_tiny n:*", "serial", "time", 50),
]
# What does not depend on the machine's speed: (question, counter, most in ns or bytes).
LIMITS = [
    ("sched/fairness workers:*", "late_p99", 5e6),
    ("sched/fairness workers:*", "trip_p99", 5e6),
    ("runtime/suspended_bytes", "bytes", 144),
]
# What Google Benchmark appends to a name.
APPENDED = re.compile(r"^(real_time|process_time|manual_time|threads:\d+|repeats:\d+|"
                      r"iterations:\d+|min_time:.*|min_warmup_time:.*)$")
NANOSECONDS = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}
# What every entry of Google Benchmark's JSON has; the rest are counters, all but `bytes` times.
FIELDS = {"name", "family_index", "per_family_instance_index", "run_name", "run_type",
          "repetitions", "repetition_index", "threads", "iterations", "real_time", "cpu_time",
          "time_unit", "label", "error_occurred", "error_message"}


def listed(program, pattern):
    result = subprocess.run([program, "--benchmark_list_tests", f"--benchmark_filter={pattern}"],
                            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60,
                            check=False)
    if result.returncode != 0:
        raise SystemExit(f"{program.name}: ended with {result.returncode}, asked what it measures")
    return [line for line in result.stdout.splitlines() if "/" in line]


def run(program, pattern, seconds, deadline, output):
    """Runs one program; gives its JSON, or None with a reason printed."""
    command = [program, f"--benchmark_filter={pattern}", f"--benchmark_min_time={seconds:.4f}",
               f"--benchmark_repetitions={REPETITIONS}",
               "--benchmark_enable_random_interleaving=true",
               f"--benchmark_out={output}", "--benchmark_out_format=json"]
    try:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, check=False,
                                timeout=max(1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        print(f"{program.name}: stopped, the time is over", file=sys.stderr)
        return None
    if result.returncode != 0:
        print(f"{program.name}: ended with {result.returncode}\n{result.stdout[-3000:]}",
              file=sys.stderr)
        return None
    return json.loads(output.read_text())


def split(name):
    """(question, variant, arguments) of a benchmark's name."""
    parts = [part for part in name.split("/") if not APPENDED.match(part)]
    words = [part for part in parts if ":" not in part and not part.isdigit()]
    arguments = tuple(part for part in parts if part not in words)
    if len(words) < 3:
        return "/".join(words), "weft", arguments
    return "/".join([*words[:2], *words[3:]]), words[2], arguments


def median_and_spread(values):
    median = statistics.median(values)
    return median, (max(values) - min(values)) / median if median else 0.0


def medians(runs):
    """(name -> {"time" or counter -> (median ns, spread)}, name -> error), of all repetitions."""
    samples, errors = {}, {}
    for one in runs:
        for entry in one["benchmarks"]:
            if entry.get("run_type") == "aggregate":
                continue
            name = entry.get("run_name", entry["name"])
            if entry.get("error_occurred"):
                errors[name] = entry.get("error_message", "error")
                continue
            found = {key: value if key == "bytes" else value * 1e9
                     for key, value in entry.items() if key not in FIELDS}
            if "per_item" in found:
                found["time"] = found.pop("per_item")
            elif "real_time" in entry:
                found["time"] = entry["real_time"] * NANOSECONDS[entry["time_unit"]]
            for key, value in found.items():
                samples.setdefault(name, {}).setdefault(key, []).append(value)
    return {name: {key: median_and_spread(values) for key, values in counters.items()}
            for name, counters in samples.items()}, errors


def unit(key):
    return "median" if key == "bytes" else "median_ns"


def shown(key, value):
    return f"{value:.3g} B" if key == "bytes" else shown_time(value)


def shown_time(nanoseconds):
    for unit, factor in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if nanoseconds >= factor:
            return f"{nanoseconds / factor:.3g} {unit}"
    return f"{nanoseconds:.3g} ns"


def baselines(question, arguments, results):
    """The other variants of a question whose arguments are among the given ones."""
    for other, counters in results.items():
        its_question, variant, its_arguments = split(other)
        if its_question == question and variant != "weft" and set(its_arguments) <= set(arguments):
            yield variant, counters


def ratios(results):
    """Rows to print: what, weft's time, then below it each baseline's and the ratio."""
    rows = []
    for name, counters in results.items():
        question, variant, arguments = split(name)
        if variant != "weft":
            continue
        others = list(baselines(question, arguments, results))
        for key, (median, spread) in sorted(counters.items(), key=lambda item: item[0] != "time"):
            title = " ".join([question, *arguments]) if key == "time" else "  " + key
            rows.append((title, shown(key, median), f"±{spread * 50:.0f}%", ""))
            rows += [("", shown(key, its[key][0]), f"±{its[key][1] * 50:.0f}%",
                      f"{its[key][0] / median:5.2f} x {other}" if median else f"      {other}")
                     for other, its in others if key in its]
    return rows


def other_row(results, against, question, arguments):
    """The counters to compare a row of weft's with, or None when they were not measured."""
    variant, *changed = against.split()
    if variant != "weft":
        return dict(baselines(question, arguments, results)).get(variant)
    key = changed[0].partition(":")[0] + ":"
    wanted = tuple(changed[0] if argument.startswith(key) else argument for argument in arguments)
    return next((counters for name, counters in results.items()
                 if split(name) == (question, "weft", wanted)), None)


def compared(results, bound):
    """(title, baseline's, weft's) of each row that a bound speaks of, where both were measured."""
    pattern, against, key, _ = bound
    for name, counters in results.items():
        question, variant, arguments = split(name)
        title = " ".join([question, *arguments])
        if variant != "weft" or not fnmatch.fnmatchcase(title, pattern):
            continue
        its = other_row(results, against, question, arguments) or {}
        if key in its and counters.get(key, (0,))[0]:
            yield title, its[key][0], counters[key][0]


def kept(kind, results, bounds):
    """Lines that say which floors or goals were met, of those that were measured."""
    for bound in bounds:
        _, against, key, least = bound
        for title, its, own in compared(results, bound):
            ratio = its / own
            yield (f"{kind} {'met   ' if ratio >= least else 'MISSED'}  {title} {key}: "
                   f"{ratio:.3g} x {against}, at least {least:.3g}")


def limits(results):
    """Lines that say which extras and limits were kept, of those that were measured."""
    for bound in EXTRAS:
        _, against, key, most = bound
        for title, its, own in compared(results, bound):
            yield (f"extra {'met   ' if own - its <= most else 'MISSED'}  {title} {key}: "
                   f"{own - its:.3g} ns more than {against}, at most {most:.3g}")
    for name, counters in results.items():
        question, variant, arguments = split(name)
        title = " ".join([question, *arguments])
        for pattern, key, most in LIMITS:
            if variant == "weft" and key in counters and fnmatch.fnmatchcase(title, pattern):
                value = counters[key][0]
                yield (f"limit {'met   ' if value <= most else 'MISSED'}  {title} {key}: "
                       f"{shown(key, value)}, at most {shown(key, most)}")


def alone(names):
    """Benchmarks of weft's without a baseline, and baselines that nothing is compared with."""
    compared = set()
    for name in names:
        question, variant, arguments = split(name)
        others = [other for other in names if variant == "weft" and split(other)[1] != "weft"
                  and split(other)[0] == question and set(split(other)[2]) <= set(arguments)]
        compared.update([name, *others] if others else [])
    return [name for name in names if name not in compared]


def missing(results, errors, expected, everything):
    """Lines that say what should have been measured, and was not."""
    yield from (f"NOT MEASURED: {name}" for name in expected
               if name not in results and name not in errors)
    if not everything:  # a filter leaves out what it leaves out
        return
    for floor in FLOORS:
        if not any(compared(results, floor)):
            yield f"NOT MEASURED: the floor of {floor[0]} {floor[2]} x {floor[1]}"
    yield from (f"ALONE: {name}: there is nothing to compare it with" for name in alone(expected))


def commit():
    if not shutil.which("git"):
        return "unknown"
    result = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True,
                            check=False)
    return result.stdout.strip() or "unknown"


def main():
    arguments = sys.argv[1:]
    with_peers = arguments[0] == "--peers"
    programs_folder, output, *rest = arguments[1:] if with_peers else arguments
    pattern = rest[0] if rest else "."
    output = pathlib.Path(output)
    output.mkdir(parents=True, exist_ok=True)
    peers = bench_peers.listed(output / "peers", pattern) if with_peers else []
    deadline = time.monotonic() + SECONDS_MAX
    programs = {program: names for program in sorted(pathlib.Path(programs_folder).glob("bench_*"))
                if program.is_file() and os.access(program, os.X_OK)
                and (names := listed(program, pattern))}
    total = sum(map(len, programs.values()))
    if total == 0:
        print(f"no benchmark matches '{pattern}'", file=sys.stderr)
        return 1
    print(f"{total} benchmarks, {REPETITIONS} repetitions each", file=sys.stderr)
    runs, left_out, expected = [], [], []
    for program, names in programs.items():
        result = None
        if (left := deadline - time.monotonic()) > 0:
            # Each program's share of what is left: a slow one shortens those behind it.
            seconds = min(0.5, max(0.005, left / (total * REPETITIONS * OVERHEAD)))
            print(f"{program.name}: {len(names)} of {seconds:.3f} s", file=sys.stderr)
            result = run(program, pattern, seconds, deadline, output / f"{program.name}.json")
        total -= len(names)
        runs += [result] if result else []
        expected += names if result else []
        left_out += [] if result else [program.name]
    if peers:
        print(f"{len(peers)} of peers in other languages", file=sys.stderr)
        runs.append(bench_peers.measured(peers, REPETITIONS, seconds=0.2))
        expected += [name for _, name in peers]
    results, errors = medians(runs)
    context = {"commit": commit(), "kernel": platform.release(), "cores": os.cpu_count(),
               "compiler": pathlib.Path(programs_folder).parent.name, "left_out": left_out}
    (output / "results.json").write_text(json.dumps(
        {"context": context,
         "benchmarks": {name: {key: {unit(key): median, "spread": spread}
                              for key, (median, spread) in counters.items()}
                        for name, counters in results.items()},
         "errors": errors}, indent=1) + "\n")
    rows = ratios(results)
    width = max((len(row[0]) for row in rows), default=0)
    for title, median, spread, ratio in rows:
        print(f"{title:<{width}}  {median:>9} {spread:>5}  {ratio}".rstrip())
    print(f"\ncompiler {context['compiler']}, kernel {context['kernel']}, commit {commit()}; "
          f"ratio = baseline / weft, above 1 weft is faster; {output}/results.json")
    print("\n".join(["", *kept("floor", results, FLOORS), *kept("goal ", results, GOALS),
                     *limits(results)]))
    wrong = [*(f"WRONG: {name}: {message}" for name, message in errors.items()),
             *(f"LEFT OUT: {name}" for name in left_out),
             *missing(results, errors, expected, everything=pattern == ".")]
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
