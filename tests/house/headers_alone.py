#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Headers compile alone, without a warning: every one with the first compiler there is, and what
weft.hpp offers to users with the others too."""

import concurrent.futures
import os
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import compilers  # noqa: E402

UMBRELLA = compilers.INCLUDE / "weft" / "weft.hpp"


def check(compiler, header, folder):
    """Included twice, so that a missing #pragma once shows too."""
    source = pathlib.Path(folder) / (re.sub(r"\W", "_", header) + ".cpp")
    source.write_text(f'#include "{header}"\n' * 2)
    result = compilers.run([*compilers.launcher(), *compiler, *compilers.FLAGS, "-Werror",
                            "-I", compilers.INCLUDE, "-c", source.name,
                            "-o", f"{source}.{compilers.name(compiler)}.o"], cwd=folder)
    return f"{' '.join(compiler)}: {header}\n{result.stdout[:3000]}" if result.returncode else None


def main():
    every = [f"weft/{path.relative_to(compilers.ROOT)}" for room in ("runtime", "io", "sched")
             for path in sorted((compilers.ROOT / room).rglob("*.hpp"))]
    every += [f"weft/{path.name}" for path in sorted(UMBRELLA.parent.glob("*.hpp"))]
    offered = ["weft/weft.hpp", *re.findall(r'#include "(weft/.*)"', UMBRELLA.read_text())]
    first, *others = compilers.present()
    jobs = [(first, header) for header in every]
    jobs += [(compiler, header) for compiler in others for header in offered]
    with tempfile.TemporaryDirectory() as folder, \
            concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = [pool.submit(check, *job, folder) for job in jobs]
        problems = [result.result() for result in results if result.result()]
    print("\n".join(problems) or f"{len(jobs)} compilations, all clean")
    return 1 if problems or len(offered) < 2 else 0


if __name__ == "__main__":
    sys.exit(main())
