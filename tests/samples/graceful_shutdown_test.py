#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""graceful_shutdown_test.py GRACEFUL_SHUTDOWN: after a signal what is in progress gets its answer,
or is cut off at its limit; who has asked for nothing is closed, who comes is refused, the exit code
is 0."""

import re
import signal
import socket
import subprocess
import sys
import time

WORK = 2.0  # seconds that the answer takes which is in progress when the signal comes


class running_server:
    """A server on a port that the system chose."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([sys.argv[1], "--port", "0", *arguments],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        match = re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)\n", line)
        assert match, repr(line)
        self.port = int(match[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def wait_until_refused(self):
        while True:
            try:
                self.connect().close()
            except ConnectionRefusedError:
                return
            except ConnectionResetError:
                pass  # it was in the queue when the port was closed

    def check_end(self, text):
        out, errors = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, self.process.returncode
        assert out == text and errors == "", (out, errors)


def ask(peer, milliseconds):
    """Gives the answer's rest when it has been begun."""
    peer.sendall(b"%d\n" % milliseconds)
    answer = peer.makefile("r")
    assert answer.readline() == "begun\n"
    return answer


def check_drain(number, workers):
    with running_server("--limit", "60000", "--workers", workers) as server, \
            server.connect() as done, server.connect() as idle, server.connect() as busy:
        assert ask(done, 0).readline() == "done\n"
        start = time.monotonic()
        answer = ask(busy, int(1000 * WORK))
        server.process.send_signal(number)
        assert idle.recv(1) == b"" and done.recv(1) == b"", "nothing was asked: closed"
        server.wait_until_refused()
        still_there = server.process.poll() is None
        assert still_there or time.monotonic() - start >= WORK, "refused before the end"
        assert answer.read() == "done\n"
        assert time.monotonic() - start >= WORK
        server.check_end("stopped: 2 answers finished, 0 cut off\n")


def check_limit(workers):
    with running_server("--limit", "200", "--workers", workers) as server, \
            server.connect() as slow:
        answer = ask(slow, 3_600_000)
        server.process.send_signal(signal.SIGINT)
        assert answer.read() == ""
        server.check_end("stopped: 0 answers finished, 1 cut off\n")


def check_second_signal():
    with running_server("--limit", "60000") as server, server.connect() as slow:
        ask(slow, 3_600_000)
        server.process.send_signal(signal.SIGINT)
        server.wait_until_refused()  # the first one has been seen
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(timeout=60) == -signal.SIGINT


def check_nonsense():
    with running_server() as server, server.connect() as peer:
        peer.sendall(b"soon\n")
        assert peer.recv(1) == b""
        server.process.send_signal(signal.SIGTERM)
        out, errors = server.process.communicate(timeout=60)
        assert server.process.returncode == 0 and "0 answers" in out, out
        assert errors.startswith("graceful_shutdown: "), errors


def main():
    for number, workers in (signal.SIGINT, "1"), (signal.SIGTERM, "2"):
        check_drain(number, workers)
        check_limit(workers)
    check_second_signal()
    check_nonsense()


main()
