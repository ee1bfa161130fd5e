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


def present():
    """The command of every compiler there is: $CXX, g++ and clang++-19, without repetition."""
    commands = [shlex.split(os.environ[name]) for name in ("CXX",) if os.environ.get(name)]
    commands += [[name] for name in ("g++", "clang++-19")]
    found, seen = [], set()
    for command in commands:
        program = shutil.which(command[-1])
        if program and os.path.realpath(program) not in seen:
            seen.add(os.path.realpath(program))
            found.append(command)
    if not found:
        raise SystemExit("no compiler found: neither $CXX nor g++ nor clang++-19")
    return found


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
