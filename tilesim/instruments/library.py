"""The library of detectors by name: pixels, modules, gaps and sensors of `detectors.toml`."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.model import checks
from tilesim.model.detector import Panel, Sensor
from tilesim.model.instrument import Instrument, flat_panel
from tilesim.model.mask import PixelMask
from tilesim.model.noun import Noun
from tilesim.model.vectors import Vector, cross, dot


@frozen
class DetectorLayout(Noun):
    """A detector in its own plane: x along the fast axis, y along the slow axis of its raster, z along the beam."""

    name: str
    maker: str
    pixel_size: float
    """Metres"""
    raster: tuple[int, int]
    """Pixels (slow, fast) of the plane; by default the direct beam meets its middle"""
    sensor: Sensor
    source: str
    """Where the numbers are from"""
    nominal: str
    """What is ideal or typical"""
    module: tuple[int, int] | None = None
    """Pixels (slow, fast) between gaps; None for several panels"""
    gap: tuple[int, int] = (0, 0)
    panel: tuple[int, int] | None = None
    """Pixels (slow, fast) of each of several panels"""
    corners: tuple[tuple[float, ...], ...] = ()
    """Place of each of several panels: x, y of its outer corner (pixels from the middle), its fast and its slow axis"""

    @property
    def count(self) -> int:
        """Panels"""
        return len(self.corners) or 1

    @property
    def mask(self) -> PixelMask | None:
        """Where there are pixels and no gaps; None where there are no gaps."""
        if self.module is None or not any(self.gap):
            return None
        rows, columns = (np.arange(n) % (m + g) < m for n, m, g in zip(self.raster, self.module, self.gap, strict=True))
        return PixelMask(rows[:, None] & columns)

    @property
    def outlines(self) -> np.ndarray:
        """Corners of every module between gaps, or of every panel: (module, corner, xy), metres from the middle"""
        height, width = self.panel or self.module or self.raster
        edges = np.array([(0, 0), (width, 0), (width, height), (0, height)])
        if self.panel is not None:
            x, y, *axes = np.array(self.corners).T
            fast, slow = np.transpose(axes[:2]), np.transpose(axes[2:])
            first = np.stack([x, y], axis=1)[:, None]
            edges = edges[:, :1] * fast[:, None] + edges[:, 1:] * slow[:, None]
        else:
            steps = [n + gap for n, gap in zip((height, width), self.gap, strict=True)]
            tops, lefts = (np.arange(0, n, step) - n / 2 for n, step in zip(self.raster, steps, strict=True))
            first = np.stack(np.meshgrid(lefts, tops), axis=-1).reshape(-1, 1, 2)
        return np.asarray(self.pixel_size * (first + edges))

    def panels(self, plane: Panel) -> tuple[Panel, ...]:
        """The panels on a plane that holds the whole raster: the plane itself, or the several panels."""
        if self.panel is None:
            return (plane,)
        middle = [n / 2 for n in self.raster]

        def place(x: float, y: float) -> Vector:
            steps = zip(plane.fast, plane.slow, strict=True)
            along_x, along_y, along_z = (self.pixel_size * (x * f + y * s) for f, s in steps)
            return (along_x, along_y, along_z)

        made = []
        for x, y, *axes in self.corners:
            shift = place(x + middle[1], y + middle[0])
            origin = tuple(o + d for o, d in zip(plane.origin, shift, strict=True))
            fast, slow = place(*axes[:2]), place(*axes[2:])
            made.append(flat_panel(origin, fast, slow, self.pixel_size, self.panel))
        return tuple(made)


@cache
def library() -> Mapping[str, DetectorLayout]:
    """All detectors by name."""
    plain = tomllib.loads(files("tilesim.instruments").joinpath("detectors.toml").read_text())
    return {name: _layout(name, one) for name, one in plain.items()}


def layout(name: str) -> DetectorLayout:
    """A detector of the library. Raises InputError, naming those that are there."""
    known = library()
    if name.lower() not in known:
        near = get_close_matches(name.lower(), known, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"there is no detector {name[:40]!r}; expected one of {', '.join(known)}{hint}")
    return known[name.lower()]


def detector(
    name: str,
    distance: float,
    beam_centre: tuple[float, float] | None = None,
    *,
    beam: Vector = (0.0, 0.0, 1.0),
    fast: Vector = (1.0, 0.0, 0.0),
) -> Instrument:
    """Place a detector of the library at right angles to the incident beam.

    docs/detectors.md lists the library; `detectors.toml` says where its numbers are from.

    Parameters
    ----------
    name
        Name in the library, such as "eiger2-16m".
    distance
        From the sample, metres.
    beam_centre
        Where the beam arrives, pixels (slow, fast) from the outer corner of the raster; None is its middle.
    beam, fast
        Unit vectors of the incident beam and the fast axis, at right angles.

    Returns
    -------
    Instrument
        With panels, sensor, the mask of the gaps, and the spindle along the fast axis.

    Raises
    ------
    InputError
        Where there is no such detector (the message names those that there are), or the axes are not at right angles.

    Examples
    --------
    >>> import tilesim
    >>> eiger = tilesim.detector("eiger2-16m", distance=0.2)
    >>> eiger.shape, eiger.sensor.text
    ((4362, 4148), '450 µm in 2 layers, Si, its own')
    >>> tilesim.from_nanobragg(
    ...     "-cell 79 79 38 90 90 90 -default_F 100 -N 10 -lambda 1", instrument=eiger
    ... ).detector.name
    'eiger2-16m'
    """
    chosen = layout(checks.text("name of the detector", name))
    plane = Panel.facing(distance, chosen.pixel_size, chosen.raster, beam_centre, beam, fast)
    spindle = plane.fast
    polarization = spindle if abs(dot(spindle, beam)) < 0.5 else cross(beam, spindle)
    return Instrument(
        chosen.name,
        chosen.panels(plane),
        beam=plane.normal,
        polarization_axis=polarization,
        spindle=spindle,
        sensor=chosen.sensor,
        mask=chosen.mask,
        detector_name=chosen.name,
    )


def _layout(name: str, plain: dict[str, Any]) -> DetectorLayout:
    corners = [
        (x + n * dx, y + n * dy, *one["fast"], *one["slow"])
        for one in plain.get("modules", ())
        for (x, y), (dx, dy) in [(one["corner"], one["step"])]
        for n in range(one["count"])
    ]
    raster = tuple(plain["shape"]) if "shape" in plain else _raster(corners, plain["panel"])
    return DetectorLayout(
        name,
        plain["maker"],
        plain["pixel"] * 1e-3,
        raster,
        Sensor(2, plain["thickness"] * 1e-3 / 2, None, plain["material"]),
        plain["source"],
        plain["nominal"],
        tuple(plain["module"]) if "module" in plain else None,
        tuple(plain.get("gap", (0, 0))),
        tuple(plain["panel"]) if "panel" in plain else None,
        tuple(tuple(map(float, corner)) for corner in corners),
    )


def _raster(corners: list[tuple[float, ...]], panel: tuple[int, int]) -> tuple[int, int]:
    """Pixels (slow, fast) of a plane that holds all panels with the direct beam in its middle."""
    slow, fast = panel
    reach = [
        (abs(y + i * fast * fy + j * slow * sy), abs(x + i * fast * fx + j * slow * sx))
        for x, y, fx, fy, sx, sy in corners
        for i in (0, 1)
        for j in (0, 1)
    ]
    high, wide = (2 * math.ceil(max(extent)) for extent in zip(*reach, strict=True))
    return (high, wide)
