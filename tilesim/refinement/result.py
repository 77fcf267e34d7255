"""What a refinement found: values with standard errors, correlations, how well the images agree, and how it went."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from tilesim.frozen import frozen
from tilesim.gradients.parametrization import Point
from tilesim.model import Experiment, PixelMask, Series
from tilesim.refinement.levenberg import Fit, covariances
from tilesim.refinement.loop import Progress, Step
from tilesim.refinement.residuals import FitSums
from tilesim.refinement.stages import SCALE

Array = npt.NDArray[np.float64]
POOR = 1.2
"""chi² of a pixel above which a warning is due."""
SEEN = 3.0
"""Standard errors that the scale is above 0 where reflections are seen."""


@frozen
class RefinedNumber:
    """One number that was refined.

    Examples
    --------
    >>> from tilesim import RefinedNumber
    >>> RefinedNumber("crystal.cell.a", "m", 7.72e-9, 7.7e-9, 1e-13).value
    7.7e-09
    """

    name: str
    """Parameter, and which of its numbers."""
    unit: str
    """Unit of all that follows."""
    start: float
    """Value before."""
    value: float
    """Value found; the sum of all steps where it counts from 0."""
    error: float
    """Standard error by the noise of the pixels, all others being free; infinite where it is not determined, 0 at a
    bound."""
    bound: bool = False
    """Whether it stands at a bound; the others are found with it there."""


@frozen(eq=False)
class RefinedFrame:
    """One frame that was refined: an element of `Refinement.frames`.

    Examples
    --------
    >>> import tilesim
    >>> still = tilesim.from_nanobragg("-default_F 100 -cell 50 60 70 90 90 90 -N 5 -detpixels 64 -distance 100")
    >>> [frame] = tilesim.refine(still, tilesim.simulate_now(still), ["scale"], widths=[1]).frames
    >>> frame.converged, list(frame.errors)
    (True, ['beam.fluence'])
    """

    experiment: Experiment
    """With all values found."""
    numbers: tuple[RefinedNumber, ...]
    """What was varied."""
    correlations: Array
    """Correlations (numbers, numbers) of the numbers."""
    chi_squared: float
    """Sum of squared residuals over variances."""
    pixels: int
    """Pixels that counted."""
    outliers: int
    """Pixels beyond the robust limit."""
    converged: bool
    """Whether the minimum is near."""

    @property
    def values(self) -> dict[str, float]:
        """Values by name."""
        return {one.name: one.value for one in self.numbers}

    @property
    def errors(self) -> dict[str, float]:
        """Standard errors by name."""
        return {one.name: one.error for one in self.numbers}


@frozen(eq=False)
class Refinement:
    """The result of `refine`.

    Examples
    --------
    >>> import tilesim
    >>> still = tilesim.from_nanobragg("-default_F 100 -cell 50 60 70 90 90 90 -N 5 -detpixels 64 -distance 100")
    >>> found = tilesim.refine(still, tilesim.simulate_now(still), ["scale"], widths=[1])
    >>> found.converged, len(found.series)
    (True, 1)
    """

    frames: tuple[RefinedFrame, ...]
    """Every frame."""
    history: tuple[Step, ...]
    """Every pass over the pixels."""
    remarks: tuple[str, ...] = ()
    """What to be wary of in the images themselves."""

    @property
    def converged(self) -> bool:
        """Whether all frames did."""
        return all(frame.converged for frame in self.frames)

    @property
    def series(self) -> Series:
        """The refined experiments."""
        return Series.of([frame.experiment for frame in self.frames])

    @property
    def undetermined(self) -> tuple[str, ...]:
        """Numbers that the images do not determine, alone or together with others."""
        found = (one.name for frame in self.frames for one in frame.numbers if math.isinf(one.error))
        return tuple(dict.fromkeys(found))

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line for each thing to be wary of."""
        found = list(self.remarks)
        if self.undetermined:
            names = ", ".join(self.undetermined)
            found.append(f"the pixels do not determine {names}: other values, together, give the same image")
        numbers = [one for frame in self.frames for one in frame.numbers]
        found += [f"{one.name} stands at its bound, {one.value:.6g} {one.unit}" for one in numbers if one.bound]
        if any(one.name == SCALE and one.value < SEEN * one.error < math.inf for one in numbers):
            found.append(f"{SCALE} is not above 0 by {SEEN:g} standard errors: no reflections of this crystal are seen")
        poor = max(frame.chi_squared / max(frame.pixels, 1) for frame in self.frames)
        if poor > POOR:
            found.append(
                f"chi²/pixel is up to {poor:.3g}: the model does not describe the pixels within their noise (a "
                "background, an offset, another crystal?), and standard errors are too small"
            )
        return tuple(dict.fromkeys(found))

    def as_plain(self) -> dict[str, Any]:
        """Plain numbers, lists and strings; an infinite error is null."""
        return {
            "converged": self.converged,
            "warnings": list(self.warnings),
            "frames": [
                {
                    "converged": frame.converged,
                    "chi_squared": frame.chi_squared,
                    "pixels": frame.pixels,
                    "outliers": frame.outliers,
                    "numbers": [
                        {**asdict(one), "error": None if math.isinf(one.error) else one.error} for one in frame.numbers
                    ],
                    "correlations": frame.correlations.tolist(),
                }
                for frame in self.frames
            ],
            "steps": [asdict(step) for step in self.history],
        }


def refinement_of(progress: Progress, masks: Sequence[PixelMask | None], remarks: tuple[str, ...] = ()) -> Refinement:
    """The result of a refinement that is done, its experiments with these masks."""
    frames: dict[int, RefinedFrame] = {}
    for fit in progress.fits:
        parts = zip(fit.frames, fit.points, fit.sums, covariances(fit), strict=True)
        frames |= {frame: _refined(fit, point, sums, found, masks[frame]) for frame, point, sums, found in parts}
    return Refinement(tuple(frames[n] for n in sorted(frames)), progress.history, remarks)


def _refined(
    fit: Fit,
    point: Point,
    sums: FitSums,
    found: tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]],
    mask: PixelMask | None,
) -> RefinedFrame:
    covariance, determined = found
    parameters = point.parameters
    deviations = np.sqrt(covariance.diagonal())
    bound = (point.edges != 0) & (deviations == 0)
    errors = np.where(determined | bound, np.abs(point.scales) * deviations, math.inf)
    starts = [start for one in parameters.varied for start in one.starts]
    numbers = zip(
        parameters.labels, parameters.units, starts, point.values.tolist(), errors.tolist(), bound.tolist(), strict=True
    )
    units = np.where(deviations > 0, 1.0 / np.where(deviations > 0, deviations, 1.0), 0.0) * np.sign(point.scales)
    return RefinedFrame(
        point.experiment.replace(mask=mask),
        tuple(RefinedNumber(*one) for one in numbers),
        covariance * np.outer(units, units),
        sums.chi_squared,
        sums.pixels,
        sums.outliers,
        fit.converged,
    )
