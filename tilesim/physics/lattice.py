"""The lattice factor: how the finite crystal spreads a reflection around its node.

Everything is squared, since only intensities are summed. Each axis is a tensor of its own: arrays of
three rows would be broadcast against three numbers, which costs more than the arithmetic. `fraction` is
the distance to the nearest node in Miller indices, held in float64; what follows it may be float32
(spec intensity 11). Arithmetic in place is on arrays made here only, which no derivative needs again: they stay in the
cache.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tilesim.physics.factors import Axes, FactorTable
from tilesim.physics.reach import GAUSS_REACH, GAUSS_WIDTH, TOPHAT_RADIUS_SQUARED
from tilesim.physics.varied import is_varied

ROUND_VOLUME = 0.723601254558268
"""Square root of the volume ratio between a cube and its sphere, as the reference has it."""
NEXT_TO_NODE = 1e-30
"""Far below the rounding of any Miller index, and large enough for float32."""
NEAR_NODE = 0.01
"""Turns of a grating's phase below which its derivative is that of a series, good to 1e-13."""


@dataclass(frozen=True)
class Lattice:
    """What one evaluation needs to know of the crystal besides its orientation."""

    shape: str
    """square, round, gauss, tophat, gauss-hkl or tophat-hkl"""
    cells: tuple[float, float, float]
    matrix: tuple[tuple[float, float, float], ...]
    """N (3, 3), the cells on its diagonal: times the fraction it is the distance to a node, in cells"""
    volume: float
    """Lattice factor on a node, but for that of a round crystal: the cells of the crystal, or 1"""
    fudge: float
    reciprocal: tuple[tuple[float, float, float], ...]
    """a*, b*, c* in 1/angstrom"""
    table: FactorTable
    dtype: torch.dtype
    """Type of everything after the fraction of h, k, l."""


def miller_indices(q: Axes, cell: Sequence[Sequence[float]]) -> Axes:
    """Fractional h, k, l (n,) of the scattering vectors q in 1/m; cell has rows a, b, c in m (spec intensity 3)."""
    a, b, c = cell
    return (_index(q, a), _index(q, b), _index(q, c))


def _index(q: Axes, v: Sequence[float]) -> Tensor:
    if isinstance(v, Tensor):
        return q[0] * v[0] + q[1] * v[1] + q[2] * v[2]
    # A number as alpha spares an array for each product.
    return (q[0] * v[0]).add_(q[1], alpha=v[1]).add_(q[2], alpha=v[2])


def nearest_node(hkl: Axes) -> Axes:
    """Whole Miller indices nearest to hkl, as floats; an exact half goes down (spec intensity 3)."""
    h, k, l = hkl
    return ((h - 0.5).ceil_(), (k - 0.5).ceil_(), (l - 0.5).ceil_())


def lattice_squared(hkl: Axes, node: Axes, lattice: Lattice) -> Tensor:
    """Squared lattice factor (n,) at hkl around its nearest node (spec intensity 4); Gaussians are float64."""
    fraction = (hkl[0] - node[0], hkl[1] - node[1], hkl[2] - node[2])
    if lattice.shape == "square":
        return _square(fraction, lattice)
    if lattice.shape == "round":
        return _round(fraction, lattice)
    distance = (cells_distance if lattice.shape.endswith("-hkl") else node_distance)(fraction, lattice)
    if lattice.shape in ("tophat", "tophat-hkl"):
        spot = (distance * lattice.fudge < TOPHAT_RADIUS_SQUARED).to(lattice.dtype)
    else:
        # May be smaller than float32 resolves, all over an image.
        spot = torch.exp(distance * (-2.0 * lattice.fudge / GAUSS_WIDTH))
        if lattice.shape == "gauss-hkl":
            spot = torch.where(distance * lattice.fudge < GAUSS_REACH, spot, 0.0)
    return spot * (lattice.volume * lattice.volume)


def grating(fraction: Tensor, cells: float | Tensor, dtype: torch.dtype) -> Tensor:
    """sin(pi N x) / sin(pi x) up to its sign (n,), N cells along one axis.

    Only N x minus its nearest integer counts; that difference, formed in float64, keeps float32 sines accurate next to
    the zeros of the grating function. x is the distance to the nearest node, which matters where N is not whole.
    """
    # The ratio is N on the node itself too, if that is left by less than anything that h can resolve.
    fraction = fraction + NEXT_TO_NODE
    if is_varied(fraction) or is_varied(cells):
        return _smooth_grating(fraction, cells)
    phase = fraction * cells
    phase.sub_(torch.round(phase))
    return phase.to(dtype).mul_(math.pi).sin_().div_(fraction.to(dtype).mul_(math.pi).sin_())


def _smooth_grating(fraction: Tensor, cells: float | Tensor) -> Tensor:
    """The same by a series next to the node, where the derivative of the ratio cancels."""
    phase = fraction * cells
    near = (phase.abs() < NEAR_NODE) & (fraction.abs() < NEAR_NODE)
    ratio = torch.sin(math.pi * (phase - torch.round(phase))) / torch.sin(math.pi * fraction)
    return torch.where(near, cells * _sinc(phase) / _sinc(fraction), ratio)


def _sinc(x: Tensor) -> Tensor:
    """sin(pi x) / (pi x) (n,) for |x| below NEAR_NODE."""
    square = (math.pi * x) ** 2
    return 1.0 - square / 6 * (1.0 - square / 20 * (1.0 - square / 42))


def signed_gratings(hkl: Axes, node: Axes, lattice: Lattice) -> Axes:
    """sin(pi N h) / sin(pi h) along each axis (n,) with the sign that squaring loses; h from the node where N is not
    whole."""
    h, k, l = (
        grating(x - x0, n, lattice.dtype).abs() * _grating_sign(x - x0, x0, n)
        for x, x0, n in zip(hkl, node, lattice.cells, strict=True)
    )
    return (h, k, l)


def signed_lattice_factor(hkl: Axes, node: Axes, lattice: Lattice) -> Tensor:
    """Lattice factor (n,) with the sign that squaring loses (spec intensity 4)."""
    size = torch.sqrt(lattice_squared(hkl, node, lattice))
    if lattice.shape == "square":
        signs = (_grating_sign(x - x0, x0, n) for x, x0, n in zip(hkl, node, lattice.cells, strict=True))
        return size * math.prod(signs)
    if lattice.shape == "round":
        x = math.pi * torch.sqrt(node_radius_squared(hkl, node, lattice))
        return torch.where((x > 1.0) & (torch.sin(x) < x * torch.cos(x)), -size, size)
    return size


def node_radius_squared(hkl: Axes, node: Axes, lattice: Lattice) -> Tensor:
    """Squared distance (n,) to the node in cells of the crystal, times the fudge: what a round crystal's factor is
    a function of."""
    h, k, l = (((x - x0) * n) ** 2 for x, x0, n in zip(hkl, node, lattice.cells, strict=True))
    return (h + k + l) * lattice.fudge


def _grating_sign(fraction: Tensor, node: Tensor, cells: float) -> Tensor:
    """1.0 or -1.0 (n,): the sign of sin(pi N x) / sin(pi x) at x = node + fraction."""
    turns = torch.floor(torch.abs(fraction) * cells) + ((cells - 1) * node if cells == round(cells) else 0.0)
    return torch.where(torch.remainder(turns, 2.0) == 0, 1.0, -1.0).to(fraction.dtype)


def _square(fraction: Axes, lattice: Lattice) -> Tensor:
    """Parallelepiped: the product of three gratings."""
    h, k, l = (grating(x, n, lattice.dtype) for x, n in zip(fraction, lattice.cells, strict=True))
    return h.mul_(k).mul_(l).square_()


def _round(fraction: Axes, lattice: Lattice) -> Tensor:
    """Ellipsoid: 3 (sin x / x - cos x) / x^2 in hkl space; float64, since the difference cancels at its zeros."""
    scaled = tuple(x * n for x, n in zip(fraction, lattice.cells, strict=True))
    squared = (scaled[0] * scaled[0] + scaled[1] * scaled[1] + scaled[2] * scaled[2]) * lattice.fudge
    # The closed form cancels near zero; the series is good to 1e-11 below one half.
    square = squared * (math.pi * math.pi)
    series = 1.0 - square / 10 * (1.0 - square / 28 * (1.0 - square / 54 * (1.0 - square / 88)))
    near = square < 0.25
    radius = torch.sqrt(torch.where(near, 1.0, squared))
    # sin and cos of pi r change sign together from one half turn to the next; the square does not care.
    turn = (radius - torch.round(radius)) * math.pi
    x = radius * math.pi
    closed = 3.0 * (torch.sin(turn) / x - torch.cos(turn)) / (x * x)
    amplitude = torch.where(near, series, closed) * (lattice.volume * ROUND_VOLUME)
    return (amplitude * amplitude).to(lattice.dtype)


def node_distance(fraction: Axes, lattice: Lattice) -> Tensor:
    """Squared distance (n,) to the node in 1/angstrom^2 times (Na Nb Nc)^2, float64 (spec intensity 4)."""
    a, b, c = lattice.reciprocal
    parts = tuple(fraction[0] * a[i] + fraction[1] * b[i] + fraction[2] * c[i] for i in range(3))
    return (parts[0] * parts[0] + parts[1] * parts[1] + parts[2] * parts[2]) * (lattice.volume * lattice.volume)


def cells_distance(fraction: Axes, lattice: Lattice) -> Tensor:
    """Squared length (n,) of N times the fractions of h, k, l: the distance to the node in cells, float64."""
    parts = tuple(fraction[0] * row[0] + fraction[1] * row[1] + fraction[2] * row[2] for row in lattice.matrix)
    return parts[0] * parts[0] + parts[1] * parts[1] + parts[2] * parts[2]
