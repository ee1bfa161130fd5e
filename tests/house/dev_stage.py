# SPDX-License-Identifier: MIT
"""A stage on which `./dev` plays: a copy of what it reads, and a PATH of programs that pretend.

Every program on that PATH writes its name and its arguments down. What a package brings is put
there by `apt-get install` of it, and is missing until then; nothing is really installed, built or
measured. Only headers are looked for where they really are.
"""

import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import compilers  # noqa: E402

# What dev calls of any Debian, as it is.
PLAIN = ("bash", "basename", "cat", "cp", "cut", "dirname", "env", "find", "mkdir", "mktemp",
         "nproc", "readlink", "rm", "sed", "setarch", "sort", "tr", "xargs")

TOOLS = {"ninja-build": "ninja", "meson": "meson", "pkg-config": "pkg-config", "python3": "python3"}
LIBRARIES = {"liburing-dev": "pc.liburing", "libfmt-dev": "pc.fmt", "libhwloc-dev": "pc.hwloc"}
SAMPLES = {"libcli11-dev": "pc.CLI11", "libssl-dev": "pc.libcrypto", "libpng-dev": "pc.libpng"}
OTHERS = {"libseccomp-dev": "pc.libseccomp", "libbenchmark-dev": "pc.benchmark",
          "libtbb-dev": "pc.tbb"}
LINT = {"clang-format-19": "clang-format-19", "clang-tidy-19": "clang-tidy-19"}
COMPILERS = {"g++": "g++", "clang-19": "clang++-19"}
EVERYTHING = {**TOOLS, **LIBRARIES, **SAMPLES, **OTHERS}
# Package -> what it puts on PATH; pc.NAME: pkg-config knows NAME.
PACKAGES = {**EVERYTHING, **LINT, **COMPILERS}

RECORD = "#!/bin/bash\nprintf '%s\\n' \"${{0##*/}} $*\" >>'{log}'\n"
PROGRAMS = {
    "apt-get": """\
if [[ " $* " = *" install "* ]]; then
  [ ! -e '{folder}/refuse' ] || {{ echo 'E: Unable to locate package'; exit 100; }}
  for word; do [ ! -d "{shelf}/$word" ] || cp "{shelf}/$word"/* '{bin}'; done
fi
""",
    "apt-cache": "printf 'g++:\\n  Installed: (none)\\n  Candidate: %s\\n' \"$CANDIDATE\"\n",
    "sudo": '[ "$1" != -n ] || shift\nexec "$@"\n',
    "id": 'echo "${{USER_ID:-0}}"\n',
    "pkg-config": "[ -e '{bin}'/pc.\"$2\" ]\n",
    "g++": 'echo "$GXX"\n',
    "clang++-19": "echo '{folder}/resources'\n",
    # A configuration is a file and what is compiled in it; a test is a line of its log.
    "meson": """\
case $1 in
  setup) mkdir -p "$2"; echo >"$2/build.ninja"; echo "CXX=$CXX" >>'{log}'
    printf '    "file": "%s"%s\n' a-unity0.cpp , 'b c-unity0.cpp' '' >"$2/compile_commands.json" ;;
  test) mkdir -p "$3/meson-logs"; echo "long=${{WEFT_TEST_LONG:-}}" >>'{log}'
    printf '%s\\n' "$TESTLOG" >"$3/meson-logs/testlog.json"
    [[ $TESTLOG != *FAIL* ]] ;;
esac
""",
    # What is built says where it was started, and with which arguments.
    "ninja": """\
[ ! -e '{folder}/refuse' ] || {{ echo 'error: it does not compile'; exit 1; }}
[ $# -lt 3 ] || {{ mkdir -p "$2/${{3%/*}}"; cp '{bin}/built' "$2/$3"; }}
""",
    "built": 'pwd\nprintf "<%s>\\n" "$@"\nexit "${{STATUS:-0}}"\n',
    "python3": '[[ $1 = tools/test_summary.py ]] || exit "${{PYTHON_STATUS:-0}}"\n'
               "exec '{python}' \"$@\"\n",
    "clang-format-19": "exit \"${{FORMAT_STATUS:-0}}\"\n",
    "clang-tidy-19": """\
[[ $* != *"${{UNTIDY:-nothing is}}"* ]] || {{ echo 'untidy: here'; exit 1; }}
""",
}


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def copy_of_project(to):
    """The tree without what was built."""
    def unwanted(folder, names):
        top = pathlib.Path(folder) == compilers.ROOT
        return [name for name in names
                if name == "__pycache__" or top and name in ("build", ".git", "demo-output")]
    shutil.copytree(compilers.ROOT, to, symlinks=True, ignore=unwanted)


class stage:
    """`tree` is the copy; `dev` is called from `elsewhere`. On PATH are the `programs` named and
    what is in the `packages`."""

    def __init__(self, folder, packages, programs=("id",)):
        self.folder = folder
        self.tree = folder / "a b" / "weft"
        self.elsewhere = folder / "a b" / "else where"
        self.bin, self.shelf, self.log = folder / "bin", folder / "shelf", folder / "log"
        self.elsewhere.mkdir(parents=True)
        copy_of_project(self.tree)
        script(folder / "resources/lib/linux/libclang_rt.asan.a", "")
        self.bin.mkdir()
        for name in PLAIN:
            (self.bin / name).symlink_to(shutil.which(name))
        for name in ("built", *programs):
            self.put(self.bin, name)
        for package, name in PACKAGES.items():
            self.put(self.shelf / package, name)
            if package in packages:
                self.put(self.bin, name)

    def put(self, where, name):
        text = RECORD + PROGRAMS.get(name, "") if name not in ("id", "built") else (
            "#!/bin/bash\n" + PROGRAMS[name])
        script(where / name, text.format(folder=self.folder, bin=self.bin, shelf=self.shelf,
                                         log=self.log, python=sys.executable))

    def refuse(self, yes=True):
        """From now on nothing compiles and apt installs nothing."""
        (self.folder / "refuse").touch() if yes else (self.folder / "refuse").unlink()

    def dev(self, *arguments, **variables):
        """Calls `dev`: no terminal, no input; only these variables."""
        self.log.write_text("")
        environment = {"PATH": str(self.bin), "HOME": str(self.folder), **variables}
        return subprocess.run(["../weft/dev", *arguments], cwd=self.elsewhere, env=environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60, check=False, start_new_session=True)

    def calls(self, *names):
        """What was called since the last `dev`, of these programs."""
        lines = self.log.read_text().splitlines()
        return [line for line in lines if line.partition(" ")[0] in names]

    def compiler(self):
        """The compiler with which something was configured since the last `dev`."""
        return [line[4:] for line in self.log.read_text().splitlines() if line.startswith("CXX=")]

    def installed(self):
        """The packages that apt was told to install, of each call."""
        return [sorted(call.partition("--no-install-recommends ")[2].split())
                for call in self.calls("apt-get") if " install " in call]
