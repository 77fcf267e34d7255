"""The incident X-rays: central direction and wavelength, sources, polarisation, fluence, and how they were exposed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any, cast

import numpy as np

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.model import checks
from tilesim.model.materials import ENERGY_TIMES_WAVELENGTH
from tilesim.model.noun import Noun, counted, quantity, vector
from tilesim.model.source import PARALLEL, WAVELENGTHS, Polarization, Source, check_field, mixed, polarized
from tilesim.model.spectrum import Spectrum
from tilesim.model.vectors import Vector, across, cross, dot, norm, rotate_about, scale, unit

CLASSICAL_ELECTRON_RADIUS_SQUARED = 7.94079248018965e-30
"""r_e squared, m^2 (spec intensity 1)."""

DEFAULT_FLUENCE = 125932015286227086360700780544.0
"""Photons/m^2; r_e^2 times this is one (spec intensity 1)."""


@frozen(repr=False)
class Beam(Noun):
    """The incident beam.

    Without explicit `sources` it is one plane wave along `direction` at `wavelength`. With sources these are their
    centre: `replace(wavelength=...)` scales the wavelengths of all sources and `replace(direction=...)` turns all.

    Raises
    ------
    InputError
        Where a direction is no unit vector, a length is not in metres, or fluence, exposure or size are negative.

    Examples
    --------
    >>> from tilesim import Beam
    >>> beam = Beam(direction=(0.0, 0.0, 1.0), wavelength=1e-10, fluence=1e24, exposure=0.1, size=1e-4)
    >>> beam
    Beam
      wavelength    1 Å (12.3984 keV)
      direction     along (0 0 1)
      fluence       1e+24 photons/m²
      polarization  Kahn factor 0, field along (1 0 0)
      exposure      0.1 s
      size          100 µm
    >>> beam.flux
    1e+17
    """

    direction: Vector
    """Unit vector, source to sample."""
    wavelength: float
    """Central wavelength, metres, 1e-18 to 1e-2."""
    fluence: float = DEFAULT_FLUENCE
    """Photons per square metre."""
    polarization_axis: Vector = cast(Vector, None)
    """Unit vector of the electric field, across the beam; None: z, or x where the beam runs along z.

    Zero or parallel to the beam it names no field, which an experiment with a Kahn factor refuses unless it is strict.
    """
    kahn_factor: float | None = 0.0
    """Kahn polarisation factor, -1 to 1 by its meaning (any finite number is taken, as in the reference).

    0 is unpolarised, None switches the correction off. Sources may have a factor and an axis of their own; where these
    are unlike, pixels have the factor of each source and sub-pixel, whatever `oversample_polar` says.
    """
    sources: tuple[Source, ...] = ()
    """As given; see `waves`."""
    exposure: float | None = None
    """Seconds in which the fluence arrives; None: unknown. Files state it; it decides no pixel."""
    size: float | None = None
    """Edge of the square beam at the sample, metres; None: unknown. Files and a background need it."""

    def __post_init__(self) -> None:
        fluence = checks.number("fluence", self.fluence)
        if not fluence >= 0:
            raise InputError(f"fluence is {fluence:g} photons/m^2; expected zero or more")
        direction = checks.unit_vector("beam direction", self.direction, or_zero=True)
        if self.polarization_axis is None:
            along_z = norm(cross(direction, (0.0, 0.0, 1.0))) < PARALLEL
            checks.coerce(self, polarization_axis=(1.0, 0.0, 0.0) if along_z else (0.0, 0.0, 1.0))
        checks.coerce(
            self,
            direction=direction,
            wavelength=checks.number("wavelength", self.wavelength),
            fluence=fluence,
            polarization_axis=checks.three_vector("polarization axis", self.polarization_axis),
            kahn_factor=None if self.kahn_factor is None else checks.finite("Kahn factor", self.kahn_factor),
            sources=checks.instances("beam sources", self.sources, Source),
            exposure=None if self.exposure is None else checks.positive("exposure", self.exposure),
            size=None if self.size is None else checks.positive("size of the beam", self.size),
        )
        if not self.sources:
            checks.unit_vector("beam direction", self.direction)
            checks.length("wavelength", self.wavelength, *WAVELENGTHS, checks.ANGSTROM)
        if self.kahn_factor is None and any(map(polarized, self.sources)):
            raise InputError(
                "sources with a polarization of their own in a beam whose kahn_factor is None; expected one"
            )

    @cached_property
    def waves(self) -> tuple[Source, ...]:
        """The sources to sum over: the explicit ones, or the single central one."""
        return self.sources or (Source(self.direction, self.wavelength),)

    @property
    def polarizations(self) -> tuple[Polarization, ...]:
        """Kahn factor and field of every wave; one for all that are alike, none where the correction is off."""
        if self.kahn_factor is None:
            return ()
        if not any(map(polarized, self.sources)):
            return ((self.kahn_factor, self.polarization_axis),)
        found = tuple(map(self._polarization, self.sources))
        return found[:1] if len(set(found)) == 1 else found

    def _polarization(self, source: Source) -> Polarization:
        factor = self.kahn_factor if source.kahn_factor is None else source.kahn_factor
        return factor or 0.0, source.polarization_axis or self.polarization_axis

    @property
    def mean_polarization(self) -> Polarization | None:
        """Kahn factor and field of all photons together, which one beam along the centre would have.

        None where the correction is off. Polarisations add as Stokes vectors do; files have a place for one.
        """
        found = self.polarizations
        if len(found) < 2:
            return found[0] if found else None
        return mixed(found, [one.weight for one in self.sources], self.direction)

    @property
    def spectrum(self) -> Spectrum:
        """The wavelengths of all sources, from the longest to the shortest, and the photons of each."""
        photons: dict[float, float] = {}
        for wave in self.waves:
            photons[wave.wavelength] = photons.get(wave.wavelength, 0.0) + wave.weight
        wavelengths = sorted(photons, reverse=True)
        return Spectrum(np.array(wavelengths), np.array([photons[wavelength] for wavelength in wavelengths]))

    def with_spectrum(self, spectrum: Spectrum) -> Beam:
        """The beam with another spectrum: every direction and polarisation of its sources now, at every wavelength.

        Weights are products; fluence and directions stay, and the central wavelength is that of the mean energy.

        Examples
        --------
        >>> from tilesim import Beam, Spectrum
        >>> beam = Beam(direction=(0.0, 0.0, 1.0), wavelength=1e-10)
        >>> [source.weight for source in beam.with_spectrum(Spectrum([1e-10, 1.02e-10], [3.0, 1.0])).sources]
        [1.5, 0.5]
        """
        checks.instance("spectrum", spectrum, Spectrum)
        directions: dict[tuple[Vector, Vector | None, float | None], float] = {}
        for wave in self.waves:
            key = (wave.direction, wave.polarization_axis, wave.kahn_factor)
            directions[key] = directions.get(key, 0.0) + wave.weight
        mean = math.fsum(directions.values()) / len(directions)
        if len(set(directions.values())) == 1:  # without rounding
            directions = dict.fromkeys(directions, mean)
        channels = list(zip(spectrum.wavelengths.tolist(), spectrum.weights.tolist(), strict=True))
        sources = tuple(
            Source(direction, wavelength, share / mean * weight, axis, factor)
            for (direction, axis, factor), share in directions.items()
            for wavelength, weight in channels
        )
        alone = len(sources) == 1 and sources[0].direction == self.direction and not polarized(sources[0])
        return self.replace(wavelength=spectrum.wavelength, sources=() if alone else sources)

    @property
    def flux(self) -> float | None:
        """Photons per second; None where exposure or size are unknown."""
        if self.exposure is None or self.size is None:
            return None
        return self.fluence * self.size * self.size / self.exposure

    @property
    def energy(self) -> float:
        """Central photon energy, kiloelectronvolt."""
        return ENERGY_TIMES_WAVELENGTH / self.wavelength

    def _following(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        if not self.sources or "sources" in changes or not changes.keys() & {"wavelength", "direction"}:
            return {}
        central = Source(changes.get("direction", self.direction), changes.get("wavelength", self.wavelength))
        ratio, (axis, angle) = central.wavelength / self.wavelength, _turn(self.direction, central.direction)

        def follow(one: Source) -> Source:
            direction = rotate_about(one.direction, axis, angle)
            return Source(direction, one.wavelength * ratio, one.weight, one.polarization_axis, one.kahn_factor)

        return {"sources": tuple(map(follow, self.sources))}

    def summary(self) -> dict[str, str]:
        rows = {
            "wavelength": f"{quantity(self.wavelength, 1e10, 'Å')} ({self.energy:.6g} keV)",
            "direction": f"along {vector(self.direction)}",
            "fluence": f"{self.fluence:.6g} photons/m²",
        }
        if self.sources:
            waves = [source.wavelength for source in self.sources]
            spread = f" of {min(waves) * 1e10:.6g} to {max(waves) * 1e10:.6g} Å" if min(waves) < max(waves) else ""
            rows["sources"] = counted(len(waves), "source") + spread
        if self.kahn_factor is None:
            rows["polarization"] = "no polarization factor"
        elif len(self.polarizations) > 1:
            rows["polarization"] = "of each source its own"
        else:
            ((factor, axis),) = self.polarizations
            rows["polarization"] = f"Kahn factor {factor:g}, field along {vector(axis)}"
        if self.exposure is not None:
            rows["exposure"] = quantity(self.exposure, 1.0, "s")
        if self.size is not None:
            rows["size"] = quantity(self.size, 1e6, "µm")
        return rows

    def check(self) -> None:
        """Raise InputError unless direction, wavelength and fluence make sense by themselves.

        The reference can do without them, say where a file lists the sources; its images must be reproducible.
        """
        checks.unit_vector("beam direction", self.direction)
        checks.length("wavelength", self.wavelength, *WAVELENGTHS, checks.ANGSTROM)
        checks.finite("fluence", self.fluence)
        check_field(self.direction, (self.kahn_factor or 0.0, self.polarization_axis))
        for one in filter(polarized, self.sources):
            check_field(one.direction, self._polarization(one))


def _turn(before: Vector, after: Vector) -> tuple[Vector, float]:
    """Axis and angle of the smallest rotation that takes one direction to another."""
    before, after = unit(before), unit(after)
    axis = cross(before, after)
    sine = norm(axis)
    if sine > 0.0:
        return scale(axis, 1.0 / sine), math.atan2(sine, dot(before, after))
    # Any axis across serves where the direction is reversed.
    return across(before), 0.0 if dot(before, after) > 0.0 else math.pi
