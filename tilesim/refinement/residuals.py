"""Residuals of pixels: how likely measured photons are where others are expected, and how the expected should change.

The variance of a pixel is that of the photons that are expected there plus that of the read-out. Counts shifted by the
latter are close to Poisson's, so what is minimised is the deviance of that distribution: half its derivative with the
expected photons is the residual over the variance, as least squares with these weights has it.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.kernels.slopes import weighted_products
from tilesim.model import checks

Array = npt.NDArray[np.float64]
LEAST_READOUT = 0.1
"""Photons: read-out noise at least. Where nothing at all is expected, one photon must not weigh infinitely."""


@frozen
class Weighting:
    """What is known of the noise of measured pixels."""

    readout: float = 0.0
    """Standard deviation of the read-out, photons."""
    robust: float | None = None
    """Standard deviations beyond which a pixel pulls no harder; None: all pull by their residual."""

    def __post_init__(self) -> None:
        readout = checks.not_negative("readout", self.readout)
        robust = None if self.robust is None else checks.positive("robust", self.robust)
        checks.coerce(self, readout=readout, robust=robust)

    @property
    def constant(self) -> float:
        """Variance of a pixel where no photons are expected."""
        return max(self.readout, LEAST_READOUT) ** 2


@frozen
class FitSums:
    """Sums over pixels of what a step of a fit is made of."""

    matrix: Array
    """(numbers, numbers) sums of weighted products of two derivatives"""
    vector: Array
    """(numbers,) sums of weighted derivative times residual, measured minus expected"""
    deviance: float
    """What is minimised"""
    chi_squared: float
    """Sum of squared residuals over variances"""
    pixels: int = 0
    outliers: int = 0
    """Pixels beyond the robust limit"""
    lowest: float = 0.0
    """Smallest measured value, or 0"""

    def merge(self, other: FitSums) -> Self:
        """The sums of both."""
        return type(self)(
            self.matrix + other.matrix,
            self.vector + other.vector,
            self.deviance + other.deviance,
            self.chi_squared + other.chi_squared,
            self.pixels + other.pixels,
            self.outliers + other.outliers,
            min(self.lowest, other.lowest),
        )

    @classmethod
    def nothing(cls, count: int) -> Self:
        """The sums over no pixel, of `count` numbers."""
        return cls(np.zeros((count, count)), np.zeros(count), 0.0, 0.0)


def fit_sums(measured: Array, expected: Array, slopes: Array, weighting: Weighting) -> FitSums:
    """The sums over some pixels, from their derivatives (numbers, n)."""
    variance = expected + weighting.constant
    residuals = measured - expected
    deviance = _deviance(measured + weighting.constant, variance, weighting.constant)
    weights, outliers, limit = 1.0 / variance, 0, weighting.robust
    if limit is not None:
        away = np.sqrt(np.maximum(deviance, 0.0))
        far = away > limit
        outliers = int(np.count_nonzero(far))
        deviance = np.where(far, limit * (2.0 * away - limit), deviance)
        weights *= np.where(far, limit / np.maximum(away, limit), 1.0)
    sums = weighted_products(slopes, residuals, weights)
    return FitSums(
        sums[:-1, :-1].copy(),
        sums[:-1, -1].copy(),
        float(np.sum(deviance)),
        float(np.sum(residuals * residuals / variance)),
        len(measured),
        outliers,
        min(0.0, float(measured.min(initial=0.0))),
    )


def _deviance(counts: Array, variance: Array, constant: float) -> Array:
    """Deviance of shifted counts; of those of 0 or less, which only the read-out makes, from its smallest value."""
    safe = np.where(counts > 0, counts, 1.0)
    likely = 2.0 * (variance - counts - counts * np.log(variance / safe))
    below = 2.0 * (variance - constant - counts * np.log(variance / constant))
    return np.where(counts > 0, likely, below)


def check_counts(name: str, lowest: float, weighting: Weighting) -> None:
    """Raise InputError where measured photons are below what the read-out noise explains."""
    if lowest < -10.0 * max(weighting.readout, LEAST_READOUT):
        raise InputError(
            f"{name} has pixels down to {lowest:.4g} photons, which a read-out noise of {weighting.readout:g} does not "
            "explain; expected the readout= (--readout) of the detector, and its offset and gain"
        )
