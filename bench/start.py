"""What the start of a command costs: whole processes, from Python alone to a run of 128 x 128 pixels, served ones too.

CPU time depends less on what else a machine does. With a server it is that of the client alone; wall time counts what
the server does, too. The processes take turns, and bytecode is there from a first run.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from bench.command import COMMANDS
from bench.record import machine, save, table

MAIN = "from tilesim_cli.main import main; main()"
RUN = f"run {COMMANDS['128 x 128']} -floatfile a.bin --quiet"
SERVED = "128 x 128, served"
OWN = ("tilesim --help", "an error", "128 x 128")
PROCESSES = {
    "Python": ("pass", ""),
    "numpy": ("import numpy", ""),
    "numpy, one thread": ("import os; os.environ['OPENBLAS_NUM_THREADS'] = '1'; import numpy", ""),
    "click": ("import click", ""),
    "tilesim --help": (MAIN, "--help"),
    "an error": (MAIN, "run -distance ten"),
    "128 x 128": (MAIN, RUN),
    SERVED: (MAIN, RUN),
}


def main(arguments: list[str]) -> None:
    """Run, print the table, write bench/results/start-DATE.json."""
    parser = argparse.ArgumentParser(prog="python -m bench start", description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--before", metavar="FOLDER", help="packages tilesim and tilesim_cli of an earlier version")
    options = parser.parse_args(arguments)
    names = ("PYTHONDONTWRITEBYTECODE", "TILESIM_SERVER")
    plain = {name: value for name, value in os.environ.items() if name not in names}
    processes = {name: (*how, plain) for name, how in PROCESSES.items()}
    if options.before:
        earlier = {**plain, "PYTHONPATH": os.path.abspath(options.before)}
        processes |= {f"{name}, before": (*PROCESSES[name], earlier) for name in OWN}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in processes}
    with tempfile.TemporaryDirectory() as folder, serving(os.path.join(folder, "socket"), plain) as socket:
        processes[SERVED] = (*PROCESSES[SERVED], {**plain, "TILESIM_SERVER": socket})
        for number in range(options.repeats + 1):
            for name, (code, words, environment) in processes.items():
                used = seconds([sys.executable, "-c", code, *words.split()], folder, environment)
                if number:
                    found[name].append(used)
    rows = []
    for name, pairs in found.items():
        cpu, wall = zip(*pairs, strict=True)
        least = {"CPU least": min(cpu), "CPU median": statistics.median(cpu)}
        rows.append({"process": name, **least, "wall least": min(wall), "wall median": statistics.median(wall)})
        rows[-1] |= {"CPU": cpu, "wall": wall}
    table(("process", "CPU least", "CPU median", "wall least", "wall median"), rows)
    save("start", {**machine(), "repeats": options.repeats, "rows": rows})


@contextmanager
def serving(path: str, environment: Mapping[str, str]) -> Iterator[str]:
    """A server at `path`, meanwhile."""
    command = [sys.executable, "-c", MAIN, "serve", path]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None and server.stderr.readline()
        try:
            yield path
        finally:
            server.terminate()


def seconds(words: list[str], folder: str, environment: Mapping[str, str]) -> tuple[float, float]:
    """CPU and wall seconds of one process."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(words, cwd=folder, env=environment, capture_output=True, check=False)
    ended, after = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, ended - begun
