#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""happy_eyeballs_test.py HAPPY_EYEBALLS: the next address has its turn when one is refused, and
after the delay when one is slow; the first connection wins, and the others are cancelled."""

import re
import socket
import subprocess
import sys


def race(*arguments):
    """The exit code, what happened in which order as (address, event), when, the last line, and
    what was on stderr."""
    done = subprocess.run([sys.argv[1], *arguments], capture_output=True, text=True, timeout=120)
    lines = done.stdout.splitlines()
    last = lines.pop() if lines and lines[-1].startswith("the winner is ") else ""
    matches = [re.fullmatch(r" *(\d+) ms  (\[.*?\]|[\d.]+):\d+: (.*)", line) for line in lines]
    assert all(matches), done
    events = [(match[2], "refused" if "refused" in match[3] else match[3]) for match in matches]
    return done.returncode, events, [int(match[1]) for match in matches], last, done.stderr


def reserve():
    """A port that nobody gets by chance; where nobody listens it refuses."""
    everywhere = socket.socket()
    everywhere.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    everywhere.bind(("0.0.0.0", 0))
    return everywhere, everywhere.getsockname()[1]


def listen_on(address, port, backlog=16):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(backlog)
    return listener


def closed_after_one(listener):
    """The winner's connection arrived and was closed, and there is no other one."""
    peer, _ = listener.accept()
    with peer:
        peer.settimeout(60)
        assert peer.recv(1) == b""
    listener.setblocking(False)
    try:
        listener.accept()
        return False
    except BlockingIOError:
        return True


def check_refused(workers):
    reserved, port = reserve()
    with reserved, listen_on("127.0.0.4", port) as listener:
        code, events, _, last, errors = race("--workers", workers, "--delay", "60000", "--port",
                                             str(port), "127.0.0.2", "127.0.0.3", "127.0.0.4",
                                             "127.0.0.5")
        assert code == 0 and errors == "", (code, errors)
        assert events == [("127.0.0.2", "trying"), ("127.0.0.2", "refused"),
                          ("127.0.0.3", "trying"), ("127.0.0.3", "refused"),
                          ("127.0.0.4", "trying"), ("127.0.0.4", "connected")], events
        assert last == f"the winner is 127.0.0.4:{port}", last
        assert closed_after_one(listener)


def check_slow(workers):
    """A listener whose queue is full answers nobody: Linux drops what would not fit."""
    reserved, port = reserve()
    with reserved, listen_on("127.0.0.2", port, backlog=0), \
            listen_on("127.0.0.3", port) as quick, \
            socket.create_connection(("127.0.0.2", port), timeout=60):
        code, events, times, last, errors = race("--workers", workers, "--port", str(port),
                                                 "127.0.0.2", "127.0.0.3")
        assert code == 0 and errors == "", (code, errors)
        assert events[:2] == [("127.0.0.2", "trying"), ("127.0.0.3", "trying")], events
        assert sorted(events[2:]) == [("127.0.0.2", "cancelled"),
                                      ("127.0.0.3", "connected")], events
        assert times[1] >= 250, times
        assert last == f"the winner is 127.0.0.3:{port}", last
        assert closed_after_one(quick)


def check_turns(workers):
    """Nobody listens; the families take turns, whether or not there is IPv6."""
    reserved, port = reserve()
    with reserved:
        code, events, _, last, errors = race("--workers", workers, "--port", str(port),
                                             "127.0.0.2", "127.0.0.3", "::1", "127.0.0.4")
    tried = [address for address, event in events if event == "trying"]
    assert tried == ["127.0.0.2", "[::1]", "127.0.0.3", "127.0.0.4"], events
    assert code == 1 and last == "", (code, last)
    assert errors == "happy_eyeballs: no address could be reached\n", errors


def main():
    for workers in "1", "2":
        check_refused(workers)
        check_slow(workers)
        check_turns(workers)
    code, events, _, _, errors = race("--port", "no such service", "127.0.0.2")
    assert code == 1 and events == [] and errors.startswith("happy_eyeballs: 127.0.0.2: "), errors


main()
