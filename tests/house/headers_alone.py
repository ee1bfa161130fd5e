#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every header compiles alone, without a warning, with the first compiler; the others compile
weft.hpp and each public header that it does not bring. (What a header must include is the same for
all: they share the standard library.) A header that its .cpp includes first has been compiled so
with the library."""

import concurrent.futures
import os
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import compilers  # noqa: E402


def write_source(header, folder):
    """Included twice, so that a missing #pragma once shows too."""
    source = pathlib.Path(folder) / (re.sub(r"\W", "_", header) + ".cpp")
    source.write_text(f'#include "{header}"\n' * 2)
    return source


def check(compiler, header, source):
    result = compilers.run([*compiler, *compilers.FLAGS, "-Werror", "-I", compilers.INCLUDE,
                            "-fsyntax-only", source])
    return f"{' '.join(compiler)}: {header}\n{result.stdout[:3000]}" if result.returncode else None


def brought_by_all(compiler):
    """The headers that weft.hpp brings."""
    result = compilers.run([*compiler, *compilers.FLAGS, "-I", compilers.INCLUDE, "-M",
                            compilers.INCLUDE / "weft" / "weft.hpp"])
    return set(re.findall(r"/(weft/\S+\.hpp)", result.stdout)) - {"weft/weft.hpp"}


def begins_its_source(header):
    source = header.with_suffix(".cpp")
    includes = re.findall(r'^#include ["<](\S+)[">]', source.read_text(), re.MULTILINE) \
        if source.exists() else []
    return includes[:1] == [f"weft/{header.relative_to(compilers.ROOT)}"]


def main():
    headers = [f"weft/{path.relative_to(compilers.ROOT)}" for room in ("runtime", "io", "sched")
               for path in sorted((compilers.ROOT / room).rglob("*.hpp"))
               if not begins_its_source(path)]
    headers += [f"weft/{path.name}" for path in sorted((compilers.INCLUDE / "weft").glob("*.hpp"))]
    first, *others = compilers.present()
    jobs = [(first, header) for header in headers]
    brought = brought_by_all(first)
    jobs += [(compiler, header) for compiler in others for header in headers
             if "/detail/" not in header and header not in brought]
    with tempfile.TemporaryDirectory() as folder, \
            concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        sources = {header: write_source(header, folder) for header in headers}
        results = [pool.submit(check, compiler, header, sources[header])
                   for compiler, header in jobs]
        problems = [result.result() for result in results if result.result()]
    print("\n".join(problems) or f"{len(jobs)} compilations, all clean")
    return 1 if problems or len(headers) < 10 else 0


if __name__ == "__main__":
    sys.exit(main())
