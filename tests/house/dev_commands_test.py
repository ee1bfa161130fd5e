#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the commands of `./dev` call, print and end with. Nothing here is real but `dev` itself:
dev_stage.py."""

import json
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from dev_stage import COMPILERS, EVERYTHING, LINT, stage  # noqa: E402

# What one configuration runs for all.
WITHOUT = " --no-suite toolchain --no-suite explored"
RUN_ENDS_WITH = '{"name": "a", "result": "OK"}\n{"name": "b", "result": "%s"}'


def succeeds(done, stdout=None):
    assert done.returncode == 0, done
    assert stdout is None or done.stdout == stdout, done
    return done


def fails(done, *words):
    assert done.returncode != 0, done
    for word in words:
        assert word in done.stdout + done.stderr, (word, done)
    return done


def sources(s, *rooms):
    return {str(path.relative_to(s.tree)) for room in rooms for path in (s.tree / room).rglob("*")
            if path.suffix in (".hpp", ".cpp")}


def demo_starts_where_its_caller_is(s):
    for _ in range(2):
        done = succeeds(s.dev("demo", "-o", "a file"), f"{s.elsewhere}\n<-o>\n<a file>\n")
        assert s.calls("ninja")[0].endswith(" samples/concurrency_vs_parallelism"), done
    assert s.calls("meson") == [], "it is configured once"


def doctor_is_built_and_run(s):
    succeeds(s.dev("doctor"), f"{s.elsewhere}\n<>\n")
    assert s.calls("ninja") == ["ninja -C build/clang++-19-release samples/doctor"]
    assert s.dev("doctor", STATUS="7").returncode == 7


def run_gives_arguments_and_status_on(s):
    done = s.dev("run", "hello", "--name", "a  b", "", "*", STATUS="7")
    assert done.returncode == 7, done
    assert done.stdout == f"{s.elsewhere}\n<--name>\n<a  b>\n<>\n<*>\n", done
    assert s.calls("ninja") == ["ninja -C build/clang++-19-release samples/hello"]


def what_does_not_compile_is_shown_and_not_started(s):
    succeeds(s.dev("run", "hello"))
    s.refuse()
    done = fails(s.dev("run", "hello"), "error: it does not compile")
    assert done.stdout == "", done
    s.refuse(False)


def a_feature_that_was_built_stays(s):
    succeeds(s.dev("run", "hello"))
    succeeds(s.dev("test", TESTLOG=RUN_ENDS_WITH % "OK"))
    assert "-Dsamples=enabled -Dbench=enabled" in s.calls("meson")[0], s.calls("meson")
    succeeds(s.dev("run", "hello"))
    assert s.calls("meson") == []


def a_tree_that_was_moved_is_configured_anew(s):
    succeeds(s.dev("run", "hello"))
    (s.tree / "build/clang++-19-release/.dev/source").write_text("/some/where/else\n")
    succeeds(s.dev("run", "hello"))
    assert s.calls("meson")[0].startswith("meson setup "), s.calls("meson")


def bench_measures_what_matches(s):
    runner = "python3 tools/run_bench.py build/clang++-19-native/bench build/bench "
    succeeds(s.dev("bench"))
    assert "-Dbuildtype=release -Dcpp_args=-march=native " in s.calls("meson")[0], s.calls("meson")
    assert s.calls("python3") == [runner + "."]
    succeeds(s.dev("bench", "--full", "--peers", "sched/.*"))
    assert s.calls("python3") == [runner.replace("py ", "py --peers ") + "sched/.*"]
    fails(s.dev("bench", "--fast"), "bench knows only --full and --peers")
    succeeds(s.dev("bench", "--full"))
    assert s.calls("python3") == [runner + "."]
    succeeds(s.dev("bench", "sched/.*"))
    assert s.calls("python3") == [runner + "sched/.*"]
    assert s.dev("bench", PYTHON_STATUS="1").returncode == 1


def lint_looks_at_everything(s):
    succeeds(s.dev("lint"))
    assert s.calls("python3") == ["python3 tools/check_house.py"]
    words = " ".join(s.calls("clang-format-19")).split()
    assert {"--dry-run", "--Werror"} < set(words) and "-i" not in words, words
    every = sources(s, "runtime", "io", "sched", "tests", "bench", "samples", "include/weft")
    assert every <= set(words), every - set(words)
    assert "-Dunity=on" in s.calls("meson")[0] and "-Dsamples=enabled" in s.calls("meson")[0]
    build = "build/clang++-19-lint"
    tidied = {call.partition(f" -p {build} ")[2] for call in s.calls("clang-tidy-19")}
    assert tidied == {f"{build}/a-unity0.cpp", f"{build}/b c-unity0.cpp"}, tidied


def lint_fails_when_one_of_its_parts_does(s):
    fails(s.dev("lint", UNTIDY="a-unity0.cpp"), "untidy: here")
    for broken in "PYTHON_STATUS", "FORMAT_STATUS":
        fails(s.dev("lint", **{broken: "1"}))
        assert s.calls("clang-tidy-19"), "the others are run all the same"


def format_writes_sources_and_lists(s):
    for _ in range(2):
        succeeds(s.dev("format"))
        words = " ".join(s.calls("clang-format-19")).split()
        assert "-i" in words and sources(s, "runtime", "tests", "include/weft") <= set(words)
        assert s.calls("python3") == ["python3 tools/list_sources.py"]
        assert s.calls("meson", "ninja") == []


def clean_removes_what_was_built(s):
    succeeds(s.dev("run", "hello"))
    assert (s.tree / "build").exists()
    before = sources(s, ".")
    for _ in range(2):
        succeeds(s.dev("clean"), "")
        assert not (s.tree / "build").exists() and sources(s, ".") == before


def test_runs_one_configuration_and_counts(s):
    for _ in range(2):
        done = succeeds(s.dev("test", TESTLOG=RUN_ENDS_WITH % "OK"))
        assert done.stdout.splitlines()[-1] == "2 passed, 0 failed", done
        tests = [call for call in s.calls("meson") if call.startswith("meson test ")]
        assert len(tests) == 1 and " build/clang++-19-release " in tests[0], tests
        assert "long=" in s.log.read_text().splitlines(), "the long tests are for --all"


def test_fails_with_one_that_fails(s):
    done = fails(s.dev("test", TESTLOG=RUN_ENDS_WITH % "FAIL"))
    assert done.stdout.splitlines()[-1] == "1 passed, 1 failed", done


def test_names_what_failed(s):
    log = "\n".join(json.dumps(one) for one in [
        {"name": "weft:a / a on epoll", "result": "FAIL", "stdout":
         "TEST CASE:  first\n\nTEST CASE:  second\n\n"
         "../../tests/a_test.cpp:7: ERROR: CHECK( n == 0 ) is NOT correct!\n"
         "  values: CHECK( 1 == 0 )\n  logged: after\n          it\n\n"
         "[doctest] test cases: 6 | 5 passed | 1 failed | 0 skipped"},
        {"name": "weft:b / b", "result": "TIMEOUT"},
        {"name": "weft:c / c", "result": "FAIL", "stdout":
         "==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x51 at pc 0x56 bp 0x7f\n"
         "READ of size 8 at 0x51 thread T9\n"
         "    #0 0x56 in f(int) /a/build/b/../../tests/a_test.cpp:9\n"
         "    #1 0x57 in clone3 misc/../sysdeps/clone3.S:81\n"
         "    #2 0x58 in g() /a/build/b/../../runtime/worker.cpp:74\n\n"
         "freed by thread T8 here:\n"
         "    #0 0x59 in h() /a/build/b/../../include/weft/runtime/task.hpp:4\n\n"
         "SUMMARY: AddressSanitizer: heap-use-after-free\n"},
        {"name": "weft:d / d", "result": "FAIL", "stdout":
         "../../runtime/a.cpp:3:5: runtime error: index 4 out of bounds\n"
         "    #0 0x56 in f(int) /a/build/b/../../runtime/a.cpp:3\n"
         "    #1 0x57 in g() /a/build/b/../../tests/a_test.cpp:9\n"}])
    done = fails(s.dev("test", TESTLOG=log))
    *_, summary, case, program, heading, read, freed, undefined, last = done.stdout.splitlines()
    assert " 5 passed, 4 failed (" in summary and last == "5 passed, 4 failed", done
    assert heading == "  c: AddressSanitizer: heap-use-after-free", done
    assert read == "  c: READ of size 8 thread T9: tests/a_test.cpp:9, runtime/worker.cpp:74", done
    assert undefined == ("  d: runtime/a.cpp:3:5: runtime error: index 4 out of bounds: "
                         "runtime/a.cpp:3, tests/a_test.cpp:9"), done
    assert freed == "  c: freed by thread T8 here: include/weft/runtime/task.hpp:4", done
    assert case == ("  a on epoll: second: tests/a_test.cpp:7: ERROR: CHECK( n == 0 ) is NOT "
                    "correct! values: CHECK( 1 == 0 ) logged: after it"), done
    assert program == "  b: TIMEOUT", done


def test_shows_what_is_skipped_and_why(s):
    log = "\n".join(json.dumps(one) for one in [
        {"name": "a", "result": "OK", "stdout": "[doctest] test cases: 6 | 4 passed | 0 failed | "
                                                "2 skipped"},
        {"name": "b", "result": "SKIP", "stdout": "skipped: io_uring_setup: refused\nmore\n"},
        {"name": "c", "result": "SKIP", "stdout": "skipped: io_uring_setup: refused\n"},
        {"name": "d", "result": "SKIP"}])
    done = succeeds(s.dev("test", TESTLOG=log))
    *_, summary, last = done.stdout.splitlines()
    assert last == "4 passed, 0 failed", done
    assert " 4 passed, 0 failed, 5 skipped: io_uring_setup: refused (" in summary, done
    done = fails(s.dev("test", TESTLOG=log, CI="true"), "io_uring_setup: refused")
    assert done.stdout.splitlines()[-1] == "4 passed, 3 failed", done


def test_counts_a_build_that_fails(s):
    s.refuse()
    done = fails(s.dev("test", TESTLOG=RUN_ENDS_WITH % "OK"), "error: it does not compile")
    assert done.stdout.splitlines()[-1].endswith(" passed, 1 failed"), done
    assert not [call for call in s.calls("meson") if call.startswith("meson test ")]
    s.refuse(False)


def test_knows_only_all(s):
    fails(s.dev("test", "--al"), "test knows only --all")
    assert s.calls("meson", "ninja") == []


def test_all_covers_both_compilers_however_cxx_is_spelled(s):
    """The sanitizers run with clang++-19, and one configuration has the long tests."""
    expected = {f"clang++-19-{kind}" for kind in ("release", "debug", "asan", "tsan")}
    expected |= {"g++-release", "g++-debug"}
    for cxx in "clang++-19", f"{s.bin}/clang++-19", "ccache clang++-19", "g++":
        done = succeeds(s.dev("test", "--all", CXX=cxx, TESTLOG=RUN_ENDS_WITH % "OK"))
        assert done.stdout.splitlines()[-1] == "13 passed, 0 failed", (cxx, done)
        log = [line for line in s.log.read_text().splitlines() if line[:5] in ("meson", "long=")]
        tested = [(pathlib.Path(call.split()[3]).name, call.endswith(WITHOUT), long)
                  for call, long in zip(log, log[1:]) if call.startswith("meson test ")]
        assert {build for build, _, _ in tested} == expected and len(tested) == 6, (cxx, tested)
        main = f"{cxx.rpartition(' ')[2].rpartition('/')[2]}-release"
        assert all(without == (build != main) and long == f"long={'1' if build == main else ''}"
                   for build, without, long in tested), (cxx, tested)
    done = fails(s.dev("test", "--all", TESTLOG=RUN_ENDS_WITH % "OK", FORMAT_STATUS="1"))
    assert done.stdout.splitlines()[-1] == "12 passed, 1 failed", done


def test_all_compiles_file_by_file_what_users_build(s):
    succeeds(s.dev("clean"), "")
    succeeds(s.dev("test", "--all", TESTLOG=RUN_ENDS_WITH % "OK"))
    configured = [call for call in s.calls("meson") if call.startswith("meson setup ")]
    assert len(configured) == 7, configured
    alone = [call.split()[2] for call in configured if "-Dunity=on" not in call]
    assert alone == ["build/clang++-19-release"], alone


def test_all_hands_its_arguments_on(s):
    """To the configuration that runs everything, and to no other."""
    succeeds(s.dev("test", "--all", "--no-suite", "bench", TESTLOG=RUN_ENDS_WITH % "OK"))
    tests = [call for call in s.calls("meson") if call.startswith("meson test ")]
    whole = [call for call in tests if call.endswith(" --no-suite bench")]
    assert len(whole) == 1 and " build/clang++-19-release " in whole[0], tests
    assert len(tests) == 6 and all(call.endswith(WITHOUT) for call in tests if call not in whole)


TESTS = [demo_starts_where_its_caller_is, doctor_is_built_and_run,
         run_gives_arguments_and_status_on, what_does_not_compile_is_shown_and_not_started,
         a_feature_that_was_built_stays, a_tree_that_was_moved_is_configured_anew,
         bench_measures_what_matches,
         lint_looks_at_everything, lint_fails_when_one_of_its_parts_does,
         format_writes_sources_and_lists, clean_removes_what_was_built,
         test_runs_one_configuration_and_counts, test_fails_with_one_that_fails,
         test_names_what_failed, test_shows_what_is_skipped_and_why,
         test_counts_a_build_that_fails, test_knows_only_all,
         test_all_covers_both_compilers_however_cxx_is_spelled,
         test_all_compiles_file_by_file_what_users_build, test_all_hands_its_arguments_on]


def main():
    for test in TESTS:
        with tempfile.TemporaryDirectory() as folder:
            test(stage(pathlib.Path(folder).resolve(), {*EVERYTHING, *LINT, *COMPILERS}))
        print(test.__name__.replace("_", " "), flush=True)


if __name__ == "__main__":
    main()
