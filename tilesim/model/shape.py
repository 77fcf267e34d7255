"""Shapes of crystals, hence of their reflections."""

from __future__ import annotations

from enum import StrEnum


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
    GAUSS_HKL = "gauss-hkl"
    """A Gaussian in N times the distance in h, k, l, as simtbx and diffBragg have it: as wide as one over the size of
    the crystal along each axis. "gauss" measures in 1/angstrom times all cells together, Na Nb Nc: round, and narrower
    for large N (docs/crystals.md)."""
    TOPHAT_HKL = "tophat-hkl"
    """The same within an ellipsoid of that size, as simtbx has it, and nothing beyond."""

    @property
    def in_hkl(self) -> bool:
        """Whether the distance from a node is N times that in h, k, l, N being a matrix that may be oriented."""
        return self in (Shape.GAUSS_HKL, Shape.TOPHAT_HKL)
