"""Steps per second of the kernel on one core, for the lysozyme geometry, and their ratio to the reference program.

A step is one lattice evaluation: pixels x sub-pixels x layers x sources x phi x mosaic. The reference binary is named
by NB_C_BIN; without it the ratio is left empty. The structure factors are those of TILESIM_LYSOZYME, or else of
`tilesim example`, whose table is as large. Both programs are timed in turn, several times, in CPU seconds; start-up
and reading of the reference are taken off by timing a region of one pixel.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import tempfile
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
WIDTH = HEIGHT = 512
"""Of the region that is timed, in the middle of the detector."""
FLAGS = (
    "-nonoise -nopgm -nointerpolate -oversample 1 -exposure 1 -flux 1e18 -beamsize 1.0 -spindle_axis -1 0 0 "
    "-Xbeam 217.742295 -Ybeam 213.907080 -distance 231.274660 -lambda 0.976800 -pixel 0.172 -detpixels_x 2463 "
    "-detpixels_y 2527 -odet_vector -0.000088 0.004914 -0.999988 -sdet_vector -0.005998 -0.999970 -0.004913 "
    "-fdet_vector 0.999982 -0.005998 -0.000118 -beam_vector 0.00051387949 0.0 -0.99999986 -Na 36 -Nb 47 -Nc 29 "
    "-osc 0.1 -phi 0.1 -phisteps 10"
).split()


def input_flags(folder: Path) -> tuple[list[str], str]:
    """-mat and -hkl of the real data, or of the synthetic example written into `folder`."""
    real = os.environ.get("TILESIM_LYSOZYME")
    if real:
        return ["-mat", f"{real}/A.mat", "-hkl", f"{real}/scaled.hkl"], "lysozyme"
    from tilesim.example import write_example

    write_example(folder / "example")
    return ["-mat", f"{folder}/example/A.mat", "-hkl", f"{folder}/example/lysozyme.hkl"], "synthetic"


def time_tilesim(flags: list[str], precision: str, backend: str):
    """A function that computes the region once on this thread and returns its CPU seconds."""
    import torch

    from tilesim.compute import simulate_tile
    from tilesim.nanobragg.resolve import read_command
    from tilesim.run.job import lower_job, make_job

    torch.set_num_threads(1)
    experiment = read_command([*flags, "-floatfile", os.devnull]).experiment
    job = make_job(experiment, experiment.shape, precision, "cpu", backend)
    lowered = lower_job(job)
    simulate_tile(lowered, job.plan[0])

    def once() -> float:
        start = time.thread_time()
        simulate_tile(lowered, job.plan[0])
        return time.thread_time() - start

    return once


def time_reference(binary: str, flags: list[str], folder: Path) -> float:
    """CPU seconds of the reference for these flags, one thread."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run(
        [binary, *flags, "-noprogress", "-floatfile", os.devnull, "-intfile", os.devnull],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def main(arguments: list[str]) -> None:
    """Run, print the table, write bench/results/kernel-DATE.json."""
    parser = argparse.ArgumentParser(prog="python -m bench kernel")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--backends", nargs="+", default=["eager", "compiled"])
    options = parser.parse_args(arguments)
    binary = os.environ.get("NB_C_BIN")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        data, source = input_flags(folder)
        left, top = (2463 - WIDTH) // 2, (2527 - HEIGHT) // 2
        region = [left, left + WIDTH - 1, top, top + HEIGHT - 1]
        flags = [*data, *FLAGS]
        steps = WIDTH * HEIGHT * 10
        runs = {
            f"tilesim {backend} {precision}": time_tilesim([*flags, "-roi", *map(str, region)], precision, backend)
            for backend in options.backends
            for precision in ("mixed", "double")
        }
        if binary:
            one = ["-roi", str(left), str(left), str(top), str(top)]
            runs["reference C"] = lambda: (
                time_reference(binary, [*flags, "-roi", *map(str, region)], folder)
                - time_reference(binary, [*flags, *one], folder)
            )
        seconds = {name: [] for name in runs}
        for _ in range(options.repeats):
            for name, run in runs.items():
                seconds[name].append(run())
    reference = statistics.median(seconds["reference C"]) if binary else None
    rows = [
        {
            "kernel": name,
            "million_steps_per_second": steps / statistics.median(times) / 1e6,
            "spread": (max(times) - min(times)) / statistics.median(times),
            "ratio": reference and reference / statistics.median(times),
        }
        for name, times in seconds.items()
    ]
    print(f"{'kernel, one core':<26} {'M steps/s':>10} {'spread':>8} {'x reference':>12}")
    for row in rows:
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        print(f"{row['kernel']:<26} {row['million_steps_per_second']:>10.1f} {row['spread']:>8.0%} {ratio:>12}")
    save("kernel", {**machine(), "structure_factors": source, "steps": steps, "repeats": options.repeats, "rows": rows})


def machine() -> dict:
    """What the figures were measured on, and when."""
    return {
        "date": date.today().isoformat(),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "versions": {"python": platform.python_version(), "torch": version("torch"), "tilesim": version("tilesim")},
    }


def save(name: str, result: dict, add: bool = False) -> None:
    """Write bench/results/NAME-DATE.json, or `add` to what is there."""
    path = HERE / "results" / f"{name}-{date.today().isoformat()}.json"
    if add and path.exists():
        result = json.loads(path.read_text()) | result
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"wrote {path.relative_to(HERE.parent)}")


def cpu_model() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
