"""What a level of x86-64 costs: the lysozyme frame by each kernel that a wheel carries, and by one for this processor.

Whole commands, from the start of the process to the float file: seconds, and CPU seconds of all threads. They take
turns, and a first one of each compiles. `eager` is the definition in torch.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.record import LYSOZYME, input_flags, machine, save, table

EAGER = "eager"


def main(arguments: list[str]) -> None:
    """Run, print the table, write bench/results/levels-DATE.json."""
    from tilesim.kernels.levels import NATIVE, levels_here

    parser = argparse.ArgumentParser(prog="python -m bench levels", description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    names = [NATIVE, *levels_here(), EAGER]
    with tempfile.TemporaryDirectory() as folder:
        data, source = input_flags(Path(folder))
        runs: dict[str, list[dict]] = {name: [] for name in names}
        for number in range(options.repeats + 1):
            for name in names:
                one = run(name, [*data, *LYSOZYME], Path(folder))
                runs[name] += [one] if number else []  # the first compiles and warms
    rows = [row(name, found) for name, found in runs.items()]
    table(("kernel", "backend", "seconds", "cpu_seconds", "spread", "image"), rows)
    save("levels", {**machine(), "structure_factors": source, "repeats": options.repeats, "rows": rows})


def run(name: str, flags: list[str], folder: Path) -> dict:
    """One command: wall and CPU seconds, the backend that it reports, a digest of the image."""
    level = {} if name == EAGER else {"TILESIM_LEVEL": name}
    words = ["--backend", EAGER if name == EAGER else "fused", "--device", "cpu", "--quiet", "--json", "report.json"]
    start, before = time.perf_counter(), os.times()
    subprocess.run(
        [sys.executable, "-m", "tilesim", "run", *flags, "-floatfile", "image.bin", *words],
        cwd=folder,
        env={**os.environ, **level},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    seconds, after = time.perf_counter() - start, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    digest = hashlib.sha256((folder / "image.bin").read_bytes()).hexdigest()
    report = json.loads((folder / "report.json").read_text())
    return {"seconds": seconds, "cpu": cpu, "backend": report["backend"], "image": digest[:12]}


def row(name: str, runs: list[dict]) -> dict:
    """The medians of a kernel, and its one image."""
    [(backend, image)] = {(one["backend"], one["image"]) for one in runs}
    seconds = [one["seconds"] for one in runs]
    return {
        "kernel": name,
        "backend": backend,
        "seconds": statistics.median(seconds),
        "cpu_seconds": statistics.median(one["cpu"] for one in runs),
        "spread": (max(seconds) - min(seconds)) / statistics.median(seconds),
        "image": image,
    }
