#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""refused_test.py WITHOUT_IO_URING KERNEL_TAKEN: on what a program runs to which the kernel refuses
io_uring, and what it says where it cannot start.

kernel.io_uring_disabled refuses with EPERM: everybody when it is 2, who is not in
kernel.io_uring_group when it is 1. A seccomp filter imitates the answer.
"""

import os
import signal
import subprocess
import sys

REFUSALS = {"EPERM": (1, "Operation not permitted", "kernel.io_uring_disabled"),
            "EACCES": (13, "Permission denied", "kernel.io_uring_disabled"),
            "ENOSYS": (38, "Function not implemented", "seccomp"),
            "ENOMEM": (12, "Cannot allocate memory", "RLIMIT_MEMLOCK")}
EXHAUSTED = {"EMFILE": (24, "Too many open files", "RLIMIT_NOFILE")}


def run(answer, kernel=None):
    """KERNEL_TAKEN with this answer to io_uring_setup and with WEFT_KERNEL set to `kernel`."""
    environment = {name: value for name, value in os.environ.items() if name != "WEFT_KERNEL"}
    if kernel is not None:
        environment["WEFT_KERNEL"] = kernel
    return subprocess.run([sys.argv[1], answer, sys.argv[2]], env=environment, capture_output=True,
                          text=True, timeout=60)


def is_on_epoll(done):
    """A loop and a pool; they left neither a descriptor nor a thread."""
    assert (done.returncode, done.stdout, done.stderr) == (0, "epoll\nepoll\n", ""), done


def cannot_start(done, code, *words):
    """Neither the loop nor the pool, which say the same, and left nothing."""
    assert (done.returncode, done.stdout) == (1, ""), done
    lines = done.stderr.splitlines()
    assert len(lines) == 2 and lines[0] == lines[1], done
    assert lines[0].startswith("weft cannot start: ") and lines[0].endswith(f"[{code}]"), done
    assert all(word in lines[0] for word in words), (words, done)


def where_io_uring_is_refused_epoll_takes_its_place():
    for answer in REFUSALS:
        is_on_epoll(run(answer))
        is_on_epoll(run(answer, ""))


def who_insists_on_io_uring_is_told_why_not():
    for answer, (code, text, cause) in (REFUSALS | EXHAUSTED).items():
        cannot_start(run(answer, "uring"), code, "io_uring_setup", text, cause)


def where_descriptors_have_run_out_nothing_takes_its_place():
    for answer, (code, text, cause) in EXHAUSTED.items():
        cannot_start(run(answer), code, "io_uring_setup", text, cause)


def a_ring_that_may_not_be_entered_is_none():
    is_on_epoll(run("ENTER"))
    cannot_start(run("ENTER", "uring"), 1, "io_uring_enter", "Operation not permitted")


def who_asks_for_epoll_never_tries_io_uring():
    assert run("KILL").returncode == -signal.SIGSYS, "the filter ends who tries"
    is_on_epoll(run("KILL", "epoll"))


def an_unknown_kernel_is_an_error_that_names_the_known_ones():
    for name in "iouring", "EPOLL", " epoll":
        done = run("EPERM", name)
        cannot_start(done, 22, f'WEFT_KERNEL is "{name}"', "may be uring or epoll")


TESTS = [where_io_uring_is_refused_epoll_takes_its_place, who_insists_on_io_uring_is_told_why_not,
         where_descriptors_have_run_out_nothing_takes_its_place,
         a_ring_that_may_not_be_entered_is_none,
         who_asks_for_epoll_never_tries_io_uring,
         an_unknown_kernel_is_an_error_that_names_the_known_ones]


def main():
    for test in TESTS:
        test()
        print(test.__name__.replace("_", " "), flush=True)


main()
