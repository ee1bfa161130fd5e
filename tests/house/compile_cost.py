#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a user pays to compile weft: a program of ten lines at -O0.

Seconds depend on the machine, so they are printed and not judged. Judged is what causes them: how
many lines the preprocessor hands on, and whether a dear header came in unnoticed.
"""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import compilers  # noqa: E402

HELLO = compilers.ROOT / "tests" / "install" / "user.cpp"
# What g++ 12 compiles in 1.5 s.
LINES_MAX = 65_000
DEAR = ("regex", "iostream", "format", "random", "future", "fmt/core.h", "CLI/CLI.hpp")


def main():
    problems = []
    for compiler in compilers.present():
        base = [*compiler, "-std=c++20", "-I", compilers.INCLUDE]
        source = ["-x", "c++", HELLO]
        preprocessed = compilers.run([*base, "-E", "-P", *source])
        if preprocessed.returncode != 0:
            problems.append(preprocessed.stdout[:3000])
            continue
        lines = sum(1 for line in preprocessed.stdout.splitlines() if line.strip())
        times = []
        for _ in range(3):
            started = time.monotonic()
            compilers.run([*base, "-O0", "-c", *source, "-o", "/dev/null"])
            times.append(time.monotonic() - started)
        print(f"{' '.join(compiler)}: {lines} lines, {min(times):.2f} s at best of {len(times)}")
        if lines > LINES_MAX:
            problems.append(f"{' '.join(compiler)}: {lines} lines, more than {LINES_MAX}")
        weft_only = compilers.run([*base, "-M", "-x", "c++", compilers.INCLUDE / "weft/weft.hpp"])
        words = weft_only.stdout.split()
        problems += [f"weft.hpp brings in <{name}>" for name in DEAR
                     if any(word.endswith("/" + name) for word in words)]
    print("\n".join(sorted(set(problems))))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
