#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tree_hash_test.py TREE_HASH: its output is that of find, sort and sha256sum, byte for byte, for
odd names and real trees; what cannot be read is reported and turns the exit code to 1."""

import errno
import os
import pathlib
import pty
import resource
import shutil
import subprocess
import sys
import tempfile

PROGRAM = os.path.abspath(sys.argv[1])
PIPELINE = ('cd -- "$1" && find "$2" -type f -print0 | LC_ALL=C sort -z | '
            'LC_ALL=C xargs -0 -r sha256sum')


def hashed(directory, root, *arguments, **options):
    return subprocess.run([PROGRAM, *arguments, root], cwd=directory, capture_output=True,
                          timeout=170, **options)


def expected(directory, root):
    done = subprocess.run(["sh", "-c", PIPELINE, "sh", directory, root], capture_output=True,
                          timeout=170)
    return done.stdout


def check(directory, root, **options):
    """Compares on a loop and on a pool, and gives what was on stderr."""
    wanted = expected(directory, root)
    for workers in "1", "2":
        done = hashed(directory, root, "--workers", workers, **options)
        assert done.stdout == wanted, (root, workers, done.stderr[:1000])
    return done


def make_odd_tree(top):
    """Names that have to be escaped, or that sort differently in a locale than in bytes."""
    names = [b"plain", b"a b", b" ", b"new\nline", b"back\\slash", b"carriage\rreturn", b"tab\t",
             b"quote'\"", b"\xff\xfe not utf-8", "ä µ 漢".encode(), b"B", b"a", b"-dash", b"*",
             b"x" * 255, b".hidden"]
    for folder in (b"", b"sub dir/", b"sub\ndir/", b"\xf0/", b"a.b/", b"deep/" * 40):
        os.makedirs(os.path.join(top, folder), exist_ok=True)
        for number, name in enumerate(names):
            if not os.path.isdir(os.path.join(top, folder, name)):
                with open(os.path.join(top, folder, name), "wb") as file:
                    file.write(name * number)
    sizes = [0, 1, 65535, 65536, 65537, 3 * 65536, 1_000_003]
    for size in sizes:
        with open(os.path.join(top, b"size %d" % size), "wb") as file:
            file.write(os.urandom(size))
    os.makedirs(os.path.join(top, b"empty"))
    os.symlink(b"plain", os.path.join(top, b"link to file"))
    os.symlink(b".", os.path.join(top, b"link to directory"))
    os.symlink(b"nowhere", os.path.join(top, b"broken link"))
    os.mkfifo(os.path.join(top, b"fifo"))


def check_odd_names(directory):
    top = os.path.join(os.fsencode(directory), b"odd")
    os.makedirs(top)
    make_odd_tree(top)
    for root in "odd", "odd/", "./odd", ".", "odd//", os.path.join(directory, "odd"):
        done = check(directory, root)
        assert done.returncode == 0 and done.stderr == b"", done
    for root in ("odd/plain", "odd/new\nline", "odd/empty", "odd/link to file",
                 "odd/link to directory", "odd/link to directory/", "odd/fifo"):
        done = check(directory, root)
        assert done.returncode == 0, done


def check_few_descriptors(directory):
    """64 files at a time and a handful for the program itself."""
    top = os.path.join(directory, "many")
    os.makedirs(top)
    for number in range(600):
        pathlib.Path(top, str(number)).write_text("x" * number)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, limit))  # noqa: E731
    done = check(directory, "many", preexec_fn=few)
    assert done.returncode == 0, done


def check_unreadable(directory):
    top = pathlib.Path(directory, "locked")
    (top / "no entry").mkdir(parents=True)
    (top / "no entry" / "inside").write_text("inside")
    (top / "closed").write_text("closed")
    (top / "open").write_text("open")
    os.chmod(top / "closed", 0)
    os.chmod(top / "no entry", 0)
    program, somebody = PROGRAM, {}
    if os.geteuid() == 0:  # who is refused nothing: somebody else has to try, where they get at it
        program = shutil.copy(PROGRAM, directory)
        somebody = {"user": 65534, "group": 65534, "extra_groups": []}
    for workers in "1", "2":
        done = subprocess.run([program, "locked", "--workers", workers], cwd=directory,
                              capture_output=True, timeout=60, **somebody)
        assert done.returncode == 1, done
        assert done.stdout.endswith(b"  locked/open\n") and done.stdout.count(b"\n") == 1, done
        assert done.stderr.splitlines() == [
            b"tree_hash: locked/closed: Permission denied",
            b"tree_hash: locked/no entry: Permission denied"], done
    os.chmod(top / "no entry", 0o700)

    missing = hashed(directory, "not there")
    assert missing.returncode == 1 and missing.stdout == b"", missing
    assert missing.stderr == b"tree_hash: not there: No such file or directory\n", missing


def check_vanishing(directory):
    """Files that come and go meanwhile are hashed or reported, and nothing else happens."""
    top = pathlib.Path(directory, "restless")
    top.mkdir()
    for number in range(50):
        (top / f"stays {number}").write_text("here")
    churn = subprocess.Popen(
        ["sh", "-c", "while :; do touch 1 2 3 4 5 6 7 8; rm -f 1 2 3 4 5 6 7 8; done"], cwd=top)
    try:
        for _ in range(20):
            done = hashed(directory, "restless", "--workers", "2")
            assert done.stdout.count(b"/stays ") == 50, done
            lost = done.stderr.splitlines()
            assert all(line.endswith(b": No such file or directory") for line in lost), done
            assert done.returncode == (1 if lost else 0), done
    finally:
        churn.kill()
        churn.wait()


def check_full_disk(directory):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([PROGRAM, "odd"], cwd=directory, stdout=full, stderr=subprocess.PIPE,
                              timeout=60)
    assert done.returncode == 1 and b"cannot write" in done.stderr, done


def everything_on(screen):
    """Until nobody has the other end. One read may give what came first only."""
    shown = b""
    try:
        while more := screen.read(1 << 16):
            shown += more
    except OSError as error:
        assert error.errno == errno.EIO, error
    return shown


def check_progress(directory):
    """On a terminal a line says how far it is, and is gone at the end; the output is the same."""
    terminal, other_end = pty.openpty()
    with open(terminal, "rb", buffering=0) as screen:
        done = subprocess.run([PROGRAM, "odd"], cwd=directory, stdout=subprocess.PIPE,
                              stderr=other_end, timeout=60)
        os.close(other_end)
        shown = everything_on(screen)
    assert done.returncode == 0 and done.stdout == expected(directory, "odd"), done
    assert b" files hashed" in shown and shown.endswith(b"\r\x1b[K"), shown


def main():
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        check_odd_names(directory)
        check_few_descriptors(directory)
        check_unreadable(directory)
        check_vanishing(directory)
        check_full_disk(directory)
        check_progress(directory)
    # A real tree; DIR in the environment names another one.
    tree = os.environ.get("DIR", "/usr/include")
    done = check("/", tree if os.path.isdir(tree) else "/etc")
    assert done.returncode == 0 or os.geteuid() != 0, done.stderr


main()
