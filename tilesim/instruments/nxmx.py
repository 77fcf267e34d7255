"""NXmx HDF5 files: detector modules, beam and spindle through their chains of transformations."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from tilesim.errors import InputError
from tilesim.files.hdf5 import opened
from tilesim.files.libraries import Hdf5
from tilesim.instruments.alike import alike
from tilesim.instruments.nexus import (
    Transformation,
    broken_link,
    chain,
    children,
    cumulative,
    member,
    quantity,
    text,
    within,
)
from tilesim.instruments.nxbeam import read_beam
from tilesim.instruments.nxdata import active_pixels, module_slices
from tilesim.instruments.nxmodules import module_frame, toward_beam
from tilesim.model.detector import Sensor
from tilesim.model.instrument import Instrument, of_one_shape, sensor_of
from tilesim.model.materials import known_material
from tilesim.model.vectors import Vector, unit

THINNEST = 1e-8
"""Metres; a thinner sensor stands for none."""


def read_nxmx(path: str | os.PathLike[str], name: str) -> Instrument:
    """The instrument of the first detector: incident beam along +z, as NXmx has it; to be called by `read_hdf5`.

    Raises InputError.
    """
    with opened(os.fspath(path)) as file:
        return _instrument(file, name)


def _instrument(file: Hdf5, name: str) -> Instrument:
    notes: list[str] = []
    entry = entry_of(file, notes)
    detector = _detector(entry, notes)
    slices = module_slices(entry, detector, notes)
    frames = [module_frame(detector, module, place[-2:], notes) for module, place in slices]
    if len(frames) == 1:
        frames = [toward_beam(detector, frames[0], notes)]
    panels = [frame.panel for frame in frames]
    known: dict[str, Any] = {}
    beams = [beam for kind in ("NXinstrument", "NXsample", None) for beam in beams_of(entry, kind)]
    if beams:
        known = read_beam(beams[0], notes)
    sample = next(iter(within(entry, "NXsample")), None)
    if sample is not None and member(sample, "depends_on") is not None:
        spindle = _spindle(chain(text(sample["depends_on"][()]), sample), notes)
        if spindle is not None:
            known["spindle"] = spindle
    same, mask = of_one_shape(alike(panels), active_pixels(detector, slices, notes))
    shown = tuple(dict.fromkeys(f"{name}: {note}" for note in notes))
    return Instrument(name, same, sensor=_sensor(detector, notes), mask=mask, notes=shown, **known)


def entry_of(file: Hdf5, notes: list[str]) -> Hdf5:
    """The first entry that says it is of NXmx, else the first; the file itself where it has none."""
    entries = list(children(file, "NXentry"))
    kinds = [member(entry, "definition") for entry in entries]
    mine = [one for one, kind in zip(entries, kinds, strict=True) if kind is not None and text(kind[()]) == "NXmx"]
    found = mine or entries or [file]
    if len(found) > 1:
        notes.append(f"{found[0].name} is taken, the first of {len(found)} entries")
    return found[0]


def _detector(entry: Hdf5, notes: list[str]) -> Hdf5:
    """The first detector that has modules."""
    detectors = within(entry, "NXdetector")
    if not detectors:
        raise InputError("expected an NXdetector group; found none")
    whole = [one for one in detectors if next(children(one, "NXdetector_module"), None) is not None]
    if not whole:
        raise InputError(f"expected NXdetector_module groups in {detectors[0].name}; found none")
    if len(whole) > 1:
        notes.append(f"{whole[0].name} is taken, the first of {len(whole)} detectors")
    return whole[0]


def beams_of(entry: Hdf5, kind: str | None) -> list[Hdf5]:
    """The beams within the groups of a class, or within the entry."""
    return [beam for group in (within(entry, kind) if kind else [entry]) for beam in within(group, "NXbeam")]


def _spindle(links: list[Transformation], notes: list[str]) -> Vector | None:
    """The axis of the rotation that changes, or else of the innermost one, where the outer ones have put it."""
    rotations = [number for number, link in enumerate(links) if link.is_rotation]
    if not rotations:
        return None
    scanned = [number for number in rotations if links[number].varies or _is_scanned(links[number])]
    if len(scanned) > 1:
        names = " and ".join(links[number].name for number in scanned)
        raise InputError(f"{names} change together; expected a scan about one axis")
    number = (scanned or rotations)[0]
    if not scanned and len(rotations) > 1:
        notes.append(f"no axis of the goniometer turns; the innermost, {links[number].name}, is the spindle")
    x, y, z = (float(v) for v in cumulative(links[number + 1 :])[:3, :3] @ links[number].axis)
    return unit((x, y, z))


def _is_scanned(link: Transformation) -> bool:
    """Whether an axis of one angle turns while that image is taken."""
    group, name = link.dataset.parent, link.name
    end, step = member(group, f"{name}_end"), member(group, f"{name}_increment_set")
    turned = end is not None and bool(np.any(np.asarray(end[()], float).reshape(-1)[:1] != link.values[0]))
    return turned or (step is not None and bool(np.any(np.asarray(step[()], float))))


def _sensor(detector: Hdf5, notes: list[str]) -> Sensor | None:
    for key in ("sensor_material", "sensor_thickness"):
        if lost := broken_link(detector, key):
            notes.append(f"{detector.name}/{key} is a link to {lost}, which is not there")
    if member(detector, "sensor_thickness") is None:
        return None
    thickness = quantity(detector["sensor_thickness"], "length")
    if not thickness > THINNEST:
        return None
    named = member(detector, "sensor_material")
    said = "" if named is None else text(named[()])
    found = sensor_of(thickness, known_material(said))
    if found is None:
        notes.append(f"the sensor of {detector.name} is of {said[:20] or 'no material'}; it absorbs every photon")
    return found
