#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""timeout_and_cancel_test.py TIMEOUT_AND_CANCEL: each way to stop looks as it is described, on a
loop and on pools."""

import subprocess
import sys

EXPECTED = """\
with_timeout(1h, ...) in time
  inside:  finished
  outside: the value, 42
with_timeout(20ms, ...) too late
  inside:  cancelled
  outside: timeout_error
as_result(with_timeout(20ms, ...)): the same without an exception
  inside:  cancelled
  outside: an error code, timed_out
when_any(slow, quick)
  inside:  cancelled
  outside: number 2 has won
group.cancel()
  inside:  cancelled
  outside: returns normally, as was wished
a failure in a group
  inside:  cancelled
  outside: the failure, "no such user"
join_handle::cancel(): one task of a group
  inside:  cancelled
  outside: operation_canceled
with_timeout(20ms, shield(..., 1s))
  inside:  finished
  outside: the value, 42
with_timeout(20ms, finally(..., clean_up, 1s))
  inside:  cancelled
  clean-up: awaited to its end
  outside: timed_out, after the clean-up
"""


def main():
    for workers in "1", "2", "0":
        done = subprocess.run([sys.argv[1], "--workers", workers], capture_output=True, text=True,
                              timeout=60)
        assert done.returncode == 0 and done.stderr == "", done
        assert done.stdout == EXPECTED, done.stdout


main()
