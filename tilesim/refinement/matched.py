"""Experiments and measured pixels that go together: one experiment for each frame."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from tilesim.errors import InputError
from tilesim.images.dataset import Dataset
from tilesim.images.opening import dataset_of
from tilesim.model import Experiment, Series, checks
from tilesim.refinement.measured import Measured, MeasuredArrays, MeasuredImages, measured_arrays, stated_readout

Path = str | os.PathLike[str]


def matched(
    experiment: Experiment | Sequence[Experiment] | Dataset | Path,
    data: Dataset | Path | Any,
    gain: float | None = None,
    offset: float | None = None,
    places: Sequence[int] | None = None,
    background: Any = 0.0,
) -> tuple[list[Experiment], Measured]:
    """An experiment for each frame of the measured pixels. Raises InputError where they do not go together.

    places      frames of a dataset, counted from 0; None: all
    background  photons of every pixel; or a dataset, path or arrays of those of each, one frame for all or as many
    """
    if isinstance(experiment, Dataset | str | os.PathLike):
        experiments = list(dataset_of(experiment).series)
    elif isinstance(experiment, Experiment):
        experiments = [experiment]
    elif isinstance(experiment, Sequence):
        experiments = list(Series.of(cast("Sequence[Experiment]", experiment)))
    else:
        raise InputError(f"experiment is {experiment!r}; expected an Experiment, one for each frame, or a dataset")
    first = experiments[0]
    panels, shape = len(first.detector.panels), first.panel_shape
    if not isinstance(data, Dataset | str | os.PathLike):
        if gain is not None or offset is not None:
            raise InputError("gain= and offset= go with a dataset; expected arrays of photons")
        arrays = measured_arrays(data, shape if panels == 1 else (panels, *shape), len(experiments))
        return experiments, replace(
            arrays, over=_background(background, first, len(experiments), range(len(experiments)))
        )
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
    over = _background(background, first, len(source), chosen)
    return experiments, MeasuredImages(source, chosen, gain, offset, stated.noise, over=over)


def _background(given: Any, experiment: Experiment, count: int, places: Sequence[int]) -> Measured | float:
    """What images are measured over, for the frames at some of `count` places. Raises InputError."""
    panels, shape = len(experiment.detector.panels), experiment.panel_shape
    if isinstance(given, Dataset | str | os.PathLike):
        source = dataset_of(given)
        if (source.shape, source.panels) != (shape, panels) or len(source) not in (1, count):
            raise InputError(
                f"background {source.path} has {len(source)} frames of {source.panels} panels of {source.shape} "
                f"pixels; expected 1 or {count} of {panels} of {shape}"
            )
        stated = stated_readout(source)
        return MeasuredImages(
            source, tuple(places) if len(source) > 1 else (0,) * len(places), stated.gain, stated.offset
        )
    if np.ndim(given) or isinstance(given, list | tuple):
        whole = shape if panels == 1 else (panels, *shape)
        alone = np.shape(given) == whole
        arrays = measured_arrays(given, whole, 1 if alone else count, "background").arrays
        return MeasuredArrays(list(arrays) * len(places) if alone else [arrays[place] for place in places])
    return checks.not_negative("background", given)
