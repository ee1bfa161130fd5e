# SPDX-License-Identifier: MIT
"""Peers in other languages for tools/run_bench.py: builds bench/peers/, and measures what it asks.

A peer is a program that lists its benchmarks when it is started without arguments, and with NAME
SECONDS measures one for about so long and prints `time NANOSECONDS` or `bytes NUMBER`, of an item.
Each repetition is a process of its own. What cannot be built is left out, with a message.
"""

import os
import pathlib
import random
import re
import shutil
import subprocess
import sys

SOURCES = pathlib.Path(__file__).resolve().parent.parent / "bench/peers"
# Where the distribution's packages put the sources of crates.
CRATES = pathlib.Path("/usr/share/cargo/registry")


def say(text):
    print(text, file=sys.stderr)


def built(command, program, **options):
    """The program, or None with the reason said."""
    say(f"building {program.name}")
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=600, check=False, **options)
    except subprocess.TimeoutExpired:
        return say(f"{program.name} is left out: building it takes too long")
    if done.returncode == 0 and program.exists():
        return program
    return say(f"{program.name} is left out:\n{(done.stdout + done.stderr)[-2000:]}")


def goroutines(folder):
    """Go's."""
    if not shutil.which("go"):
        return say("goroutines are left out: there is no go")
    program = folder / "goroutines"
    return built(["go", "build", "-o", program, SOURCES / "goroutines.go"], program,
                 env={**os.environ, "GO111MODULE": "off"})


def futures(folder):
    """tokio's and rayon's."""
    missing = [crate for crate in ("tokio", "rayon") if not list(CRATES.glob(f"{crate}-1.*"))]
    if missing or not shutil.which("cargo"):
        return say(f"futures are left out: there is no {' and no '.join(missing) or 'cargo'}")
    # cargo writes beside the sources.
    project = folder / "futures-project"
    project.mkdir(exist_ok=True)
    for name in ("Cargo.toml", "futures.rs"):
        shutil.copy(SOURCES / name, project)
    return built(["cargo", "build", "--release", "--offline",
                  "--config", 'source.crates-io.replace-with="distribution"',
                  "--config", f'source.distribution.directory="{CRATES}"'],
                 project / "target/release/futures", cwd=project,
                 env={**os.environ, "RUSTFLAGS": "-C target-cpu=native",
                      "CARGO_TARGET_DIR": str(project / "target")})


def listed(folder, pattern):
    """[(program, name)] of all that matches."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for program in filter(None, (goroutines(folder), futures(folder))):
        names = subprocess.run([program], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                               timeout=60, check=True).stdout.split()
        found += [(program, name) for name in names if re.search(pattern, name)]
    return found


def measured(peers, repetitions, seconds):
    """As from Google Benchmark's JSON: all repetitions of all, in any order."""
    entries = []
    everything = [(program, name, i) for program, name in peers for i in range(repetitions)]
    random.shuffle(everything)
    for program, name, index in everything:
        entry = {"name": name, "repetition_index": index, "time_unit": "ns"}
        try:
            done = subprocess.run([program, name, str(seconds)], stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=300, check=False)
            key, value = done.stdout.split() if done.returncode == 0 else ("error", done.stderr)
        except subprocess.TimeoutExpired:
            key, value = "error", "takes too long"
        if key == "error":
            entry |= {"error_occurred": True, "error_message": value.strip()[-300:]}
        else:
            entry |= {"real_time" if key == "time" else key: float(value)}
        entries.append(entry)
    return {"benchmarks": entries}
