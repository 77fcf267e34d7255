"""The point spread of a detector: kernels over pixels, and a convolution that does not depend on how an image is cut.

The convolution is done by Fourier transforms of blocks of the image's own grid, BLOCK pixels along an edge and counted
from pixel (0, 0). Whoever needs a part of a block transforms the whole of it, so every part of an image comes out the
same to the bit, whichever tile it is computed for. What leaves the image is lost, and nothing comes in.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

BLOCK = 128
"""Edge of a block, pixels."""
QUANTUM = 2.0**-16
"""Photons to which the result is rounded: less than a detector resolves, more than the noise of the transforms.

So a dark pixel beside a bright one (up to some 1e10 photons) is dark, and sums are exact in any order.
"""
FIBER_SCALE = 0.5 / math.sqrt(2.0 ** (2.0 / 3.0) - 1.0)
"""g over the full width at half maximum of the fibre-coupled shape."""

Range = tuple[int, int]


def gauss_kernel(fwhm: float, radius: int) -> Tensor:
    """A Gaussian integrated over pixels, up to `radius` pixels from the centre; not scaled to a sum of 1.

    fwhm     full width at half maximum, pixels
    returns  (2 radius + 1, 2 radius + 1) float64; 0 beyond the radius
    """
    edges = torch.arange(-radius, radius + 2, dtype=torch.float64) - 0.5
    share = torch.diff(0.5 * torch.erf(2.0 * math.sqrt(math.log(2.0)) / fwhm * edges))
    return _within(share[:, None] * share, radius)


def fiber_kernel(fwhm: float, radius: int) -> Tensor:
    """The shape of detectors coupled by fibre-optic tapers, g / (2 pi (g^2 + r^2)^(3/2)), as `gauss_kernel`.

    Holton, Nielsen and Frankel, "The point-spread function of fiber-coupled area detectors", J. Synchrotron Rad. 19,
    1006 (2012). Its tail is long: g / r of the photons is found beyond a radius r.
    """
    g = FIBER_SCALE * fwhm
    edges = torch.arange(-radius, radius + 2, dtype=torch.float64) - 0.5
    y, x = edges[:, None], edges
    corner = torch.atan(x * y / (g * torch.sqrt(g * g + x * x + y * y))) / (2.0 * math.pi)
    return _within(torch.diff(torch.diff(corner, dim=0), dim=1), radius)


def _within(kernel: Tensor, radius: int) -> Tensor:
    square = torch.arange(-radius, radius + 1).square()
    return torch.where(square[:, None] + square <= radius * radius, kernel, 0.0)


KERNELS = {"gauss": gauss_kernel, "fiber": fiber_kernel}


def spectrum_of(kernel: Tensor) -> Tensor:
    """What `spread` multiplies a transformed block by: the transform of a kernel (2 radius + 1, 2 radius + 1)."""
    edge = _fast_length(BLOCK + len(kernel) - 1)
    spectrum: Tensor = torch.fft.rfft2(kernel, s=(edge, edge))
    return spectrum


def needed(wanted: Range, radius: int, size: int) -> Range:
    """The pixels, of `size` along an axis, that decide what `wanted` ones (start, stop) get by `spread`."""
    start, stop = wanted
    return (max(0, start // BLOCK * BLOCK - radius), min(size, -(-stop // BLOCK) * BLOCK + radius))


def spread(
    photons: Tensor, corner: tuple[int, int], rows: Range, columns: Range, spectrum: Tensor, radius: int
) -> Tensor:
    """Photons spread over their neighbours by a kernel.

    photons        (slow, fast) float64, finite; at least what is `needed` for the wanted pixels. It may end at the
                   edges of the image only: what lies beyond it is taken for dark
    corner         pixel (slow, fast) of the image that photons[0, 0] is
    rows, columns  wanted pixels of the image, (start, stop)
    spectrum       of a kernel of `radius`, see `spectrum_of`
    returns        (slow, fast) float64 for the wanted pixels, 0 or more, multiples of QUANTUM
    """
    result = torch.zeros(rows[1] - rows[0], columns[1] - columns[0], dtype=torch.float64, device=photons.device)
    for top in range(rows[0] // BLOCK * BLOCK, rows[1], BLOCK):
        for left in range(columns[0] // BLOCK * BLOCK, columns[1], BLOCK):
            block = _spread_block(photons, (top - radius - corner[0], left - radius - corner[1]), spectrum, radius)
            _copy(block, (top - rows[0], left - columns[0]), result)
    return result


def _spread_block(photons: Tensor, corner: tuple[int, int], spectrum: Tensor, radius: int) -> Tensor:
    """The block whose surroundings begin at `corner` of `photons`."""
    edge = len(spectrum)
    around = torch.zeros(edge, edge, dtype=torch.float64, device=photons.device)
    inner = around[: BLOCK + 2 * radius, : BLOCK + 2 * radius]
    _copy(photons, (-corner[0], -corner[1]), inner)
    spread_out = torch.fft.irfft2(torch.fft.rfft2(around) * spectrum, s=(edge, edge))
    block = spread_out[2 * radius : 2 * radius + BLOCK, 2 * radius : 2 * radius + BLOCK]
    return torch.round(block / QUANTUM).clamp(min=0.0) * QUANTUM


def _copy(source: Tensor, corner: tuple[int, int], target: Tensor) -> None:
    """Put what fits of `source` into `target`, its first pixel at `corner`, which may lie outside."""
    to, start = [], []
    for at, length, room in zip(corner, source.shape, target.shape, strict=True):
        to.append(slice(max(0, at), max(0, min(room, at + length))))
        start.append(slice(max(0, -at), max(0, min(length, room - at))))
    target[tuple(to)] = source[tuple(start)]


def _fast_length(at_least: int) -> int:
    """The next number that has no prime factors but 2, 3 and 5."""
    length = at_least
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 1
