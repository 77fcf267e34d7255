"""Photon counts: Poisson deviates that depend on seed, frame, panel, pixel and mean, and on nothing else.

Every pixel has its own random numbers (philox.py), so tiles, workers and retries cannot change a count. A
count is also the same wherever its pixel stands in the tensor, to the bit: see evenly.py.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tilesim.physics.evenly import evenly
from tilesim.physics.philox import uniforms

STREAM = 1
"""Stream of the Philox key that belongs to photon counts."""
REJECTION_FROM = 10.0
"""Means below this are drawn by inversion."""
NORMAL_FROM = 1e15
"""Means from here on are drawn from the normal distribution."""

SATURATED = 65535.0
_INT_MIN = -2147483648.0

_CPU_BLOCK = 1 << 14  # pixels: intermediates stay in the cache
_GPU_BLOCK = 1 << 22  # pixels: bounds memory
_NO_MASS = 2.0**-64  # a term that no longer changes a sum near 1

# ln n! - ln(sqrt(2 pi n) (n/e)^n) for n < 16, where Stirling's series is not good enough. The entry for
# n = 0 cancels the ln sqrt(2 pi) that _log_probability takes off, with 1 in place of n.
_STIRLING = [-0.5 * math.log(2.0 * math.pi)] + [
    math.lgamma(n + 1.0) - (n + 0.5) * math.log(n) + n - 0.5 * math.log(2.0 * math.pi) for n in range(1, 16)
]


def poisson_counts(mean: Tensor, pixel: Tensor, *, seed: int, frame: int = 0, panel: int = 0) -> Tensor:
    """Photons counted where `mean` are expected.

    mean     (n,) photons, float; zero, negative and NaN give 0, infinity gives infinity
    pixel    (n,) int64 index in the panel, 0 <= pixel < 2^48, on the device of `mean`
    returns  (n,) float64, whole numbers

    Exact (up to float64) below a mean of 1e15: inversion below 10, transformed rejection above. From 1e15 on
    a rounded normal deviate, whose skewness is wrong by 3e-8 at most. Bit-equal on machines whose torch
    rounds exp and log alike; CPU and GPU may differ in one count of very many. ValueError as in `uniforms`.
    """
    mean = mean.to(torch.float64)
    block = _CPU_BLOCK if mean.device.type == "cpu" else _GPU_BLOCK
    pairs = zip(torch.split(mean, block), torch.split(pixel, block), strict=True)
    return torch.cat([_count_block(some, where, seed=seed, frame=frame, panel=panel) for some, where in pairs])


def _count_block(mean: Tensor, pixel: Tensor, **source: int) -> Tensor:
    counts = torch.zeros_like(mean)
    for chosen, draw in (
        ((mean > 0.0) & (mean < REJECTION_FROM), _by_inversion),
        ((mean >= REJECTION_FROM) & (mean < NORMAL_FROM), _by_rejection),
        (mean >= NORMAL_FROM, _by_normal),
    ):
        index = chosen.nonzero().squeeze(-1)
        if index.numel():
            counts[index] = draw(mean[index], pixel[index], **source)
    return counts


def _by_inversion(mean: Tensor, pixel: Tensor, **source: int) -> Tensor:
    """The least k whose cumulative probability reaches one uniform number."""
    u, _ = uniforms(pixel, stream=STREAM, draw=0, **source)
    term = evenly(torch.exp, -mean)
    total, counts = term, torch.zeros_like(mean)
    pending = torch.ones_like(mean, dtype=torch.bool)
    k = 0
    while True:
        # Rounding may leave the sum short of u for good; the terms then vanish.
        pending = pending & (u > total) & (term > _NO_MASS)
        if not pending.any():
            return counts
        k += 1
        counts = counts + pending
        term = term * mean / k
        total = total + term


def _by_rejection(mean: Tensor, pixel: Tensor, **source: int) -> Tensor:
    """PTRS of Hormann, "The transformed rejection method for generating Poisson random variables" (1993)."""
    b = 0.931 + 2.53 * evenly(torch.sqrt, mean)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    v_accept = 0.9277 - 3.6224 / (b - 2.0)

    counts = torch.zeros_like(mean)
    pending = torch.arange(mean.numel(), device=mean.device)
    draw = 0
    while pending.numel():
        u, v = uniforms(pixel[pending], stream=STREAM, draw=draw, **source)
        u = u - 0.5
        us = 0.5 - u.abs()
        k = torch.floor((2.0 * a[pending] / us + b[pending]) * u + mean[pending] + 0.43)

        accepted = (us >= 0.07) & (v <= v_accept[pending])
        possible = ~accepted & (k >= 0.0) & ((us >= 0.013) | (v <= us))
        test = possible.nonzero().squeeze(-1)
        at = pending[test]
        height = v[test] * inverse_alpha[at] / (a[at] / (us[test] * us[test]) + b[at])
        accepted[test] = evenly(torch.log, height) <= _log_probability(k[test], mean[at])

        counts[pending[accepted]] = k[accepted]
        pending = pending[~accepted]
        draw += 1
    return counts


def _by_normal(mean: Tensor, pixel: Tensor, **source: int) -> Tensor:
    u, _ = uniforms(pixel, stream=STREAM, draw=0, **source)
    spread = evenly(torch.sqrt, mean) * evenly(torch.special.ndtri, u)
    return torch.where(torch.isinf(mean), mean, torch.round(mean + spread))


def _log_probability(k: Tensor, mean: Tensor) -> Tensor:
    """ln of the Poisson probability of k, without the cancellation of k ln(mean) - mean - ln k!.

    Loader, "Fast and accurate computation of binomial probabilities" (2000): the deviance and Stirling's
    remainder are small where the terms of the plain formula grow like k.
    """
    n = k.clamp(min=1.0)
    deviance = k * evenly(torch.log1p, (n - mean) / mean) - (k - mean)
    square = 1.0 / (n * n)
    series = (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - (1.0 / 1680.0) * square) * square) * square) / n
    table = torch.tensor(_STIRLING, dtype=k.dtype, device=k.device)
    remainder = torch.where(k < 16.0, table[k.clamp(max=15.0).long()], series)
    return -deviance - remainder - 0.5 * evenly(torch.log, 2.0 * math.pi * n)


def noise_pixels(counts: Tensor, adc: float) -> tuple[Tensor, int]:
    """16-bit pixels of photon counts, and how many of them overloaded (spec noise 7, items 3 to 5).

    counts   (...) photons, float
    adc      offset added to every pixel
    returns  (...) uint16: counts + adc, cut at 65535 (an overload), fraction dropped; a negative sum wraps
             modulo 65536 as in the reference, NaN becomes 0
    """
    value = counts.to(torch.float64) + adc
    overload = value > SATURATED
    # below the 32-bit range x86 converts to a number whose low 16 bits are 0; NaN likewise
    value = torch.where(value >= _INT_MIN, value, 0.0)
    whole = torch.where(overload, SATURATED, value).to(torch.int64) & 0xFFFF
    return whole.to(torch.uint16), int(overload.sum())
