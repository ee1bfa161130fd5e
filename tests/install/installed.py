#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An installed weft builds a user's program through pkg-config: installed.py MESON BUILD_DIR

Installs what is built into a temporary prefix, without building it again, and links user.cpp to it:
statically and dynamically, with every compiler there is, with other flags than the library's.
"""

import os
import pathlib
import shlex
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import compilers  # noqa: E402

USER = pathlib.Path(__file__).resolve().with_name("user.cpp")
OPTIONS = (["-O0"], ["-O3", "-DNDEBUG"])


def must(command, **options):
    """Runs a command that has to succeed and gives what it prints."""
    result = compilers.run(command, **options)
    if result.returncode != 0:
        raise SystemExit(f"{shlex.join(map(str, command))}\n"
                         f"ended with {result.returncode}\n{result.stdout}")
    return result.stdout


def check(compiler, options, package, folder):
    """Compiles the program once, links it both ways, runs and inspects what came out."""
    def flags(*what):
        environment = dict(os.environ, PKG_CONFIG_PATH=str(package.parent))
        return shlex.split(must(["pkg-config", *what, "weft"], env=environment))

    compiled, program = folder / "user.o", folder / "user"
    must([*compiler, "-std=c++20", *options, *flags("--cflags"), "-c", USER, "-o", compiled])
    environment = dict(os.environ, LD_LIBRARY_PATH=str(package.parent.parent))
    for kind in ("static", "shared"):
        libraries = flags("--libs")
        if kind == "static":
            libraries = ["-l:libweft.a" if flag == "-lweft" else flag
                         for flag in flags("--libs", "--static")]
        must([*compiler, compiled, *libraries, "-o", program])
        must([program], env=environment, timeout=60)
        if ("libweft.so" in must(["ldd", program], env=environment)) != (kind == "shared"):
            raise SystemExit(f"{kind}: the program was linked to the other library")
        print(f"{' '.join(compiler)} {' '.join(options)} {kind}: builds and runs", flush=True)


def main():
    meson, build = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="weft installed ") as folder:
        root = pathlib.Path(folder)
        must([meson, "install", "-C", build, "--no-rebuild", "--destdir", root])
        package = next(root.rglob("weft.pc"))
        for compiler in compilers.present():
            for options in OPTIONS:
                check(compiler, options, package, root)


if __name__ == "__main__":
    main()
