"""Wall time, CPU time and memory of a small and a large job, in threads and in two worker processes.

CPU time is that of all processes of a run. The ways take turns; of several runs the best counts, since a machine that
has other work only adds to them.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import resource
import subprocess
import tempfile
import time

from bench.command import program
from bench.record import machine, save, table
from bench.scaling import peak_bytes, session

FLAGS = "-default_F 100 -cell 78 78 38 90 90 90 -N 5 -oversample 1 -nointerpolate -distance 500 -pixel 0.05"
WAYS = {
    "threads": "",
    "threads, store": "--zarr a.zarr --overwrite",
    "2 workers": "--workers 2",
    "2 workers, store": "--workers 2 --zarr a.zarr --overwrite",
}
PR_SET_CHILD_SUBREAPER = 36
LOOK_SECONDS = 0.1
"""Between two looks at the memory of a run."""


def main(arguments: list[str]) -> None:
    """Run, print the table, write bench/results/workers-DATE.json."""
    parser = argparse.ArgumentParser(prog="python -m bench workers", description=__doc__.splitlines()[0])
    parser.add_argument("--edges", type=int, nargs="+", default=[64, 16384], help="pixels along the image of each job")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    # What outlives its parent is waited for here, so that its CPU time counts.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    rows = []
    with tempfile.TemporaryDirectory(dir=os.environ.get("TILESIM_BENCH_FOLDER")) as folder:
        for edge in options.edges:
            words = [*program(), "run", *FLAGS.split(), "-detpixels", str(edge), "-floatfile", "a.bin", "--quiet"]
            found = {way: [] for way in WAYS}
            for _ in range(options.repeats):
                for way, more in WAYS.items():
                    found[way].append(measured([*words, *more.split()], folder))
            rows += [{"pixels": edge, "way": way, **best(runs), "runs": runs} for way, runs in found.items()]
    table(("pixels", "way", "seconds", "cpu_seconds", "client_MB", "largest_other_MB"), rows)
    save("workers", {**machine(), "repeats": options.repeats, "rows": rows})


def measured(words: list[str], folder: str) -> dict:
    """Of one run: seconds until the program ends, CPU seconds of all its processes, peak memory of each."""
    before, start = cpu_seconds(), time.perf_counter()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    child = subprocess.Popen(words, cwd=folder, start_new_session=True, **quiet)
    peaks = {child.pid: 0}
    while child.poll() is None:
        for process in session(child.pid):
            peaks[process] = max(peaks.get(process, 0), peak_bytes(process))
        time.sleep(LOOK_SECONDS)
    seconds = time.perf_counter() - start
    if child.returncode:
        raise SystemExit(f"{' '.join(words)} ended with status {child.returncode}")
    wait_for_the_rest()
    client = peaks.pop(child.pid)
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds() - before,
        "client_MB": client / 1e6,
        "largest_other_MB": max(peaks.values(), default=0) / 1e6,
    }


def wait_for_the_rest() -> None:
    """Return when no process of a run is left."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def best(runs: list[dict]) -> dict:
    """The least of each figure."""
    return {name: min(run[name] for run in runs) for name in runs[0]}


def cpu_seconds() -> float:
    """Of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
