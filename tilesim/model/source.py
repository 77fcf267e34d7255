"""Sources of a beam: plane waves with direction, wavelength, weight and polarisation."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.model import checks
from tilesim.model.noun import Noun, quantity, vector
from tilesim.model.vectors import Vector, across, add, cross, dot, norm, scale, unit

PARALLEL = 1e-9
"""Sine of the angle below which a field lies along the beam."""
WAVELENGTHS = (1e-18, 1e-2)
"""Metres: wide enough for any use, narrow enough to show angstrom or nanometres."""
Polarization = tuple[float, Vector]
"""Kahn factor, and unit vector of the electric field."""


@frozen(repr=False)
class Source(Noun):
    """One plane wave of the beam: a point of the divergence grid at one wavelength.

    Raises
    ------
    InputError
        Where the direction is no unit vector, the wavelength is not in metres, or the weight is negative.

    Examples
    --------
    >>> from tilesim import Source
    >>> Source(direction=(0.0, 0.0, 1.0), wavelength=1e-10, weight=0.5).text
    '1 Å, along (0 0 1), weight 0.5'
    """

    direction: Vector
    """Unit vector of propagation, from source to sample."""
    wavelength: float
    """Metres, 1e-18 to 1e-2."""
    weight: float = 1.0
    """Multiplies every contribution of this source; a beam's weights average one."""
    polarization_axis: Vector | None = None
    """Unit vector of the electric field of this source; None: that of the beam."""
    kahn_factor: float | None = None
    """Kahn polarisation factor of this source, -1 to 1; None: that of the beam."""

    def __post_init__(self) -> None:
        axis, factor = self.polarization_axis, self.kahn_factor
        checks.coerce(
            self,
            direction=checks.unit_vector("direction of a source", self.direction),
            wavelength=checks.length("wavelength of a source", self.wavelength, *WAVELENGTHS, checks.ANGSTROM),
            weight=checks.not_negative("weight of a source", self.weight),
            polarization_axis=None if axis is None else checks.unit_vector("polarization axis of a source", axis),
            kahn_factor=None if factor is None else checks.finite("Kahn factor of a source", factor),
        )

    def summary(self) -> dict[str, str]:
        rows = {
            "wavelength": quantity(self.wavelength, 1e10, "Å"),
            "direction": f"along {vector(self.direction)}",
            "weight": f"weight {self.weight:g}",
        }
        if self.kahn_factor is not None:
            rows["kahn_factor"] = f"Kahn factor {self.kahn_factor:g}"
        if self.polarization_axis is not None:
            rows["polarization_axis"] = f"field along {vector(self.polarization_axis)}"
        return rows


def polarized(source: Source) -> bool:
    """Whether it has a polarisation of its own."""
    return source.kahn_factor is not None or source.polarization_axis is not None


def check_field(direction: Vector, polarization: Polarization) -> None:
    """Raise InputError where a polarised wave has its field along it."""
    factor, axis = polarization
    if factor and norm(cross(direction, axis)) < PARALLEL:
        raise InputError(
            f"Kahn factor {factor:g} with a field along {vector(axis)} in a beam along {vector(direction)}; "
            "expected a polarization axis across the beam"
        )


def mixed(polarizations: Sequence[Polarization], weights: Sequence[float], direction: Vector) -> Polarization:
    """The polarisation of all photons of a beam along `direction` together: the mean of Stokes vectors."""
    x = across(direction)
    y = cross(direction, x)
    total = math.fsum(weights) or 1.0
    parts = [weight / total * factor for weight, (factor, _) in zip(weights, polarizations, strict=True)]
    angles = [2.0 * math.atan2(dot(axis, y), dot(axis, x)) for _, axis in polarizations]
    q = math.fsum(part * math.cos(angle) for part, angle in zip(parts, angles, strict=True))
    u = math.fsum(part * math.sin(angle) for part, angle in zip(parts, angles, strict=True))
    half = math.atan2(u, q) / 2.0
    return math.hypot(q, u), unit(add(scale(x, math.cos(half)), scale(y, math.sin(half))))
