"""Diffuse scattering of a crystal whose molecules move like a liquid: how far, and over which distance together."""

from __future__ import annotations

from enum import StrEnum
from functools import cache

import numpy as np

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.model import checks
from tilesim.model.mosaic import MosaicFrame
from tilesim.model.noun import Noun

MOST_STENCIL = 5
"""Nodes on each side along an axis; more than a thousand in all."""


class Rotations(StrEnum):
    """Group of rotations over which diffuse scattering is averaged: the Laue class without its inversion.

    Examples
    --------
    >>> from tilesim import Rotations
    >>> Rotations("222").matrices.shape
    (4, 3, 3)
    """

    P1 = "1"
    P2 = "2"
    """About b."""
    P222 = "222"
    P4 = "4"
    P422 = "422"
    P3 = "3"
    P321 = "321"
    P312 = "312"
    P6 = "6"
    P622 = "622"
    P23 = "23"
    P432 = "432"

    @property
    def matrices(self) -> np.ndarray:
        """The rotations (n, 3, 3) of Miller indices, as columns h, k, l."""
        return _group(str(self))


_TURNS = {
    "2 c": ((-1, 0, 0), (0, -1, 0), (0, 0, 1)),
    "2 b": ((-1, 0, 0), (0, 1, 0), (0, 0, -1)),
    "2 ab": ((0, 1, 0), (1, 0, 0), (0, 0, -1)),
    "2 a-b": ((0, -1, 0), (-1, 0, 0), (0, 0, -1)),
    "3 c": ((0, -1, 0), (1, -1, 0), (0, 0, 1)),
    "3 abc": ((0, 0, 1), (1, 0, 0), (0, 1, 0)),
    "4 c": ((0, -1, 0), (1, 0, 0), (0, 0, 1)),
    "6 c": ((1, -1, 0), (1, 0, 0), (0, 0, 1)),
}
"""Rotations of coordinates x, y, z."""
_GENERATORS = {
    "1": (),
    "2": ("2 b",),
    "222": ("2 c", "2 b"),
    "4": ("4 c",),
    "422": ("4 c", "2 b"),
    "3": ("3 c",),
    "321": ("3 c", "2 ab"),
    "312": ("3 c", "2 a-b"),
    "6": ("6 c",),
    "622": ("6 c", "2 ab"),
    "23": ("2 c", "2 b", "3 abc"),
    "432": ("4 c", "3 abc"),
}


@cache
def _group(name: str) -> np.ndarray:
    generators = [np.array(_TURNS[turn]) for turn in _GENERATORS[name]]
    found, waiting = {}, [np.eye(3, dtype=int)]
    while waiting:
        one = waiting.pop()
        if one.tobytes() not in found:
            found[one.tobytes()] = one
            waiting += [one @ turn for turn in generators]
    # Miller indices turn by the transposed matrices.
    group = np.array(sorted(one.T.tolist() for one in found.values()), dtype=np.float64)
    group.setflags(write=False)
    return group


@frozen(repr=False)
class Diffuse(Noun):
    """Liquid-like motions, anisotropic: added to the squared lattice factor as diffBragg does (docs/crystals.md).

    Raises
    ------
    InputError
        Where a length is not in metres or above 0.

    Examples
    --------
    >>> from tilesim import Crystal, Diffuse
    >>> diffuse = Diffuse(gamma=(50e-10, 40e-10, 60e-10), sigma=0.4e-10, symmetry="222")
    >>> Crystal.from_cell(5e-9, 6e-9, 7e-9, diffuse=diffuse).diffuse
    Diffuse
      gamma     50 40 60 Å
      sigma     0.4 Å
      symmetry  averaged over 222, 1 nodes on each side, axes of the crystal
    """

    gamma: tuple[float, float, float]
    """Length over which motions are correlated, metres: one, or three along the axes of `frame`."""
    sigma: tuple[float, float, float]
    """Root mean square displacement, metres, as gamma."""
    symmetry: Rotations = Rotations.P1
    """A `Rotations` or its value, such as "222"."""
    stencil: int = 1
    """Nodes on each side of the nearest one along h, k, l whose diffuse scattering counts."""
    frame: MosaicFrame = MosaicFrame.CRYSTAL
    """Frame of the axes: x, y, z of the crystal (a* along x, b* in the x-y plane), or those of the laboratory, as in
    diffBragg."""

    def __post_init__(self) -> None:
        for name, highest in (("gamma", 1e-5), ("sigma", 1e-8)):
            given = getattr(self, name)
            three = (given,) * 3 if checks.single(given) else given
            values = checks.numbers(f"{name} of diffuse scattering", three, 3)
            for value in values:
                checks.length(f"{name} of diffuse scattering", value, 1e-15, highest, checks.ANGSTROM)
            checks.coerce(self, **{name: values})
        stencil = checks.whole_number("stencil of diffuse scattering", self.stencil, at_least=0)
        if stencil > MOST_STENCIL:
            raise InputError(f"stencil of diffuse scattering is {stencil}; expected at most {MOST_STENCIL}")
        checks.coerce(
            self,
            symmetry=checks.choice("symmetry of diffuse scattering", self.symmetry, Rotations),
            stencil=stencil,
            frame=checks.choice("frame of diffuse scattering", self.frame, MosaicFrame),
        )

    @property
    def height(self) -> float:
        """8 pi det G over the evaluations that are averaged, G in angstrom: diffBragg's unit."""
        volume = float(np.prod(self.gamma)) * 1e30
        return 8.0 * np.pi * volume / (len(self.symmetry.matrices) * (2 * self.stencil + 1) ** 3)

    def summary(self) -> dict[str, str]:
        def shown(values: tuple[float, ...]) -> str:
            return " ".join(f"{x * 1e10:.5g}" for x in (values if len(set(values)) > 1 else values[:1])) + " Å"

        averaged = f"averaged over {self.symmetry}, {self.stencil} nodes on each side, axes of the {self.frame}"
        return {"gamma": shown(self.gamma), "sigma": shown(self.sigma), "symmetry": averaged}
