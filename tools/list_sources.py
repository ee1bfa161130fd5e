#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the source lists of the meson.build files, or says which of them miss a file (--check).

meson has no globs, on purpose. So a list says in the comment above it what belongs into it, and
this program fills it in:

    # sources: **/*.cpp !**/*_test.cpp
    runtime_sources = files(
      'task.cpp',
    )
"""

import argparse
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD_FILES = [ROOT / folder / "meson.build"
               for folder in ("runtime", "io", "sched", "tests", "bench", "samples")]
LIST = re.compile(r"(?P<head># sources: (?P<patterns>.+)\n\w+ = files\(\n)(?P<files>(?:  .*\n)*)\)")


def matching(folder, patterns):
    """The files below `folder` that match a pattern and none of those that open with `!`."""
    wanted, unwanted = set(), set()
    for pattern in patterns.split():
        found = folder.glob(pattern.removeprefix("!"))
        (unwanted if pattern.startswith("!") else wanted).update(p for p in found if p.is_file())
    return sorted(str(p.relative_to(folder)) for p in wanted - unwanted)


def filled(path):
    """The text of a meson.build with every list as it should be."""
    def fill(match):
        names = matching(path.parent, match["patterns"])
        return match["head"] + "".join(f"  '{name}',\n" for name in names) + ")"
    return LIST.sub(fill, path.read_text())


def stale(build_files=None):
    """The meson.build files whose lists miss or invent a file."""
    return [path for path in build_files or BUILD_FILES
            if path.exists() and filled(path) != path.read_text()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true",
                        help="change nothing, exit with 1 when one is stale")
    check = parser.parse_args().check
    for path in stale():
        if check:
            print(f"{path.relative_to(ROOT)}: a list is stale; run `./dev format`")
        else:
            path.write_text(filled(path))
            print(f"{path.relative_to(ROOT)}: lists written")
    return 1 if check and stale() else 0


if __name__ == "__main__":
    sys.exit(main())
