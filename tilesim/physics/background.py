"""Isotropic scattering of water around the crystal."""

from __future__ import annotations

WATER_FORWARD_AMPLITUDE = 2.57
"""Electrons per molecule in the forward direction."""
WATER_MOLAR_MASS = 18.0
WATER_DENSITY_FACTOR = 1e6
"""Grams per cubic metre."""
AVOGADRO = 6.02214179e23


def water_background(size: float, photon_scale: float) -> float:
    """Photons per steradian from a cube of water (spec intensity 7).

    size          edge in metres
    photon_scale  r_e^2 times fluence
    """
    molecules = size * size * size * WATER_DENSITY_FACTOR * AVOGADRO / WATER_MOLAR_MASS
    return WATER_FORWARD_AMPLITUDE * WATER_FORWARD_AMPLITUDE * photon_scale * molecules
