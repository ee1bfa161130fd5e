#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""doctor_test.py DOCTOR: the text says which kernel is used, obeys WEFT_KERNEL, and tells nothing
private."""

import os
import socket
import subprocess
import sys

LABELS = ("weft", "kernel", "weft uses", "because", "WEFT_KERNEL", "io_uring", "setup flags",
          "ring features", "operations", "sysctl", "seccomp", "locked memory", "descriptors",
          "threads", "system calls")


def row(text, label):
    return next(line[16:] for line in text.splitlines() if line[:16].rstrip() == label)


def text_of(program, **variables):
    environment = {name: value for name, value in os.environ.items() if name != "WEFT_KERNEL"}
    done = subprocess.run([program], env=environment | variables, capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0 and done.stderr == "", done
    return done.stdout


def main():
    text = text_of(sys.argv[1], HOME="/a private place", USER="somebody-private")
    assert [row(text, label) for label in LABELS], text
    assert row(text, "weft uses") in ("io_uring", "epoll and helper threads"), text
    assert os.uname().release in row(text, "kernel"), text
    for private in "private", f" {socket.gethostname()} ", os.getcwd():
        assert private not in text, (private, text)

    asked = text_of(sys.argv[1], WEFT_KERNEL="epoll")
    assert row(asked, "weft uses") == "epoll and helper threads", asked
    assert row(asked, "WEFT_KERNEL") == "epoll", asked
    wrong = text_of(sys.argv[1], WEFT_KERNEL="kqueue")
    assert row(wrong, "weft uses").startswith("nothing"), wrong
    assert "WEFT_KERNEL=uring" in row(wrong, "what helps"), wrong


main()
