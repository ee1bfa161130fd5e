# SPDX-License-Identifier: MIT
"""The compilers that a check covers, and one way to call them."""

import os
import pathlib
import shlex
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = ROOT / "include"
FLAGS = ["-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion",
         "-Wsign-conversion", "-Wnon-virtual-dtor"]


def identity(program):
    """What tells two programs apart; ccache answers to the name of every compiler."""
    real = pathlib.Path(os.path.realpath(program))
    return pathlib.Path(program).name if real.name == "ccache" else real


def present():
    """The command of every compiler there is: $CXX, g++ and clang++-19, without repetition.

    A check that covers less than it could says so, and fails where CI is set: see missing()."""
    commands = [shlex.split(os.environ[name]) for name in ("CXX",) if os.environ.get(name)]
    commands += [[name] for name in ("g++", "clang++-19")]
    found, seen = [], set()
    for command in commands:
        program = shutil.which(command[-1])
        if program and identity(program) not in seen:
            seen.add(identity(program))
            found.append(command)
    if not found:
        raise SystemExit("no compiler found: neither $CXX nor g++ nor clang++-19")
    without = missing(found)
    print(f"compilers: {', '.join(map(shlex.join, found))}"
          f"{'; missing: ' + ', '.join(without) if without else ''}", flush=True)
    if without and os.environ.get("CI"):
        raise SystemExit(f"with CI set every compiler must be covered, yet there is no "
                         f"{' and no '.join(without)}")
    return found


def missing(found):
    """Which of the two families of compilers none of the commands belongs to."""
    return [family for family, clang in (("g++", False), ("clang++-19", True))
            if not any(is_clang(compiler) == clang for compiler in found)]


def is_clang(compiler):
    return "clang" in name(compiler)


def name(compiler):
    return pathlib.Path(compiler[-1]).name


def launcher():
    """ccache, where there is one: the same cases are compiled again and again."""
    return ["ccache"] if shutil.which("ccache") else []


def run(command, timeout=300, **options):
    """Runs a command to its end; stdout and stderr come back as one text. No terminal, no input."""
    return subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", timeout=timeout, check=False, **options)


def link_flags(library):
    """What a program needs that links the static library of this build."""
    libraries = run(["pkg-config", "--libs", "liburing", "fmt"]).stdout.split()
    return [library, *libraries, "-pthread"]
