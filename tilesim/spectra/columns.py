"""Spectra in two columns of text: an energy or wavelength, and photons or a density."""

from __future__ import annotations

import re

import numpy as np

from tilesim.errors import InputError
from tilesim.files.reading import printable, quoted, read_text
from tilesim.model.materials import ENERGY_TIMES_WAVELENGTH
from tilesim.model.spectrum import Array, Spectrum

LAM = ".lam"
EXPECTED = "a header such as '# energy/keV current/A', '# energy/eV weight' or '# wavelength/A weight'"
_UNITS = {"ev": 1e-3, "kev": 1.0, "a": 1e-10, "å": 1e-10, "angstrom": 1e-10, "angstroms": 1e-10, "nm": 1e-9, "m": 1.0}
"""Kiloelectronvolts and metres."""
_FIRST = re.compile(r"\b(?:photon[ _]?)?(energy|energies|wavelengths?|lambda)\b[\s/_\[(]*([a-zå]*)", re.IGNORECASE)
_DENSITY = re.compile(r"\b(?:current|density|intensity|spectral|flux)\b", re.IGNORECASE)
_PHOTONS = re.compile(r"\b(?:weights?|photons?|counts?|number)\b", re.IGNORECASE)
_BARE_EV = (100.0, 1e6)
"""What nobody would mean by kiloelectronvolts or angstroms."""


def read_columns_spectrum(path: str) -> Spectrum:
    """The spectrum of a text file. Raises InputError, naming file and line.

    A density counts linearly between its points (CrystFEL): the photons of a point are those of half the way to its
    neighbours. Without a header, the first column is an energy in eV where it can be nothing else.
    """
    name, text = printable(path), read_text(path)
    header, rows = _split(text, name)
    if path.lower().endswith(LAM):
        return _made(name, rows[:, 0] * 1e-10, rows[:, 1])
    wavelength, unit, dense = _understood(header, rows, name)
    values = rows[:, 0] * unit
    if not (values > 0.0).all():
        raise InputError(f"{name}: the first column holds {rows[:, 0].min():g}; expected numbers above 0")
    photons = rows[:, 1] * _widths(values, name) if dense else rows[:, 1]
    return _made(name, values if wavelength else ENERGY_TIMES_WAVELENGTH / values, photons)


def _made(name: str, wavelengths: Array, photons: Array) -> Spectrum:
    try:
        return Spectrum(wavelengths, photons)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def _split(text: bytes, name: str) -> tuple[str, Array]:
    """What stands above the numbers, and the numbers (n, 2)."""
    header: list[str] = []
    rows: list[list[float]] = []
    for place, line in enumerate(text.splitlines(), 1):
        fields = line.replace(b",", b" ").replace(b";", b" ").split()
        if not fields:
            continue
        if line.lstrip().startswith(b"#"):
            if not rows:
                header.append(line.decode(errors="replace").strip("# \t"))
            continue
        numbers = _numbers(fields)
        if numbers is None and not rows and not header:
            header.append(line.decode(errors="replace"))
        elif numbers is None or len(numbers) != 2:
            raise InputError(f"{name} line {place}: expected two numbers, found {quoted(line.strip())}")
        else:
            rows.append(numbers)
    if not rows:
        raise InputError(f"{name}: expected a spectrum, lines of two numbers; found none")
    return " ".join(header), np.array(rows)


def _numbers(fields: list[bytes]) -> list[float] | None:
    try:
        found = [float(field) for field in fields]
    except ValueError:
        return None
    return found if np.isfinite(found).all() else None


def _understood(header: str, rows: Array, name: str) -> tuple[bool, float, bool]:
    """Whether the first column is a wavelength, its unit, and whether the second one is a density."""
    found = _FIRST.search(header)
    if found is None:
        low, high = _BARE_EV
        if header == "" and low <= rows[:, 0].min() and rows[:, 0].max() <= high:
            return False, _UNITS["ev"], False
        raise InputError(f"{name}: what its columns are is not stated; expected {EXPECTED}")
    kind, unit = found.group(1).lower(), found.group(2).lower()
    wavelength = kind[0] in "wl"
    known = unit in _UNITS and (_UNITS[unit] < 1e-3 or unit == "m") is wavelength
    rest = header[found.end() :]
    dense, photons = _DENSITY.search(rest) is not None, _PHOTONS.search(rest) is not None
    if not known or dense is photons:
        raise InputError(f"{name}: its header is {quoted(header.encode())}; expected {EXPECTED}")
    return wavelength, _UNITS[unit], dense


def _widths(values: Array, name: str) -> Array:
    """The width of the channel around each point (n,), which ends half the way to its neighbours."""
    if len(values) < 2:
        raise InputError(f"{name}: a density at one point; expected two or more")
    steps = np.diff(values)
    if not ((steps > 0).all() or (steps < 0).all()):
        raise InputError(f"{name}: a density at points that neither rise nor fall; expected them in order")
    halves = np.abs(steps) / 2.0
    widths = np.zeros(len(values))
    widths[:-1] += halves
    widths[1:] += halves
    return widths
