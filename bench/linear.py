"""How time grows with work: time per step from 1e7 to 1e10 steps on two threads, threads, and the edges of tiles."""

from __future__ import annotations

import argparse
import os
import statistics
import time

from bench.record import machine, save, table

BASE = (
    "-default_F 100 -cell 78 78 38 90 90 90 -N 20 -nonoise -nopgm -nointerpolate -distance 200 -lambda 1 -oversample 1 "
    "-phi 0.1 -osc 1 -phisteps 1 -mosaic_spread 0.5"
)
WORK = {
    "pixels": {f"{edge}^2 x 100": f"-detpixels {edge} -mosaic_domains 100" for edge in (316, 1000, 3162, 10000)},
    "domains": {f"1000^2 x {n}": f"-detpixels 1000 -mosaic_domains {n}" for n in (10, 100, 1000, 10000)},
}
"""From 1e7 to 1e10 steps."""
EDGES = (500, 511, 512, 513, 600, 1000, 1023, 1024, 1025)
"""Pixels along a detector of 100 mosaic domains; tiles are up to 512 pixels."""


def main(arguments: list[str]) -> None:
    """Run, print the tables, write bench/results/linear-DATE.json."""
    parser = argparse.ArgumentParser(prog="python -m bench linear", description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    jobs = {(what, name, 2): words for what, row in WORK.items() for name, words in row.items()}
    jobs |= {("threads", f"1000^2 x 1000, {n}", n): WORK["domains"]["1000^2 x 1000"] for n in (1, 2)}
    jobs |= {("edge", str(edge), 1): f"-detpixels {edge} -mosaic_domains 100" for edge in EDGES}
    runs = {key: timed(words, key[2]) for key, words in jobs.items()}
    seconds = {key: [] for key in runs}
    for _ in range(options.repeats):
        for key, (run, _steps) in runs.items():
            seconds[key].append(run())
    rows = [
        {
            "what": what,
            "value": name,
            "threads": threads,
            "seconds": statistics.median(seconds[what, name, threads]),
            "spread": (max(taken) - min(taken)) / statistics.median(taken),
            "ns_per_step_and_thread": statistics.median(taken) * threads / runs[what, name, threads][1] * 1e9,
        }
        for (what, name, threads), taken in seconds.items()
    ]
    table(("what", "value", "threads", "seconds", "spread", "ns_per_step_and_thread"), rows)
    save("linear", {**machine(), "repeats": options.repeats, "rows": rows})


def timed(words: str, threads: int):
    """A function that computes a job in this process and returns its seconds, and the steps of that."""
    from tilesim.engine.inline import run_inline
    from tilesim.engine.job import make_job
    from tilesim.nanobragg.resolve import read_command

    experiment = read_command([*BASE.split(), *words.split(), "-floatfile", os.devnull]).experiment
    job = make_job(experiment, None, "mixed", "cpu", "fused", say=print)

    def once() -> float:
        start = time.perf_counter()
        for _ in run_inline(job, [], threads):
            pass
        return time.perf_counter() - start

    return once, job.evaluations
