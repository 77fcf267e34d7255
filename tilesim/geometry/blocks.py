"""A crystal of a size as mosaic blocks: how many of them the beam meets, and what one of its reflections gives."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tilesim.errors import InputError
from tilesim.model import Crystal, Experiment, Shape, checks
from tilesim.model.beam import CLASSICAL_ELECTRON_RADIUS_SQUARED
from tilesim.model.vectors import cross, dot
from tilesim.physics.reach import GAUSS_WIDTH, TOPHAT_RADIUS_SQUARED

EDGES, BEAM_SIZES = (1e-10, 0.1), (1e-10, 1.0)
"""Metres; more are micrometres."""
_GAUSS = (math.pi * GAUSS_WIDTH / 2.0) ** 1.5
_TOPHAT = 4.0 / 3.0 * math.pi * TOPHAT_RADIUS_SQUARED**1.5
_IN_SPACE = (Shape.GAUSS, Shape.TOPHAT)
_PROFILES = {
    Shape.SQUARE: 1.0,
    Shape.ROUND: 1.0,  # what its factor 0.7236, the square root of pi / 6, is for
    Shape.GAUSS: _GAUSS,
    Shape.TOPHAT: _TOPHAT,
    Shape.GAUSS_HKL: _GAUSS,
    Shape.TOPHAT_HKL: _TOPHAT,
}
"""Integral of the squared lattice factor over its square on the node, as each shape measures distances."""


def crystal_of_size(block: Crystal, size: float | Sequence[float], beam_size: float | None = None) -> Crystal:
    """Make the crystal that consists of mosaic blocks like this one, with the number of them that the beam meets.

    The number is that with which the integrated intensity of a reflection is the one of the illuminated volume in
    Darwin's formula, whatever the shape of the block: for square and round blocks the volume over that of a block.

    Parameters
    ----------
    block
        One mosaic block: its numbers of cells make the width of the reflections.
    size
        Edges of the whole crystal along the beam and across it, twice, in metres; one number for a cube.
    beam_size
        Edge of the square beam in metres, which cuts the crystal across the beam; None: the beam meets all of it.

    Returns
    -------
    Crystal
        The block with another number of `blocks`.

    Raises
    ------
    InputError
        Where a size is not in metres, the illuminated volume is smaller than a block, or the block's reflections have
        no end (a fudge factor of 0).

    Examples
    --------
    >>> from tilesim import Crystal, crystal_of_size
    >>> block = Crystal.from_cell(79e-10, 79e-10, 38e-10, cells=(20, 20, 40))
    >>> crystal_of_size(block, 20e-6, beam_size=10e-6)
    Crystal
      cell   79 79 38 Å 90 90 90°
      size   20 x 20 x 40 cells, 527075 blocks
      shape  square
    """
    checks.instance("block", block, Crystal)
    volume = illuminated_volume(size, beam_size)
    if not volume >= block_volume(block):
        raise InputError(
            f"a crystal with {volume * 1e18:.3g} cubic microns in the beam is smaller than one mosaic block of "
            f"{block_volume(block) * 1e18:.3g}; expected a larger crystal, or a block of fewer cells"
        )
    return block.replace(blocks=volume / cell_volume(block) / cells_in_effect(block))


def illuminated_volume(size: float | Sequence[float], beam_size: float | None = None) -> float:
    """Volume in m^3 of a crystal with these edges that is in the beam. Raises InputError."""
    edges = checks.numbers("size of the crystal", [size] * 3 if checks.single(size) else size, 3)
    along, *across = (checks.length("edge of the crystal", edge, *EDGES, checks.MICROMETRE) for edge in edges)
    widest = math.inf
    if beam_size is not None:
        widest = checks.length("size of the beam", beam_size, *BEAM_SIZES, checks.MICROMETRE)
    return along * math.prod(min(edge, widest) for edge in across)


def cell_volume(crystal: Crystal) -> float:
    """Volume of the unit cell in m^3."""
    return abs(dot(crystal.a, cross(crystal.b, crystal.c)))


def block_volume(crystal: Crystal) -> float:
    """Mean volume of the mosaic blocks in m^3, of whatever height their reflections are."""
    return cell_volume(crystal) * math.fsum(share * _cells(block) for share, block in _sized(crystal))


def cells_in_effect(crystal: Crystal) -> float:
    """Integral of the squared lattice factor of the mean block over h, k, l around a node: the cells of a block.

    Other than that for Gaussian and top-hat reflections, which are not quite as wide as those of a block of N cells,
    or of another size altogether. Raises InputError where there is no such number.
    """
    found = math.fsum(share * _integral(block) for share, block in _sized(crystal))
    if not 0.0 < found < math.inf:
        raise InputError(f"the reflections of a block integrate to {found:g}; expected a fudge factor above 0")
    return found


def full_photons(experiment: Experiment, amplitude: float) -> float:
    """Photons of a reflection that is turned through the Ewald sphere within the oscillation of an image, by Darwin.

    amplitude  of its structure factor, electrons

    Without Lorentz and polarisation factors, and for one lattice, the first. Infinite for a still.
    """
    crystal, beam, turn = experiment.lattice, experiment.beam, abs(experiment.scan.step * experiment.scan.steps)
    volume = crystal.weight * cells_in_effect(crystal) * cell_volume(crystal)
    power = CLASSICAL_ELECTRON_RADIUS_SQUARED * beam.wavelength**3 * volume * (amplitude / cell_volume(crystal)) ** 2
    return beam.fluence * power / turn if turn else math.inf


def _sized(crystal: Crystal) -> list[tuple[float, Crystal]]:
    """The blocks of every size and their share among all."""
    if crystal.sizes is None:
        return [(1.0, crystal)]
    return [(s, crystal.grown(x)) for s, x in zip(crystal.sizes.shares, crystal.sizes.factors, strict=True)]


def _cells(block: Crystal) -> float:
    return float(np.linalg.det(block.cells_matrix))


def _integral(block: Crystal) -> float:
    """Integral of the squared lattice factor of one block over h, k, l around a node."""
    if block.shape in _IN_SPACE:
        a, b, c = ([x * 1e-10 for x in v] for v in block.star)
        stretch = block.node_factor**3 * abs(float(np.linalg.det([a, b, c])))
    else:
        stretch = _cells(block)
    fudge = 1.0 if block.shape == Shape.SQUARE else max(block.fudge, 0.0) ** 1.5
    return _PROFILES[block.shape] * block.node_factor**2 / stretch / fudge if fudge else math.inf
