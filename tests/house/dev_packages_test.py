#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Which compiler `./dev` takes, and what it does about packages that are missing. Nothing here is
real but `dev` itself: dev_stage.py."""

import pathlib
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from dev_stage import COMPILERS, EVERYTHING, LIBRARIES, LINT, SAMPLES, TOOLS, stage  # noqa: E402

READY = {*TOOLS, *LIBRARIES, *SAMPLES}
APT = ("id", "apt-get", "apt-cache")


def succeeds(done):
    assert done.returncode == 0, done
    return done


def refuses(done, *words):
    assert done.returncode != 0 and done.stdout == "", done
    for word in words:
        assert word in done.stderr, (word, done)


def takes(s, compiler, **variables):
    """`dev run` configures once, with this compiler, in a folder of its name."""
    succeeds(s.dev("run", "hello", **variables))
    assert s.compiler() == [compiler], (compiler, s.log.read_text())
    name = compiler.rpartition(" ")[2].rpartition("/")[2]
    assert [path.name for path in (s.tree / "build").iterdir()] == [f"{name}-release"], compiler


def cxx_is_the_compiler_when_it_is_set(new):
    takes(new(READY | {*COMPILERS}), "g++", CXX="g++", GXX="12")
    takes(new(READY | {*COMPILERS}), "/usr/bin/some-c++", CXX="/usr/bin/some-c++", GXX="12")


def clang_is_taken_where_there_is_one(new):
    takes(new(READY | {*COMPILERS}), "clang++-19", GXX="12")
    takes(new(READY | {*COMPILERS}), "clang++-19", GXX="14")
    takes(new(READY | {"clang-19"}, APT), "clang++-19")


def a_new_gxx_is_taken_where_there_is_no_clang(new):
    for apt in ("id",), APT:
        s = new(READY | {"g++"}, apt)
        takes(s, "g++", GXX="13")
        assert s.calls(*APT) == []


def clang_is_installed_where_gxx_is_old(new):
    s = new(READY | {"g++"}, APT)
    takes(s, "clang++-19", GXX="12")
    assert s.installed() == [["clang-19"]]


def an_old_gxx_is_taken_where_there_is_no_apt(new):
    takes(new(READY | {"g++"}), "g++", GXX="12")


def without_any_compiler_the_candidate_of_apt_decides(new):
    for candidate, package, compiler in (("4:12.2.0-3", "clang-19", "clang++-19"),
                                         ("4:13.2.0-7ubuntu1", "g++", "g++"),
                                         ("14.2.0", "g++", "g++")):
        s = new(READY, APT)
        takes(s, compiler, CANDIDATE=candidate)
        assert s.installed() == [[package]], candidate
        assert len([call for call in s.calls("apt-get") if call.endswith(" update")]) == 1


def a_cache_of_compilers_is_used_where_there_is_one(new):
    takes(new(READY | {"clang-19"}, ("id", "ccache")), "ccache clang++-19")
    takes(new(READY | {"g++"}, ("id", "ccache")), "ccache g++", CXX="ccache g++")


def what_is_missing_is_installed_once(new):
    s = new({"clang-19", "python3", "pkg-config", "libfmt-dev"}, APT)
    done = succeeds(s.dev("install"))
    wanted = sorted({*EVERYTHING} - {"python3", "pkg-config", "libfmt-dev"})
    assert s.installed() == [wanted], s.installed()
    assert "apt-get update" in done.stderr, done
    assert set(done.stderr.partition("installing with apt:")[2].split()) == set(wanted), done
    update, install = s.calls("apt-get")
    assert update.endswith(" update") and " -y " in install, s.calls("apt-get")
    nothing_is_done_when_all_is_there(s, "install")


def nothing_is_done_when_all_is_there(s, *command):
    done = succeeds(s.dev(*command))
    assert (done.stdout, done.stderr) == ("", ""), done
    assert s.calls("apt-get", "apt-cache", "sudo") == []


def install_says_nothing_when_all_is_there(new):
    s = new({*EVERYTHING, *COMPILERS, *LINT}, (*APT, "sudo"))
    nothing_is_done_when_all_is_there(s, "install")
    nothing_is_done_when_all_is_there(s, "install", "--all")


def install_all_brings_what_test_all_needs(new):
    s = new({*EVERYTHING, "clang-19"}, APT)
    succeeds(s.dev("install"))
    assert s.installed() == []
    succeeds(s.dev("install", "--all"))
    assert sorted(sum(s.installed(), [])) == sorted(["g++", *LINT]), s.installed()


def who_is_not_root_asks_sudo_and_never_for_a_password_without_a_terminal(new):
    s = new({"clang-19"}, (*APT, "sudo"))
    succeeds(s.dev("install", USER_ID="1000"))
    asked = s.calls("sudo")
    assert len(asked) == 2 and all(call.startswith("sudo -n ") for call in asked), asked
    assert len(s.installed()) == 1


def without_apt_or_rights_the_packages_are_named(new):
    for programs in ("id",), ("id", "sudo"), APT:
        s = new({"clang-19", "python3", "pkg-config"}, programs)
        done = s.dev("run", "hello", USER_ID="1000")
        refuses(done, "please install (names as in Debian 12):")
        named = done.stderr.partition("Debian 12):")[2].split()
        assert set(named) == READY - {"python3", "pkg-config"}, done
        assert s.calls("apt-get", "sudo", "meson") == []


def an_apt_that_fails_is_quoted(new):
    s = new(READY - {"meson"} | {"clang-19"}, APT)
    s.refuse()
    refuses(s.dev("run", "hello"), "apt could not install: meson", "E: Unable to locate package")
    assert s.calls("meson", "ninja") == []


def a_package_that_does_not_bring_what_it_should_is_named(new):
    s = new(READY - {"libpng-dev"} | {"clang-19"}, APT)
    shutil.rmtree(s.shelf / "libpng-dev")
    refuses(s.dev("run", "hello"), "libpng-dev is installed, yet pc:libpng is not found")


TESTS = [cxx_is_the_compiler_when_it_is_set, clang_is_taken_where_there_is_one,
         a_new_gxx_is_taken_where_there_is_no_clang, clang_is_installed_where_gxx_is_old,
         an_old_gxx_is_taken_where_there_is_no_apt,
         without_any_compiler_the_candidate_of_apt_decides,
         a_cache_of_compilers_is_used_where_there_is_one, what_is_missing_is_installed_once,
         install_says_nothing_when_all_is_there, install_all_brings_what_test_all_needs,
         who_is_not_root_asks_sudo_and_never_for_a_password_without_a_terminal,
         without_apt_or_rights_the_packages_are_named, an_apt_that_fails_is_quoted,
         a_package_that_does_not_bring_what_it_should_is_named]


def main():
    with tempfile.TemporaryDirectory() as folder:
        def new(packages, programs=("id",)):
            return stage(pathlib.Path(tempfile.mkdtemp(dir=folder)).resolve(), packages, programs)
        for test in TESTS:
            test(new)
            print(test.__name__.replace("_", " "), flush=True)


if __name__ == "__main__":
    main()
