"""CPU time of derivatives and normal equations as ratios to the image itself, by the same kernel of the same processor.

The library's own calls, with everything that they do for themselves, over a region of one panel. Where NB_TORCH names a
folder that has the torch port of nanoBragg, its image and backward pass are measured beside (torchport.py).
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import dask
import numpy as np

import tilesim
from bench.record import LYSOZYME, input_flags, machine, save, table
from bench.torchport import port

FLAGS = (
    "-cell 78 78 38 90 90 90 -default_F 100 -N 12 -misset 10 20 30 -distance 100 -lambda 1 -pixel 0.1 "
    "-detpixels {edge} -oversample 1 -nointerpolate"
)
STEPS = {"one step": (512, ""), "100 steps": (128, "-phisteps 5 -osc 0.1 -mosaic_spread 0.3 -mosaic_domains 20")}
"""Edge of the image, and the flags that make so many lattice evaluations of a pixel."""
PORT = {"one step": (1, 1), "100 steps": (5, 20)}
"""Angles and mosaic domains of the same, for the torch port."""
SHAPES = ("square", "round", "gauss", "gauss-hkl")
CRYSTAL = ["crystal.rotation", "crystal.cell"]
BEAM = ["beam.wavelength", "beam.rotation", "beam.fluence", "beam.kahn_factor"]
DETECTOR = ["detector.translation", "detector.rotation"]
EVERY = [*CRYSTAL, "crystal.cells", "crystal.share", *BEAM, *DETECTOR]
AMPLITUDES = tilesim.StructureFactors(np.full((121, 121, 61), 100.0), (-60, -60, -30))
"""Those of the flags as a table, for derivatives with all of them."""
GROUPS = {"rotation, cell": CRYSTAL, "N": ["crystal.cells"], "detector": DETECTOR}


def main(arguments: list[str]) -> None:
    """Run, print the table, write bench/results/gradients-DATE.json."""
    parser = argparse.ArgumentParser(prog="python -m bench gradients", description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--frame", action="store_true", help="peak memory of the lysozyme frame's derivatives instead")
    options = parser.parse_args(arguments)
    if options.frame:
        return save("gradients-frame", {**machine(), **frame()})
    rows = []
    with dask.config.set(scheduler="synchronous"):
        for steps, (edge, more) in STEPS.items():
            for shape in SHAPES:
                experiment = tilesim.from_nanobragg(f"{FLAGS.format(edge=edge)} {more}".split())
                experiment = experiment.replace(crystal=experiment.crystal.replace(shape=shape))
                rows.append({"shape": shape, "evaluations": steps, **ratios(experiment, options.repeats)})
    table(tuple(rows[0]), rows)
    ports = [
        {"evaluations": steps, **found}
        for steps, (edge, (phi, domains)) in {name: (STEPS[name][0], PORT[name]) for name in STEPS}.items()
        if (found := port(edge, phi, domains, options.repeats))
    ]
    if ports:
        print("the torch port, square shape:")
        table(tuple(ports[0]), ports)
    save("gradients", {**machine(), "flags": FLAGS, "repeats": options.repeats, "rows": rows, "torch_port": ports})


def frame() -> dict[str, object]:
    """Normal equations of the lysozyme frame in all parameters, in this process, which has done nothing before."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("TILESIM_BENCH_FOLDER")) as folder:
        data, source = input_flags(Path(folder))
        experiment = tilesim.from_nanobragg([*data, *LYSOZYME])
    before, start = peak_mb(), time.process_time()
    found = tilesim.normal_equations(experiment, np.ones(experiment.shape, np.float32), 1.0, EVERY)
    spent = time.process_time() - start
    row = {
        "before_MB": before,
        "peak_MB": peak_mb(),
        "cpu_s": spent,
        "numbers": len(found.names),
        "pixels": found.pixels,
    }
    table(tuple(row), [row])
    return {"structure_factors": source, **row}


def peak_mb() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def ratios(experiment: tilesim.Experiment, repeats: int) -> dict[str, float]:
    """Milliseconds of the image, and how many times that each kind of derivative takes."""
    image = tilesim.simulate_now(experiment)
    works: dict[str, Callable[[], object]] = {"image": lambda: tilesim.simulate(experiment).compute()}
    for name, names in {"all": EVERY, **GROUPS}.items():
        works[name] = lambda names=names: tilesim.gradient(experiment, names).compute()
    variance = np.maximum(image, 1.0)
    works["normal equations"] = lambda: tilesim.normal_equations(experiment, image, variance, EVERY)
    works["pullback"] = lambda: tilesim.pullback(experiment, image, EVERY)
    listed = experiment.replace(factors=AMPLITUDES)
    works["factors"] = lambda: tilesim.pullback(listed, image, "factors")
    found = seconds(works, repeats)
    forward = found.pop("image")
    return {"image_ms": 1e3 * forward, **{name: one / forward for name, one in found.items()}}


def seconds(works: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """CPU times, the best of some rounds; each does everything once, so that a busy machine slows all of them alike."""
    best = dict.fromkeys(works, np.inf)
    for _ in range(repeats):
        for name, work in works.items():
            start = time.process_time()
            work()
            best[name] = min(best[name], time.process_time() - start)
    return best
