"""Models of DIALS that change along a scan: beam, goniometer and crystal at its points, the edges of its images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tilesim.errors import InputError
from tilesim.instruments.goniometer import Goniometer
from tilesim.instruments.plain import Plain, a_list, an_object
from tilesim.model import checks
from tilesim.model.instrument import ScanPoint
from tilesim.model.vectors import Matrix, Vector, unit

LONGEST = 1e6
"""Angstrom; a longer edge of a cell is taken for a mistake."""


def scan_points(
    beam: Plain | None, goniometer: Goniometer | None, crystal: Plain | None, scan: Plain | None, light: Vector
) -> tuple[ScanPoint, ...]:
    """Beam, spindle and crystal at the edges of the images of a scan; none where nothing changes along it.

    light  incident beam where that does not change

    Raises InputError where there is no scan that says at which angles they are.
    """
    stars = a_list(crystal or {}, "A_at_scan_points", " of a crystal")
    sources = a_list(beam or {}, "s0_at_scan_points", " of a beam")
    settings = goniometer.settings if goniometer else ()
    counts = {
        name: len(values)
        for name, values in (("crystal", stars), ("beam", sources), ("goniometer", settings))
        if len(values)
    }
    if not counts or goniometer is None:
        return ()
    angles = _edges(scan) if scan else []
    for name, count in counts.items():
        if count != len(angles):
            raise InputError(
                f"its {name} changes along a scan, at {count} points; expected a scan of {count - 1} images"
            )
    points = []
    for number, angle in enumerate(angles):
        setting = settings[number] if settings else goniometer.setting
        along = unit(checks.direction("s0_at_scan_points of a beam", sources[number])) if sources else light
        cell = _cell(stars[number]) if stars else real_cell(crystal)
        mounted = None if cell is None else as_matrix(goniometer.mounted(cell, setting))
        points.append(ScanPoint(angle, along, goniometer.spindle(setting), mounted))
    return tuple(points)


def _edges(scan: Plain) -> list[float]:
    """Angles at the edges of the images, radians; none where the scan does not turn."""
    first, last = checks.whole_numbers("image_range of a scan", scan.get("image_range"), 2)
    count = last - first + 1
    properties = an_object(scan, "properties", " of a scan")
    starts = a_list(properties, "oscillation", " of a scan") or a_list(scan, "oscillation", " of a scan")
    widths = a_list(properties, "oscillation_width", " of a scan")
    # Older files have start and width only.
    legacy = "oscillation" not in properties or (count == 1 and not widths)
    if len(starts) == 0 or (len(starts) < 2 and not widths):
        return []
    values = [checks.finite("oscillation of a scan", value) for value in [*starts[:2], *widths[:1]]]
    width = values[1] if legacy else values[-1] if widths else values[1] - values[0]
    return [math.radians(values[0] + k * width) for k in range(count + 1)] if width else []


def real_cell(crystal: Plain | None) -> np.ndarray | None:
    """a, b, c of a crystal as rows, metres; None without one. Raises InputError."""
    if not crystal:
        return None
    names = [f"real_space_{axis}" for axis in "abc"]
    rows = [checks.three_vector(f"{name} of a crystal", crystal.get(name)) for name in names]
    return _checked(rows, "real_space_a, _b, _c")


def _checked(rows: Any, name: str) -> np.ndarray:
    """a, b, c in metres, of rows in angstrom. Raises InputError where they make no cell."""
    cell = np.array(rows, float)
    if not (np.abs(cell).max() <= LONGEST and abs(np.linalg.det(cell)) > 0.0):
        raise InputError(f"{name} of a crystal make no cell; expected vectors in angstrom that are not in one plane")
    return cell * 1e-10


def as_matrix(rows: np.ndarray) -> Matrix:
    a, b, c, d, e, f, g, h, i = (float(x) for x in rows.reshape(9))
    return (a, b, c, d, e, f, g, h, i)


def _cell(star: Any) -> np.ndarray:
    """a, b, c as rows, of a setting matrix with the reciprocal axes (1/angstrom) as columns."""
    matrix = np.array(checks.numbers("A_at_scan_points of a crystal", star, 9)).reshape(3, 3)
    if not (abs(np.linalg.det(matrix)) > 1.0 / LONGEST**3 and np.abs(matrix).max() < LONGEST):
        raise InputError("A_at_scan_points of a crystal make no cell; expected reciprocal axes, 1/angstrom")
    return _checked(np.linalg.inv(matrix), "A_at_scan_points")
