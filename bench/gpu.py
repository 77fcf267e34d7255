"""Steps per second of the kernels on a GPU, and their ratio to nanoBraggCUDA on the same device.

The port's binary is named by NB_CUDA_BIN; without it its columns stay empty. It prints KERNEL_MS, the time of its
kernel alone; ours is the time of the kernels with the device synchronised before and after, results copied back.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from bench.record import GEOMETRY, input_flags, machine, save, table

COMMON = "-nonoise -nopgm -nointerpolate -oversample 1 -Na 36 -Nb 47 -Nc 29 -osc 0.1 -phi 0.1"
PATHS = {
    "square": "-phisteps 100",
    "mosaic 1000": "-phisteps 1 -mosaic_spread 0.3 -mosaic_domains 1000",
    "sources 20": "-phisteps 10 -dispersion 1 -dispsteps 20",
    "round": "-phisteps 100 -round_xtal",
    "gauss": "-phisteps 100 -gauss_xtal",
    "tophat": "-phisteps 100 -tophat_spots",
}


def main(arguments: list[str]) -> None:
    """Run, print the table, write bench/results/gpu-DATE.json."""
    import torch

    parser = argparse.ArgumentParser(prog="python -m bench gpu", description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--paths", nargs="+", choices=PATHS, default=list(PATHS))
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args(arguments)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        data, source = input_flags(Path(scratch))
        for name in options.paths:
            flags = [*data, *GEOMETRY, *COMMON.split(), *PATHS[name].split()]
            rows += measure(name, flags, options.device, options.repeats, Path(scratch))
    table(("path", "kernel", "billion_steps_per_second", "spread", "port_double", "port_single", "ratio"), rows)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    save("gpu", {**machine(), "gpu": gpu, "structure_factors": source, "repeats": options.repeats, "rows": rows})


def measure(name: str, flags: list[str], device: str, repeats: int, folder: Path) -> list[dict]:
    """One path: our kernels and the port's two precisions in turn."""
    kinds = [("fused", "mixed"), ("fused", "double"), ("eager", "mixed")]
    runs = {f"{backend} {precision}": ours(flags, precision, device, backend) for backend, precision in kinds}
    steps = next(iter(runs.values()))[1]
    timed = {kind: run for kind, (run, _) in runs.items()}
    binary = os.environ.get("NB_CUDA_BIN")
    if binary:
        timed |= {p: lambda p=p: port(binary, flags, p, folder) for p in ("double", "single")}
    seconds = {kind: [] for kind in timed}
    for _ in range(repeats):
        for kind, run in timed.items():
            seconds[kind].append(run())
    medians = {kind: statistics.median(taken) for kind, taken in seconds.items()}
    return [
        {
            "path": name,
            "kernel": kind,
            "steps": steps,
            "billion_steps_per_second": steps / medians[kind] / 1e9,
            "spread": (max(seconds[kind]) - min(seconds[kind])) / medians[kind],
            "port_double": binary and steps / medians["double"] / 1e9,
            "port_single": binary and steps / medians["single"] / 1e9,
            # Of the port's precisions only the pairs of floats meet the golden metric.
            "ratio": binary and medians["double"] / medians[kind],
            "flags": " ".join(word for word in flags if "/" not in word),
        }
        for kind in runs
    ]


def ours(flags: list[str], precision: str, device: str, backend: str):
    """A function that computes the image and returns its seconds, and the steps of that."""
    import torch

    from tilesim.compute import simulate_tile
    from tilesim.engine.job import lower_job, make_job
    from tilesim.nanobragg.resolve import read_command

    experiment = read_command([*flags, "-floatfile", os.devnull]).experiment
    job = make_job(experiment, experiment.shape, precision, device, backend)
    kernel = lower_job(job)

    def once() -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        start = time.perf_counter()
        simulate_tile(kernel, job.plan[0])
        return time.perf_counter() - start

    once()
    return once, job.evaluations


def port(binary: str, flags: list[str], precision: str, folder: Path) -> float:
    """Seconds of the port's kernel."""
    words = [binary, *flags, "-noprogress", "-precision", precision, "-floatfile", "port.bin", "-intfile", os.devnull]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
    found = re.search(r"KERNEL_MS\s*[:=]?\s*([0-9.eE+-]+)", done.stdout + done.stderr)
    if found is None:
        raise SystemExit(f"{binary} prints no KERNEL_MS")
    return float(found[1]) / 1e3
