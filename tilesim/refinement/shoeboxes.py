"""Shoeboxes: the pixels around predicted reflections."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tilesim.errors import InputError
from tilesim.geometry.prediction import predict_spots
from tilesim.model import Experiment
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
