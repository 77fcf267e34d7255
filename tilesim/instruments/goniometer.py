"""Goniometers of DIALS models: a crystal stands at S R F A, as dxtbx has it.

F turns the crystal within the scan axis (fixed rotation), R about that axis by the angle of the scan, S all of it
(setting rotation). Of several axes, listed from the crystal outwards, F is the product of those before the scan axis
and S of those behind it, each at its angle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.instruments.plain import Plain, a_list
from tilesim.model import checks
from tilesim.model.vectors import Vector, rotate_about, unit

ORTHONORMAL = 1e-4
"""How far the columns of a rotation may be from orthonormal ones: more than rounding."""


@frozen
class Goniometer:
    """One axis that turns, and the fixed rotations inside and outside of it."""

    axis: Vector
    fixed: np.ndarray
    setting: np.ndarray
    settings: tuple[np.ndarray, ...] = ()
    """Setting rotations at the points of a scan along which they change"""

    def spindle(self, setting: np.ndarray) -> Vector:
        """The scan axis in the laboratory frame, a unit vector."""
        x, y, z = (float(v) for v in setting @ np.array(self.axis))
        return unit((x, y, z))

    def mounted(self, vectors: np.ndarray, setting: np.ndarray) -> np.ndarray:
        """Vectors of the crystal, as rows, in the laboratory frame at scan angle zero."""
        turned: np.ndarray = vectors @ (setting @ self.fixed).T
        return turned


def read_goniometer(plain: Plain) -> Goniometer:
    """The goniometer of a DIALS model. Raises InputError."""
    points = tuple(
        _rotation("setting_rotation_at_scan_points of a goniometer", matrix)
        for matrix in a_list(plain, "setting_rotation_at_scan_points", " of a goniometer")
    )
    if "axes" in plain:
        axes = a_list(plain, "axes", " of a goniometer")
        angles = a_list(plain, "angles", " of a goniometer") or [0.0] * len(axes)
        number = checks.whole_number("scan_axis of a goniometer", plain.get("scan_axis", 0), at_least=0)
        if len(angles) != len(axes) or number >= len(axes):
            raise InputError(
                f"a goniometer has {len(axes)} axes, {len(angles)} angles and scan_axis {number}; "
                "expected an angle for each, and one of them"
            )
        fixed, setting = (_product(axes[part], angles[part]) for part in (slice(number), slice(number + 1, None)))
        return Goniometer(_axis(axes[number]), fixed, setting, points)
    if "rotation_axis" not in plain:
        raise InputError("a goniometer has neither rotation_axis nor axes; expected one of them")
    fixed, setting = (
        _rotation(f"{name} of a goniometer", plain[name]) if plain.get(name) else np.eye(3)
        for name in ("fixed_rotation", "setting_rotation")
    )
    return Goniometer(_axis(plain["rotation_axis"]), fixed, setting, points)


def _axis(value: Any) -> Vector:
    return unit(checks.direction("axis of a goniometer", value))


def _product(axes: Sequence[Any], angles: Sequence[Any]) -> np.ndarray:
    """Rotations about axes by degrees, the first one innermost."""
    whole = np.eye(3)
    for axis, angle in zip(axes, angles, strict=True):
        radians = math.radians(checks.finite("angle of a goniometer", angle))
        whole = np.array([rotate_about(column.tolist(), _axis(axis), radians) for column in whole.T]).T
    return whole


def _rotation(name: str, values: Any) -> np.ndarray:
    """A rotation matrix from its nine elements, row by row."""
    matrix = np.array(checks.numbers(name, values, 9)).reshape(3, 3)
    if not np.allclose(matrix @ matrix.T, np.eye(3), rtol=0.0, atol=ORTHONORMAL) or np.linalg.det(matrix) < 0.0:
        raise InputError(f"{name} is no rotation; expected a matrix with orthonormal rows")
    return matrix
