"""Which pixels count: shoeboxes around predicted reflections, and all but the reflection of the direct beam."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tilesim.errors import InputError
from tilesim.geometry.prediction import predict_spots
from tilesim.geometry.resolution import beam_centre, positions
from tilesim.model import Crystal, Experiment, Panel
from tilesim.model.checks import whole_number


def in_shoeboxes(experiment: Experiment, reach: int) -> npt.NDArray[np.bool_]:
    """Which pixels, of the shape of the image, are at most `reach` from a predicted reflection of any lattice.

    Raises InputError where none is predicted, and for curved panels.
    """
    reach = whole_number("shoebox", reach, at_least=0)
    panels = []
    for panel in experiment.detector.panels:
        near = np.zeros(panel.shape, bool)
        for crystal in experiment.crystals:
            spots = predict_spots(crystal, experiment.beam, experiment.scan, panel)
            for slow, fast in zip(spots.slow.astype(int).tolist(), spots.fast.astype(int).tolist(), strict=True):
                rows = slice(max(slow - reach, 0), slow + reach + 1)
                near[rows, max(fast - reach, 0) : fast + reach + 1] = True
        panels.append(near)
    if not any(near.any() for near in panels):
        raise InputError("no reflection is predicted on the detector, and so there is no shoebox; expected some")
    return panels[0] if len(panels) == 1 else np.stack(panels)


def beside_the_beam(experiment: Experiment) -> npt.NDArray[np.bool_]:
    """Which pixels, of the shape of the image, are nearer to another reflection than to 0 0 0 of some lattice.

    The direct beam is stopped before a detector, or what is measured there is not the reflection alone.
    """
    panels = []
    for panel in experiment.detector.panels:
        beside = np.ones(panel.shape, bool)
        for crystal in experiment.crystals:
            rows, columns = _around_the_beam(crystal, panel, experiment)
            slow, fast = np.mgrid[rows, columns] + 0.5
            place = positions(panel, experiment.beam, slow, fast)
            diffracted = place / np.linalg.norm(place, axis=-1, keepdims=True)
            q = (diffracted - np.array(experiment.beam.direction)) / experiment.beam.wavelength
            indices = q @ np.array([crystal.a, crystal.b, crystal.c]).T
            beside[rows, columns] &= (np.abs(indices) > 0.5).any(axis=-1)
        panels.append(beside)
    return panels[0] if len(panels) == 1 else np.stack(panels)


def _around_the_beam(crystal: Crystal, panel: Panel, experiment: Experiment) -> tuple[slice, slice]:
    """Rows and columns of a panel that hold all pixels whose nearest reflection is 0 0 0."""
    centre = beam_centre(panel, experiment.beam)
    if centre is None:
        return slice(0), slice(0)
    farthest = 0.5 * float(np.linalg.norm(crystal.star, axis=-1).sum()) * experiment.beam.wavelength
    away = float(np.linalg.norm(positions(panel, experiment.beam, np.array(centre[0]), np.array(centre[1]))))
    reach = 2.0 * farthest * away / panel.pixel_size + 2.0  # twice: panels may be oblique
    slow, fast = (
        slice(max(0, int(x - reach)), max(0, min(edge, int(x + reach) + 1)))
        for x, edge in zip(centre, panel.shape, strict=True)
    )
    return slow, fast
