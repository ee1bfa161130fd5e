#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`.ci/run` sums up what its parts say, and believes none that fails or does not end.

Its parts are stand-ins that say what they are told to; `timeout` is the real one, and the last
part has $LIMIT seconds in place of the minutes that are left.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from dev_stage import compilers, script  # noqa: E402

# Runs $INSTALL, $TEST or $ALL.
DEV = """\
#!/bin/bash
echo "dev $* CI=$CI" >>'{log}'
case $* in
  install\\ --all) eval "${{INSTALL:-}}" ;;
  test) eval "$TEST" ;;
  test\\ --all\\ *) eval "$ALL" ;;
esac
"""
PROBE = "import os, sys\nprint(os.environ.get('PROBE'))\nsys.exit('PROBE' in os.environ and 77)\n"
TIMEOUT = """\
#!/bin/bash
echo "timeout $3" >>'{log}'
limit=$3
[[ ${{*:4}} != "./dev test --all "* ]] || limit=${{LIMIT:-$3}}
exec '{real}' -k 1 "$limit" "${{@:4}}"
"""


class clone:
    def __init__(self, folder):
        self.tree, self.log = folder / "a clone", folder / "log"
        script(self.tree / ".ci/run", (compilers.ROOT / ".ci/run").read_text())
        script(self.tree / "dev", DEV.format(log=self.log))
        script(self.tree / "tools/probe_io_uring.py", PROBE)
        script(folder / "bin/timeout", TIMEOUT.format(log=self.log, real=shutil.which("timeout")))
        self.path = f"{folder / 'bin'}:{os.environ['PATH']}"

    def run(self, **variables):
        """(exit code, last line of the output, output)"""
        self.log.write_text("")
        done = subprocess.run([self.tree / ".ci/run"], cwd="/", stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env={"PATH": self.path, **variables}, timeout=60, check=False)
        assert done.stdout.endswith("\n"), done
        last = done.stdout.splitlines()[-1]
        assert re.fullmatch(r"\d+ passed, \d+ failed", last), done
        return done.returncode, last, done.stdout

    def parts(self):
        return [line for line in self.log.read_text().splitlines() if line.startswith("dev ")]


def says(passed, failed):
    return f"echo {passed} passed, {failed} failed; exit {1 if failed else 0}"


def the_parts_are_added_up(c):
    code, last, output = c.run(TEST="echo one; " + says(3, 0), ALL=says(40, 0))
    assert (code, last) == (0, "43 passed, 0 failed"), output
    assert "one\n3 passed, 0 failed\n" in output and "40 passed, 0 failed\n" in output, output
    assert c.parts() == ["dev install --all CI=true", "dev test CI=true",
                         "dev test --all --no-suite toolchain --no-suite bench --no-suite samples "
                         "CI=true"], c.parts()


def failures_are_added_up_too(c):
    assert c.run(TEST=says(3, 2), ALL=says(40, 1))[:2] == (1, "43 passed, 3 failed")
    assert c.run(TEST=says(3, 0), ALL=says(40, 1))[:2] == (1, "43 passed, 1 failed")


def without_io_uring_it_fails_at_once(c):
    code, last, output = c.run(PROBE="io_uring_setup: EPERM", TEST=says(3, 0), ALL=says(40, 0))
    assert (code, last) == (1, "0 passed, 1 failed") and "EPERM" in output, output
    assert c.parts() == ["dev install --all CI=true"], c.parts()


def without_its_packages_it_fails_at_once(c):
    code, last, output = c.run(INSTALL="echo no >&2; exit 1", TEST=says(3, 0), ALL=says(40, 0))
    assert (code, last) == (1, "0 passed, 1 failed") and "no\n" in output, output
    assert len(c.parts()) == 1


def a_part_that_fails_without_a_count_is_a_failure(c):
    assert c.run(TEST="exit 1", ALL=says(40, 0))[:2] == (1, "40 passed, 1 failed")
    assert c.run(TEST=says(3, 0), ALL="exit 1")[:2] == (1, "3 passed, 1 failed")
    assert c.run(TEST="echo 3 passed, 0 failed; exit 1", ALL=says(1, 0))[:2] == (
        1, "4 passed, 1 failed")
    assert c.run(TEST="kill -9 $$", ALL=says(1, 0))[:2] == (1, "1 passed, 1 failed")


def a_part_that_does_not_end_is_a_failure(c):
    for rest in "exec sleep 50", "trap '' TERM; while :; do sleep 0.1; done":
        code, last, output = c.run(TEST=says(3, 0), ALL=f"echo 40 passed, 0 failed; {rest}",
                                   LIMIT="5")
        assert (code, last) == (1, "43 passed, 1 failed"), output
    left = [int(line.split()[1]) for line in c.log.read_text().splitlines()
            if line.startswith("timeout ")]
    assert len(left) == 4 and 2600 < left[-1] <= left[0] <= 45 * 60, left


def nothing_at_all_is_a_failure(c):
    assert c.run(TEST=":", ALL=":")[:2] == (1, "0 passed, 1 failed")


def the_last_line_stands_alone(c):
    code, last, output = c.run(TEST=says(3, 0), ALL="printf 'in the middle of a li'; exit 1")
    assert (code, last) == (1, "3 passed, 1 failed"), output
    assert "in the middle of a li\n" in output, output


TESTS = [the_parts_are_added_up, failures_are_added_up_too, without_io_uring_it_fails_at_once,
         without_its_packages_it_fails_at_once, a_part_that_fails_without_a_count_is_a_failure,
         a_part_that_does_not_end_is_a_failure, nothing_at_all_is_a_failure,
         the_last_line_stands_alone]


def main():
    for test in TESTS:
        with tempfile.TemporaryDirectory() as folder:
            test(clone(pathlib.Path(folder).resolve()))
        print(test.__name__.replace("_", " "), flush=True)


if __name__ == "__main__":
    main()
