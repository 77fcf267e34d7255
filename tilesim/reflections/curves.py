"""Scattering curves of amorphous materials: text files of angles and amplitudes, and those of tilesim."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np

from tilesim.errors import InputError
from tilesim.files.reading import fields, number, printable, quoted, read_text, uncommented
from tilesim.frozen import frozen
from tilesim.model import ScatteringCurve

FOLDER = Path(__file__).with_name("materials")
MOST_POINTS = 1_000_000
PER_ANGSTROM = 1e10
"""1/angstrom in 1/m."""
_SEPARATORS = bytes.maketrans(b",;:!", b"    ")


@frozen
class BackgroundMaterial:
    """A material whose curve comes with tilesim; the head of its file says where the values are from."""

    file: str
    density: float
    """Kilograms per cubic metre"""
    molar_mass: float
    """Kilograms per mole"""


MATERIALS = {
    "water": BackgroundMaterial("water.stol", 1000.0, 0.018),
    "air": BackgroundMaterial("air.stol", 1.2, 0.028),
    "ice": BackgroundMaterial("ice.stol", 930.0, 0.018),
}


def read_curve(path: str | os.PathLike[str], unit: float = PER_ANGSTROM, source: str | None = None) -> ScatteringCurve:
    """Read a scattering curve from a text file: rows of an angle and an amplitude in electrons per molecule.

    `#` comments, blank lines and further columns are ignored.

    Parameters
    ----------
    path
        Name of the file.
    unit
        Unit of the angles, in 1/m of sin(theta)/lambda; by default they are in 1/angstrom.
    source
        Name of the curve; by default the file's.

    Returns
    -------
    ScatteringCurve
        With angles in 1/m.

    Raises
    ------
    InputError
        Naming file and line, where a row is anything else, an angle does not rise or an amplitude is negative.

    Examples
    --------
    >>> from tilesim import read_curve
    >>> with open("glass.stol", "w") as file:
    ...     _ = file.write("# sin(theta)/lambda  amplitude\\n0.0 10\\n0.25 4\\n0.5 3\\n")
    >>> read_curve("glass.stol").summary()["points"]
    '3 points to 1 Å'
    """
    name = printable(path)
    stol: list[float] = []
    electrons: list[float] = []
    for place, line in enumerate(uncommented(read_text(path)), 1):
        row = fields(line.translate(_SEPARATORS))
        if not row:
            continue
        try:
            angle, amplitude = (number(field) for field in row[:2])
        except ValueError:
            angle = amplitude = math.nan
        if not (math.isfinite(angle) and math.isfinite(amplitude)):
            raise InputError(f"{name} line {place}: expected an angle and an amplitude, found {quoted(line)}")
        if angle < 0 or (stol and not angle * unit > stol[-1]):
            raise InputError(f"{name} line {place}: the angle is {angle:g}; expected angles that rise, from 0 or more")
        if amplitude < 0:
            raise InputError(f"{name} line {place}: the amplitude is {amplitude:g}; expected electrons, 0 or more")
        if len(stol) == MOST_POINTS:
            raise InputError(f"{name} line {place}: more than {MOST_POINTS} rows; expected a scattering curve")
        stol.append(angle * unit)
        electrons.append(amplitude)
    if len(stol) < 2:
        raise InputError(f"{name}: expected two or more rows of an angle and an amplitude, found {len(stol)}")
    if not math.isfinite(stol[-1]):
        raise InputError(f"{name}: the last angle is too large; expected sin(theta)/lambda in 1/angstrom")
    return ScatteringCurve(np.array(stol), np.array(electrons), printable(path) if source is None else source)


def material_curve(name: str) -> ScatteringCurve:
    """Read the scattering curve of water, air or ice that comes with tilesim.

    docs/background.md says where the curves are from.

    Parameters
    ----------
    name
        "water", "air" or "ice".

    Returns
    -------
    ScatteringCurve
        Of one molecule, in electrons over 1/m.

    Raises
    ------
    InputError
        For another name.

    Examples
    --------
    >>> from tilesim import material_curve
    >>> material_curve("ice").text
    'ice, 2601 points to 0.769 Å, 2544f6aabbaf'
    """
    return read_curve(FOLDER / material(name).file, source=name)


def material(name: str) -> BackgroundMaterial:
    """What is known of water, air or ice. Raises InputError for another name."""
    if name not in MATERIALS:
        raise InputError(f"no scattering curve of {name!r}; expected one of {', '.join(MATERIALS)}")
    return MATERIALS[name]
