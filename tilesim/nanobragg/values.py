"""One value of a flag: as the reference's C reads it, or checked; then in internal units (spec command-line 1.3)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from enum import StrEnum

from tilesim.files.cnumbers import atof
from tilesim.frozen import frozen
from tilesim.nanobragg.settings import RTD

Value = float | int | str | None


class Kind(StrEnum):
    """What a value must be, in the words of an error."""

    REAL = "a number"
    INTEGER = "a 32-bit whole number"
    FILE = "a file name"
    PIVOT = "sample or beam"
    DEPTH = "inf or a number, 0 or more"


Read = Callable[[Kind, str], Value]

MAX_INTEGER = 2**31 - 1
_DIGITS_OF_LONG = 19
_LARGEST, _SMALLEST = 1e200, 1e-200
"""Beyond these a conversion of units could leave the range of a float."""

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_ATOI = re.compile(r"[ \t\n\v\f\r]*([+-]?)([0-9]+)")


def as_reference(kind: Kind, token: str) -> Value:
    """What the reference makes of `token`; never an error. None is no absorption, or no known pivot."""
    if kind is Kind.INTEGER:
        return atoi(token)
    if kind is Kind.FILE:
        return token
    if kind is Kind.PIVOT:
        return "beam" if "beam" in token else "sample" if "sample" in token else None
    number = atof(token.encode("ascii", "replace"))
    return None if kind is Kind.DEPTH and ("inf" in token or number == 0.0) else number


def checked(kind: Kind, token: str) -> Value:
    """What `token` spells, as a whole. Raises ValueError where it is of another kind (K11).

    Integers may be spelled 7.0 or 1e3. A depth of None is no absorption.
    """
    if kind is Kind.FILE:
        return _accept(token, bool(token) and not token.startswith("-"))
    if kind is Kind.PIVOT:
        return _accept(token, token in ("sample", "beam"))
    if kind is Kind.DEPTH and token.lower() in ("inf", "+inf", "infinite", "infinity"):
        return None
    word = token.strip(" \t")
    number = float(_accept(word, _DECIMAL.fullmatch(word) is not None))
    _accept(token, usable(number))
    if kind is Kind.INTEGER:
        return int(_accept(number, number.is_integer() and abs(number) <= MAX_INTEGER))
    if kind is Kind.DEPTH:
        return _accept(number, number >= 0.0) or None
    return number


def usable(number: float) -> bool:
    """Finite, and of a size that survives conversions of units; NaN is not."""
    return number == 0.0 or _SMALLEST <= abs(number) <= _LARGEST


def checked_or_as_reference(kind: Kind, token: str) -> Value:
    """Checked where that is possible, so that spelling alone makes no difference between the two."""
    try:
        return checked(kind, token)
    except ValueError:
        return as_reference(kind, token)


def atoi(token: str) -> int:
    """C's atoi: the leading decimal digits, clamped to 64 bits, wrapped to 32; 0 where there are none."""
    found = _ATOI.match(token)
    if not found:
        return 0
    digits = found[2].lstrip("0")
    size = int(digits or "0") if len(digits) <= _DIGITS_OF_LONG else 2**63
    return wrapped(-min(size, 2**63) if found[1] == "-" else min(size, 2**63 - 1))


def wrapped(number: int) -> int:
    """`number` as a 32-bit integer that overflows silently."""
    return (number + 2**31) % 2**32 - 2**31


def divided(number: float, by: float) -> float:
    """A quotient as in C, where dividing a finite number, not 0, by 0 is infinite."""
    return number / by if by != 0.0 else math.copysign(math.inf, by)


def _accept(value, holds: bool):
    if not holds:
        raise ValueError(value)
    return value


@frozen
class Measure:
    """A kind of value in a unit, and how it becomes the internal one.

    The arithmetic is the reference's, because its rounding decides how many steps fit into a range.
    """

    kind: Kind
    unit: str = ""
    convert: Callable[[Value], Value] = lambda value: value


NUMBER = Measure(Kind.REAL)
MM = Measure(Kind.REAL, "mm", lambda x: x / 1000.0)
MRAD = Measure(Kind.REAL, "mrad", lambda x: x / 1000.0)
DEGREES = Measure(Kind.REAL, "degrees", lambda x: x / RTD)
PERCENT = Measure(Kind.REAL, "percent", lambda x: x / 100.0)
PIXELS = Measure(Kind.REAL, "pixels")
SECONDS = Measure(Kind.REAL, "seconds")
FLUENCE = Measure(Kind.REAL, "photons per square metre")
FLUX = Measure(Kind.REAL, "photons per second")
CELL_LENGTH = Measure(Kind.REAL, "angstrom")
WAVELENGTH = Measure(Kind.REAL, "angstrom", lambda x: x / 1e10)
SPACING = Measure(Kind.REAL, "angstrom", lambda x: x * 1e-10)
ENERGY = Measure(Kind.REAL, "eV", lambda x: divided(12398.42, x) / 1e10)
DROPLET = Measure(Kind.REAL, "micrometres", lambda x: x / 1e6)
THICKNESS = Measure(Kind.REAL, "micrometres", lambda x: x * 1e-6)
DEPTH = Measure(Kind.DEPTH, "micrometres", lambda x: None if x is None else divided(1.0, x * 1e-6))
INTEGER = Measure(Kind.INTEGER)
SEED = Measure(Kind.INTEGER, "", lambda seed: wrapped(-seed))
FILE = Measure(Kind.FILE)
PIVOT = Measure(Kind.PIVOT)
