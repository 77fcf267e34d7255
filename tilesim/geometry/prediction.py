"""Where reflections fall on a panel: Laue's condition for one crystal, one beam, one rotation."""

from __future__ import annotations

import math

import numpy as np

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.geometry.resolution import d_spacings
from tilesim.model.beam import Beam
from tilesim.model.crystal import Crystal
from tilesim.model.detector import Panel
from tilesim.model.experiment import Experiment
from tilesim.model.scan import Scan

MOST = 10**9
"""Reflections that are looked at."""


@frozen
class Spots:
    """Predicted reflections on a panel."""

    hkl: np.ndarray
    """(n, 3) int64"""
    slow: np.ndarray
    """(n,) pixels from the outer corner of pixel (0, 0), as the next"""
    fast: np.ndarray


def predict_spots(crystal: Crystal, beam: Beam, scan: Scan, panel: Panel) -> Spots:
    """The reflections that meet Ewald's sphere during the rotation, or come as near to it as they are wide.

    For the central wavelength and direction, and the orientation without mosaicity; these and the crystal's size
    decide how near is near enough. Systematically absent reflections are predicted, too. Raises InputError for a
    curved panel, and for more than 10^9 reflections.
    """
    if panel.curved_radius is not None:
        raise InputError("spots are predicted for flat detectors; this one is curved")
    corners = np.meshgrid(*(np.linspace(0, n, 9) for n in panel.shape), indexing="ij")
    smallest = float(np.nanmin(d_spacings(panel, beam, *corners)))
    star = np.array(crystal.star)
    limits = [int(np.linalg.norm(v) / smallest) for v in (crystal.a, crystal.b, crystal.c)]
    count = math.prod(2 * n + 1 for n in limits)
    if count > MOST:
        raise InputError(f"{count:.1e} reflections reach the detector; spots are predicted for up to 10^9 of them")
    k, l = np.meshgrid(*(np.arange(-n, n + 1) for n in limits[1:]), indexing="ij")
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    # A plane of h at a time bounds the memory.
    for h in range(-limits[0], limits[0] + 1):
        hkl = np.stack([np.full(k.size, h), k.ravel(), l.ravel()], axis=1)
        g = hkl @ star
        length = np.linalg.norm(g, axis=1)
        near = (length <= 1 / smallest) & (length > 0)
        hkl, directions = _excited(hkl[near], g[near], crystal, beam, scan)
        slow, fast = _arrival(directions, panel)
        inside = (slow >= 0) & (slow < panel.shape[0]) & (fast >= 0) & (fast < panel.shape[1])
        found.append((hkl[inside], slow[inside], fast[inside]))
    hkl, slow, fast = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Spots(hkl, slow, fast)


def predicted(experiment: Experiment, panel: Panel) -> Spots:
    """The reflections of all crystals of an experiment on a panel. Raises InputError as `predict_spots`."""
    found = [predict_spots(one, experiment.beam, experiment.scan, panel) for one in experiment.crystals]
    return Spots(*(np.concatenate([getattr(one, name) for one in found]) for name in ("hkl", "slow", "fast")))


def _excited(hkl: np.ndarray, g: np.ndarray, crystal: Crystal, beam: Beam, scan: Scan) -> tuple[np.ndarray, np.ndarray]:
    """Those of the reflections hkl, g (n, 3) in 1/m, that the scan excites, and where their rays go (m, 3)."""
    incident = np.array(beam.direction) / np.linalg.norm(beam.direction) / beam.wavelength
    axis = np.array(scan.axis)
    along = (g @ axis)[:, None] * axis
    across, beside = g - along, np.cross(axis, g)
    # k . g(phi) + g^2 / 2 = 0, with g(phi) = along + across cos(phi) + beside sin(phi)
    a, b = across @ incident, beside @ incident
    c = -(g * g).sum(axis=1) / 2 - along @ incident
    first, last = sorted((scan.start, scan.start + scan.step * (scan.steps - 1)))
    amplitude = np.hypot(a, b)
    with np.errstate(invalid="ignore", divide="ignore"):
        half, middle = np.arccos(c / amplitude), np.arctan2(b, a)
    allowed = _width(g, crystal, beam)
    kept = []
    for phi in (middle - half, middle + half):
        # The first crossing from the start of the rotation on.
        phi = first + np.mod(phi - first, 2 * np.pi)
        crossed = np.flatnonzero(phi <= last)
        kept.append((crossed, phi[crossed]))
    # Others may be as near to the sphere as they are wide, at the start or at the end.
    ends = np.array([first, last])[:, None]
    distances = np.abs(a * np.cos(ends) + b * np.sin(ends) - c) / np.linalg.norm(incident)
    nearer = distances.argmin(axis=0)
    near = distances.min(axis=0) <= allowed
    near[np.concatenate([crossed for crossed, _ in kept])] = False
    kept.append((np.flatnonzero(near), ends[nearer[near], 0]))
    which, angles = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    return hkl[which], incident + along[which] + across[which] * cos + beside[which] * sin


def _width(g: np.ndarray, crystal: Crystal, beam: Beam) -> np.ndarray:
    """How far off Ewald's sphere (n,) in 1/m a reflection is still seen: size, mosaicity, spectrum, divergence."""
    edges = (n * np.linalg.norm(v) for n, v in zip(crystal.cells, (crystal.a, crystal.b, crystal.c), strict=True))
    traces = np.trace(crystal.mosaic_matrices, axis1=1, axis2=2)
    mosaic = math.acos(min(1.0, max(-1.0, (float(traces.min()) - 1) / 2)))
    waves = beam.waves
    central = np.array(beam.direction) / np.linalg.norm(beam.direction)
    spread = max(float(np.linalg.norm(np.array(w.direction) - central)) for w in waves)
    colour = max(abs(w.wavelength / beam.wavelength - 1) for w in waves)
    length = np.linalg.norm(g, axis=1)
    return np.asarray(1 / min(edges) + length * (mosaic + spread) + length**2 * beam.wavelength / 2 * colour)


def _arrival(directions: np.ndarray, panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """Where rays (n, 3) from the sample meet the plane of a panel, (slow, fast) pixels; NaN where they do not."""
    slow, fast, origin = (np.array(v) for v in (panel.slow, panel.fast, panel.origin))
    normal = np.cross(fast, slow)
    with np.errstate(invalid="ignore", divide="ignore"):
        path = (origin @ normal) / (directions @ normal)
        place = directions * np.where(path > 0, path, np.nan)[:, None] - origin
    along = place @ np.linalg.pinv(np.column_stack([slow, fast])).T / panel.pixel_size
    return along[:, 0], along[:, 1]
