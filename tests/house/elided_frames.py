#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whether clang does without the frame of a task that is awaited at once and may be inlined.

It does where the await is not in a loop; g++ 12 never does. What clang decided it says itself
(-Rpass=coro-elide), so nothing is run.
"""

import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import compilers  # noqa: E402

PROGRAM = """
#include <weft/runtime/task.hpp>
weft::task<long> add_one(long x) { co_return x + 1; }
weft::task<long> add_two(long x) {
  const long y = co_await add_one(x);
  co_return co_await add_one(y);
}
"""
ELIDED = "elided in '_Z7add_twol'"
NOT_ELIDED = "not " + ELIDED


def main():
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder) / "program.cpp"
        program.write_text(PROGRAM)
        for compiler in filter(compilers.is_clang, compilers.present()):
            said = compilers.run([*compiler, "-std=c++20", "-O2", "-I", compilers.INCLUDE,
                                  "-Rpass=coro-elide", "-Rpass-missed=coro-elide", "-c", program,
                                  "-o", program.with_suffix(".o")]).stdout
            if said.count(ELIDED) != 2 or NOT_ELIDED in said:
                wrong.append(f"{' '.join(compiler)}:\n{said}")
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
