"""f' and f'' of an element: from a file of measured values, or by Cromer and Liberman."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import ModuleType

import numpy as np

from tilesim.errors import InputError
from tilesim.files.reading import number, printable, quoted, read_text
from tilesim.model.anomalous import AnomalousCurve
from tilesim.model.materials import ENERGY_TIMES_WAVELENGTH

BARE_EV = (100.0, 1e6)
"""Energies that are in eV where no comment says keV."""
MARGIN, POINTS = 0.02, 201
"""Relative margin of a calculated curve beyond the photon energies that are asked for, and points besides these."""
_KEV = re.compile(rb"\bkev\b", re.IGNORECASE)


def files_by_element(text: str) -> tuple[tuple[str, str], ...]:
    """Elements and their files of an option such as `Fe=fe.txt,Se=se.txt`. Raises InputError."""
    pairs = [part.partition("=") for part in text.split(",")]
    symbols = [symbol.strip().upper() for symbol, _, _ in pairs]
    if not all(symbol.isalpha() and path for symbol, (_, _, path) in zip(symbols, pairs, strict=True)):
        raise InputError(f"--fp-fdp is {text[:60]!r}; expected ELEMENT=FILE, several with commas")
    if len(set(symbols)) < len(symbols):
        raise InputError(f"--fp-fdp {text[:60]!r} names an element twice; expected one file for each")
    return tuple((symbol.strip(), path) for symbol, _, path in pairs)


def read_fp_fdp(path: str, element: str) -> AnomalousCurve:
    """Lines of photon energy, f' and f''; in eV, or in keV where a comment says so. Raises InputError."""
    name, rows, kilo = printable(path), [], False
    for place, line in enumerate(read_text(path).splitlines(), 1):
        fields = line.replace(b",", b" ").split()
        if not fields or line.lstrip().startswith(b"#"):
            kilo = kilo or _KEV.search(line) is not None
            continue
        try:
            values = [number(field) for field in fields]
        except ValueError:
            values = []
        if len(values) != 3 or not np.isfinite(values).all():
            raise InputError(f"{name} line {place}: expected energy, f' and f'', found {quoted(line.strip())}")
        rows.append(values)
    if not rows:
        raise InputError(f"{name}: expected lines of energy, f' and f''; found none")
    energies, f1, f2 = np.array(sorted(rows)).T
    low, high = BARE_EV
    if not kilo and not (energies[0] >= low and energies[-1] <= high):
        raise InputError(
            f"{name}: energies of {energies[0]:g} to {energies[-1]:g}; expected eV, or a comment that says keV"
        )
    try:
        return AnomalousCurve(element, energies if kilo else energies * 1e-3, f1, f2)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def calculated_curve(
    library: ModuleType, element: str, atomic_number: int, wavelengths: Sequence[float]
) -> AnomalousCurve:
    """Values by Cromer and Liberman at the wavelengths (metres), exactly, and between and somewhat beyond them."""
    wanted = ENERGY_TIMES_WAVELENGTH / np.array(wavelengths)
    between = np.linspace(wanted.min() * (1.0 - MARGIN), wanted.max() * (1.0 + MARGIN), POINTS)
    energies = np.unique(np.concatenate([wanted, between]))
    values = [library.cromer_liberman(z=atomic_number, energy=energy * 1e3) for energy in energies.tolist()]
    f1, f2 = np.array(values).T
    return AnomalousCurve(element, energies, f1, f2)
