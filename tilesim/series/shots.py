"""Shots while their values are drawn: columns by quantity, each with counters of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tilesim.errors import InputError
from tilesim.model import Experiment
from tilesim.model.checks import instance
from tilesim.model.distribution import Distribution
from tilesim.physics.draws import COUNTERS, Array, Frames
from tilesim.series.sampled import sampled

COMPONENTS = 8
"""Deviates that a quantity may have."""
ORIENTATION, CELL, CELL_ANGLES, CELLS, WAVELENGTH, FLUENCE, BEAM_SHIFT, DISTANCE, MOSAIC, BLANK, LATTICES = range(11)
"""Numbers of the quantities, which their counters begin with; new ones come behind, so that old ones stay."""
FURTHER = 1024
"""Number of the first further lattice, with orientation and share as components; the next ones follow it."""
COUNTED = ("lattices", "cells")
"""What a Poisson distribution may be of."""


@dataclass
class Shots:
    """Shots while their values are drawn."""

    base: Experiment
    frames: Frames
    seed: int
    draws: Mapping[str, Any] = field(default_factory=dict)
    """What is drawn, by name"""
    columns: dict[str, Array] = field(default_factory=dict)
    """Columns of the series"""

    def values(self, what: str, quantity: int, distribution: Any, base: float, component: int = 0) -> Array:
        """A value (n,) of each shot; a number stands for a constant. Raises InputError."""
        if isinstance(distribution, list | tuple):
            if component >= len(distribution):
                raise InputError(
                    f"draw of {what} has {len(distribution)} distributions; expected one for each component"
                )
            distribution = distribution[component]
        if isinstance(distribution, int | float):
            distribution = Distribution("constant", mean=distribution)
        chosen = instance(f"draw of {what}", distribution, Distribution)
        if chosen.name == "poisson" and what not in COUNTED:
            raise InputError(f"a poisson distribution of {what}; expected one of numbers that are not counted")
        return sampled(chosen, self.frames, self.seed, counter_of(quantity, component), base, what)

    def checked(self, what: str, values: Array, good: Any, expected: str) -> Array:
        """The values themselves. Raises InputError where one of them is not good."""
        if not good.all():
            wrong = int(np.argmin(good))
            hint = f"{what} of frame {self.frames[wrong]} is {values[wrong]:.6g}"
            raise InputError(f"{hint}; expected {expected}: bounds (low, high) of the distribution keep it there")
        return values

    def cell(self) -> Array:
        """Unit cells (n, 6), as they are drawn so far."""
        if "unit_cell" in self.columns:
            return self.columns["unit_cell"]
        return np.tile(np.array(self.base.lattice.cell), (len(self.frames), 1))

    def orientation(self) -> Array:
        """Orientations (n, 3, 3) of the first lattice, as they are drawn so far."""
        if "orientation" in self.columns:
            return self.columns["orientation"].reshape(-1, 3, 3)
        return np.broadcast_to(self.base.lattice.orientation, (len(self.frames), 3, 3))

    def add_blank(self, blank: npt.NDArray[np.bool_]) -> None:
        """Make shots blank where they are, beside those that are already."""
        self.columns["blank"] = (blank | (self.columns.get("blank", np.zeros(len(blank))) > 0)).astype(np.int64)


def counter_of(quantity: int, component: int = 0) -> int:
    """The first counter of a deviate."""
    return (quantity * COMPONENTS + component) * COUNTERS
