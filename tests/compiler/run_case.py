#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compiles and runs one case as users might: run_case.py LIBWEFT.a CASE.cpp

Every compiler there is, at -O0, at -O2 and under AddressSanitizer, against a library that was built
with other flags. A case passes when it compiles without a warning and its program ends with 0.
"""

import concurrent.futures
import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import compilers  # noqa: E402

# With -g g++ would take twice as long for a sanitizer's report that names no more lines.
VARIANTS = {
    "-O0": ["-O0"],
    "-O2": ["-O2", "-DNDEBUG"],
    "ASan": ["-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
}


def attempt(compiler, name, library, case, folder):
    """(title, output of what went wrong or None)."""
    title = f"{' '.join(compiler)} {name}"
    base = pathlib.Path(folder) / title.replace(" ", "_").replace("/", "_")
    program, compiled = base.with_suffix(".program"), base.with_suffix(".o")
    flags = VARIANTS[name]
    steps = (
        [*compilers.launcher(), *compiler, *compilers.FLAGS, "-Werror", *flags,
         "-I", compilers.INCLUDE, "-c", case, "-o", compiled],
        [*compiler, *flags, compiled, *compilers.link_flags(library), "-o", program],
        [program],
    )
    for step in steps:
        result = compilers.run(step)
        if result.returncode != 0:
            return title, f"{step[0]} ended with {result.returncode}\n{result.stdout[:6000]}"
    return title, None


def main():
    library, case = sys.argv[1:]
    pairs = [(compiler, name) for compiler in compilers.present() for name in VARIANTS]
    failed = False
    with tempfile.TemporaryDirectory() as folder, \
            concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        attempts = [pool.submit(attempt, compiler, name, library, case, folder)
                    for compiler, name in pairs]
        for one in attempts:
            title, what = one.result()
            print(f"{title}: {what or 'passes'}")
            failed = failed or what is not None
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
