"""The incident X-rays: central direction and wavelength, sources, polarisation, fluence."""

from __future__ import annotations

from dataclasses import dataclass

from tilesim.errors import InputError
from tilesim.model import checks
from tilesim.model.noun import Noun
from tilesim.model.vectors import Vector

CLASSICAL_ELECTRON_RADIUS_SQUARED = 7.94079248018965e-30
"""r_e squared, m^2 (spec intensity 1)."""

DEFAULT_FLUENCE = 125932015286227086360700780544.0
"""Photons/m^2; r_e^2 times this is one (spec intensity 1)."""

WAVELENGTHS = (1e-18, 1e-2)
"""Metres: wide enough for any use, narrow enough to show angstrom or nanometres."""


@dataclass(frozen=True)
class Source(Noun):
    """One plane wave of the beam: a point of the divergence grid at one wavelength."""

    direction: Vector
    """Unit vector along which the light travels, from source to sample."""
    wavelength: float
    """Metres, 1e-18 to 1e-2."""
    weight: float = 1.0
    """Multiplies every contribution of this source; a beam's weights average one."""

    def __post_init__(self) -> None:
        checks.coerce(
            self,
            direction=checks.unit_vector("direction of a source", self.direction),
            wavelength=checks.length("wavelength of a source", self.wavelength, *WAVELENGTHS, checks.ANGSTROM),
            weight=checks.not_negative("weight of a source", self.weight),
        )


@dataclass(frozen=True)
class Beam(Noun):
    """The incident beam.

    Without explicit `sources` it is one plane wave along `direction` at `wavelength`.
    """

    direction: Vector
    """Unit vector, source to sample."""
    wavelength: float
    """Central wavelength, metres, 1e-18 to 1e-2. With explicit sources it decides no pixel."""
    fluence: float = DEFAULT_FLUENCE
    """Photons per square metre."""
    polarization_axis: Vector = (0.0, 0.0, 1.0)
    """Unit vector of the electric field.

    Zero or parallel to the beam it names no field, and the polarisation factor is what the reference's formula then
    gives; that is allowed, as there.
    """
    kahn_factor: float | None = 0.0
    """Kahn polarisation factor, -1 to 1 by its meaning (any finite number is taken, as in the reference).

    0 is unpolarised, None switches the correction off.
    """
    sources: tuple[Source, ...] = ()
    """As given; see `waves`."""

    def __post_init__(self) -> None:
        fluence = checks.number("fluence", self.fluence)
        if not fluence >= 0:
            raise InputError(f"fluence is {fluence:g} photons/m^2; expected zero or more")
        checks.coerce(
            self,
            direction=checks.unit_vector("beam direction", self.direction, or_zero=True),
            wavelength=checks.number("wavelength", self.wavelength),
            fluence=fluence,
            polarization_axis=checks.three_vector("polarization axis", self.polarization_axis),
            kahn_factor=None if self.kahn_factor is None else checks.finite("Kahn factor", self.kahn_factor),
            sources=checks.instances("beam sources", self.sources, Source),
        )
        if not self.sources:
            checks.unit_vector("beam direction", self.direction)
            checks.length("wavelength", self.wavelength, *WAVELENGTHS, checks.ANGSTROM)

    @property
    def waves(self) -> tuple[Source, ...]:
        """The sources to sum over: the explicit ones, or the single central one."""
        return self.sources or (Source(self.direction, self.wavelength),)

    def check(self) -> None:
        """Raise InputError unless direction, wavelength and fluence make sense by themselves.

        The reference can do without them, say where a file lists the sources; its images must be reproducible.
        """
        checks.unit_vector("beam direction", self.direction)
        checks.length("wavelength", self.wavelength, *WAVELENGTHS, checks.ANGSTROM)
        checks.finite("fluence", self.fluence)
