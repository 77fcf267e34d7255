"""The spindle: its axis and the angles at which the crystal is rendered."""

from __future__ import annotations

import math

from tilesim.frozen import frozen
from tilesim.model import checks
from tilesim.model.noun import Noun, counted, vector
from tilesim.model.vectors import Vector


@frozen(repr=False)
class Scan(Noun):
    """Equal rotation steps about one axis; the end of the range is not sampled (spec geometry 11).

    Raises
    ------
    InputError
        Where the axis is no unit vector, an angle is not finite, or there is less than one step.

    Examples
    --------
    >>> import math
    >>> from tilesim import Scan
    >>> scan = Scan(axis=(0.0, 1.0, 0.0), start=math.radians(10), step=math.radians(0.1), steps=5)
    >>> scan
    Scan
      angles  10 to 10.5° in 5 steps
      axis    about (0 1 0)
    >>> [round(math.degrees(angle), 6) for angle in scan.angles]
    [10.0, 10.1, 10.2, 10.3, 10.4]
    """

    axis: Vector = (0.0, 0.0, 1.0)
    """Unit vector, right-handed rotation. Zero is for reproducing the reference (strict_c) alone."""
    start: float = 0.0
    """Angle of the first step, radians."""
    step: float = 0.0
    """Angle from step to step, radians."""
    steps: int = 1
    """Number of steps, at least one."""

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

    @property
    def oscillation(self) -> float:
        """Range that an image covers, radians; 0 for a still."""
        return self.step * self.steps

    def summary(self) -> dict[str, str]:
        first, last = math.degrees(self.start), math.degrees(self.start + self.oscillation)
        about = f"about {vector(self.axis)}"
        if self.steps == 1 and self.step == 0.0:
            return {"angle": f"still at {first:.6g}°", "axis": about}
        return {"angles": f"{first:.6g} to {last:.6g}° in {counted(self.steps, 'step')}", "axis": about}
