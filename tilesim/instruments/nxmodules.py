"""Where the modules of an NXmx detector stand: the chains of their axes, and what stands in for them in real files."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from tilesim.errors import InputError
from tilesim.files.libraries import Hdf5
from tilesim.frozen import frozen
from tilesim.instruments.nexus import (
    METRES,
    chain,
    cumulative,
    factor_of,
    member,
    numbers,
    offset,
    quantity,
    text,
    vector,
)
from tilesim.model.detector import Panel
from tilesim.model.instrument import stepped_panel

NOWHERE = 1e-9
"""Metres from the sample: the plane of a panel that nobody has placed."""
FACING = 0.99
"""Cosine between beam and normal of a detector that stands across the beam, as in dxtbx."""
UNIT = 1e-3
"""How far the length of an axis of pixels may be from one."""


@frozen
class PanelFrame:
    """A panel before it is known to stand somewhere: metres, in the McStas frame."""

    corner: np.ndarray
    fast: np.ndarray
    slow: np.ndarray
    pixel: float
    shape: tuple[int, int]

    @property
    def normal(self) -> np.ndarray:
        across = np.cross(self.fast, self.slow)
        unit: np.ndarray = across / (np.linalg.norm(across) or 1.0)
        return unit

    @property
    def panel(self) -> Panel:
        """The panel. Raises InputError."""
        corner, fast, slow = (v.tolist() for v in (self.corner, self.fast, self.slow))
        return stepped_panel(corner, fast, slow, self.pixel, self.shape)

    def hit_at(self, place: np.ndarray, hit: tuple[float, float]) -> PanelFrame:
        """The frame moved, so that its pixels (fast, slow) are at a place."""
        return replace(self, corner=place - self.pixel * (hit[0] * self.fast + hit[1] * self.slow))


def module_frame(detector: Hdf5, module: Hdf5, place: tuple[slice, ...], notes: list[str]) -> PanelFrame:
    """The frame of a module whose pixels are at `place` in the data. Raises InputError."""
    axes = {}
    for key in ("fast_pixel_direction", "slow_pixel_direction"):
        axes[key] = member(module, key)
        if axes[key] is None:
            raise InputError(f"{module.name} has no {key}; expected one")
    fast, slow = axes.values()
    chains = [chain(*_start(detector, module, axis)) for axis in (fast, slow)]
    notes += [
        f"{link.name} differs from frame to frame; that of frame 0 is taken"
        for links in chains
        for link in links
        if link.varies
    ]
    matrices = [cumulative(links) for links in chains]
    shift = offset(slow) if offset(fast) is None else offset(fast)
    corner = matrices[0] @ np.array([*(np.zeros(3) if shift is None else shift), 1.0])
    steps = [_step(axis) for axis in (fast, slow)]
    pixel = steps[0][1]
    if not pixel > 0.0:
        raise InputError(f"fast_pixel_direction of {module.name} is 0; expected the edge of a pixel")
    across, down = (
        matrix[:3, :3] @ along * (size / pixel) for matrix, (along, size) in zip(matrices, steps, strict=True)
    )
    rows, columns = (part.stop - part.start for part in place)
    frame = PanelFrame(corner[:3], across, down, pixel, (rows, columns))
    if abs(frame.normal @ frame.corner) < NOWHERE:
        frame = _by_distance(detector, module, frame, notes)
    return frame


def _start(detector: Hdf5, module: Hdf5, axis: Hdf5) -> tuple[str, Hdf5]:
    """What an axis of a module depends on, and the group as seen from which.

    Files of DECTRIS have "." there: the module's offset then places it, or what the detector depends on.
    """
    own = text(axis.attrs.get("depends_on", "."))
    if own not in (".", ""):
        return own, axis.parent
    if member(module, "module_offset") is not None:
        return "module_offset", module
    if member(detector, "depends_on") is not None:
        return text(detector["depends_on"][()]), detector
    return ".", module


def _step(axis: Hdf5) -> tuple[np.ndarray, float]:
    """Direction and metres of one pixel. Raises InputError."""
    along, size = vector(axis), quantity(axis, "length")
    if not abs(float(np.linalg.norm(along)) - 1.0) <= UNIT:
        raise InputError(f"the vector of {axis.name} has length {np.linalg.norm(along):.6g}; expected a unit vector")
    return along * math.copysign(1.0, size), abs(size)


def _by_distance(detector: Hdf5, module: Hdf5, frame: PanelFrame, notes: list[str]) -> PanelFrame:
    """A module whose chain ends in the sample's plane, placed by the distance of the detector. Raises InputError."""
    keys = [key for key in ("distance", "detector_distance") if member(detector, key) is not None]
    hit = _beam_center(detector, frame.pixel)
    if not keys or hit is None or abs(frame.normal[2]) < FACING:
        raise InputError(
            f"the chain of {module.name} leaves it 0 m from the sample, where {detector.name} has no distance and "
            "beam_center_x, _y across the beam; expected depends_on of fast_pixel_direction to lead to a place"
        )
    distance = quantity(detector[keys[0]], "length")
    if not distance > 0.0:
        raise InputError(f"{detector.name}/{keys[0]} is {distance:g} m; expected one above 0")
    notes.append(f"the chain of {module.name} leads to no place; {keys[0]} and beam_center_x, _y are taken")
    return frame.hit_at(np.array([0.0, 0.0, distance]), hit)


def _beam_center(detector: Hdf5, pixel: float) -> tuple[float, float] | None:
    """Where the incident beam meets the detector, pixels (fast, slow); None where it is not said."""
    found = []
    for key in ("beam_center_x", "beam_center_y"):
        dataset = member(detector, key)
        if dataset is None:
            return None
        value = float(numbers(dataset)[0])
        in_metres = text(dataset.attrs.get("units", "pixel")).strip().lower().removesuffix("s") in METRES
        found.append(value * factor_of(dataset, "length") / pixel if in_metres else value)
    return found[0], found[1]


def toward_beam(detector: Hdf5, frame: PanelFrame, notes: list[str]) -> PanelFrame:
    """The only module of a detector as DIALS places it where its chain does not mean what it says.

    A corner in the incident beam is that of a file which leaves it to the beam centre; a plane across the beam
    between source and sample has the sign of its distance wrong.
    """
    hit = _beam_center(detector, frame.pixel)
    if not frame.corner[:2].any() and hit is not None and any(hit):
        notes.append(f"pixel (0, 0) of {detector.name} would be in the incident beam; beam_center_x, _y is taken")
        frame = frame.hit_at(frame.corner, hit)
    behind = -float(frame.corner[2])
    if behind > 0.0 and abs(frame.normal[2]) > FACING:
        notes.append(f"{detector.name} stands between source and sample; it is taken {behind * 1e3:g} mm behind it")
        frame = replace(frame, corner=frame.corner * [1.0, 1.0, -1.0])
    return frame
