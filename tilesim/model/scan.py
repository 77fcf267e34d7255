"""The spindle: its axis and the angles at which the crystal is rendered."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tilesim.errors import InputError
from tilesim.model.vectors import Vector


@dataclass(frozen=True)
class Scan:
    """Equal rotation steps about one axis; the end of the range is not sampled (spec geometry 11)."""

    axis: Vector = (0.0, 0.0, 1.0)
    """Unit vector, right-handed rotation."""
    start: float = 0.0
    """Radians."""
    step: float = 0.0
    """Radians."""
    steps: int = 1

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise InputError(f"{self.steps} phi steps; expected at least one")
        if not (math.isfinite(self.start) and math.isfinite(self.step)):
            raise InputError("a phi angle is NaN or infinite; expected a finite number")

    @property
    def angles(self) -> tuple[float, ...]:
        """Spindle angle of every step, radians."""
        return tuple(self.start + self.step * k for k in range(self.steps))
