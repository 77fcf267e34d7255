"""The crystal: cell vectors, size in cells, shape, and the orientations of its mosaic domains."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.model import checks
from tilesim.model.diffuse import Diffuse
from tilesim.model.mosaic import MosaicFrame, MosaicSpread, SizeSpread
from tilesim.model.noun import Noun, counted
from tilesim.model.shape import Shape
from tilesim.model.unitcell import FLAT, cell_of, standard_vectors
from tilesim.model.vectors import IDENTITY, Matrix, Vector, add, cross, dot, norm, reciprocal, rotate_about, scale, unit

LENGTHS = (1e-15, 1e-2)
"""Metres: wide enough for any use, narrow enough to show angstrom or nanometres."""


@frozen(repr=False)
class Crystal(Noun):
    """A stack of unit cells, unrotated by the spindle.

    Raises
    ------
    InputError
        Where the cell vectors are not in metres or lie in one plane, where numbers of cells are not above 0, where a
        mosaic rotation is no rotation, or where the shape has no such field.

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
    cells: tuple[float, float, float] = (1, 1, 1)
    """Cells along a, b, c; real numbers above 0."""
    shape: Shape = Shape.SQUARE
    """A `Shape` or its value: square, round, gauss, tophat, gauss-hkl, tophat-hkl."""
    fudge: float = 1.0
    """Multiplies the squared radius of all shapes but the square one."""
    mosaic_rotations: tuple[Matrix, ...] = (IDENTITY,)
    """One rotation matrix per mosaic domain, applied after the spindle (or before it, see `mosaic_frame`)."""
    reciprocal: tuple[Vector, Vector, Vector] | None = None
    """a*, b*, c* in 1/m, as given; see `star`.

    The dialect gives them because the reference's own differ from the true ones for some cells
    (spec geometry 10.5). Reflections of the shapes gauss and tophat are measured with them. New cell vectors discard
    them.
    """
    cells_off_diagonal: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Nd, Ne, Nf, what the matrix N of an oriented crystal has beside its diagonal: of a and b, b and c, a and c.

    For the shapes gauss-hkl and tophat-hkl; see `cells_matrix`.
    """
    unit_height: bool = False
    """Whether the lattice factor on a node is 1, not the number of cells; for the shapes gauss-hkl and tophat-hkl."""
    mosaic_spread: MosaicSpread | None = None
    """Gaussian mosaic spread, in place of `mosaic_rotations`."""
    mosaic_frame: MosaicFrame = MosaicFrame.LAB
    """Frame of the mosaic rotations and of an anisotropic spread: a `MosaicFrame` or its value, lab or crystal."""
    sizes: SizeSpread | None = None
    """Sizes of the mosaic domains; None: all are as `cells` says."""
    share: float = 1.0
    """Share of the flux or of the volume: a factor on the intensity, 0 or more."""
    diffuse: Diffuse | None = None
    """Diffuse scattering between the reflections."""
    blocks: float = 1.0
    """Mosaic blocks that the beam meets, each of so many `cells`: a factor on the intensity, since those of blocks add.

    `tilesim.crystal_of_size` knows the number of a crystal's size. It has nothing to do with the number of mosaic
    domains, over whose orientations intensities are averaged.
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
            cells=checks.counts("cells of the crystal", self.cells, 3),
            shape=checks.choice("shape of the crystal", self.shape, Shape),
            fudge=checks.number("fudge factor", self.fudge),
            mosaic_rotations=checks.rotations("mosaic rotations", self.mosaic_rotations),
        )
        checks.coerce(
            self,
            cells_off_diagonal=checks.numbers("cells_off_diagonal of the crystal", self.cells_off_diagonal, 3),
            unit_height=checks.flag("unit_height", self.unit_height),
            mosaic_frame=checks.choice("frame of the mosaic rotations", self.mosaic_frame, MosaicFrame),
            share=checks.not_negative("share of the crystal", self.share),
            blocks=checks.positive("blocks of the crystal", self.blocks),
        )
        for name, kind in (("mosaic_spread", MosaicSpread), ("sizes", SizeSpread), ("diffuse", Diffuse)):
            if getattr(self, name) is not None:
                checks.instance(f"{name} of the crystal", getattr(self, name), kind)
        if self.mosaic_spread is not None and self.mosaic_rotations != (IDENTITY,):
            raise InputError("mosaic_spread and mosaic_rotations; expected one of them")
        if self.mosaic_spread is not None and self.mosaic_frame == MosaicFrame.CRYSTAL:
            self.mosaic_spread.check(self._axes)
        self._check_shape()
        if not self.mosaic_rotations:
            raise InputError("the crystal has no mosaic domain; expected at least one")
        if self.reciprocal is not None:
            if len(self.reciprocal) != 3:
                raise InputError(f"the crystal has {len(self.reciprocal)} reciprocal vectors; expected three or None")
            star = (checks.three_vector("reciprocal cell vector", v) for v in self.reciprocal)
            checks.coerce(self, reciprocal=tuple(star))

    def _check_shape(self) -> None:
        """Raise InputError where the shape has not what some fields say."""
        oriented = any(self.cells_off_diagonal)
        for name, said in (("cells_off_diagonal", oriented), ("unit_height", self.unit_height)):
            if said and not self.shape.in_hkl:
                raise InputError(f"{name} with the shape {self.shape}; expected the shape gauss-hkl or tophat-hkl")
        if oriented and not _determinant(self.cells_matrix) > FLAT * math.prod(map(float, self.cells)):
            raise InputError(
                f"cells {self.cells} with cells_off_diagonal {self.cells_off_diagonal} make a matrix N without a "
                "volume; expected a determinant above 0"
            )

    @property
    def cells_matrix(self) -> tuple[Vector, Vector, Vector]:
        """N (3, 3), rows [Na Nd Nf], [Nd Nb Ne], [Nf Ne Nc]: N times the distance in h, k, l is that in cells."""
        (na, nb, nc), (nd, ne, nf) = map(float, self.cells), self.cells_off_diagonal
        return (na, nd, nf), (nd, nb, ne), (nf, ne, nc)

    @property
    def node_factor(self) -> float:
        """Lattice factor on a node, but for the constant of a round crystal: the cells of the crystal, or 1."""
        if self.unit_height:
            return 1.0
        return _determinant(self.cells_matrix) if any(self.cells_off_diagonal) else math.prod(map(float, self.cells))

    @property
    def tallest(self) -> float:
        """`node_factor` of the largest domains."""
        largest = 1.0 if self.sizes is None or self.unit_height else max(self.sizes.factors)
        return self.node_factor * largest**3

    @property
    def weight(self) -> float:
        """Factor on the intensity of one block: all of them, times the share."""
        return self.share * self.blocks

    @cached_property
    def mosaic_matrices(self) -> np.ndarray:
        """The mosaic rotations as one array (n, 3, 3), which all kernels of this crystal share."""
        if self.mosaic_spread is not None:
            matrices = self.mosaic_spread.rotations(None if self.mosaic_frame == MosaicFrame.LAB else self._axes)
        else:
            matrices = np.array(self.mosaic_rotations, dtype=np.float64).reshape(-1, 3, 3)
        matrices.setflags(write=False)
        return matrices

    @property
    def _axes(self) -> tuple[Vector, ...]:
        """Unit vectors along a, b, c."""
        return tuple(map(unit, (self.a, self.b, self.c)))

    @property
    def domains(self) -> int:
        """Mosaic domains."""
        return len(self.mosaic_rotations) if self.mosaic_spread is None else self.mosaic_spread.domains

    @property
    def orientations(self) -> int:
        """Lattice evaluations of one spindle step: mosaic domains of every size."""
        return self.domains * (1 if self.sizes is None else len(self.sizes.factors))

    def plain_mosaic(self) -> bool:
        """Whether mosaic rotations in the frame of the laboratory are all there is, as for nanoBragg."""
        unusual = (self.mosaic_spread, self.sizes, self.diffuse)
        return unusual == (None, None, None) and self.mosaic_frame == MosaicFrame.LAB and self.weight == 1.0

    def grown(self, factor: float) -> Self:
        """The crystal of a size that is `factor` times this one's along each axis. Raises InputError."""
        cells = tuple(n * factor for n in self.cells)
        return self.replace(cells=cells, cells_off_diagonal=scale(self.cells_off_diagonal, factor))

    def with_domains(self, rotations: Any) -> Self:
        """The crystal with these mosaic rotations, and no spread. Raises InputError."""
        return self.replace(mosaic_spread=None, mosaic_rotations=rotations)

    @property
    def star(self) -> tuple[Vector, Vector, Vector]:
        """a*, b*, c* in 1/m: those given, else those of a, b, c."""
        return reciprocal(self.a, self.b, self.c) if self.reciprocal is None else self.reciprocal

    @property
    def cell(self) -> tuple[float, float, float, float, float, float]:
        """Unit cell: a, b, c in metres, alpha, beta, gamma in radians."""
        return cell_of(self.a, self.b, self.c)

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

        Mosaic rotations stay as they are, only the axes of an anisotropic spread in the frame of the crystal turn.
        Raises InputError.

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
        turned = [(dot(u[0:3], v), dot(u[3:6], v), dot(u[6:9], v)) for v in standard_vectors(*self.cell)]
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
        rows = {
            "cell": " ".join(f"{x * 1e10:.5g}" for x in lengths)
            + " Å "
            + " ".join(f"{math.degrees(x):.5g}" for x in angles)
            + "°",
            "size": f"{' x '.join(f'{n:.10g}' for n in self.cells)} cells",
            "shape": str(self.shape) if self.fudge == 1.0 else f"{self.shape}, fudge {self.fudge:g}",
        }
        if any(self.cells_off_diagonal):
            rows["size"] += " ({:g} {:g} {:g} off the diagonal)".format(*self.cells_off_diagonal)
        if self.blocks != 1.0:
            rows["size"] += f", {self.blocks:.6g} blocks"
        if self.unit_height:
            rows["shape"] += ", of height 1"
        if self.mosaic_spread is not None:
            rows["mosaic"] = self.mosaic_spread.text
        elif self.domains > 1:
            rows["mosaic"] = counted(self.domains, "mosaic domain")
        if self.mosaic_frame != MosaicFrame.LAB:
            rows["frame"] = f"mosaic rotations in the frame of the {self.mosaic_frame}"
        if self.sizes is not None:
            rows["sizes"] = self.sizes.text
        if self.diffuse is not None:
            rows["diffuse"] = f"diffuse scattering, gamma {self.diffuse.text}"
        if self.share != 1.0:
            rows["share"] = f"share {self.share:.6g}"
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
        return cls(*standard_vectors(a, b, c, alpha, beta, gamma), **fields)


def _determinant(rows: tuple[Vector, Vector, Vector]) -> float:
    return dot(rows[0], cross(rows[1], rows[2]))
