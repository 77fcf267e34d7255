"""Sensor materials: the attenuation of the beam in a metre of them."""

from __future__ import annotations

import bisect
import math

from tilesim.errors import InputError
from tilesim.frozen import frozen

ENERGY_TIMES_WAVELENGTH = 1.23984198e-9
"""Kiloelectronvolt times metres."""


@frozen
class Material:
    """A sensor material."""

    density: float
    """kg/m^3"""
    table: tuple[tuple[float, float], ...]
    """Photon energy, keV, and total mass attenuation coefficient (scattering included), cm^2/g; two at an edge."""


# Elam, Ravel and Sieber (2002), Radiat. Phys. Chem. 63, 121-128, as XrayDB 9.2 has it, summed by mass fractions; at 10
# keV within 0.1 % of NIST's tables for silicon (Hubbell and Seltzer, https://physics.nist.gov/xaamdi).
# fmt: off
MATERIALS = {
    "Si": Material(
        2329.0,
        (
            (3, 978.4), (4, 452.8), (5, 245.1), (6, 147), (8, 64.69), (10, 33.88), (15, 10.34), (20,
            4.463), (30.0014, 1.436), (39.9986, 0.701), (50.0011, 0.4385), (60, 0.3206), (80.0014,
            0.2228), (99.9975, 0.1835),
        ),
    ),
    "CdTe": Material(
        5850.0,
        (
            (3, 614.6), (3.5379, 405.9), (3.5381, 778), (3.631, 729.6), (3.7269, 683.9), (3.7271,
            859.9), (4, 723), (4.0179, 715), (4.0181, 794.5), (4.3409, 654.6), (4.3411, 931.1),
            (4.4747, 869.6), (4.6119, 812.4), (4.6121, 942.5), (4.7728, 868.2), (4.9389, 799.8),
            (4.9391, 865.2), (5, 839.2), (6, 528.6), (8, 249.2), (10, 138.1), (15, 46.56), (20,
            21.44), (26.7096, 9.829), (26.7107, 29.42), (30.0014, 21.82), (31.8146, 18.7), (31.8159,
            34.9), (39.9986, 19.3), (50.0011, 10.67), (60, 6.542), (80.0014, 3.019), (99.9975,
            1.671),
        ),
    ),
    "GaAs": Material(
        5317.6,
        (
            (3, 970.5), (4, 454), (5, 249.5), (6, 152.4), (8, 69.61), (10, 37.8), (10.3668, 34.25),
            (10.3672, 126), (11.8668, 88.63), (11.8673, 168.1), (15, 92.19), (20, 42.58), (30.0014,
            13.97), (39.9986, 6.262), (50.0011, 3.365), (60, 2.042), (80.0014, 0.9587), (99.9975,
            0.5598),
        ),
    ),
    "Gd2O2S": Material(
        7340.0,
        (
            (3, 1205), (4, 591.7), (5, 337.1), (6, 211.8), (7.2428, 130.6), (7.2431, 331.2),
            (7.5788, 294.9), (7.9299, 262.6), (7.9302, 353.6), (8, 347), (8.3759, 309.6), (8.3762,
            355.9), (10, 228.5), (15, 79.02), (20, 36.87), (30.0014, 12.54), (39.9986, 5.854),
            (50.0011, 3.274), (50.2356, 3.234), (50.2376, 15.55), (60, 9.814), (80.0014, 4.666),
            (99.9975, 2.613),
        ),
    ),
}
# fmt: on
ALIASES = {"silicon": "Si", "cadmium telluride": "CdTe", "gallium arsenide": "GaAs", "gadox": "Gd2O2S"}


def known_material(name: str) -> str | None:
    """The key in `MATERIALS` of what a file calls its sensor's material; None where it is none of them."""
    lower = name.strip().lower()
    return ALIASES.get(lower) or next((key for key in MATERIALS if key.lower() == lower), None)


def attenuation(material: str, wavelength: float) -> float:
    """The linear attenuation coefficient, 1/m, by log-log interpolation. Raises InputError.

    material    one of `MATERIALS`
    wavelength  metres
    """
    found, below, above, share = _between(material, wavelength)
    return below[1] * math.pow(above[1] / below[1], share) * found.density * 0.1


def attenuation_power(material: str, wavelength: float) -> float:
    """The power of the wavelength that the attenuation of a material follows: d log mu / d log lambda."""
    _, below, above, _ = _between(material, wavelength)
    return math.log(above[1] / below[1]) / math.log(below[0] / above[0])


def _between(material: str, wavelength: float) -> tuple[Material, tuple[float, float], tuple[float, float], float]:
    """A material, its two rows on either side of a wavelength, and the share of the way between them."""
    found = MATERIALS[material]
    energy = ENERGY_TIMES_WAVELENGTH / wavelength
    first, last = found.table[0][0], found.table[-1][0]
    if not first <= energy <= last:
        raise InputError(
            f"the attenuation of {material} is known from {first:g} to {last:g} keV, the beam has {energy:g} keV; "
            "expected -detector_abs, or -detector_thick 0 for no sensor"
        )
    place = min(bisect.bisect_right(found.table, (energy, math.inf)), len(found.table) - 1)
    below, above = found.table[place - 1], found.table[place]
    return found, below, above, math.log(energy / below[0]) / math.log(above[0] / below[0])
