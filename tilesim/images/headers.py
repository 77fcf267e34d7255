"""Beam, detector and spindle of an image file from its header, where the header says it without doubt."""

from __future__ import annotations

import math
import os
import re

from tilesim.errors import InputError
from tilesim.files.reading import printable
from tilesim.images.packed import KEY, unpacked
from tilesim.images.registry import Format
from tilesim.images.smv import read_smv_header
from tilesim.model import Beam, Detector, Experiment, Panel, Scan, StructureFactors
from tilesim.model.detector import Sensor
from tilesim.model.instrument import sensor_of
from tilesim.model.materials import known_material

BEAM, FAST = (0.0, 0.0, -1.0), (1.0, 0.0, 0.0)
"""The frame of imgCIF: the beam travels along -z, the spindle is the fast axis."""
MOST = 2**20
"""Bytes of a header that are looked at."""
NUMBER = r"([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)"


def header_experiment(path: str, form: Format, shape: tuple[int, int]) -> tuple[Experiment, bool]:
    """The experiment in the header of a CBF, SMV, EDF or TIFF file, and whether it is exactly the simulated one.

    Of other programs' files beam, detector and spindle, without a crystal. Raises InputError where they are not stated.
    """
    text = _head(path)
    found = re.search(rf"{KEY}[ =:]+([\w-]+)", text)
    if found:
        return unpacked(found[1], printable(path)), True
    reader = {Format.CBF: _minicbf, Format.SMV: _smv}.get(form)
    if reader is None:
        raise InputError(f"its format ({form}) does not state the geometry")
    return reader(path, text, shape), False


def _head(path: str) -> str:
    with open(path, "rb") as file:
        return file.read(MOST).decode("latin-1")


def _minicbf(path: str, text: str, shape: tuple[int, int]) -> Experiment:
    """Beam centre, distance, wavelength and angles of a miniCBF: a detector across the beam."""

    def number(pattern: str) -> float:
        found = re.search(pattern, text)
        if not found:
            raise InputError(f"its header does not state {pattern.split()[0].split(chr(92))[0]}")
        return float(found[1])

    pixel, distance = number(rf"Pixel_size\s+{NUMBER}\s*m"), number(rf"Detector_distance\s+{NUMBER}\s*m")
    wavelength = number(rf"Wavelength\s+{NUMBER}\s*A") * 1e-10
    centre = re.search(rf"Beam_xy\s+\({NUMBER},\s*{NUMBER}\)", text)
    if not centre:
        raise InputError("its header does not state Beam_xy")
    fast, slow = map(float, centre.groups())
    start, width = number(rf"Start_angle\s+{NUMBER}"), number(rf"Angle_increment\s+{NUMBER}")
    exposure = re.search(rf"Exposure_time\s+{NUMBER}\s*s", text)
    name = re.search(r"# Detector:\s*([^\r\n,]*)", text)
    panel = Panel.facing(distance, pixel, shape, (slow, fast), BEAM, FAST, sensor=_sensor(text))
    return Experiment(
        Beam(
            BEAM,
            wavelength,
            polarization_axis=FAST,
            exposure=float(exposure[1]) if exposure and float(exposure[1]) > 0 else None,
        ),
        None,
        Detector((panel,), name[1].strip() if name else ""),
        StructureFactors.constant(0.0),
        Scan(FAST, math.radians(start), math.radians(width)),
    )


def _sensor(text: str) -> Sensor | None:
    found = re.search(rf"# (\w+) sensor, thickness {NUMBER}\s*m", text)
    return sensor_of(float(found[2]), known_material(found[1])) if found else None


def _smv(path: str, text: str, shape: tuple[int, int]) -> Experiment:
    """The keys of nanoBragg's headers; others leave open in which convention a beam centre is meant."""
    header = read_smv_header(os.fspath(path))
    names = ("PIXEL_SIZE", "DISTANCE", "WAVELENGTH", "DENZO_X_BEAM", "DENZO_Y_BEAM")
    values = {name: header.value(name) for name in names}
    missing = [name for name, value in values.items() if value is None]
    if missing:
        raise InputError(f"its header does not state {missing[0]}, and leaves open what its beam centre means")
    if header.value("TWOTHETA"):
        raise InputError("its header states a two-theta swing, and a beam centre as it was before")
    pixel, distance, wavelength, slow, fast = (float(value or 0.0) for value in values.values())
    start, width = header.value("OSC_START") or 0.0, header.value("OSC_RANGE") or 0.0
    panel = Panel.facing(distance * 1e-3, pixel * 1e-3, shape, (slow / pixel, fast / pixel), BEAM, FAST)
    return Experiment(
        Beam(BEAM, wavelength * 1e-10, polarization_axis=FAST),
        None,
        Detector((panel,)),
        StructureFactors.constant(0.0),
        Scan(FAST, math.radians(start), math.radians(width)),
    )
