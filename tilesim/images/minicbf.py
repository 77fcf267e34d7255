"""What the text header of a miniCBF file says of beam, detector and spindle, as detectors of DECTRIS write it."""

from __future__ import annotations

import re

from tilesim.errors import InputError
from tilesim.images.facing import facing_experiment
from tilesim.model import Experiment
from tilesim.model.detector import Sensor
from tilesim.model.instrument import sensor_of
from tilesim.model.materials import known_material

NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
UNIT = r"\s*([A-Za-z]*)"
METRES = {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "um": 1e-6, "nm": 1e-9, "A": 1e-10}
AROUND = ("PILATUS 12M", "PILATUS3 12M")
"""Detectors that do not lie in a plane."""
SQUARE = 1e-6
"""Edges of a pixel that differ by less, relative to their length, are the same."""


def minicbf_experiment(text: str, shape: tuple[int, int]) -> Experiment:
    """Beam, detector and spindle of a miniCBF header: a detector across the beam.

    Raises InputError where the header does not state it, or states a detector that is swung out.
    """
    pixel, exposure, found = _pixel(text), _number(text, "Exposure_time"), re.search(r"# Detector:\s*([^\r\n,]*)", text)
    name = found[1].strip() if found else ""
    if name.upper().startswith(AROUND):
        raise InputError(f"its header states one distance and beam centre, but the modules of a {name} stand around")
    if _number(text, "Detector_2theta"):
        raise InputError("its header states a swing of the detector (Detector_2theta), but not about which axis")
    return facing_experiment(
        shape,
        pixel,
        _length(text, "Detector_distance"),
        _centre(text, pixel),
        _length(text, "Wavelength"),
        _number(text, "Start_angle"),
        _number(text, "Angle_increment"),
        sensor=_sensor(text),
        exposure=exposure if exposure > 0 else None,
        name=name,
    )


def _number(text: str, key: str) -> float:
    """The number behind a key; 0 where there is no such key. Raises InputError."""
    found = re.search(rf"\b{key}[\s:=]+([^\s,;]+)", text)
    if found and not re.fullmatch(NUMBER, found[1]):
        raise InputError(f"its header states {key} {found[1][:20]}; expected a number")
    return float(found[1]) if found else 0.0


def _length(text: str, key: str) -> float:
    """The length behind a key, metres. Raises InputError."""
    found = re.search(rf"\b{key}[\s:=]+{NUMBER}{UNIT}", text)
    if found is None:
        raise InputError(f"its header does not state {key}")
    return float(found[1]) * _metres(key, found[2])


def _metres(key: str, unit: str) -> float:
    if unit not in METRES:
        raise InputError(f"its header states {key} in {unit[:20] or 'no unit'}; expected one of {', '.join(METRES)}")
    return METRES[unit]


def _pixel(text: str) -> float:
    """Edge of a square pixel, metres. Raises InputError."""
    found = re.search(rf"\bPixel_size[\s:=]+{NUMBER}{UNIT}\s*x\s*{NUMBER}{UNIT}", text)
    if found is None:
        raise InputError("its header does not state Pixel_size")
    fast, slow = (float(found[n]) * _metres("Pixel_size", found[n + 1]) for n in (1, 3))
    if not fast > 0.0 or abs(fast - slow) > SQUARE * fast:
        raise InputError(f"its header states pixels of {fast * 1e3:g} x {slow * 1e3:g} mm; expected square ones")
    return fast


def _centre(text: str, pixel: float) -> tuple[float, float]:
    """Where the beam arrives, pixels (slow, fast) from the outer corner of pixel (0, 0). Raises InputError."""
    found = re.search(rf"\bBeam_xy[\s:=]+\(\s*{NUMBER}\s*,\s*{NUMBER}\s*\){UNIT}", text)
    fast, slow = (float(found[1]), float(found[2])) if found else (0.0, 0.0)
    if found is None or fast == slow == 0.0:  # which is what stands there as long as nobody has set it
        raise InputError("its header does not state Beam_xy")
    per_pixel = 1.0 if found[3] in ("", "pixel", "pixels") else _metres("Beam_xy", found[3]) / pixel
    return slow * per_pixel, fast * per_pixel


def _sensor(text: str) -> Sensor | None:
    found = re.search(rf"# (\w+) sensor, thickness {NUMBER}\s*m\b", text)
    return sensor_of(float(found[2]), known_material(found[1])) if found else None
