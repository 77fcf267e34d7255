"""DIALS model files (.expt): the detector, beam, goniometer and crystal of one of their experiments."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from tilesim.errors import InputError
from tilesim.instruments.alike import alike
from tilesim.instruments.goniometer import read_goniometer
from tilesim.instruments.plain import Plain, a_list, an_object, objects
from tilesim.instruments.scans import as_matrix, real_cell, scan_points
from tilesim.model import checks
from tilesim.model.detector import Panel, Sensor
from tilesim.model.instrument import Instrument, of_one_shape, sensor_of, stepped_panel
from tilesim.model.materials import known_material
from tilesim.model.vectors import Vector, cross, norm, scale, unit

TO_SOURCE: Vector = (0.0, 0.0, 1.0)
POLARIZATION_NORMAL: Vector = (0.0, 1.0, 0.0)
"""What dxtbx takes where a model does not say it: a beam along -z, the field along x."""
SAME = 1e-6
"""Relative difference of wavelengths along a scan that counts as none."""
LOOKUPS = {"mask": "mask", "dx": "distortion map", "dy": "distortion map"}
"""Files that a set of images names, and which change pixels."""


def parse_expt(content: bytes, name: str, experiment: int | None = None) -> Instrument:
    """The instrument of an experiment, in the frame of the file, where the incident beam usually runs along -z.

    experiment  number, counted from 0; None: the first, and a note says so where there are several

    Raises InputError.
    """
    plain = json.loads(content)
    if not isinstance(plain, dict) or not plain.get("detector"):
        raise InputError("expected the key detector, as DIALS writes it")
    chosen, notes = _chosen(plain, experiment, name)
    models = {key: _model(plain, chosen, key) for key in ("detector", "beam", "goniometer", "scan", "crystal")}
    beam, detector, crystal = models["beam"], models["detector"], models["crystal"]
    if detector is None:
        raise InputError("expected an experiment with a detector")
    panels = _panels(detector)
    goniometer = read_goniometer(models["goniometer"]) if models["goniometer"] else None
    light, known = _beam(beam)
    if goniometer:
        known["spindle"] = goniometer.spindle(goniometer.setting)
    cell = real_cell(crystal)
    if cell is not None:
        known["real_cell"] = as_matrix(goniometer.mounted(cell, goniometer.setting) if goniometer else cell)
    known["scan_points"] = scan_points(beam, goniometer, crystal, models["scan"], light)
    described = detector["panels"]
    notes += _unread(beam, _model(plain, chosen, "imageset"), described, name)
    same, mask = of_one_shape(alike(panels), [_active(*one) for one in zip(described, panels, strict=True)])
    return Instrument(name, same, sensor=_sensor(described[0]), mask=mask, notes=tuple(notes), **known)


def expt_crystals(content: bytes, name: str) -> tuple[Vector, Panel, list[np.ndarray]]:
    """The incident beam and first panel of the first experiment of a file, and a, b, c (3, 3) in metres of the crystal
    of each, as it stands at the setting of its goniometer.

    Raises InputError.
    """
    instrument = parse_expt(content, name, 0)
    plain = json.loads(content)
    cells = []
    for number in range(len(objects(plain, "experiment"))):
        chosen, _ = _chosen(plain, number, name)
        cell, goniometer = real_cell(_model(plain, chosen, "crystal")), _model(plain, chosen, "goniometer")
        if cell is None:
            raise InputError(f"experiment {number} of {name} has no crystal; expected one in each")
        if goniometer is not None:
            known = read_goniometer(goniometer)
            cell = known.mounted(cell, known.setting)
        cells.append(cell)
    if not cells:
        raise InputError(f"{name} has no experiments; expected one for each shot")
    return instrument.beam, instrument.panels[0], cells


def _chosen(plain: Plain, experiment: int | None, name: str) -> tuple[Plain, list[str]]:
    """The experiment, and what to say of it; without experiments one of the first models of each kind."""
    first = {key: 0 for key in ("detector", "beam", "goniometer", "crystal") if plain.get(key)}
    listed = objects(plain, "experiment") or [first]
    count, number = len(listed), experiment or 0
    if number >= count:
        raise InputError(f"--experiment {number}; expected a number from 0 to {count - 1}, it holds {count}")
    said = f"{name}: experiment 0 of {count} (counted from 0) is taken; --experiment K takes another"
    return listed[number], [said] if count > 1 and experiment is None else []


def _model(plain: Plain, experiment: Plain, key: str) -> Plain | None:
    """The model that an experiment names; None where it names none."""
    number, models = experiment.get(key), objects(plain, key)
    if number is None:
        return None
    if isinstance(number, str):
        raise InputError(
            f"the {key} of an experiment is in another file, {number[:60]!r}; expected its models in this one"
        )
    if not isinstance(number, int) or not 0 <= number < len(models):
        raise InputError(f"an experiment names {key} {str(number)[:20]}, of {len(models)}; expected one that is there")
    return models[number]


def _beam(beam: Plain | None) -> tuple[Vector, dict[str, Any]]:
    """Direction of the incident beam, and what an instrument knows of it."""
    beam = beam or {}
    light = scale(unit(checks.direction("direction of a beam", beam.get("direction", TO_SOURCE))), -1.0)
    normal = checks.three_vector("polarization_normal of a beam", beam.get("polarization_normal", POLARIZATION_NORMAL))
    field = cross(light, normal)
    if not norm(field) > 1e-6:
        raise InputError("the polarization_normal of a beam is parallel to it; expected one across")
    known: dict[str, Any] = {"beam": light, "polarization_axis": unit(field)}
    wavelength = checks.finite("wavelength of a beam", beam.get("wavelength", 0.0))
    if wavelength:  # 0 is that of an empty model
        known["wavelength"] = checks.positive("wavelength of a beam", wavelength) * 1e-10
    if "polarization_fraction" in beam:
        fraction = checks.finite("polarization_fraction of a beam", beam["polarization_fraction"])
        if not 0.0 <= fraction <= 1.0:
            raise InputError(f"polarization_fraction of a beam is {fraction:g}; expected 0 to 1")
        known["kahn_factor"] = 2.0 * fraction - 1.0
    return light, known


def _panels(detector: Plain) -> list[Panel]:
    described = objects(detector, "panels", " of a detector")
    if not described:
        raise InputError("a detector has no panels; expected at least one")
    frames = _frames(an_object(detector, "hierarchy"), len(described))
    return [_panel(panel, frame) for panel, frame in zip(described, frames, strict=True)]


def _frames(hierarchy: Plain, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Origin (3) and axes (3, 3) as columns of what each panel is placed in."""
    frames: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    if not hierarchy:
        return [(np.zeros(3), np.eye(3))] * count

    def descend(node: Plain, origin: np.ndarray, axes: np.ndarray) -> None:
        fast, slow = (
            np.array(unit(checks.direction(f"{axis}_axis of a group of panels", node.get(f"{axis}_axis"))))
            for axis in ("fast", "slow")
        )
        own = np.stack([fast, slow, np.cross(fast, slow)], axis=1)
        place = np.array(checks.three_vector("origin of a group of panels", node.get("origin")))
        origin, axes = origin + axes @ place, axes @ own
        for child in objects(node, "children", " of a group of panels"):
            if "panel" in child:
                number = checks.whole_number("panel of a group of panels", child["panel"], at_least=0)
                frames[number] = (origin, axes)
            else:
                descend(child, origin, axes)

    descend(hierarchy, np.zeros(3), np.eye(3))
    if set(frames) != set(range(count)):
        raise InputError(f"the hierarchy places {len(frames)} of {count} panels; expected each of them")
    return [frames[number] for number in range(count)]


def _panel(plain: Plain, frame: tuple[np.ndarray, np.ndarray]) -> Panel:
    origin, axes = frame
    corner = (origin + axes @ np.array(checks.three_vector("origin of a panel", plain.get("origin")))) * 1e-3
    fast, slow = (
        axes @ np.array(checks.direction(f"{axis} axis of a panel", plain.get(f"{axis}_axis")))
        for axis in ("fast", "slow")
    )
    across, down = checks.numbers("pixel_size of a panel", plain.get("pixel_size"), 2)
    if not (across > 0.0 and down > 0.0):
        raise InputError(f"pixel_size of a panel is {[across, down]}; expected mm, above 0")
    columns, rows = checks.whole_numbers("image_size of a panel", plain.get("image_size"), 2)
    steps = unit(fast.tolist()), scale(unit(slow.tolist()), down / across)
    return stepped_panel(corner.tolist(), *steps, across * 1e-3, (rows, columns))


def _sensor(plain: Plain) -> Sensor | None:
    named = (checks.finite(f"{key} of a panel", plain.get(key) or 0.0) for key in ("thickness", "mu"))
    thickness, mu = (value * factor for value, factor in zip(named, (1e-3, 1e3), strict=True))
    material = known_material(str(plain.get("material") or ""))
    return sensor_of(thickness, material, mu if mu > 0.0 else None)


def _active(plain: Plain, panel: Panel) -> np.ndarray | None:
    """Pixels outside of rectangles that are not trusted: first fast, first slow, last fast, last slow, the last ones
    left out; None: all."""
    if not plain.get("mask"):
        return None
    active = np.ones(panel.shape, bool)
    for one in a_list(plain, "mask", " of a panel"):
        left, top, right, bottom = (max(0, n) for n in checks.whole_numbers("mask of a panel", one, 4))
        active[top:bottom, left:right] = False
    return active


def _unread(beam: Plain | None, images: Plain | None, described: list[Plain], name: str) -> list[str]:
    """Notes on what of the models does not count."""
    notes = []
    if beam is None:
        notes.append(f"{name} has no beam; the incident beam is taken along -z, as DIALS has it")
    elif str(beam.get("probe", "x-ray")) != "x-ray":
        notes.append(f"{name}: the probe of its beam is {str(beam['probe'])[:20]}; X-rays are simulated")
    if beam and (sources := a_list(beam, "s0_at_scan_points", " of a beam")):
        waves = [norm(checks.direction("s0_at_scan_points of a beam", source)) for source in sources]
        if max(waves) - min(waves) > SAME * max(waves):
            notes.append(f"{name}: the wavelength of its beam changes along the scan; that for all of it is taken")
    for key, what in LOOKUPS.items():
        if images and images.get(key):
            notes.append(f"{name}: the {what} {str(images[key])[:60]} is not read")
    if any(_sensor(panel) != _sensor(described[0]) for panel in described):
        notes.append(f"{name}: the sensors of its panels differ; that of panel 0 is taken for all")
    return notes
