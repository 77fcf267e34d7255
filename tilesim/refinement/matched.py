"""Experiments and measured pixels that go together: one experiment for each frame."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from tilesim.errors import InputError
from tilesim.images.dataset import Dataset
from tilesim.images.opening import dataset_of
from tilesim.model import Experiment, Series, checks
from tilesim.refinement.measured import Measured, MeasuredImages, measured_arrays, stated_readout

Path = str | os.PathLike[str]


def matched(
    experiment: Experiment | Sequence[Experiment] | Dataset | Path,
    data: Dataset | Path | Any,
    gain: float | None = None,
    offset: float | None = None,
    places: Sequence[int] | None = None,
) -> tuple[list[Experiment], Measured]:
    """An experiment for each frame of the measured pixels. Raises InputError where they do not go together.

    places  frames of a dataset, counted from 0; None: all
    """
    if isinstance(experiment, Dataset | str | os.PathLike):
        experiment = dataset_of(experiment).series
    experiments = [experiment] if isinstance(experiment, Experiment) else list(Series.of(experiment))
    first = experiments[0]
    panels, shape = len(first.detector.panels), first.panel_shape
    if not isinstance(data, Dataset | str | os.PathLike):
        if gain is not None or offset is not None:
            raise InputError("gain= and offset= go with a dataset; expected arrays of photons")
        return experiments, measured_arrays(data, shape if panels == 1 else (panels, *shape), len(experiments))
    source = dataset_of(data)
    if (source.shape, source.panels) != (shape, panels):
        raise InputError(
            f"{source.path} has {source.panels} panels of {source.shape} pixels (slow, fast), the experiment {panels} "
            f"of {shape}; expected the same"
        )
    chosen = tuple(range(len(source)) if places is None else places)
    if len(experiments) == len(source) > len(chosen):
        experiments = [experiments[place] for place in chosen]
    if len(experiments) == 1:
        experiments *= len(chosen)
    if len(experiments) != len(chosen):
        raise InputError(f"{source.path} has {len(chosen)} frames for {len(experiments)} experiments; expected as many")
    stated = stated_readout(source)
    gain = checks.positive("gain", stated.gain if gain is None else gain)
    offset = checks.finite("offset", stated.offset if offset is None else offset)
    return experiments, MeasuredImages(source, chosen, gain, offset, stated.noise)
