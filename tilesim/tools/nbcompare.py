"""What nb-compare says of two images: its figures under its names, its pictures, their difference."""

from __future__ import annotations

import math
import os

import numpy as np

from tilesim.files.replace import replacing
from tilesim.images.flat import band_rows
from tilesim.images.pixels import Image, ImagePart
from tilesim.tools.compare import Comparison
from tilesim.tools.peaks import brightest_peaks

PEAKS = 10
"""Brightest local maxima of each image whose distances are said."""


def nb_figures(found: Comparison, py: Image, c: Image) -> dict[str, float | None]:
    """The figures of the region, where there is one, under nb-compare's names; None for those that there are not.

    found  the comparison of `py`, the first image, with `c`, the second
    """
    part = found.whole
    if found.regions:
        region, part = found.regions[0]
        py, c = (ImagePart(image, *region.slices) for image in (py, c))
    distances = peak_distances(c, py)
    return {
        "correlation": part.correlation,
        "mse": part.mean_square,
        "rmse": math.sqrt(part.mean_square),
        "max_abs_diff": part.absolute.value,
        "c_sum": part.sums[1],
        "py_sum": part.sums[0],
        "sum_ratio": part.ratio,
        "mean_peak_distance": float(distances.mean()) if distances.size else None,
        "max_peak_distance": float(distances.max()) if distances.size else None,
    }


def peak_distances(a: Image, b: Image, count: int = PEAKS) -> np.ndarray:
    """Pixels from each of the brightest peaks of `a` to the nearest of those of `b`; empty where either has none."""
    one, other = (brightest_peaks(image, count).places for image in (a, b))
    if not (len(one) and len(other)):
        return np.zeros(0)
    return np.linalg.norm(one[:, None, :] - other[None, :, :], axis=-1).min(axis=1)


def draw_images(folder: str, py: Image, c: Image, percentile: float, save_difference: bool) -> list[str]:
    """Write c.png, py.png and diff.png, a dot for each pixel, and diff.bin where it is wanted; gives their paths.

    percentile  of the pixels with photons, in both images: what is above is white; of the sizes of the differences

    Raises StoreError where a file cannot be written.
    """
    from matplotlib.image import imsave

    one, other = _pixels(py), _pixels(c)
    with np.errstate(invalid="ignore", over="ignore"):
        gaps = one - other
    top = _percentile(np.concatenate([image[image > 0] for image in (one, other)]), percentile)
    deepest = _percentile(np.abs(gaps).ravel(), percentile)
    paths = []
    for name, values, low, high in (("c", other, 0.0, top), ("py", one, 0.0, top), ("diff", gaps, -deepest, deepest)):
        paths.append(os.path.join(folder, f"{name}.png"))
        with replacing(paths[-1]) as file:
            imsave(file, values, vmin=low, vmax=high, cmap="gray", format="png", origin="upper")
    if save_difference:
        paths.append(os.path.join(folder, "diff.bin"))
        with replacing(paths[-1]) as file:
            file.write(gaps.astype("<f4").tobytes())
    return paths


def _pixels(image: Image) -> np.ndarray:
    return np.concatenate([band for _, band in image.bands(band_rows(image.shape))]).astype(np.float64)


def _percentile(values: np.ndarray, percentile: float) -> float:
    """The percentile of what is finite; 1 where that is no scale."""
    finite = values[np.isfinite(values)]
    return (float(np.percentile(finite, percentile)) if finite.size else 0.0) or 1.0
