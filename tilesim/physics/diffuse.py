"""Diffuse scattering of liquid-like motions around every node, beside its squared lattice factor."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tilesim.physics.factors import Axes, FactorTable, nearest_squared

FOUR_PI_SQUARED = 4.0 * math.pi * math.pi


@dataclass(frozen=True)
class LiquidMotion:
    """What one evaluation needs to know; lengths in metres."""

    gamma: tuple[float, float, float]
    """Along the axes of its frame, as sigma"""
    sigma: tuple[float, float, float]
    height: float
    """8 pi det G over the number of terms"""
    stencil: int
    """Nodes on each side of the nearest one"""
    rotations: Tensor
    """(n, 3, 3) float64, of Miller indices as columns; on the host, as the next"""
    star: Tensor | None
    """(3, 3) columns a*, b*, c* in 1/m in the frame of the crystal; None: the frame is the laboratory"""


def wave_matrices(cell: Tensor, motion: LiquidMotion) -> Tensor:
    """Matrices (m, n, 3, 3) from Miller indices to scattering vectors, for every cell (m, 3, 3) and rotation."""
    star = torch.linalg.inv(cell) if motion.star is None else motion.star.expand(len(cell), 3, 3)
    return star[:, None] @ motion.rotations


def diffuse_squared(hkl: Axes, node: Axes, waves: Tensor, motion: LiquidMotion, table: FactorTable) -> Tensor:
    """Squared structure factors times diffuse intensity (n,) at hkl, float64; waves (r, 3, 3) of one cell.

    e exp(-e) 8 pi det G / (1 + 4 pi^2 |G dq|^2)^2 with e = 4 pi^2 |sigma Q|^2 at the nearest node, averaged over nodes
    around it and rotations.
    """
    total = torch.zeros_like(hkl[0])
    steps = range(-motion.stencil, motion.stencil + 1)
    for matrix in waves.tolist():
        exponent = FOUR_PI_SQUARED * _squared(node, matrix, motion.sigma)
        strength = exponent * torch.exp(-exponent)
        for offset in itertools.product(steps, steps, steps):
            other = (node[0] + offset[0], node[1] + offset[1], node[2] + offset[2])
            away = (hkl[0] - other[0], hkl[1] - other[1], hkl[2] - other[2])
            fall = 1.0 + FOUR_PI_SQUARED * _squared(away, matrix, motion.gamma)
            total = total + nearest_squared(other, table).to(torch.float64) * strength / (fall * fall)
    return total * motion.height


def _squared(hkl: Axes, matrix: list[list[float]], lengths: tuple[float, float, float]) -> Tensor:
    """Squared length (n,) of a vector given by its indices, each axis times a length."""
    parts = [
        (hkl[0] * row[0] + hkl[1] * row[1] + hkl[2] * row[2]) * length
        for row, length in zip(matrix, lengths, strict=True)
    ]
    return parts[0] * parts[0] + parts[1] * parts[1] + parts[2] * parts[2]
