"""The incident beam of an NXmx file: wavelength, also of a spectrum or an energy, and polarisation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tilesim.errors import InputError
from tilesim.files.libraries import Hdf5
from tilesim.instruments.nexus import broken_link, factor_of, member, numbers, text
from tilesim.model.materials import ENERGY_TIMES_WAVELENGTH
from tilesim.model.vectors import unit

WAVELENGTHS = (1e-13, 1e-8)
"""Metres: electrons of high energy to soft X-rays; others are taken for a mistake in the units."""
KEV = 1.602176634e-16
"""Joules."""
STOKES = ("incident_polarization_stokes", "incident_polarisation_stokes")
WAVELENGTH, ENERGY = "incident_wavelength", "incident_energy"


def read_beam(beam: Hdf5, notes: list[str]) -> dict[str, Any]:
    """What an instrument knows of an NXbeam; notes say what was chosen. Raises InputError."""
    known: dict[str, Any] = {}
    for key in (WAVELENGTH, ENERGY):
        lost = broken_link(beam, key)
        if lost:
            notes.append(f"{beam.name}/{key} is a link to {lost}, which is not there")
        if member(beam, key) is not None:
            found = _wavelength(beam, key, notes)
            low, high = WAVELENGTHS
            if not low <= found <= high:
                raise InputError(
                    f"{beam.name}/{key} is a wavelength of {found * 1e10:.6g} angstrom; expected "
                    f"{low * 1e10:g} to {high * 1e10:g}, are its units right?"
                )
            known["wavelength"] = found
            break
    for name in STOKES:
        if member(beam, name) is not None:
            return known | _polarization(beam[name], notes)
    return known


def _wavelength(beam: Hdf5, key: str, notes: list[str]) -> float:
    """Metres; of a spectrum that of its mean energy, as in DIALS; of shots that differ the first."""
    dataset, weights = beam[key], weights_of(beam, key)
    values = in_metres(dataset, key)
    if weights is None:
        variant = text(dataset.attrs.get("variant", ""))
        if variant and weights_of(beam, variant) is not None:
            notes.append(f"{beam.name}: of the spectrum {variant} the one wavelength {values[0] * 1e10:.6g} A is taken")
        elif (values != values[0]).any():
            notes.append(f"{dataset.name} differs from frame to frame; that of frame 0 is taken")
        return float(values[0])
    share = numbers(weights)
    count = dataset.shape[-1] if dataset.ndim else 1
    if share.size < count or weights.shape[-1:] != (dataset.shape[-1:] or weights.shape[-1:]):
        raise InputError(f"{weights.name} has {share.size} weights of {count} wavelengths; expected one for each")
    if max(share.size, values.size) > count:
        notes.append(f"{dataset.name} is a spectrum that differs from frame to frame; that of frame 0 is taken")
    share, values = share[:count], values[:count]
    if (share < 0.0).any() or not share.sum() > 0.0:
        raise InputError(f"{weights.name} has weights below 0, or none above; expected those of a spectrum")
    mean = float(share.sum() / (share / values).sum())
    if np.count_nonzero(share) > 1:
        notes.append(f"{dataset.name} is a spectrum; its mean photon energy, {mean * 1e10:.6g} A, is taken")
    return mean


def weights_of(beam: Hdf5, key: str) -> Hdf5 | None:
    """The weights of a spectrum, by their name and an earlier one."""
    found = member(beam, f"{key}_weights")
    return member(beam, f"{key}_weight") if found is None else found


def in_metres(dataset: Hdf5, key: str) -> np.ndarray:
    """Wavelengths in metres, also of energies. Raises InputError."""
    values = numbers(dataset)
    if not (values > 0.0).all():
        raise InputError(f"{dataset.name} holds {values.min():g}; expected numbers above 0")
    if key == WAVELENGTH:
        return values * factor_of(dataset, "length")
    return ENERGY_TIMES_WAVELENGTH / (values * factor_of(dataset, "energy") / KEV)


def _polarization(dataset: Hdf5, notes: list[str]) -> dict[str, Any]:
    """Kahn factor and field of Stokes parameters I, Q, U, V: one set, or one for each frame."""
    values = numbers(dataset)
    if values.size % 4 or (dataset.shape or (0,))[-1] != 4:
        raise InputError(
            f"{dataset.name} has the shape {dataset.shape}; expected four Stokes parameters, or frames of four"
        )
    sets = values.reshape(-1, 4)
    if (sets != sets[0]).any():
        notes.append(f"{dataset.name} differs from frame to frame; that of frame 0 is taken")
    intensity, q, u, _ = (float(x) for x in sets[0])
    linear = math.hypot(q, u)
    if not intensity > 0.0 or linear > intensity * (1.0 + 1e-6):
        raise InputError(f"{dataset.name} is {sets[0].tolist()}; expected an intensity no smaller than the rest")
    known: dict[str, Any] = {"kahn_factor": min(linear / intensity, 1.0)}
    if linear > 0.0:
        angle = math.atan2(u, q) / 2.0  # of the electric field, counted from x to y
        known["polarization_axis"] = unit((math.cos(angle), math.sin(angle), 0.0))
    return known
