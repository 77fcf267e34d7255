"""The incident X-rays: central direction and wavelength, sources, polarisation, fluence."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tilesim.errors import InputError
from tilesim.model.vectors import Vector, norm

CLASSICAL_ELECTRON_RADIUS_SQUARED = 7.94079248018965e-30
"""r_e squared, m^2 (spec intensity 1)."""

DEFAULT_FLUENCE = 125932015286227086360700780544.0
"""Photons/m^2; r_e^2 times this is one (spec intensity 1)."""


@dataclass(frozen=True)
class Source:
    """One plane wave of the beam: a point of the divergence grid at one wavelength."""

    direction: Vector
    """Unit vector along which the light travels, from source to sample."""
    wavelength: float
    """Metres."""
    weight: float = 1.0
    """Multiplies every contribution of this source; a beam's weights average one."""

    def __post_init__(self) -> None:
        if not (self.wavelength > 0 and math.isfinite(self.wavelength)):
            raise InputError(f"wavelength of a source is {self.wavelength:g} m; expected a positive finite number")
        if not all(map(math.isfinite, self.direction)) or norm(self.direction) == 0:
            raise InputError(f"direction of a source is {self.direction}; expected three finite numbers, not all zero")


@dataclass(frozen=True)
class Beam:
    """The incident beam.

    Without explicit `sources` it is one plane wave along `direction` at `wavelength`.
    """

    direction: Vector
    """Unit vector, source to sample."""
    wavelength: float
    """Central wavelength, metres."""
    fluence: float = DEFAULT_FLUENCE
    """Photons per square metre."""
    polarization_axis: Vector = (0.0, 0.0, 1.0)
    """Unit vector of the electric field."""
    kahn_factor: float | None = 0.0
    """Kahn polarisation factor, -1 to 1; 0 is unpolarised, None switches the correction off."""
    sources: tuple[Source, ...] = ()

    def __post_init__(self) -> None:
        if not self.sources:
            object.__setattr__(self, "sources", (Source(self.direction, self.wavelength),))
        if not (self.fluence >= 0):
            raise InputError(f"fluence is {self.fluence:g} photons/m^2; expected zero or more")
