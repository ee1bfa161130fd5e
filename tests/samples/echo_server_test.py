#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""echo_server_test.py ECHO_SERVER: it echoes what our client and a plain socket send, on a loop and
on a pool, ends by a signal with exit code 0, and refuses what it cannot do with a message and exit
code 1."""

import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading

SERVER = sys.argv[1]
CLIENT = str(pathlib.Path(SERVER).with_name("echo_client"))


class running_server:
    """A server on a port that the system chose."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([SERVER, "--port", "0", *arguments],
                                        stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        match = re.fullmatch(r"listening on (.*):(\d+)\n", line)
        assert match, repr(line)
        self.host, self.port = match[1], match[2]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def client(host, port, *arguments):
    return subprocess.run([CLIENT, "--host", host, "--port", str(port), *arguments],
                          capture_output=True, text=True, timeout=120)


def check_client(server, connections, messages, size, workers):
    done = client(server.host, server.port, "--connections", str(connections),
                  "--messages", str(messages), "--size", str(size), "--workers", str(workers))
    assert done.returncode == 0, done
    count = connections * messages
    assert done.stdout.startswith(
        f"{count} messages of {size} bytes on {connections} connections in "), done
    for line in r"throughput +\d+ messages/s, [\d.]+ MiB/s each way", r"latency +p50 .*, max .*":
        assert re.search(f"^{line}$", done.stdout, re.M), done


def check_plain_socket(server):
    with socket.create_connection((server.host.strip("[]"), int(server.port)), timeout=60) as peer:
        sent = bytes(range(256)) * 4096
        sender = threading.Thread(target=peer.sendall, args=(sent,))
        sender.start()
        received = b""
        while len(received) < len(sent):
            received += peer.recv(1 << 16)
        sender.join()
        assert received == sent
        peer.shutdown(socket.SHUT_WR)
        assert peer.recv(1) == b"", "the server closes when its client has"


def check_signals(workers):
    for number in signal.SIGINT, signal.SIGTERM:
        with running_server("--workers", workers) as server:
            with socket.create_connection((server.host, int(server.port)), timeout=60) as peer:
                peer.sendall(b"here")
                assert peer.recv(4) == b"here"  # its task waits for more
                server.process.send_signal(number)
                assert server.process.wait(timeout=60) == 0
                assert server.process.stdout.read() == "stopped, every connection is closed\n"
                assert peer.recv(1) == b"", "the server has closed the connection"


def check_failures():
    with running_server() as server:
        port = server.port
        taken = subprocess.run([SERVER, "--port", port], capture_output=True, text=True, timeout=60)
        assert taken.returncode == 1 and "in use" in taken.stderr, taken
        assert port in taken.stderr, taken
    with socket.socket() as reserved:  # bound, and nobody listens
        reserved.bind(("127.0.0.1", 0))
        host, port = reserved.getsockname()
        refused = client(host, port, "--connections", "3")
    assert refused.returncode == 1 and "refused" in refused.stderr, refused
    wrong = subprocess.run([SERVER, "--host", "not an address"], capture_output=True, text=True,
                           timeout=60)
    assert wrong.returncode == 1 and "not an address" in wrong.stderr, wrong


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


def main():
    for workers in "1", "2":
        with running_server("--workers", workers) as server:
            check_plain_socket(server)
            check_client(server, 1, 100, 1, 1)
            check_client(server, 30, 40, 64, 2)
            check_client(server, 2, 2, 3_000_000, 1)  # larger than what sockets buffer
            assert server.process.poll() is None
        check_signals(workers)
    if has_ipv6():
        with running_server("--host", "[::1]") as server:
            check_client(server, 2, 10, 100, 1)
    check_failures()


main()
