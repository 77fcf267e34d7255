"""What is gained by leaving out pixels beyond all structure factors: CPU time of a frame with and without.

The frame is that of lysozyme (TILESIM_LYSOZYME, or else the synthetic example), with its whole table and with one
cut at a resolution. Both kernels take turns on one thread, tile by tile; their pixels are compared byte by byte.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.record import LYSOZYME, input_flags, machine, save, table

PHI_STEPS = (10, 1)


def main(arguments: list[str]) -> None:
    """Run, print the table, write bench/results/outermost-DATE.json."""
    parser = argparse.ArgumentParser(prog="python -m bench outermost", description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cut", type=float, default=2.5, help="resolution in angstrom at which the table is cut")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        data, source = input_flags(Path(folder))
        whole = experiment_of([*data, *LYSOZYME])
    rows = []
    for name, frame in (("whole table", whole), (f"cut at {options.cut:g} Å", cut(whole, options.cut * 1e-10))):
        for steps in PHI_STEPS:
            one = frame.replace(scan=frame.scan.replace(steps=steps))
            rows.append({"table": name, "phi_steps": steps, **measure(one, options.repeats)})
    table(("table", "phi_steps", "resolution", "zero_pixels", "all", "skipping", "gain"), rows)
    save("outermost", {**machine(), "structure_factors": source, "repeats": options.repeats, "rows": rows})


def experiment_of(flags: list[str]):
    """The experiment that a command line of nanoBragg's describes."""
    from tilesim.nanobragg.resolve import read_command

    return read_command([*flags, "-floatfile", os.devnull]).experiment


def cut(experiment, resolution: float):
    """The same without the reflections beyond a resolution in metres."""
    factors, star = (
        experiment.factors,
        np.linalg.inv([experiment.crystal.a, experiment.crystal.b, experiment.crystal.c]),
    )
    axes = (np.arange(n) + low for n, low in zip(factors.grid.shape, factors.minimum, strict=True))
    lengths = np.linalg.norm(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) @ star.T, axis=-1)
    return experiment.replace(factors=factors.replace(grid=np.where(lengths <= 1 / resolution, factors.grid, 0.0)))


def measure(experiment, repeats: int) -> dict:
    """CPU seconds of all pixels, and how many of them are zero."""
    from tilesim.kernels import fused

    kernels = {"all": fused.lower(experiment, skip=False), "skipping": fused.lower(experiment)}
    numbers = np.arange(experiment.shape[0] * experiment.shape[1])
    blocks = np.array_split(numbers, len(numbers) // fused.BLOCK + 1)
    seconds: dict[str, list[float]] = {name: [] for name in kernels}
    for _ in range(repeats):
        images = {}
        for name, kernel in kernels.items():
            start = time.thread_time()
            images[name] = [kernel.photons(block)[0] for block in blocks]
            seconds[name].append(time.thread_time() - start)
        every, some = (np.concatenate(images[name]) for name in kernels)
        if every.tobytes() != some.tobytes():
            raise SystemExit("the image changes where pixels are left out")
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    dark = float(np.mean(some == 0.0))
    resolution = 1e10 / np.sqrt(kernels["skipping"]._grains[0].outermost)
    gain = medians["all"] / medians["skipping"]
    return {**medians, "gain": gain, "zero_pixels": dark, "resolution": float(resolution), "seconds": seconds}
