"""The detector: flat (or curved) panels of square pixels, each with an optional absorbing sensor."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tilesim.errors import InputError
from tilesim.model.vectors import Vector

MAX_PIXELS = 2**40
"""More pixels than this on one panel is taken for a mistake."""


@dataclass(frozen=True)
class Sensor:
    """A stack of equal absorbing layers behind the front surface (spec geometry 8)."""

    layers: int
    layer_thickness: float
    """Metres; layer j starts at depth j times this."""
    attenuation: float
    """Linear attenuation coefficient mu, 1/m."""

    def __post_init__(self) -> None:
        if self.layers < 1 or not self.layer_thickness > 0:
            raise InputError(f"sensor of {self.layers} layers of {self.layer_thickness:g} m; expected positive values")


@dataclass(frozen=True)
class Panel:
    """One plane of pixels; vectors in the laboratory frame, metres."""

    origin: Vector
    """Outer corner of pixel (0, 0), seen from the sample."""
    fast: Vector
    """Step along the fast axis per metre; a unit vector, but for the reference's non-unit swing axes."""
    slow: Vector
    normal: Vector
    """Outward normal (odet)."""
    pixel_size: float
    shape: tuple[int, int]
    """Pixels along (slow, fast)."""
    close_distance: float
    """Distance from the sample to the panel's plane, for the obliquity of the solid angle."""
    sensor: Sensor | None = None
    """None: every photon that arrives is counted."""
    curved_radius: float | None = None
    """Where set, every pixel lies at this distance (spec geometry 8, curved detector)."""

    def __post_init__(self) -> None:
        if not (self.pixel_size > 0 and math.isfinite(self.pixel_size)):
            raise InputError(f"pixel size is {self.pixel_size:g} m; expected a positive finite length")
        slow, fast = self.shape
        if slow < 1 or fast < 1 or slow * fast > MAX_PIXELS:
            raise InputError(f"a panel of {slow} x {fast} pixels; expected 1 to 2^40 pixels")
        if not all(math.isfinite(x) for v in (self.origin, self.fast, self.slow, self.normal) for x in v):
            raise InputError("a detector vector holds NaN or infinity; expected finite numbers")


@dataclass(frozen=True)
class Detector:
    """One or more panels; a nanoBragg command line makes one."""

    panels: tuple[Panel, ...]

    def __post_init__(self) -> None:
        if not self.panels:
            raise InputError("the detector has no panel; expected at least one")
