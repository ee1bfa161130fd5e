#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`./dev` as users meet it: dev_test.py COMPILER LIBRARY.a...

Everything happens in a copy of the tree, in a directory with a space in its name, so that the
builds of the tree itself are left alone. There `dev` really configures, compiles and links the
sample `hello`; only the objects of the libraries, whose compilation takes minutes, are taken out of
those that were built from the same sources. Nothing here can install a package. What dev does about
packages, and its other commands, are in dev_packages_test.py and dev_commands_test.py.
"""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from dev_stage import copy_of_project, script  # noqa: E402

# Takes the place of the compiler. It writes down each call.
COMPILER = """\
#!/usr/bin/env bash
printf '%s\\n' "$*" >>'{log}'
source='' object='' words=("$@")
for ((i = 0; i < $#; ++i)); do
  case ${{words[i]}} in
    -c) source=${{words[i + 1]}} ;;
    -o) object=${{words[i + 1]}} ;;
  esac
done
source=${{source##*../}}
case $source in
  runtime/*.cpp | io/*.cpp | sched/*.cpp | samples/support/*.cpp)
    source=${{source#samples/}}
    for library in {libraries}; do
      ar p "$library" "${{source//\\//_}}.o" >"$object" 2>/dev/null && [ -s "$object" ] && exit
    done
    ;;
esac
exec '{real}' "$@"
"""


class world:
    """The copy, a directory beside it from which `dev` is called, and what stands on PATH."""

    def __init__(self, folder, compiler, *libraries):
        self.tree = folder / "a b" / "weft"
        self.elsewhere = folder / "a b" / "else where"
        self.compiler = pathlib.Path(compiler).name
        self.log = folder / "log"
        self.log.touch()
        self.elsewhere.mkdir(parents=True)
        copy_of_project(self.tree)
        self.programs = folder / "programs"
        script(self.programs / self.compiler,
               COMPILER.format(log=self.log, real=shutil.which(compiler), libraries=shlex.join(
                   str(pathlib.Path(library).resolve()) for library in libraries)))
        for name in "apt-get", "sudo":
            script(self.programs / name, "#!/bin/sh\necho a test installs nothing >&2\nexit 1\n")

    def dev(self, *arguments, program="../weft/dev"):
        """Calls `dev` from elsewhere: no terminal, no input."""
        environment = {name: value for name, value in os.environ.items()
                       if name not in ("CI", "WERROR", "WEFT_TEST_LONG")}
        environment |= {"CXX": self.compiler, "CCACHE_DISABLE": "1",
                        "PATH": f"{self.programs}:{os.environ['PATH']}"}
        return subprocess.run([program, *arguments], cwd=self.elsewhere, env=environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=240, check=False, start_new_session=True)


def succeeds(done, stdout=None):
    assert done.returncode == 0, done
    assert stdout is None or done.stdout == stdout, done


def help_names_every_command(w):
    for arguments in [], ["help"], ["--help"]:
        done = w.dev(*arguments)
        succeeds(done)
        for command in ("demo", "samples", "run NAME", "test [--all]", "doctor",
                        "bench [--full] [--peers] [FILTER]", "lint", "format", "install", "clean"):
            assert re.search(rf"\n  {re.escape(command)}\s", done.stdout), (command, done)


def an_unknown_command_is_refused(w):
    done = w.dev("frobnicate")
    assert done.returncode != 0 and "unknown command 'frobnicate'" in done.stderr, done
    assert "usage:" in done.stderr and done.stdout == "", done


def samples_lists_each_with_a_sentence(w):
    done = w.dev("samples")
    succeeds(done)
    lines = dict(line.split(None, 1) for line in done.stdout.splitlines())
    assert set(lines) == {path.stem for path in (w.tree / "samples").glob("*.cpp")}, done
    for name, sentence in lines.items():
        assert sentence[0].isupper() and sentence.endswith("."), (name, sentence)


def an_unknown_sample_says_what_to_do(w):
    for name in "nonesuch", "support/table":
        done = w.dev("run", name)
        assert done.returncode != 0 and "./dev samples" in done.stderr, done
    done = w.dev("run")
    assert done.returncode != 0 and "./dev samples" in done.stderr, done


def hello_is_built_and_run(w):
    done = w.dev("run", "hello", "--workers", "2")
    succeeds(done, "hello, world\n")
    assert any(" ../../samples/hello.cpp" in line for line in w.log.read_text().splitlines()), done


def a_second_run_builds_nothing(w):
    built = w.log.read_text()
    succeeds(w.dev("run", "hello"), "hello, world\n")
    assert w.log.read_text() == built, w.log.read_text()[len(built):]


def dev_works_through_a_link(w):
    link = w.elsewhere / "a link"
    link.symlink_to("../weft/dev")
    succeeds(w.dev("run", "hello", program="./a link"), "hello, world\n")


def a_sample_starts_where_its_caller_is(w):
    program = w.tree / "build" / f"{w.compiler}-release" / "samples" / "hello"
    script(program, '#!/bin/sh\npwd\nprintf "%s\\n" "$@"\n')  # newer than its sources: it stays
    succeeds(w.dev("run", "hello", "-o", "a file"), f"{w.elsewhere}\n-o\na file\n")


# In this order: the later ones use what was built before.
TESTS = [help_names_every_command, an_unknown_command_is_refused,
         samples_lists_each_with_a_sentence, an_unknown_sample_says_what_to_do,
         hello_is_built_and_run, a_second_run_builds_nothing, dev_works_through_a_link,
         a_sample_starts_where_its_caller_is]


def main():
    with tempfile.TemporaryDirectory() as folder:
        w = world(pathlib.Path(folder).resolve(), *sys.argv[1:])
        for test in TESTS:
            test(w)
            print(test.__name__.replace("_", " "), flush=True)


if __name__ == "__main__":
    main()
