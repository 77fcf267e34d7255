"""Resolution of every pixel, and means of images over shells of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilesim.errors import InputError
from tilesim.model import Experiment
from tilesim.model.series import one_experiment

SHELLS = 100
"""Shells of a radial average, of equal width in 1/d."""


def resolution(experiment: Experiment, panel: int | None = None) -> np.ndarray:
    """The d-spacing of every pixel centre, for the central wavelength and direction of the incident beam.

    Parameters
    ----------
    experiment : Experiment
        Beam and detector.
    panel : int, optional
        Number of one panel; by default all.

    Returns
    -------
    ndarray
        Metres, (slow, fast), or (panel, slow, fast) of several panels; infinite in the direct beam.

    Examples
    --------
    >>> import tilesim
    >>> still = tilesim.from_nanobragg("-default_F 100 -cell 50 60 70 90 90 90 -N 5 -detpixels 64 -distance 100")
    >>> float(tilesim.resolution(still)[0, 0] * 1e10) > 20
    True
    """
    from tilesim.geometry.resolution import d_spacings

    panels = one_experiment(experiment).detector.panels
    chosen = panels if panel is None else (panels[panel],)
    found = []
    for one in chosen:
        slow, fast = (np.arange(n) + 0.5 for n in one.shape)
        found.append(d_spacings(one, experiment.beam, *np.meshgrid(slow, fast, indexing="ij")))
    return found[0] if len(found) == 1 else np.stack(found)


def radial_average(image: Any, experiment: Experiment, shells: int = SHELLS) -> tuple[np.ndarray, np.ndarray]:
    """The mean of an image over shells of resolution.

    Parameters
    ----------
    image : array_like or dask.array.Array
        Pixels (slow, fast), or (panel, slow, fast) of several panels. Those without a value are left out: not finite,
        marked in an image of whole numbers, masked by the experiment or outside of its region.
    experiment : Experiment
        Beam and detector.
    shells : int
        Number of shells, of equal width in 1/d from the direct beam to the corner.

    Returns
    -------
    spacing, mean : ndarray
        d-spacing in metres at the middle of each shell, in 1/d, and the mean of its pixels; NaN where it has none.

    Raises
    ------
    InputError
        Where the image has another shape than the detector.

    Examples
    --------
    >>> import tilesim
    >>> still = tilesim.from_nanobragg("-default_F 100 -cell 50 60 70 90 90 90 -N 5 -detpixels 64 -distance 100")
    >>> spacing, mean = tilesim.radial_average(tilesim.simulate(still), still, shells=20)
    >>> len(spacing), bool(mean[0] > mean[-1])
    (20, True)
    """
    from tilesim.images.absent import as_numbers, outside, usual_marks

    stars = 1.0 / resolution(experiment)
    given = np.asarray(image)
    marked = usual_marks(given.dtype).found(given) if given.dtype.kind in "iu" else np.zeros(given.shape, bool)
    pixels = as_numbers(np.asarray(given, None if marked.any() else np.float64), marked).astype(np.float64)
    if pixels.shape != stars.shape:
        raise InputError(f"an image of shape {pixels.shape} on a detector of {stars.shape}; expected the same")
    edges = np.linspace(0.0, float(stars.max()), shells + 1)
    masked = outside(experiment)
    there = np.isfinite(pixels) if masked is None else np.isfinite(pixels) & ~masked.reshape(pixels.shape)
    place = np.clip(np.digitize(stars[there], edges) - 1, 0, shells - 1)
    counts = np.bincount(place, minlength=shells)
    with np.errstate(invalid="ignore"):
        means = np.bincount(place, pixels[there], shells) / np.where(counts, counts, np.nan)
    return 2.0 / (edges[:-1] + edges[1:]), means
