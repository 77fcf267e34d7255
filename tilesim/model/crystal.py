"""The crystal: cell vectors, size in cells, shape, and the orientations of its mosaic domains."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from tilesim.errors import InputError
from tilesim.model.vectors import IDENTITY, Matrix, Vector, cross, dot, scale


class Shape(StrEnum):
    """The shape of the crystal, hence of its spots (spec intensity 4)."""

    SQUARE = "square"
    ROUND = "round"
    GAUSS = "gauss"
    TOPHAT = "tophat"


@dataclass(frozen=True)
class Crystal:
    """A stack of unit cells, unrotated by the spindle."""

    a: Vector
    """Real-space cell vector, metres."""
    b: Vector
    c: Vector
    cells: tuple[int, int, int] = (1, 1, 1)
    """Cells along a, b, c; each at least one."""
    shape: Shape = Shape.SQUARE
    fudge: float = 1.0
    """Multiplies the squared radius of all shapes but the square one."""
    mosaic_rotations: tuple[Matrix, ...] = (IDENTITY,)
    """One rotation matrix per mosaic domain, applied after the spindle."""
    reciprocal: tuple[Vector, Vector, Vector] | None = None
    """a*, b*, c* in 1/m; computed from a, b, c where not given.

    The dialect gives them because the reference's own differ from the true ones for some cells
    (spec geometry 10.5). Gaussian and top-hat spots are measured with them.
    """

    def __post_init__(self) -> None:
        if not all(math.isfinite(x) for v in (self.a, self.b, self.c) for x in v):
            raise InputError("a cell vector holds NaN or infinity; expected finite lengths in metres")
        volume = dot(self.a, cross(self.b, self.c))
        if volume == 0:
            raise InputError("the three cell vectors lie in one plane; expected a cell of non-zero volume")
        if any(n < 1 for n in self.cells):
            raise InputError(f"the crystal has {self.cells} cells; expected at least one along each axis")
        if not self.mosaic_rotations:
            raise InputError("the crystal has no mosaic domain; expected at least one")
        if self.reciprocal is None:
            star = tuple(
                scale(v, 1.0 / volume) for v in (cross(self.b, self.c), cross(self.c, self.a), cross(self.a, self.b))
            )
            object.__setattr__(self, "reciprocal", star)
