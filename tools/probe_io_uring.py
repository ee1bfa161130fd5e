#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Exits with 0 where this process may create an io_uring, else says what refused it and exits with
77: as a test of meson's it is skipped then. probe_io_uring.py PROGRAM ARG... becomes the program
where it may, so that a test that needs io_uring is skipped where it is refused."""

import ctypes
import errno
import os
import pathlib
import sys

IO_URING_SETUP = 425  # the same number on every architecture
CAUSES = {
    errno.ENOSYS: "the kernel was built without it, or a seccomp filter hides it",
    errno.EPERM: "refused by a seccomp filter or by kernel.io_uring_disabled",
    errno.ENOMEM: "the limit of locked memory is too low (ulimit -l)",
}


def main():
    params = ctypes.create_string_buffer(120)  # struct io_uring_params, zeroed
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(IO_URING_SETUP, 4, params)
    if fd >= 0:
        os.close(fd)
        if len(sys.argv) > 1:
            os.execv(sys.argv[1], sys.argv[1:])
        print("io_uring: available")
        return 0
    error = ctypes.get_errno()
    print(f"skipped: io_uring_setup: {os.strerror(error)}", flush=True)
    print(f"io_uring_setup: {errno.errorcode.get(error, error)}: "
          f"{CAUSES.get(error, os.strerror(error))}", file=sys.stderr)
    disabled = pathlib.Path("/proc/sys/kernel/io_uring_disabled")
    if disabled.exists():
        print(f"{disabled}: {disabled.read_text().strip()}", file=sys.stderr)
    return 77


if __name__ == "__main__":
    sys.exit(main())
