"""Whether pixels can be counts of photons, and which inputs lead to others."""

from __future__ import annotations

import math

from tilesim.engine.statistics import Statistics
from tilesim.errors import TileError
from tilesim.model import Experiment
from tilesim.tiling.tile import Tile

LARGEST_FLUENCE = 1e36
"""Photons per square metre; more are most likely a mistake, as are the next ones."""
LARGEST_FACTOR = 1e10
"""Electrons of a unit cell."""
MOST_CELLS = 1e15


def check_sound(experiment: Experiment, tile: Tile, statistics: Statistics) -> None:
    """Raise TileError where pixels are no counts of photons; nanoBragg, where it is reproduced, has them too."""
    fault = None if experiment.sampling.strict_c else unsound(experiment, statistics)
    if fault is not None:
        raise TileError(f"{tile}: {fault}")


def unsound(experiment: Experiment, statistics: Statistics) -> str | None:
    """One line on pixels that are NaN, infinite or negative, and on the inputs that lead there; None without any."""
    counts = ((statistics.not_finite, "NaN or infinite"), (statistics.negative, "negative"))
    found = [f"{count} of {statistics.pixels} pixels are {what}" for count, what in counts if count]
    if not found:
        return None
    return (
        f"{', '.join(found)}; {' and '.join(suspects(experiment)) or 'expected numbers of a usual size in the input'}"
    )


def suspects(experiment: Experiment) -> list[str]:
    """What in an experiment leads to pixels that are no counts, with the flags that say it."""
    beam, factors = experiment.beam, experiment.factors
    found = []
    if beam.kahn_factor is not None and abs(beam.kahn_factor) > 1:
        found.append(f"the Kahn factor is {beam.kahn_factor:g} (-polar), beyond -1 to 1")
    if not beam.fluence <= LARGEST_FLUENCE:
        found.append(f"the fluence is {beam.fluence:g} photons/m^2 (-fluence, -flux, -exposure, -beamsize)")
    largest = factors.highest
    if not largest <= LARGEST_FACTOR:
        found.append(f"a structure factor is {largest:g} electrons (-hkl, -default_F)")
    if experiment.crystal is not None and not math.prod(map(float, experiment.lattice.cells)) <= MOST_CELLS:
        found.append(f"the crystal has {' x '.join(map(str, experiment.lattice.cells))} cells (-N, -xtalsize)")
    if experiment.crystal is not None and experiment.lattice.fudge < 0:
        found.append(f"the fudge factor of the spots is {experiment.lattice.fudge:g} (-fudge)")
    if experiment.water_size > 1.0:
        found.append(f"the water is {experiment.water_size:g} m wide (-water)")
    return found
