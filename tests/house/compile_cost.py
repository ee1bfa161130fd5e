#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a user pays to compile weft: the smallest program at -O0.

The aim is 1.5 s with g++ 12 where the standard headers that weft.hpp needs take 0.5 to 0.9 s
alone. Seconds depend on the machine and on what else it does, so on a slow one their ratio is
judged: processor time of both, compiled in turns, each at its best. Judged as well is what causes
them: how many lines the preprocessor hands on, and whether a dear header came in unnoticed.
"""

import pathlib
import re
import resource
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import compilers  # noqa: E402

HELLO = compilers.ROOT / "tests" / "compiler" / "hello.cpp"
LINES_MAX = 65_000
SECONDS_MAX = 1.5
RATIO_MAX = SECONDS_MAX / 0.9
# Rounds until a ratio is believed: more when it is too high, as noise may be the reason.
ROUNDS, ROUNDS_MAX = 3, 15
DEAR = ("regex", "iostream", "format", "functional", "random", "future", "fmt/core.h",
        "CLI/CLI.hpp")


def must(command):
    result = compilers.run(command)
    if result.returncode != 0:
        raise SystemExit(result.stdout[:3000])
    return result.stdout


def headers_of_others(base):
    """What weft's headers include that is not weft's, in the order in which it is opened."""
    opened = must([*base, "-H", "-fsyntax-only", "-x", "c++", compilers.INCLUDE / "weft/weft.hpp"])
    above, found = [], []
    for depth, path in re.findall(r"^(\.+) (.*)$", opened, re.MULTILINE):
        del above[len(depth) - 1:]
        ours = f"{compilers.INCLUDE}/weft/"
        if not path.startswith(ours) and all(one.startswith(ours) for one in above):
            found.append(path)
        above.append(path)
    return found


def processor_seconds(base, source):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    must([*base, "-O0", "-c", "-x", "c++", source, "-o", "/dev/null"])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def too_slow(hello, headers):
    return hello > SECONDS_MAX and hello > RATIO_MAX * headers


def best_times(base, *sources):
    """The best time of each source, all of them compiled in every round."""
    times = [[] for _ in sources]
    for done in range(1, ROUNDS_MAX + 1):
        for source, its_times in zip(sources, times):
            its_times.append(processor_seconds(base, source))
        if done >= ROUNDS and not too_slow(min(times[0]), min(times[1])):
            break
    return [min(its_times) for its_times in times]


def check(compiler, folder):
    """What is wrong with one compiler's cost."""
    name = " ".join(compiler)
    base = [*compiler, "-std=c++20", "-I", compilers.INCLUDE]
    preprocessed = must([*base, "-E", "-P", "-x", "c++", HELLO])
    lines = sum(1 for line in preprocessed.splitlines() if line.strip())
    if lines > LINES_MAX:
        yield f"{name}: {lines} lines, more than {LINES_MAX}"
    headers = folder / "headers.cpp"
    others = headers_of_others(base)
    headers.write_text("".join(f'#include "{path}"\n' for path in others) + "int main() {}\n")
    hello_time, headers_time = best_times(base, HELLO, headers)
    print(f"{name}: {lines} lines; hello {hello_time:.2f} s, the {len(others)} headers that weft "
          f"includes {headers_time:.2f} s by themselves, ratio {hello_time / headers_time:.2f} "
          f"(at most {SECONDS_MAX} s, or {RATIO_MAX:.2f})", flush=True)
    if too_slow(hello_time, headers_time):
        yield f"{name}: hello takes {hello_time / headers_time:.2f} times as long as the headers"
    dependencies = must([*base, "-M", "-x", "c++", compilers.INCLUDE / "weft/weft.hpp"]).split()
    yield from (f"weft.hpp brings in <{dear}>" for dear in DEAR
                if any(word.endswith("/" + dear) for word in dependencies))


def main():
    problems = set()
    with tempfile.TemporaryDirectory() as folder:
        for compiler in compilers.present():
            problems.update(check(compiler, pathlib.Path(folder)))
    print("\n".join(sorted(problems)))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
