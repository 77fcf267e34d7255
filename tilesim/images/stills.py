"""A series in CrystFEL's laboratory frame: incident beam along +z, y up; panels once, their shift frame by frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.geometry.axes import crystfel_rotation, turned
from tilesim.model import Crystal, Experiment, Panel, Scan, Series
from tilesim.model.materials import ENERGY_TIMES_WAVELENGTH
from tilesim.model.vectors import rotate_about

STILL = 1e-12
"""Metres by which a panel may move against the others."""


@frozen(eq=False)
class Stills:
    """Frames as CrystFEL sees them."""

    frames: tuple[Experiment, ...]
    """In its frame, with the detector of the first"""
    shifts: np.ndarray
    """(frames, 3) metres by which the panels of a frame are shifted against those of the first."""

    @property
    def panels(self) -> tuple[Panel, ...]:
        """Those of the first frame."""
        return self.frames[0].detector.panels

    @property
    def energies(self) -> np.ndarray:
        """(frames,) central photon energy, eV."""
        return np.array([ENERGY_TIMES_WAVELENGTH * 1e3 / one.beam.wavelength for one in self.frames])

    @property
    def distances(self) -> np.ndarray:
        """(frames,) z of the first panel's corner, metres: the "clen" of CrystFEL."""
        return np.asarray(self.panels[0].origin[2] + self.shifts[:, 2])


def stills_of(series: Series) -> Stills:
    """The frames of a series. Raises InputError where panels turn, or move against each other, or are curved."""
    start = series[0]
    rotation = crystfel_rotation(start)
    first = turned(start, rotation)
    frames, shifts = [], []
    for number, given in zip(series.numbers, series, strict=True):
        one = turned(given, rotation, first.detector if given.detector == start.detector else None)
        if any(panel.curved_radius is not None for panel in one.detector.panels):
            raise InputError(
                f"frame {number}: the detector is curved, which CrystFEL cannot describe; expected a flat one"
            )
        shift = _shift(first, one)
        along = np.array(one.beam.direction)
        if shift is None or np.abs(along - (0.0, 0.0, 1.0)).max() > 1e-9 or one.mask != first.mask:
            what = "the mask" if one.mask != first.mask else "the detector or the direction of the beam"
            raise InputError(
                f"frame {number} differs from frame {series.numbers[0]} in {what}; expected --frame, for a file of "
                "its own"
            )
        shifts.append(shift)
        # Thousands of frames share the panels of the first.
        frames.append(one.replace(detector=first.detector))
    return Stills(tuple(frames), np.array(shifts))


def stars(crystal: Crystal, scan: Scan) -> np.ndarray:
    """a*, b*, c* (3, 3) in 1/m, as rows, in the middle of the rotation."""
    angle = scan.start + scan.oscillation / 2.0
    return np.array([rotate_about(star, scan.axis, angle) for star in crystal.star])


def bandwidth(experiment: Experiment) -> float:
    """Relative standard deviation of the photon energy."""
    waves = experiment.beam.waves
    energies = np.array([1.0 / wave.wavelength for wave in waves])
    weights = np.array([wave.weight for wave in waves])
    mean = np.average(energies, weights=weights)
    return float(np.sqrt(np.average((energies - mean) ** 2, weights=weights)) / mean)


def divergence(experiment: Experiment) -> float:
    """Full angle of the cone that the incident waves come from, radians."""
    central = np.array(experiment.beam.direction)
    return 2.0 * max(float(np.linalg.norm(np.array(wave.direction) - central)) for wave in experiment.beam.waves)


def _shift(first: Experiment, other: Experiment) -> np.ndarray | None:
    """How far all panels are shifted (3,), metres; None where they are not the same ones."""
    if other.detector is first.detector:
        return np.zeros(3)
    before, after = first.detector.panels, other.detector.panels
    if [_kind(panel) for panel in before] != [_kind(panel) for panel in after]:
        return None
    steps = _origins(after) - _origins(before)
    return steps[0] if np.abs(steps - steps[0]).max() <= STILL else None


def _kind(panel: Panel) -> tuple[object, ...]:
    return panel.fast, panel.slow, panel.pixel_size, panel.shape


def _origins(panels: Sequence[Panel]) -> np.ndarray:
    return np.array([panel.origin for panel in panels])
