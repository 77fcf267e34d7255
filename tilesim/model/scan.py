"""The spindle: its axis and the angles at which the crystal is rendered."""

from __future__ import annotations

from dataclasses import dataclass

from tilesim.model import checks
from tilesim.model.noun import Noun
from tilesim.model.vectors import Vector


@dataclass(frozen=True)
class Scan(Noun):
    """Equal rotation steps about one axis; the end of the range is not sampled (spec geometry 11)."""

    axis: Vector = (0.0, 0.0, 1.0)
    """Unit vector, right-handed rotation. Zero is for reproducing the reference (strict_c) alone."""
    start: float = 0.0
    """Radians."""
    step: float = 0.0
    """Radians."""
    steps: int = 1

    def __post_init__(self) -> None:
        checks.coerce(
            self,
            axis=checks.unit_vector("spindle axis", self.axis, or_zero=True),
            start=checks.finite("phi start", self.start),
            step=checks.finite("phi step", self.step),
            steps=checks.whole_number("phi steps", self.steps, at_least=1),
        )

    @property
    def angles(self) -> tuple[float, ...]:
        """Spindle angle of every step, radians."""
        return tuple(self.start + self.step * k for k in range(self.steps))
