#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Passes when a case is refused, by every compiler there is, with the words that it promises.

A case is a .cpp file whose comments say what the user must be told:

    // expect: name the lambda first
    // expect g++: a pattern that only this compiler must match

Each pattern is a regular expression, looked for in the errors and warnings. A case that compiles
without a word fails, and so does one that promises nothing.
"""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import compilers  # noqa: E402

EXPECT = re.compile(r"^// expect(?: (g\+\+|clang\+\+))?: *(.+?) *$", re.MULTILINE)


def problem(compiler, case):
    """What is wrong with the refusal of `case`; None when all is as promised."""
    family = "clang++" if compilers.is_clang(compiler) else "g++"
    patterns = [pattern for only, pattern in EXPECT.findall(case.read_text())
                if only in ("", family)]
    if not patterns:
        return "no `// expect: ` comment"
    result = compilers.run([*compiler, *compilers.FLAGS, "-I", compilers.INCLUDE,
                            "-O0", "-c", case, "-o", "/dev/null"])
    if result.returncode == 0 and "warning:" not in result.stdout:
        return "compiles without a warning"
    # The source lines that a compiler quotes hold the case's own comments; only its words count.
    words = "\n".join(line for line in result.stdout.splitlines()
                      if not re.match(r"^ *\d* \|", line))
    missing = [pattern for pattern in patterns if not re.search(pattern, words)]
    if missing:
        return f"never says {missing}; it says:\n{result.stdout[:6000]}"
    return None


def main():
    case = pathlib.Path(sys.argv[1])
    failed = False
    for compiler in compilers.present():
        what = problem(compiler, case)
        print(f"{' '.join(compiler)}: {what or 'refused as promised'}")
        failed = failed or what is not None
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
