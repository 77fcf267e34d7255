"""Steps per second of the kernel on one core for the paths that jobs take, and their ratio to the reference program.

A step is one lattice evaluation: pixels x sub-pixels x layers x sources x phi x mosaic. The reference binary is named
by NB_C_BIN; without it the ratio is left empty. The structure factors are those of TILESIM_LYSOZYME, or else of
`tilesim example`, whose table is as large. Both programs are timed in turn, several times, in CPU seconds of one
thread; start-up and reading of the reference are taken off by timing a region of one pixel.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from bench.record import GEOMETRY, input_flags, machine, save, table

DETECTOR = (2463, 2527)
"""Pixels (fast, slow) of the lysozyme geometry."""
PATHS = {
    "square": (512, "-phisteps 10"),
    "round": (512, "-phisteps 10 -round_xtal"),
    "gauss": (512, "-phisteps 10 -gauss_xtal"),
    "tophat": (512, "-phisteps 10 -tophat_spots"),
    "mosaic 100": (256, "-phisteps 1 -mosaic_spread 0.3 -mosaic_domains 100"),
    "sources 100": (256, "-phisteps 1 -dispersion 1 -dispsteps 100"),
    "oversample 4": (256, "-phisteps 1 -oversample 4"),
    "layers 10": (256, "-phisteps 1 -detector_thick 450 -detector_abs 500 -detector_thicksteps 10 -oversample_thick"),
    "no table": (512, "-phisteps 10 -cell 78 78 38 90 90 90 -default_F 100"),
    "tricubic": (128, "-phisteps 10 -interpolate"),
    "single step": (1024, "-phisteps 1"),
}
"""Edge of the region that is timed, in the middle of the detector, and the flags that make the path."""
COMMON = "-nonoise -nopgm -oversample 1 -Na 36 -Nb 47 -Nc 29 -osc 0.1 -phi 0.1"


def main(arguments: list[str]) -> None:
    """Run, print the table, write bench/results/kernel-DATE.json."""
    parser = argparse.ArgumentParser(prog="python -m bench kernel")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--paths", nargs="+", choices=PATHS, default=list(PATHS))
    parser.add_argument("--eager", action="store_true", help="the definition in torch too")
    options = parser.parse_args(arguments)
    kinds = [(b, p) for b in ("fused", *(("eager",) if options.eager else ())) for p in ("mixed", "double")]
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        data, source = input_flags(Path(scratch))
        for name in options.paths:
            rows += measure(name, data, kinds, options.repeats, Path(scratch))
    columns = ("path", "kernel", "million_steps_per_second", "spread", "reference", "ratio")
    table(columns, rows)
    save("kernel", {**machine(), "structure_factors": source, "repeats": options.repeats, "rows": rows})


def measure(name: str, data: list[str], kinds, repeats: int, folder: Path) -> list[dict]:
    """One path: every kind of kernel, and the reference in turn with them."""
    edge, words = PATHS[name]
    left, top = ((n - edge) // 2 for n in DETECTOR)
    flags = [*(data if "-cell" not in words else []), *GEOMETRY, *COMMON.split(), *words.split()]
    flags += [] if "-interpolate" in flags else ["-nointerpolate"]
    region = ["-roi", *map(str, (left, left + edge - 1, top, top + edge - 1))]
    runs, steps = {}, 0
    for backend, precision in kinds:
        runs[backend, precision], steps = time_tilesim([*flags, *region], precision, backend)
    binary = os.environ.get("NB_C_BIN")
    if binary:
        one = ["-roi", *map(str, (left, left, top, top))]
        runs["reference"] = lambda: (
            time_reference(binary, [*flags, *region], folder) - time_reference(binary, [*flags, *one], folder)
        )
    seconds = {key: [] for key in runs}
    for _ in range(repeats):
        for key, run in runs.items():
            seconds[key].append(run())
    reference = statistics.median(seconds["reference"]) if binary else None
    return [
        {
            "path": name,
            "kernel": f"{kind[0]} {kind[1]}",
            "steps": steps,
            "million_steps_per_second": steps / statistics.median(seconds[kind]) / 1e6,
            "spread": (max(seconds[kind]) - min(seconds[kind])) / statistics.median(seconds[kind]),
            "reference": reference and steps / reference / 1e6,
            "ratio": reference and reference / statistics.median(seconds[kind]),
            "flags": " ".join(flags[len(data) if "-cell" not in words else 0 :]),
        }
        for kind in kinds
    ]


def time_tilesim(flags: list[str], precision: str, backend: str):
    """A function that computes the region on this thread and returns its CPU seconds, and the steps of that."""
    from tilesim.compute import simulate_tile
    from tilesim.engine.backend import one_thread_each
    from tilesim.engine.job import lower_job, make_job
    from tilesim.nanobragg.resolve import read_command
    from tilesim.tiling.tile import Tile

    experiment = read_command([*flags, "-floatfile", os.devnull]).experiment
    job = make_job(experiment, None, precision, "cpu", backend, say=print)
    kernel, r = lower_job(job), experiment.region
    tile = Tile(0, 0, r.slow_start, r.slow_stop, r.fast_start, r.fast_stop)
    one_thread_each()
    simulate_tile(kernel, tile)
    often = 3 if backend == "fused" else 1

    def once() -> float:
        start = time.thread_time()
        for _ in range(often):
            simulate_tile(kernel, tile)
        return (time.thread_time() - start) / often

    return once, job.evaluations


def time_reference(binary: str, flags: list[str], folder: Path) -> float:
    """CPU seconds of the reference for these flags, one thread."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run(
        [binary, *flags, "-noprogress", "-floatfile", os.devnull, "-intfile", os.devnull],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
