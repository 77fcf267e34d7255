"""Comparing two images: as a whole, in regions, by their peaks; what is to be said of it in plain values."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.images.pixels import Image, ImagePart, NumberImage
from tilesim.tools.agreement import Agreement, Largest, agreement
from tilesim.tools.peaks import PeakMatch, compare_peaks
from tilesim.tools.resample import ResampledImage, common_shape


@frozen
class Rectangle:
    """Pixels from first to last, both included, in the order of nanoBragg's -roi."""

    fast_first: int
    fast_last: int
    slow_first: int
    slow_last: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.slow_first, self.slow_last + 1), slice(self.fast_first, self.fast_last + 1)

    def __str__(self) -> str:
        return f"{self.fast_first} {self.fast_last} {self.slow_first} {self.slow_last}"


@frozen
class Comparison:
    """Two images of one shape, compared."""

    shape: tuple[int, int]
    """Pixels (slow, fast) on which they were compared."""
    resampled: tuple[bool, bool]
    complete: tuple[bool, bool]
    """Whether the store of each, where it is one, says that it is complete."""
    whole: Agreement
    regions: tuple[tuple[Rectangle, Agreement], ...]
    peaks: PeakMatch | None
    tolerance: float

    @property
    def within(self) -> bool:
        """Whether the regions, or the images where none were asked for, are the same within the tolerance."""
        if self.regions:
            return all(found.within(self.tolerance) for _, found in self.regions)
        return all(self.complete) and self.whole.within(self.tolerance)


def compare(
    a: Image, b: Image, regions: Sequence[Rectangle] = (), *, tolerance: float, peaks: int, resample: bool = False
) -> tuple[Comparison, Image, Image]:
    """Compare two images, of which a part at a time is in memory, and give them back as they were compared.

    peaks     brightest local maxima of each that are matched
    resample  whether images of different shapes are brought to the coarser grid along each axis

    Pixels without a value are left out.

    Raises InputError on different shapes and on regions outside the image, and what reading raises.
    """
    a, b = NumberImage(a), NumberImage(b)
    shape = common_shape(a.shape, b.shape) if resample else tuple(a.shape)
    resampled = tuple(resample and tuple(image.shape) != shape for image in (a, b))
    a, b = (ResampledImage(image, shape) if other else image for image, other in zip((a, b), resampled, strict=True))
    for region in regions:
        _check(region, shape)
    whole = agreement(a, b)
    parts = tuple(
        (
            region,
            agreement(
                ImagePart(a, *region.slices), ImagePart(b, *region.slices), (region.slow_first, region.fast_first)
            ),
        )
        for region in regions
    )
    matched = compare_peaks(a, b, peaks) if peaks else None
    return Comparison(shape, resampled, (a.complete, b.complete), whole, parts, matched, tolerance), a, b


def _check(region: Rectangle, shape: tuple[int, int]) -> None:
    slow, fast = shape
    if not (0 <= region.fast_first <= region.fast_last < fast and 0 <= region.slow_first <= region.slow_last < slow):
        raise InputError(
            f"--roi {region}: expected fast first, fast last, slow first, slow last within 0 to {fast - 1} and"
            f" 0 to {slow - 1}"
        )


def as_plain(found: Comparison) -> dict:
    """The comparison as plain values."""
    peaks = found.peaks
    return {
        "shape": list(found.shape),
        "resampled": list(found.resampled),
        "complete": list(found.complete),
        **agreement_as_plain(found.whole),
        "peaks": peaks
        and {
            "matched": peaks.matched,
            "alone": list(peaks.alone),
            "mean_shift": peaks.mean_shift,
            "largest_shift": peaks.largest_shift,
            "largest_at": _pixel(peaks.largest_at),
        },
        "regions": [
            {"roi": [r.fast_first, r.fast_last, r.slow_first, r.slow_last], **agreement_as_plain(part)}
            for r, part in found.regions
        ],
        "tolerance": found.tolerance,
        "judged_by": "regions" if found.regions else "image",
        "within": found.within,
    }


def agreement_as_plain(found: Agreement) -> dict:
    """Figures as plain values; infinite ones become null in JSON."""
    return {
        "pixels": found.pixels,
        "not_finite": list(found.not_finite),
        "unlike": found.unlike,
        "first_not_finite": _pixel(found.first_not_finite),
        "correlation": found.correlation,
        "mean_square_difference": found.mean_square,
        "root_mean_square_difference": math.sqrt(found.mean_square),
        "largest_difference": _largest(found.absolute),
        "largest_relative_difference": _largest(found.relative),
        "golden_metric": _largest(found.golden),
        "sums": list(found.sums),
        "sum_ratio": found.ratio,
    }


def _largest(top: Largest) -> dict:
    return {"value": top.value, "at": _pixel(top.pixel), "a": top.a, "b": top.b}


def _pixel(place: tuple[int, int] | None) -> dict | None:
    return {"slow": place[0], "fast": place[1]} if place else None
