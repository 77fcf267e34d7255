"""NXmx HDF5 files: detector modules, beam and spindle through their chains of transformations."""

from __future__ import annotations

import math
import os
import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tilesim.errors import InputError
from tilesim.files.libraries import Hdf5, need
from tilesim.model.detector import Panel, Sensor
from tilesim.model.instrument import Instrument, flat_panel, sensor_of, square_pixel
from tilesim.model.mask import PixelMask
from tilesim.model.materials import ENERGY_TIMES_WAVELENGTH, known_material
from tilesim.model.vectors import Vector, rotate_about, unit

METRES = {"m": 1.0, "metre": 1.0, "meter": 1.0, "mm": 1e-3, "millimetre": 1e-3, "um": 1e-6, "micron": 1e-6,
          "cm": 1e-2, "nm": 1e-9, "angstrom": 1e-10, "a": 1e-10, "å": 1e-10}  # fmt: skip
LONGEST = 50
"""Links of a chain; a longer one goes round in circles."""


def read_nxmx(path: str | os.PathLike[str], name: str) -> Instrument:
    """The instrument of the first detector: incident beam along +z, as NXmx has it. Raises InputError."""
    h5py = need("h5py", "reading NXmx files")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError(f"the HDF5 file cannot be opened; {' '.join(str(error).split())[:80]}") from None
    with file:
        try:
            return _instrument(file, name)
        except (OSError, RuntimeError) as error:
            raise InputError(f"the HDF5 file is damaged; {' '.join(str(error).split())[:80]}") from None


def _instrument(file: Hdf5, name: str) -> Instrument:
    detector = _first(file, "NXdetector")
    if detector is None:
        raise InputError("expected an NXdetector group; found none")
    # By number: module_10 comes after module_9.
    modules = sorted(_children(detector, "NXdetector_module"), key=_number_in_name)
    if not modules:
        raise InputError(f"expected NXdetector_module groups in {detector.name}; found none")
    panels, places = zip(*(_module(file, group) for group in modules), strict=True)
    known: dict[str, Any] = {}
    beam = _first(file, "NXbeam")
    if beam is not None and "incident_wavelength" in beam:
        known["wavelength"] = _length(beam["incident_wavelength"])
    elif beam is not None and "incident_energy" in beam:
        known["wavelength"] = ENERGY_TIMES_WAVELENGTH / (_value(beam["incident_energy"]) / 1e3)
    if beam is not None and "incident_polarization_stokes" in beam:
        stokes = np.asarray(beam["incident_polarization_stokes"][()], float).reshape(-1)[:4]
        linear = math.hypot(stokes[1], stokes[2])
        if stokes[0] > 0 and linear > 0:
            angle = math.atan2(stokes[2], stokes[1]) / 2
            known["polarization_axis"] = (math.cos(angle), math.sin(angle), 0.0)
        known["kahn_factor"] = linear / stokes[0] if stokes[0] > 0 else 0.0
    sample = _first(file, "NXsample")
    if sample is not None and "depends_on" in sample:
        spindle = _spindle(file, _text(sample["depends_on"][()]), sample.name)
        if spindle is not None:
            known["spindle"] = spindle
    return Instrument(name, tuple(panels), sensor=_sensor(detector), mask=_mask(detector, panels, places), **known)


def _first(group: Hdf5, kind: str) -> Hdf5 | None:
    """The first group of a class, in depth."""
    if _text(group.attrs.get("NX_class", "")) == kind:
        return group
    for key in group:
        item = group.get(key)
        if hasattr(item, "keys") and (found := _first(item, kind)) is not None:
            return found
    return None


def _children(group: Hdf5, kind: str) -> Iterator[Hdf5]:
    return (
        item
        for key in group
        if hasattr(item := group.get(key), "keys") and _text(item.attrs.get("NX_class", "")) == kind
    )


def _number_in_name(group: Hdf5) -> tuple[str, int]:
    name = posixpath.basename(group.name)
    digits = re.search(r"\d+$", name)
    return (name[: digits.start()], int(digits.group())) if digits else (name, -1)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _value(dataset: Hdf5) -> float:
    """The first number of a dataset."""
    return float(np.asarray(dataset[()] if dataset.ndim == 0 else dataset[(0,) * dataset.ndim]))


def _length(dataset: Hdf5, value: float | None = None, units: str | None = None) -> float:
    """Metres."""
    units = _text(dataset.attrs.get("units", "m")) if units is None else units
    if units.lower().rstrip("s") not in METRES:
        raise InputError(f"{dataset.name} is in {units[:20]!r}; expected a length")
    return (_value(dataset) if value is None else value) * METRES[units.lower().rstrip("s")]


def _chain(file: Hdf5, start: str, within: str) -> list[Hdf5]:
    """The datasets of a chain of transformations, innermost first."""
    found, name = [], start
    while name != ".":
        path = name if name.startswith("/") else posixpath.join(within, name)
        if path not in file:
            raise InputError(f"a chain depends on {path[:60]}, which is not there")
        found.append(file[path])
        if len(found) > LONGEST:
            raise InputError(f"the chain from {start[:60]} has no end")
        within, name = posixpath.dirname(found[-1].name), _text(found[-1].attrs.get("depends_on", "."))
    return found


def _vector(dataset: Hdf5, key: str = "vector") -> Vector:
    x, y, z = (float(v) for v in dataset.attrs[key])
    return (x, y, z)


def _through(chain: list[Hdf5], point: Vector, is_place: bool) -> Vector:
    """A place (metres) or a direction after the transformations of a chain."""
    for dataset in chain:
        axis = unit(_vector(dataset))
        if _text(dataset.attrs.get("transformation_type", "")) == "rotation":
            angle = _value(dataset)
            radians = angle if _text(dataset.attrs.get("units", "deg")).startswith("rad") else math.radians(angle)
            point = rotate_about(point, axis, radians)
        elif is_place:
            step = _length(dataset)
            x, y, z = (p + step * along for p, along in zip(point, axis, strict=True))
            point = (x, y, z)
        if is_place and "offset" in dataset.attrs:
            units = _text(dataset.attrs.get("offset_units", dataset.attrs.get("units", "m")))
            if any(shift := _vector(dataset, "offset")):
                x, y, z = (p + _length(dataset, value, units) for p, value in zip(point, shift, strict=True))
                point = (x, y, z)
    return point


def _module(file: Hdf5, group: Hdf5) -> tuple[Panel, tuple[int, int]]:
    """A panel, and where its pixels lie in the data (slow, fast)."""
    fast, slow = group["fast_pixel_direction"], group["slow_pixel_direction"]
    chains = [_chain(file, _text(axis.attrs.get("depends_on", ".")), group.name) for axis in (fast, slow)]
    rows, columns = (int(n) for n in group["data_size"][-2:])
    top, left = (int(n) for n in group["data_origin"][-2:])
    pixel = square_pixel(_length(fast), _length(slow))
    panel = flat_panel(
        _through(chains[0], (0.0, 0.0, 0.0), True),
        _through(chains[0], unit(_vector(fast)), False),
        _through(chains[1], unit(_vector(slow)), False),
        pixel,
        (rows, columns),
    )
    return panel, (top, left)


def _spindle(file: Hdf5, start: str, within: str) -> Vector | None:
    """The axis of the rotation that changes, or else of the innermost one, where the outer ones have put it."""
    chain = _chain(file, start, within)
    rotations = [n for n, d in enumerate(chain) if _text(d.attrs.get("transformation_type", "")) == "rotation"]
    if not rotations:
        return None
    scanned = [n for n in rotations if chain[n].size > 1]
    number = (scanned or rotations)[0]
    return unit(_through(chain[number + 1 :], unit(_vector(chain[number])), False))


def _sensor(detector: Hdf5) -> Sensor | None:
    if "sensor_thickness" not in detector or "sensor_material" not in detector:
        return None
    material, thickness = known_material(_text(detector["sensor_material"][()])), _length(detector["sensor_thickness"])
    return sensor_of(thickness, material) if thickness > 1e-8 else None


def _mask(detector: Hdf5, panels: Sequence[Panel], places: Sequence[tuple[int, int]]) -> PixelMask | None:
    """Pixels whose word in pixel_mask is zero."""
    if "pixel_mask" not in detector:
        return None
    words = detector["pixel_mask"]
    slow, fast = panels[0].shape
    if words.ndim < 2 or any(panel.shape != (slow, fast) for panel in panels):
        return None
    lead = (0,) * (words.ndim - 2)
    parts = [words[(*lead, slice(top, top + slow), slice(left, left + fast))] == 0 for top, left in places]
    if any(part.shape != (slow, fast) for part in parts):
        raise InputError(f"{words.name} has {words.shape} words, which are not the modules' pixels")
    active = np.concatenate(parts)
    return None if active.all() else PixelMask(active)
