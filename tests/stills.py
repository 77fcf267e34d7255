"""A still of a small crystal whose parameters can be refined: its image, noise, and starts that are off."""

import math
from functools import cache

import numpy as np

import tilesim
from tilesim import Beam, Crystal, Detector, Experiment, Panel, StructureFactors
from tilesim.gradients.changed import with_values

READOUT = 2.0
FACTORS = StructureFactors(300.0 * np.sqrt(np.random.default_rng(1).exponential(1.0, (41, 41, 21))), (-20, -20, -10))


@cache
def still(edge=112, cells=6, distance=0.1):
    """About 2,000 photons in the strongest pixel."""
    crystal = Crystal.from_cell(77e-10, 77e-10, 38e-10, cells=(cells,) * 3).rotated((0.3, 1.0, 0.5), 0.7)
    panel = Panel.facing(distance=distance, pixel_size=4.6e-4, shape=(edge, edge))
    found = Experiment(Beam((0.0, 0.0, 1.0), 1e-10, 1e24), crystal, Detector(panel), FACTORS)
    strongest = float(tilesim.simulate_now(found).max())
    return found.replace(beam=found.beam.replace(fluence=2e27 / strongest))


def noisy(experiment, seed=1):
    """Photons as a detector would count them."""
    rng, image = np.random.default_rng(seed), tilesim.simulate_now(experiment).astype(float)
    return rng.poisson(image) + rng.normal(0.0, READOUT, image.shape)


def start(truth, degrees, seed, cell=0.003, distance=1e-4):
    """Turned about a random axis, the cell and the distance off by random signs."""
    rng = np.random.default_rng(seed)
    axis, signs = rng.normal(size=3), rng.choice([-1.0, 1.0], 3)
    a, b, c, *angles = truth.crystal.cell
    lengths = (a * (1 + cell * signs[0]), b * (1 + cell * signs[0]), c * (1 + cell * signs[1]))
    off = truth.replace(crystal=truth.crystal.rotated(axis, math.radians(degrees)))
    return with_values(off, {"crystal.cell": (*lengths, *angles), "detector.distance": distance * signs[2]})


def deviations(frame, truth):
    """Differences from the truth in standard errors, by name, of rotation, cell and distance."""
    found = frame.experiment
    turn = found.crystal.orientation @ truth.crystal.orientation.T
    across = (turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1])
    off = {f"crystal.rotation.{axis}": x / 2.0 for axis, x in zip("xyz", across, strict=True)}
    off |= {f"crystal.cell.{name}": found.crystal.cell[n] - truth.crystal.cell[n] for n, name in ((0, "a"), (2, "c"))}
    off["detector.distance"] = found.detector.panels[0].distance - truth.detector.panels[0].distance
    return {name: off[name] / error for name, error in frame.errors.items() if name in off}
