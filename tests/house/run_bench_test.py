#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What `./dev bench` makes of what the benchmarks measure. They are stand-ins that write JSON as
Google Benchmark does: two repetitions of each, and an aggregate that nobody should count."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from dev_stage import compilers, script  # noqa: E402

RUNNER = compilers.ROOT / "tools/run_bench.py"
ENDING = "/process_time/real_time"

PROGRAM = """\
#!{python}
import json, pathlib, re, sys
options = dict(word[2:].partition("=")[::2] for word in sys.argv[1:])
plan = json.loads(pathlib.Path(__file__).with_suffix(".json").read_text())
matching = {{name: entries for name, entries in plan["measured"].items()
            if re.search(options["benchmark_filter"], name)}}
if "benchmark_list_tests" in options:
    print("\\n".join(matching))
    sys.exit(plan["listing_ends_with"])
entries = sum(matching.values(), [])
pathlib.Path(options["benchmark_out"]).write_text(json.dumps({{"benchmarks": entries}}))
sys.exit(plan["ends_with"])
"""


def entries(name, nanoseconds, **counters):
    common = {"name": name, "family_index": 0, "per_family_instance_index": 0, "run_name": name,
              "repetitions": 2, "threads": 1, "cpu_time": 7.0, "time_unit": "us"}
    runs = [{**common, "run_type": "iteration", "repetition_index": i, "iterations": 100,
             "real_time": nanoseconds * factor / 1e3,
             **{key: value * factor / 1e9 for key, value in counters.items()}}
            for i, factor in enumerate((0.9, 1.1))]
    return [*runs, {**common, "name": name + "_mean", "run_type": "aggregate",
                    "aggregate_name": "mean", "iterations": 2, "real_time": 1e12}]


# A run in which all floors are met: (name without its ending) -> time, counters in nanoseconds.
GOOD = {
    "runtime/task_await/weft": (12, {}),
    "runtime/task_await/function_pointer": (2, {}),
    "runtime/yield/weft/tasks:1/workers:1": (20, {}),
    "runtime/yield/function_pointer": (2, {}),
    "sched/fork_join_fib/weft/scheduler:loop/n:30/workers:1": (100, {}),
    "sched/fork_join_fib/weft/scheduler:pool/n:30/workers:1": (100, {}),
    "sched/fork_join_fib/tbb_task_group/n:30/workers:1": (200, {}),
    "sched/fork_join_fib/tbb_parallel_invoke/n:30/workers:1": (210, {}),
    "io/tcp_ping_pong/weft/kernel:uring/connections:50": (
        1000, {"server_cpu": 600, "per_item": 500}),
    "io/tcp_ping_pong/weft/kernel:epoll/connections:50": (1100, {"server_cpu": 650}),
    "io/tcp_ping_pong/weft/kernel:epoll/connections:1000": (1100, {"server_cpu": 700}),
    "io/tcp_ping_pong/raw_liburing/connections:50": (900, {"server_cpu": 590, "per_item": 450}),
    "io/tcp_ping_pong/epoll_loop/connections:50": (1000, {"server_cpu": 600}),
    "io/tcp_ping_pong/epoll_loop/connections:1000": (1000, {"server_cpu": 640}),
    "io/tcp_ping_pong/asio/connections:50": (1000, {"server_cpu": 660}),
    "io/tcp_ping_pong/asio/connections:1000": (1000, {"server_cpu": 710}),
}
FLOORS = 11


class programs:
    """bench_* programs, one for each question."""

    def __init__(self, folder, changes):
        self.folder = folder
        plans = {}
        for name, (time, counters) in {**GOOD, **changes}.items():
            plan = plans.setdefault(name.split("/")[1], {})
            plan[name + ENDING] = entries(name + ENDING, time, **counters) if time else []
        for question, measured in plans.items():
            self.plan(question, measured=measured, ends_with=0, listing_ends_with=0)

    def plan(self, question, **changes):
        program = self.folder / f"bench_{question}"
        path = program.with_suffix(".json")
        plan = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(plan | changes))
        script(program, PROGRAM.format(python=sys.executable))

    def measure(self, *filter_, options=(), path=os.environ["PATH"]):
        """(exit code, lines on stdout, results.json) of a run."""
        done = subprocess.run([sys.executable, RUNNER, *options, self.folder, self.folder / "out",
                               *filter_], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60, check=False, env={**os.environ, "PATH": str(path)})
        assert "Traceback" not in done.stderr, done
        self.said = done.stderr
        results = self.folder / "out/results.json"
        return (done.returncode, done.stdout.splitlines(),
                json.loads(results.read_text()) if results.exists() else None)


def starting(lines, *words):
    return [line for line in lines if line.startswith(words)]


COMPLAINTS = ("WRONG", "LEFT OUT", "NOT MEASURED", "ALONE")


def floors_that_are_met(new):
    for arguments in [], ["."]:
        code, lines, results = new().measure(*arguments)
        assert code == 0 and len(starting(lines, "floor met")) == FLOORS, lines
        assert not starting(lines, "floor MISSED", *COMPLAINTS), lines
    await_time = results["benchmarks"]["runtime/task_await/weft" + ENDING]["time"]
    assert abs(await_time["median_ns"] - 12) < 1e-6 and abs(await_time["spread"] - 0.2) < 1e-6
    assert any(line.endswith(" 0.17 x function_pointer") for line in lines), lines


def floors_that_are_missed(new):
    code, lines, _ = new(**{
        "runtime/task_await/weft": (26, {}),
        "io/tcp_ping_pong/weft/kernel:uring/connections:50": (
            1000, {"server_cpu": 700, "per_item": 500}),
    }).measure()
    missed = starting(lines, "floor MISSED")
    assert len(missed) == 2 and "task_await" in missed[0], missed
    assert "server_cpu: 0.843 x raw_liburing, at least 0.85" in missed[1], missed
    assert len(starting(lines, "floor met")) == FLOORS - 2 and code == 0, (code, lines)


def memory(new):
    waiting = "runtime/suspended_bytes/"
    code, lines, results = new(**{waiting + "weft": (5, {"bytes": 144e9}),
                                  waiting + "asio": (5, {"bytes": 612e9})}).measure("bytes")
    assert code == 0 and lines[2].split() == ["bytes", "144", "B", "±10%"], lines
    assert lines[3].split() == ["612", "B", "±10%", "4.25", "x", "asio"], lines
    assert starting(lines, "limit") == [
        "limit met     runtime/suspended_bytes bytes: 144 B, at most 144 B"], lines
    assert results["benchmarks"][waiting + "asio" + ENDING]["bytes"]["median"] == 612


def peers_in_other_languages(new):
    """A compiler that makes a stand-in: it lists two, and measures what it is asked for."""
    p = new()
    compiler = p.folder / "path/go"
    script(compiler, """\
#!/bin/bash
/bin/cat >"$3" <<'END'
#!/bin/bash
[ $# -gt 0 ] || { echo runtime/yield/go/tasks:1/workers:1; echo runtime/mutex/go; exit; }
[ "$1" != runtime/mutex/go ] || { echo 'it is broken' >&2; exit 1; }
echo time 80
END
/bin/chmod +x "$3"
""")
    options = {"options": ["--peers"], "path": compiler.parent}
    code, lines, results = p.measure("yield", **options)
    assert code == 0 and any(line.endswith(" 4.00 x go") for line in lines), lines
    assert "1 of peers" in p.said, p.said
    assert "futures are left out" in p.said, p.said
    code, lines, results = p.measure(".", **options)
    assert code == 1 and results["errors"] == {"runtime/mutex/go": "it is broken"}, results
    code, lines, _ = new().measure(options=["--peers"], path="/nowhere")
    assert code == 0 and not starting(lines, *COMPLAINTS), lines


def goals(new):
    """Two workers are compared with one, and with two loops that share nothing; what was not
    measured is no complaint."""
    pool = "sched/fork_join_fib/weft/scheduler:pool/n:30/workers:"
    code, lines, _ = new(**{pool + "1": (30, {}), pool + "2": (16, {}), pool + "16": (17, {}),
                            pool + "64": (18, {}),
                            "sched/fork_join_fib/loop_for_each_core/n:30/workers:2/threads:2": (
                                15, {})}).measure("fork_join_fib")
    fib = "sched/fork_join_fib scheduler:pool n:30 workers:"
    assert code == 0 and not starting(lines, *COMPLAINTS), lines
    assert starting(lines, "goal") == [
        f"goal  met     {fib}1 time: 7 x tbb_parallel_invoke, at least 6.67",
        f"goal  MISSED  {fib}2 time: 1.88 x weft workers:1, at least 1.95",
        f"goal  MISSED  {fib}2 time: 0.938 x loop_for_each_core, at least 0.95",
        f"goal  met     {fib}16 time: 0.941 x weft workers:2, at least 0.9",
        f"goal  MISSED  {fib}64 time: 0.889 x weft workers:2, at least 0.9"], lines


def extras(new):
    tiny = "sched/parallel_for_tiny/"
    code, lines, _ = new(**{tiny + "weft/n:1": (54, {}), tiny + "serial/n:1": (4, {}),
                            tiny + "weft/n:8": (56, {}), tiny + "serial/n:8": (5, {}),
                            }).measure("parallel_for_tiny")
    assert code == 0 and starting(lines, "extra") == [
        "extra met     sched/parallel_for_tiny n:1 time: 50 ns more than serial, at most 50",
        "extra MISSED  sched/parallel_for_tiny n:8 time: 51 ns more than serial, at most 50"], lines


def a_filter_leaves_out_what_it_leaves_out(new):
    code, lines, _ = new().measure("fork_join_fib")
    assert code == 0 and len(starting(lines, "floor")) == 4, lines
    code, lines, _ = new().measure("task_await/weft")
    assert code == 0 and not starting(lines, "floor", *COMPLAINTS), lines
    code, lines, _ = new().measure("nonesuch")
    assert code == 1 and lines == [], lines


def a_floor_that_nobody_measures(new):
    """The benchmark was renamed, say, or one of its arguments; or it has lost a counter."""
    name = "sched/fork_join_fib/weft/scheduler:loop/n:30/workers:1"
    p = new()
    measured = {other + ENDING: entries(other + ENDING, time) for other, (time, _) in GOOD.items()
                if "fork_join_fib" in other and other != name}
    p.plan("fork_join_fib", measured=measured)
    code, lines, _ = p.measure()
    title = "sched/fork_join_fib scheduler:loop n:* workers:1"
    assert code == 1 and starting(lines, *COMPLAINTS) == [
        f"NOT MEASURED: the floor of {title} time x tbb_task_group",
        f"NOT MEASURED: the floor of {title} time x tbb_parallel_invoke"], lines
    code, lines, _ = p.measure("fork_join_fib")
    assert code == 0 and len(starting(lines, "floor met")) == 2, lines

    code, lines, _ = new(**{"io/tcp_ping_pong/raw_liburing/connections:50": (900, {})}).measure()
    assert code == 1 and starting(lines, *COMPLAINTS) == [
        "NOT MEASURED: the floor of io/tcp_ping_pong kernel:uring connections:50 server_cpu "
        "x raw_liburing"]


def a_benchmark_that_gives_no_result(new):
    """It is in the list of its program, and then is not there."""
    for arguments in [], ["sleep"]:
        code, lines, _ = new(**{"runtime/sleep/weft": (9, {}), "runtime/sleep/multimap": (0, {}),
                                }).measure(*arguments)
        assert code == 1 and starting(lines, *COMPLAINTS) == [
            f"NOT MEASURED: runtime/sleep/multimap{ENDING}"], lines


def what_has_nothing_to_be_compared_with(new):
    code, lines, _ = new(**{"runtime/sleep/weft/tasks:1": (9, {}),
                            "runtime/sleep/multimap/tasks:2": (9, {})}).measure()
    assert code == 1 and [line.split()[1] for line in starting(lines, *COMPLAINTS)] == [
        f"runtime/sleep/weft/tasks:1{ENDING}:", f"runtime/sleep/multimap/tasks:2{ENDING}:"], lines
    assert new().measure("task_await/weft")[0] == 0, "a filter may leave out the baseline"


def a_benchmark_that_finds_a_wrong_result(new):
    p = new()
    name = "runtime/task_await/function_pointer" + ENDING
    wrong = [one | {"error_occurred": True, "error_message": "lost a call"}
             for one in entries(name, 2)]
    weft = "runtime/task_await/weft" + ENDING
    p.plan("task_await", measured={name: wrong, weft: entries(weft, 12)})
    code, lines, results = p.measure()
    assert code == 1 and f"WRONG: {name}: lost a call" in lines, lines
    assert results["errors"] == {name: "lost a call"}
    assert p.measure("task_await")[0] == 1


def a_program_that_fails(new):
    p = new()
    p.plan("yield", ends_with=3)
    code, lines, results = p.measure()
    assert code == 1 and "LEFT OUT: bench_yield" in lines, lines
    assert results["context"]["left_out"] == ["bench_yield"]
    assert len(starting(lines, "floor met")) == FLOORS - 1, lines
    p.plan("yield", ends_with=0, listing_ends_with=3)
    assert p.measure()[0] == 1


TESTS = [floors_that_are_met, floors_that_are_missed, memory, goals, extras,
         peers_in_other_languages,
         a_filter_leaves_out_what_it_leaves_out,
         a_floor_that_nobody_measures, a_benchmark_that_gives_no_result,
         what_has_nothing_to_be_compared_with, a_benchmark_that_finds_a_wrong_result,
         a_program_that_fails]


def main():
    for test in TESTS:
        with tempfile.TemporaryDirectory() as folder:
            def new(**changes):
                return programs(pathlib.Path(tempfile.mkdtemp(dir=folder)), changes)
            test(new)
        print(test.__name__.replace("_", " "), flush=True)


if __name__ == "__main__":
    main()
