"""DIALS model files (.expt): the detector, beam, goniometer and crystal of their first experiment."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tilesim.errors import InputError
from tilesim.model.detector import Panel, Sensor
from tilesim.model.instrument import Instrument, flat_panel, sensor_of, square_pixel
from tilesim.model.mask import PixelMask
from tilesim.model.materials import known_material
from tilesim.model.vectors import rotate_about, unit

Plain = dict[str, Any]
"""A JSON object."""


def parse_expt(content: bytes, name: str) -> Instrument:
    """The instrument of an experiment list; in the frame of the file, where the incident beam usually runs along -z."""
    plain = json.loads(content)
    if not isinstance(plain, dict) or not plain.get("detector"):
        raise InputError("expected the key detector, as DIALS writes it")
    first = (plain.get("experiment") or [{}])[0]
    detector, beam, goniometer, crystal = (
        _model(plain, first, key) for key in ("detector", "beam", "goniometer", "crystal")
    )
    if detector is None:
        raise InputError("expected an experiment with a detector")
    described = detector["panels"]
    frames = _frames(detector.get("hierarchy"), len(described))
    panels = [_panel(panel, frame) for panel, frame in zip(described, frames, strict=True)]
    known: dict[str, Any] = {}
    if beam:
        light = -np.array(unit(_vector(beam["direction"])))
        known["beam"] = tuple(light.tolist())
        if "wavelength" in beam:
            known["wavelength"] = float(beam["wavelength"]) * 1e-10
        if "polarization_normal" in beam:
            known["polarization_axis"] = unit(tuple(np.cross(light, _vector(beam["polarization_normal"])).tolist()))
        if "polarization_fraction" in beam:
            known["kahn_factor"] = 2.0 * float(beam["polarization_fraction"]) - 1.0
    if goniometer:
        known["spindle"] = _spindle(goniometer)
    if crystal:
        real = np.array([_vector(crystal[f"real_space_{axis}"]) for axis in "abc"]) * 1e-10
        known["real_cell"] = tuple(real.reshape(9).tolist())
    return Instrument(name, tuple(panels), sensor=_sensor(described[0]), mask=_mask(described, panels), **known)


def _model(plain: Plain, first: Plain, key: str) -> Plain | None:
    """The model of the first experiment; without experiments the first there is."""
    models = plain.get(key) or []
    number = first.get(key, None if plain.get("experiment") else 0)
    return models[number] if number is not None and models else None


def _vector(value: Iterable[Any]) -> tuple[float, float, float]:
    x, y, z = (float(v) for v in value)
    return (x, y, z)


def _frames(hierarchy: Plain | None, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Origin (3) and axes (3, 3) as columns of what each panel is placed in."""
    frames: list[tuple[np.ndarray, np.ndarray]] = [(np.zeros(3), np.eye(3))] * count

    def descend(node: Plain, origin: np.ndarray, axes: np.ndarray) -> None:
        fast, slow = (np.array(unit(_vector(node[f"{axis}_axis"]))) for axis in ("fast", "slow"))
        own = np.stack([fast, slow, np.cross(fast, slow)], axis=1)
        origin, axes = origin + axes @ np.array(_vector(node["origin"])), axes @ own
        for child in node.get("children", []):
            if "panel" in child:
                frames[child["panel"]] = (origin, axes)
            else:
                descend(child, origin, axes)

    if hierarchy:
        descend(hierarchy, np.zeros(3), np.eye(3))
    return frames


def _panel(plain: Plain, frame: tuple[np.ndarray, np.ndarray]) -> Panel:
    origin, axes = frame
    corner = (origin + axes @ np.array(_vector(plain["origin"]))) * 1e-3
    fast, slow = (axes @ np.array(_vector(plain[f"{axis}_axis"])) for axis in ("fast", "slow"))
    pixel = square_pixel(*(float(x) * 1e-3 for x in plain["pixel_size"]))
    columns, rows = plain["image_size"]
    return flat_panel(corner.tolist(), fast.tolist(), slow.tolist(), pixel, (rows, columns))


def _sensor(plain: Plain) -> Sensor | None:
    thickness, mu = float(plain.get("thickness") or 0.0) * 1e-3, float(plain.get("mu") or 0.0) * 1e3
    material = known_material(str(plain.get("material") or ""))
    return sensor_of(thickness, material, mu if mu > 0.0 else None)


def _mask(described: list[Plain], panels: Sequence[Panel]) -> PixelMask | None:
    """Rectangles that are not trusted: first fast, first slow, last fast, last slow, the last ones left out."""
    if not any(panel.get("mask") for panel in described):
        return None
    slow, fast = panels[0].shape
    active = np.ones((len(panels), slow, fast), bool)
    for part, plain in zip(active, described, strict=True):
        for left, top, right, bottom in plain.get("mask") or []:
            part[max(0, int(top)) : max(0, int(bottom)), max(0, int(left)) : max(0, int(right))] = False
    return PixelMask(active.reshape(-1, fast))


def _spindle(plain: Plain) -> tuple[float, float, float]:
    """The axis that the scan turns about, where the outer axes of the goniometer have put it."""
    if "axes" in plain:
        number = int(plain.get("scan_axis", 0))
        axis = _vector(plain["axes"][number])
        for outer, angle in list(zip(plain["axes"], plain["angles"], strict=True))[number + 1 :]:
            axis = rotate_about(axis, unit(_vector(outer)), math.radians(float(angle)))
        return unit(axis)
    setting = np.array(plain.get("setting_rotation") or np.eye(3), float).reshape(3, 3)
    return unit(tuple((setting @ np.array(_vector(plain["rotation_axis"]))).tolist()))
