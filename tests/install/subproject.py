#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""weft works as a meson subproject, taken from a local path: subproject.py MESON

Only what the program needs is built: the static library, neither tests nor samples. In a unity
build, which the program may ask for.
"""

import os
import pathlib
import shlex
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import compilers  # noqa: E402
from installed import must  # noqa: E402

MESON_BUILD = """\
project('user', 'cpp', default_options: ['cpp_std=c++20', 'buildtype=plain', 'b_ndebug=true'])
weft = dependency('weft', fallback: 'weft', default_options: ['default_library=static'])
executable('user', 'user.cpp', dependencies: weft)
"""


def cached(environment):
    """Names a compiler cache in $CXX, where there is one; where there is no $CXX meson does so."""
    compiler = environment.get("CXX", "")
    if not compiler or "ccache" in compiler:
        return environment
    return environment | {"CXX": shlex.join([*compilers.launcher(), *shlex.split(compiler)])}


def main():
    meson = sys.argv[1]
    with tempfile.TemporaryDirectory(prefix="weft subproject ") as folder:
        root = pathlib.Path(folder)
        (root / "subprojects").mkdir()
        (root / "subprojects" / "weft").symlink_to(compilers.ROOT, target_is_directory=True)
        (root / "user.cpp").write_text(pathlib.Path(__file__).with_name("user.cpp").read_text())
        (root / "meson.build").write_text(MESON_BUILD)
        print(must([meson, "setup", root / "build", root, "--wrap-mode=nodownload", "-Dunity=on"],
                   env=cached(dict(os.environ))))
        print(must([meson, "compile", "-C", root / "build", "user"], timeout=580))
        must([root / "build" / "user"], timeout=60)
        extra = [path.name for path in (root / "build").rglob("*_tests")]
        if extra:
            raise SystemExit(f"a subproject built its tests: {extra}")


if __name__ == "__main__":
    main()
