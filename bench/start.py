"""What the start of a command costs: CPU time of whole processes, from Python alone to a run of 128 x 128 pixels.

CPU time, not wall time: the figures depend less on what else a machine does. The processes take turns, and bytecode is
there from a first run.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile

from bench.command import COMMANDS
from bench.record import machine, save, table

MAIN = "from tilesim_cli.main import main; main()"
PROCESSES = {
    "Python": ("pass", ""),
    "numpy": ("import numpy", ""),
    "click": ("import click", ""),
    "tilesim --help": (MAIN, "--help"),
    "an error": (MAIN, "run -distance ten"),
    "128 x 128": (MAIN, f"run {COMMANDS['128 x 128']} -floatfile a.bin --quiet"),
}


def main(arguments: list[str]) -> None:
    """Run, print the table, write bench/results/start-DATE.json."""
    parser = argparse.ArgumentParser(prog="python -m bench start", description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args(arguments)
    seconds: dict[str, list[float]] = {name: [] for name in PROCESSES}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.repeats + 1):
            for name, (code, words) in PROCESSES.items():
                used = cpu_seconds([sys.executable, "-c", code, *words.split()], folder)
                if number:
                    seconds[name].append(used)
    rows = [
        {"process": name, "least": min(found), "median": statistics.median(found), "seconds": found}
        for name, found in seconds.items()
    ]
    table(("process", "least", "median"), rows)
    save("start", {**machine(), "repeats": options.repeats, "rows": rows})


def cpu_seconds(words: list[str], folder: str) -> float:
    """CPU seconds of one process."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, cwd=folder, env=environment, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
