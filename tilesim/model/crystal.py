"""The crystal: cell vectors, size in cells, shape, and the orientations of its mosaic domains."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, Self

import numpy as np

from tilesim.errors import InputError
from tilesim.model import checks
from tilesim.model.noun import Noun, counted
from tilesim.model.vectors import IDENTITY, Matrix, Vector, add, cross, dot, norm, reciprocal, rotate_about, scale, unit

LENGTHS = (1e-15, 1e-2)
"""Metres: wide enough for any use, narrow enough to show angstrom or nanometres."""
FLAT = 1e-12
"""A cell of less volume, relative to that of a box with the same edges, lies in a plane but for rounding."""
ANGLES = ("alpha", "beta", "gamma")


class Shape(StrEnum):
    """Shape of the crystal, hence of its reflections (spec intensity 4); its value, such as "gauss", will do.

    Examples
    --------
    >>> from tilesim import Crystal, Shape
    >>> Crystal.from_cell(5e-9, 6e-9, 7e-9, shape="gauss").shape is Shape.GAUSS
    True
    """

    SQUARE = "square"
    """A block of cells: sin(pi N x) / sin(pi x) along each axis, with side maxima."""
    ROUND = "round"
    """A round crystal: the transform of a ball, with side maxima in rings."""
    GAUSS = "gauss"
    """A Gaussian around every reciprocal lattice point."""
    TOPHAT = "tophat"
    """The same everywhere within a ball around every reciprocal lattice point, and nothing beyond."""


@dataclass(frozen=True, repr=False)
class Crystal(Noun):
    """A stack of unit cells, unrotated by the spindle.

    Raises
    ------
    InputError
        Where the cell vectors are not in metres or lie in one plane, where there is less than one cell along a vector,
        or where a mosaic rotation is no rotation.

    Examples
    --------
    >>> from tilesim import Crystal
    >>> crystal = Crystal(a=(79e-10, 0.0, 0.0), b=(0.0, 79e-10, 0.0), c=(0.0, 0.0, 38e-10), cells=(10, 10, 20))
    >>> crystal
    Crystal
      cell   79 79 38 Å 90 90 90°
      size   10 x 10 x 20 cells
      shape  square
    >>> [round(1e-9 * x, 6) for x in crystal.star[0]]  # a*, 1/nm
    [0.126582, 0.0, 0.0]
    """

    a: Vector
    """First cell vector in real space, metres, 1e-15 to 1e-2 long."""
    b: Vector
    """Second cell vector, as a."""
    c: Vector
    """Third cell vector, as a."""
    cells: tuple[int, int, int] = (1, 1, 1)
    """Cells along a, b, c; each at least one."""
    shape: Shape = Shape.SQUARE
    """A `Shape` or its value: square, round, gauss, tophat."""
    fudge: float = 1.0
    """Multiplies the squared radius of all shapes but the square one."""
    mosaic_rotations: tuple[Matrix, ...] = (IDENTITY,)
    """One rotation matrix per mosaic domain, applied after the spindle."""
    reciprocal: tuple[Vector, Vector, Vector] | None = None
    """a*, b*, c* in 1/m, as given; see `star`.

    The dialect gives them because the reference's own differ from the true ones for some cells
    (spec geometry 10.5). Gaussian and top-hat reflections are measured with them. New cell vectors discard them.
    """

    def __post_init__(self) -> None:
        for name in "abc":
            vector = checks.three_vector(f"cell vector {name}", getattr(self, name))
            checks.length(f"length of cell vector {name}", norm(vector), *LENGTHS, checks.ANGSTROM)
            checks.coerce(self, **{name: vector})
        if abs(dot(self.a, cross(self.b, self.c))) <= FLAT * norm(self.a) * norm(self.b) * norm(self.c):
            raise InputError("the three cell vectors lie in one plane; expected a cell of non-zero volume")
        checks.coerce(
            self,
            cells=checks.whole_numbers("cells of the crystal", self.cells, 3, at_least=1),
            shape=checks.choice("shape of the crystal", self.shape, Shape),
            fudge=checks.number("fudge factor", self.fudge),
            mosaic_rotations=checks.rotations("mosaic rotations", self.mosaic_rotations),
        )
        if not self.mosaic_rotations:
            raise InputError("the crystal has no mosaic domain; expected at least one")
        if self.reciprocal is not None:
            if len(self.reciprocal) != 3:
                raise InputError(f"the crystal has {len(self.reciprocal)} reciprocal vectors; expected three or None")
            star = (checks.three_vector("reciprocal cell vector", v) for v in self.reciprocal)
            checks.coerce(self, reciprocal=tuple(star))

    @cached_property
    def mosaic_matrices(self) -> np.ndarray:
        """The mosaic rotations as one array (n, 3, 3), which all kernels of this crystal share."""
        matrices = np.array(self.mosaic_rotations, dtype=np.float64).reshape(-1, 3, 3)
        matrices.setflags(write=False)
        return matrices

    @property
    def star(self) -> tuple[Vector, Vector, Vector]:
        """a*, b*, c* in 1/m: those given, else those of a, b, c."""
        return reciprocal(self.a, self.b, self.c) if self.reciprocal is None else self.reciprocal

    @property
    def cell(self) -> tuple[float, float, float, float, float, float]:
        """Unit cell: a, b, c in metres, alpha, beta, gamma in radians."""
        a, b, c = self.a, self.b, self.c
        angles = (math.atan2(norm(cross(u, v)), dot(u, v)) for u, v in ((b, c), (a, c), (a, b)))
        return (norm(a), norm(b), norm(c), *angles)  # type: ignore[return-value]

    @property
    def spread(self) -> float:
        """Largest angle of a mosaic rotation, radians."""
        rotations = self.mosaic_matrices
        across = rotations - rotations.transpose(0, 2, 1)
        sine = np.sqrt(across[:, 0, 1] ** 2 + across[:, 0, 2] ** 2 + across[:, 1, 2] ** 2) / 2.0
        cosine = (np.trace(rotations, axis1=1, axis2=2) - 1.0) / 2.0
        return float(np.arctan2(sine, cosine).max())

    @property
    def orientation(self) -> np.ndarray:
        """U (3, 3) of Busing and Levy: the rotation from the frame of `from_cell`, where it is the identity.

        There a* runs along x and b* lies in the x-y plane.
        """
        a, b, c, *angles = self.cell
        standard = type(self).from_cell(a, b, c, *angles)
        # Orthogonal but for rounding; a left-handed cell makes it a rotoinversion.
        u, _, v = np.linalg.svd(np.array([self.a, self.b, self.c]).T @ np.array(standard.star))
        rotation: np.ndarray = u @ v
        return rotation

    def rotated(self, axis: Sequence[float], angle: float) -> Self:
        """The crystal turned about `axis` (any length) by `angle` radians, right-handed; its cell stays the same.

        Mosaic rotations are those of the laboratory and stay as they are. Raises InputError.

        >>> import math
        >>> from tilesim import Crystal
        >>> turned = Crystal.from_cell(5e-9, 6e-9, 7e-9).rotated((0.0, 0.0, 1.0), math.pi / 2)
        >>> [round(1e9 * x, 6) for x in turned.a]  # nm
        [0.0, 5.0, 0.0]
        """
        about = unit(checks.direction("axis of the rotation", axis))
        angle = checks.finite("angle of the rotation", angle)
        return self.transformed(lambda v: rotate_about(v, about, angle))

    def oriented(self, orientation: Any) -> Self:
        """The same cell in another `orientation`, (3, 3) or 9 numbers row by row. Raises InputError."""
        [u] = checks.rotations("orientation", [orientation])
        a, b, c, *angles = self.cell
        standard = type(self).from_cell(a, b, c, *angles)
        turned = [(dot(u[0:3], v), dot(u[3:6], v), dot(u[6:9], v)) for v in (standard.a, standard.b, standard.c)]
        pairs = list(zip(turned, reciprocal(self.a, self.b, self.c), strict=True))
        return self.transformed(lambda v: add(*(scale(axis, dot(star, v)) for axis, star in pairs)))

    def transformed(self, turn: Callable[[Vector], Vector]) -> Self:
        """The crystal with all its cell vectors turned alike."""
        star = self.reciprocal and tuple(map(turn, self.reciprocal))
        return self.replace(a=turn(self.a), b=turn(self.b), c=turn(self.c), reciprocal=star)

    def _following(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        return {"reciprocal": None} if changes.keys() & {"a", "b", "c"} else {}

    def summary(self) -> dict[str, str]:
        lengths, angles = self.cell[:3], self.cell[3:]
        domains = len(self.mosaic_rotations)
        rows = {
            "cell": " ".join(f"{x * 1e10:.5g}" for x in lengths)
            + " Å "
            + " ".join(f"{math.degrees(x):.5g}" for x in angles)
            + "°",
            "size": f"{self.cells[0]} x {self.cells[1]} x {self.cells[2]} cells",
            "shape": str(self.shape) if self.fudge == 1.0 else f"{self.shape}, fudge {self.fudge:g}",
        }
        if domains > 1:
            rows["mosaic"] = counted(domains, "mosaic domain")
        return rows

    @classmethod
    def from_cell(
        cls,
        a: float,
        b: float,
        c: float,
        alpha: float = math.pi / 2,
        beta: float = math.pi / 2,
        gamma: float = math.pi / 2,
        **fields: Any,
    ) -> Self:
        """The crystal of a unit cell in a standard orientation.

        a* runs along x and b* lies in the x-y plane, hence c along z: the orientation of nanoBragg's -cell
        (docs/corrections.md, K6).

        Parameters
        ----------
        a, b, c
            Lengths of the cell, metres.
        alpha, beta, gamma
            Angles of the cell, radians.
        fields
            The other fields of a crystal.

        Raises
        ------
        InputError
            Where no such cell exists.

        Examples
        --------
        >>> import math
        >>> from tilesim import Crystal
        >>> Crystal.from_cell(5e-9, 5e-9, 9e-9, gamma=math.radians(120), cells=(8, 8, 4))
        Crystal
          cell   50 50 90 Å 90 90 120°
          size   8 x 8 x 4 cells
          shape  square
        """
        a, b, c = (checks.positive(f"cell length {name}", x) for name, x in (("a", a), ("b", b), ("c", c)))
        angles = [checks.positive(f"cell angle {n}", x) for n, x in zip(ANGLES, (alpha, beta, gamma), strict=True)]
        for name, angle in zip(ANGLES, angles, strict=True):
            if angle >= math.pi:
                hint = f"; did you mean math.radians({angle:g})?" if angle < 180 else ""
                raise InputError(f"cell angle {name} is {angle:g}; expected radians, below pi{hint}")
        cos_al, cos_be, cos_ga = _cosines(angles)
        sin_al = math.sin(angles[0])
        y = (cos_ga - cos_be * cos_al) / sin_al
        x_squared = 1.0 - cos_be * cos_be - y * y
        if not x_squared > FLAT:
            raise InputError(f"cell angles of {', '.join(f'{x:g}' for x in angles)} close no cell; expected a volume")
        return cls(
            (a * math.sqrt(x_squared), a * y, a * cos_be), (0.0, b * sin_al, b * cos_al), (0.0, 0.0, c), **fields
        )


def _cosines(angles: Sequence[float]) -> tuple[float, ...]:
    """Exactly zero for a right angle: a box keeps its axes."""
    return tuple(0.0 if angle == math.pi / 2 else math.cos(angle) for angle in angles)
