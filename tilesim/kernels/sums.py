"""PixelSums over pixels: what statistics of an image are merged from."""

from __future__ import annotations

import math

import numpy as np

from tilesim.compute import Pixels, PixelSums


def sum_pixels(values: Pixels) -> PixelSums:
    """PixelSums over pixels (n,), of which there is at least one. The kernel in C++ has a faster form (cpp/sums.h)."""
    wide = values.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(wide.mean())
        # A sum that is finite has finite terms; few images have others, or negative ones.
        finite = math.isfinite(mean) or bool(np.isfinite(values).all())
        top = int(np.argmax(values))
        if np.isnan(values[top]):
            top = int(np.argmax(np.where(np.isnan(values), -np.inf, values)))
        positive = bool(values[top] > 0)
        wide -= mean
        return PixelSums(
            mean=mean,
            deviation=float(np.square(wide, out=wide).sum()),
            squares=float(np.square(values).sum(dtype=np.float64)),
            maximum=float(values[top]) if positive else 0.0,
            brightest=top if positive else -1,
            not_finite=0 if finite else len(values) - int(np.isfinite(values).sum()),
            negative=int((values < 0).sum()) if not values.min() >= 0 else 0,
        )
