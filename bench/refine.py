"""Capture radius of refinement: how many seeded starts so far off come back, how exactly, and how long it takes.

The experiment is that of docs/refine.md: a noisy still of a small crystal. Each start is turned about a random axis,
its cell and distance are off by random signs.
"""

from __future__ import annotations

import argparse
import math
import time

import numpy as np

import tilesim
from bench.record import machine, save, table
from tilesim.gradients.changed import with_values

FLAGS = (
    "-cell 77 77 38 90 90 90 -misset 10 20 30 -N {cells} -lambda 1 -distance 100 -pixel 0.24 -detpixels 320 "
    "-oversample 1 -fluence 1e24 -nointerpolate -default_F 1"
)
CELL, DISTANCE, READOUT = 0.003, 1e-4, 2.0
"""What the cell (relative) and the distance (metres) are off, and the read-out noise (photons)."""
PEAK = 3000.0
"""Photons of the strongest pixel."""
VARIED = ["rotation", "cell", "distance", "scale"]


def main(arguments: list[str]) -> None:
    """Run, print the table, write bench/results/refine-DATE.json."""
    parser = argparse.ArgumentParser(prog="python -m bench refine", description=__doc__.splitlines()[0])
    parser.add_argument("--degrees", type=float, nargs="+", default=[0.2, 0.5, 1.0])
    parser.add_argument("--cells", type=int, nargs="+", default=[10, 20])
    parser.add_argument("--starts", type=int, default=20)
    options = parser.parse_args(arguments)
    rows = []
    for cells in options.cells:
        truth = experiment(cells)
        image = tilesim.simulate_now(truth).astype(float)
        rng = np.random.default_rng(1)
        data = rng.poisson(image) + rng.normal(0.0, READOUT, image.shape)
        for degrees in options.degrees:
            rows.append({"N": cells, "degrees off": degrees, **tried(truth, data, degrees, options.starts)})
            table(tuple(rows[-1]), rows[-1:])
    save("refine", {**machine(), "flags": FLAGS, "cell": CELL, "distance": DISTANCE, "rows": rows})


def experiment(cells: int) -> tilesim.Experiment:
    """The experiment that is measured, of random structure factors."""
    found = tilesim.from_nanobragg(FLAGS.format(cells=cells))
    values = 300.0 * np.sqrt(np.random.default_rng(1).exponential(1.0, (61, 61, 41)))
    found = found.replace(factors=tilesim.StructureFactors(values, (-30, -30, -20), default=0.0))
    strongest = float(tilesim.simulate_now(found).max())
    return found.replace(beam=found.beam.replace(fluence=found.beam.fluence * PEAK / strongest))


def start(truth: tilesim.Experiment, degrees: float, seed: int) -> tilesim.Experiment:
    """One start."""
    rng = np.random.default_rng(seed)
    axis, signs = rng.normal(size=3), rng.choice([-1.0, 1.0], 3)
    a, b, c, *angles = truth.crystal.cell
    cell = (a * (1 + CELL * signs[0]), b * (1 + CELL * signs[0]), c * (1 + CELL * signs[1]), *angles)
    off = truth.replace(crystal=truth.crystal.rotated(axis, math.radians(degrees)))
    return with_values(off, {"crystal.cell": cell, "detector.distance": DISTANCE * signs[2]})


def tried(truth: tilesim.Experiment, data: np.ndarray, degrees: float, starts: int) -> dict[str, float]:
    """How many starts came back, and how far they are then in standard errors."""
    back, far, seconds, steps = 0, [], [], []
    for seed in range(starts):
        begun = time.process_time()
        found = tilesim.refine(start(truth, degrees, seed), data, VARIED, readout=READOUT)
        seconds.append(time.process_time() - begun)
        distance = deviations(found.frames[0], truth)
        back += int(found.converged and distance < 5.0)
        far.append(distance)
        steps.append(len(found.history))
    return {
        "starts": starts,
        "back": back,
        "median deviation": float(np.median(far)),
        "passes": float(np.mean(steps)),
        "cpu_seconds": float(np.mean(seconds)),
    }


def deviations(frame: object, truth: tilesim.Experiment) -> float:
    """The largest difference from the truth in standard errors, over rotation, cell and distance."""
    found, errors = frame.experiment, frame.errors
    turn = found.crystal.orientation @ truth.crystal.orientation.T
    across = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]]) / 2.0
    off = {f"crystal.rotation.{axis}": x for axis, x in zip("xyz", across, strict=True)}
    off |= {f"crystal.cell.{name}": found.crystal.cell[n] - truth.crystal.cell[n] for n, name in ((0, "a"), (2, "c"))}
    off["detector.distance"] = found.detector.panels[0].distance - truth.detector.panels[0].distance
    return max(abs(value) / errors[name] for name, value in off.items())
