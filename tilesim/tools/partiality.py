"""The partiality of reflections: the share of their full intensity that a shot records."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from tilesim.kernels.derived import DerivedGrain, derive_grains
from tilesim.model import Experiment
from tilesim.model.vectors import IDENTITY, rotate_about
from tilesim.physics.reach import GAUSS_WIDTH, TOPHAT_RADIUS_SQUARED

AT_ONCE = 2**17
"""Reflections times sources of one pass."""
SERIES_BELOW = 0.05
"""Phase below which the closed forms cancel and a power series is used."""


def partialities(experiment: Experiment, hkl: np.ndarray) -> np.ndarray:
    """The share (n,), 0 to 1, of the full intensity that each reflection hkl (n, 3) of an experiment gives.

    Full is what it would give if it stood exactly on the Ewald sphere for every source, spindle step and mosaic domain.
    What it gives at an excitation error e, its distance from the Ewald sphere, is the intensity of the crystal's shape
    around the node summed over the plane that touches the sphere: the transform, along the normal of the sphere, of
    the shape's autocorrelation. Both are summed with the weights of sources, sizes and domains. Structure factors,
    polarisation and absorption are taken to be the same for all of these. One lattice only.
    """
    sources = max(1, len(experiment.beam.waves))
    rows = max(1, AT_ONCE // sources)
    parts = [_share(experiment, hkl[start : start + rows]) for start in range(0, len(hkl), rows)]
    return np.concatenate(parts) if parts else np.empty(0)


def _share(experiment: Experiment, hkl: np.ndarray) -> np.ndarray:
    waves, recorded, full = experiment.beam.waves, np.zeros(len(hkl)), np.zeros(len(hkl))
    incident = np.array([wave.direction for wave in waves]) / np.array([[wave.wavelength] for wave in waves])
    # The solid angle of what touches the sphere goes with the square of the wavelength.
    weights = np.array([wave.weight * wave.wavelength**2 for wave in waves])
    radii = np.linalg.norm(incident, axis=1)[:, None]
    for grain in derive_grains(experiment, experiment.scan.angles):
        star = np.linalg.inv(np.array(grain.cell))
        g, widths = hkl @ star.T, star @ np.linalg.inv(_cells(grain, experiment))
        height = grain.weight * grain.volume**2 * abs(np.linalg.det(widths))
        profile = PROFILES[experiment.lattice.shape.value]
        for rotation in _rotations(grain, experiment):
            # Both in the frame of the unrotated crystal.
            wave = (incident @ rotation)[:, None] + g
            length = np.linalg.norm(wave, axis=-1)
            extent = (wave / length[..., None]) @ widths
            recorded += height * (weights @ profile(length - radii, extent, grain.fudge))
            full += height * (weights @ profile(np.zeros_like(length), extent, grain.fudge))
    with np.errstate(invalid="ignore"):
        return recorded / full


def _cells(grain: DerivedGrain, experiment: Experiment) -> np.ndarray:
    """The matrix (3, 3) that takes the distance from a node in h, k, l to that which the shape is a function of."""
    if experiment.lattice.shape.value in ("gauss", "tophat"):
        return grain.volume * np.array(grain.reciprocal).T
    return np.array(grain.matrix)


def _rotations(grain: DerivedGrain, experiment: Experiment) -> Iterator[np.ndarray]:
    """Every rotation (3, 3) of the unrotated crystal: spindle steps, and the mosaic domains of each."""
    basis = np.array(IDENTITY).reshape(3, 3).tolist()
    for step, angle in enumerate(experiment.scan.angles):
        turn = np.array([rotate_about(tuple(v), experiment.scan.axis, angle) for v in basis]).T
        for domain in grain.mosaic[step % len(grain.mosaic)]:
            yield domain @ turn


# The profiles across the Ewald sphere, of excitation errors (...) in 1/m, extents u (..., 3) of the crystal along the
# normal of the sphere, and its fudge: what is recorded, but for a constant of the shape. In coordinates in which the
# shape is a ball, or a cube, the plane lies at the distance e / |u| from the node.


def _gauss(error: np.ndarray, extent: np.ndarray, fudge: float) -> np.ndarray:
    across = (extent**2).sum(axis=-1)
    return np.asarray(np.exp(-2.0 * fudge / GAUSS_WIDTH * error**2 / across) / np.sqrt(across))


def _tophat(error: np.ndarray, extent: np.ndarray, fudge: float) -> np.ndarray:
    """A disc cut from a ball."""
    across = (extent**2).sum(axis=-1)
    return np.asarray(np.maximum(0.0, 1.0 - error**2 / across * fudge / TOPHAT_RADIUS_SQUARED) / np.sqrt(across))


def _round(error: np.ndarray, extent: np.ndarray, fudge: float) -> np.ndarray:
    """The integral of (3 j1(x) / x)^2 over a plane is j0^2 + j1^2 of its distance: spherical Bessel functions."""
    across = np.sqrt((extent**2).sum(axis=-1))
    x = np.pi * np.sqrt(fudge) * np.abs(error) / across
    safe = np.where(x < SERIES_BELOW, 1.0, x)
    first = np.where(x < SERIES_BELOW, x / 3 * (1 - x**2 / 10), (np.sin(safe) / safe - np.cos(safe)) / safe)
    return np.asarray((np.sinc(x / np.pi) ** 2 + first**2) / across)


def _square(error: np.ndarray, extent: np.ndarray, fudge: float) -> np.ndarray:
    """The cosine transform of the autocorrelation of a block, (1 - u1 z) (1 - u2 z) (1 - u3 z) up to its first zero."""
    extent = np.abs(extent)
    widest = extent.max(axis=-1)
    one, two, three = np.moveaxis(extent / widest[..., None], -1, 0)
    e1, e2, e3 = one + two + three, one * two + one * three + two * three, one * two * three
    y = 2 * np.pi * np.abs(error) / widest
    safe = np.where(y < SERIES_BELOW, 1.0, y)
    # By parts: the polynomial vanishes at 1, its derivatives there and at 0 are left.
    closed = ((2 * e2 - e1 - 3 * e3) * np.cos(safe) + e1) / safe**2
    closed += (6 * e3 - 2 * e2) * np.sin(safe) / safe**3 - 6 * e3 * (1 - np.cos(safe)) / safe**4
    m0, m2, m4 = (1 / (k + 1) - e1 / (k + 2) + e2 / (k + 3) - e3 / (k + 4) for k in (0, 2, 4))
    series = m0 - y**2 / 2 * (m2 - y**2 / 12 * m4)
    return np.asarray(np.maximum(0.0, np.where(y < SERIES_BELOW, series, closed)) / widest)


PROFILES: dict[str, Callable[[np.ndarray, np.ndarray, float], np.ndarray]] = {
    "square": _square,
    "round": _round,
    "gauss": _gauss,
    "tophat": _tophat,
    "gauss-hkl": _gauss,
    "tophat-hkl": _tophat,
}
"""By the name of the shape."""
