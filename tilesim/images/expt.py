"""DIALS model files (.expt): beam, detector, goniometer, scan and the crystals that were simulated, as JSON."""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from tilesim.errors import InputError
from tilesim.files.replace import replacing
from tilesim.frozen import frozen
from tilesim.geometry.axes import Axes, rotation_to, turned
from tilesim.model import Crystal, Experiment, Panel, PixelMask, Region, Series
from tilesim.model.vectors import Vector, rotate_about

IDENTITY = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
CONTIGUOUS = 1e-6
"""Degrees by which a frame may begin before or after the end of the one before it."""
MOST_RECTANGLES = 10_000
"""In the mask of a panel: one of single bad pixels is in the images."""
SATURATION = 2.0**31 - 3


@frozen
class ModelImages:
    """Where the pixels of the models are."""

    names: tuple[str, ...]
    """A file for each frame, or one for all of them."""
    template: str | None = None
    """The names with # for the digits of the number in which they differ."""
    first: int = 1
    """Number of the first file."""


def write_expt(
    path: str | os.PathLike[str],
    series: Series,
    *,
    axes: Axes = Axes.IMGCIF,
    images: ModelImages | None = None,
    trusted: tuple[float, float] = (0.0, SATURATION),
    gain: float = 1.0,
    pedestal: float = 0.0,
) -> None:
    """Write the models of a series, all or nothing, in the frame `axes`.

    A rotation whose frames follow each other is one experiment with a scan. Stills, and frames with gaps between, are
    one experiment each, without scan and goniometer: their crystal is turned by the spindle. Raises InputError,
    StoreError.
    """
    plain = models(series, axes, images)
    for detector in plain["detector"]:
        for panel in detector["panels"]:
            panel |= {"trusted_range": list(trusted), "gain": gain, "pedestal": pedestal}
    text = json.dumps(plain, indent=2, allow_nan=False)
    with replacing(path) as file:
        file.write((text + "\n").encode())


def models(series: Series, axes: Axes, images: ModelImages | None = None) -> dict[str, Any]:
    """The experiment list as plain values; frames share the models that they have in common."""
    rotation = rotation_to(axes, series[0])
    frames = [turned(one, rotation) for one in series]
    for number, one in zip(series.numbers, frames, strict=True):
        if any(panel.curved_radius is not None for panel in one.detector.panels):
            raise InputError(f"frame {number}: the detector is curved, which this format cannot describe")
    first = frames[0]
    plain: dict[str, Any] = {"__id__": "ExperimentList", "experiment": [], "imageset": []}
    plain |= {key: [] for key in ("beam", "detector", "goniometer", "scan", "crystal", "profile", "scaling_model")}
    number = images.first if images else 1
    shared = {"__id__": "Experiment", "identifier": ""}
    if _is_sweep(frames):
        plain |= {
            "beam": [beam_model(first)],
            "detector": [detector_model(first)],
            "goniometer": [goniometer_model(first)],
            "scan": [scan_model(frames, number)],
            "imageset": [_sequence(images, len(frames))] if images else [],
        }
        places = {"beam": 0, "detector": 0, "goniometer": 0, "scan": 0, **({"imageset": 0} if images else {})}
        plain["experiment"] = [
            shared | places | _place(plain, "crystal", model) for model in crystal_models(first, 0.0)
        ]
        return plain
    for index, frame in enumerate(frames):
        places = _place(plain, "beam", beam_model(frame)) | _place(plain, "detector", detector_model(frame))
        if images:
            name = images.names[index] if len(images.names) > 1 else images.names[0]
            indices = {"single_file_indices": [index]} if len(images.names) == 1 < len(frames) else {}
            places |= _place(plain, "imageset", {"__id__": "ImageSet", "images": [name], **_LOOKUPS, **indices})
        # Of a still each has a crystal of its own, as programs that refine them expect.
        for model in crystal_models(frame, frame.scan.start):
            plain["experiment"].append(shared | places | _place(plain, "crystal", model, alone=True))
    return plain


def _place(plain: dict[str, Any], key: str, model: dict[str, Any] | None, alone: bool = False) -> dict[str, int]:
    """Where a model stands in the list of its kind, to which it is added unless the last one is the same."""
    if model is None:
        return {}
    known = plain[key]
    if alone or not known or known[-1] != model:
        known.append(model)
    return {key: len(known) - 1}


_LOOKUPS = {"mask": "", "gain": "", "pedestal": "", "dx": "", "dy": "", "params": {}}
"""Files of corrections, of which there are none."""


def beam_model(experiment: Experiment) -> dict[str, Any]:
    """The direction points from the sample to the source."""
    beam = experiment.beam
    # DIALS names the normal of the plane that holds beam and electric field.
    factor, field = beam.mean_polarization or (0.0, beam.polarization_axis)
    normal = np.cross(field, beam.direction)
    size = float(np.linalg.norm(normal))
    factor = factor if size > 0 else 0.0
    return {
        "__id__": "monochromatic",
        "direction": [-x + 0.0 for x in beam.direction],
        "wavelength": beam.wavelength * 1e10,
        "divergence": 0.0,
        "sigma_divergence": 0.0,
        "polarization_normal": (normal / size if size > 0 else np.array([0.0, 1.0, 0.0])).tolist(),
        "polarization_fraction": (1.0 + factor) / 2.0,
        "flux": 0.0,
        "transmission": 1.0,
        "probe": "x-ray",
        "sample_to_source_distance": 0.0,
    }


def detector_model(experiment: Experiment) -> dict[str, Any]:
    """All panels, in one flat hierarchy; millimetres, and fast before slow."""
    panels = experiment.detector.panels
    root = {"fast_axis": [1.0, 0.0, 0.0], "slow_axis": [0.0, 1.0, 0.0], "origin": [0.0, 0.0, 0.0]}
    return {
        "panels": [
            _panel_model(panel, n, experiment.beam.wavelength) | {"mask": mask}
            for n, (panel, mask) in enumerate(zip(panels, _masks(experiment), strict=True))
        ],
        "hierarchy": {
            "name": "",
            "type": "",
            **root,
            "raw_image_offset": [0, 0],
            "image_size": [0, 0],
            "pixel_size": [0.0, 0.0],
            "trusted_range": [0.0, 0.0],
            "thickness": 0.0,
            "material": "",
            "mu": 0.0,
            "identifier": "",
            "mask": [],
            "gain": 1.0,
            "pedestal": 0.0,
            "px_mm_strategy": {"type": "SimplePxMmStrategy"},
            "children": [{"panel": number} for number in range(len(panels))],
        },
    }


def _masks(experiment: Experiment) -> Iterator[list[list[int]]]:
    """Rectangles of each panel that are not to be trusted."""
    top = 0
    for panel in experiment.detector.panels:
        yield [list(one) for one in _untrusted(experiment.mask, experiment.region, top, panel.shape)]
        top += panel.shape[0]


@lru_cache(maxsize=1024)
def _untrusted(mask: PixelMask | None, region: Region, top: int, shape: tuple[int, int]) -> tuple[tuple[int, ...], ...]:
    """Rectangles of what was not simulated of a panel, which begins at row `top` of the image.

    Each is first fast, first slow, last fast, last slow, the last ones left out. None at all where it takes too many.
    """
    active = np.zeros(shape, bool)
    first, last = (min(max(n - top, 0), len(active)) for n in (region.slow_start, region.slow_stop))
    active[first:last, region.fast_start : region.fast_stop] = True
    if mask is not None:
        active &= mask.active[top : top + len(active)]
    edges = [0, *(np.flatnonzero((active[1:] != active[:-1]).any(axis=1)) + 1).tolist(), len(active)]
    found: list[tuple[int, ...]] = []
    for above, below in itertools.pairwise(edges):
        turns = np.flatnonzero(np.diff(active[above], prepend=True, append=True)).tolist()
        found += [(left, above, right, below) for left, right in zip(turns[::2], turns[1::2], strict=True)]
        if len(found) > MOST_RECTANGLES:
            return ()
    return tuple(found)


def _panel_model(panel: Panel, number: int, wavelength: float) -> dict[str, Any]:
    sizes = [float(np.linalg.norm(axis)) for axis in (panel.fast, panel.slow)]
    sensor = panel.sensor
    thickness = sensor.thickness * 1e3 if sensor else 0.0
    mu = sensor.attenuation_at(wavelength) / 1e3 if sensor else 0.0
    absorbing = thickness > 0 and mu > 0
    strategy = {"type": "ParallaxCorrectedPxMmStrategy"} if absorbing else {"type": "SimplePxMmStrategy"}
    return {
        "name": f"panel_{number}",
        "type": "SENSOR_PAD",
        "fast_axis": [x / sizes[0] for x in panel.fast],
        "slow_axis": [x / sizes[1] for x in panel.slow],
        "origin": [x * 1e3 for x in panel.origin],
        "raw_image_offset": [0, 0],
        "image_size": list(reversed(panel.shape)),
        "pixel_size": [panel.pixel_size * 1e3 * size for size in sizes],
        "trusted_range": [0.0, SATURATION],
        "thickness": thickness,
        "material": (sensor.material or "") if sensor else "",
        "mu": mu,
        "identifier": "",
        "mask": [],
        "gain": 1.0,
        "pedestal": 0.0,
        "px_mm_strategy": strategy,
    }


def goniometer_model(experiment: Experiment) -> dict[str, Any]:
    """One axis; angle 0 is the crystal as it is given."""
    axis = list(experiment.scan.axis)
    return {"rotation_axis": axis, "fixed_rotation": IDENTITY, "setting_rotation": IDENTITY}


def scan_model(frames: Sequence[Experiment], first: int) -> dict[str, Any]:
    """Images numbered from `first`; degrees and seconds, of which 0 are an unknown time."""
    count, exposure = len(frames), frames[0].beam.exposure or 0.0
    width = math.degrees(frames[0].scan.oscillation)
    starts = [math.degrees(frame.scan.start) for frame in frames]
    return {
        "image_range": [first, first + count - 1],
        "batch_offset": 0,
        "properties": {
            "oscillation": starts,
            **({"oscillation_width": [width]} if count == 1 else {}),
            "exposure_time": [exposure] * count,
            "epochs": [exposure * number for number in range(count)],
        },
        "valid_image_ranges": {},
    }


def crystal_models(experiment: Experiment, angle: float) -> list[dict[str, Any] | None]:
    """The models of all crystals, turned about the spindle by `angle` radians; None without any."""
    return [_crystal_model(one, experiment.scan.axis, angle) for one in experiment.crystals] or [None]


def _crystal_model(crystal: Crystal, axis: Vector, angle: float) -> dict[str, Any]:
    """The cell in P1; angstrom."""
    vectors = (rotate_about(getattr(crystal, name), axis, angle) for name in "abc")
    named = zip("abc", vectors, strict=True)
    cell = {f"real_space_{name}": [x * 1e10 for x in vector] for name, vector in named}
    return {"__id__": "crystal", **cell, "space_group_hall_symbol": " P 1"}


def _is_sweep(frames: Sequence[Experiment]) -> bool:
    """Whether one crystal turns on in each frame from where the one before it ended, and all else stays."""
    first = frames[0]
    for one in frames:
        same = (one.beam, one.crystals, one.detector) == (first.beam, first.crystals, first.detector)
        if not same or one.scan.replace(start=0.0) != first.scan.replace(start=0.0):
            return False
    width = math.degrees(first.scan.oscillation)
    starts = np.degrees([frame.scan.start for frame in frames])
    return width != 0.0 and bool(np.all(np.abs(np.diff(starts) - width) < CONTIGUOUS))


def _sequence(images: ModelImages, count: int) -> dict[str, Any]:
    one_file = len(images.names) == 1
    indices = {"single_file_indices": list(range(count))} if one_file and images.template is None else {}
    template = images.template or images.names[0]
    return {"__id__": "ImageSequence", "template": template, **_LOOKUPS, **indices}
