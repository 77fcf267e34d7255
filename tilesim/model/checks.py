"""What a field of a noun must be: each check returns the value as plain Python, or raises InputError naming it.

numpy scalars and arrays become floats, ints and tuples, so that nouns compare, hash, pickle and turn into JSON
alike, however they were made.
"""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, TypeVar

import numpy as np

from tilesim.errors import InputError
from tilesim.model.vectors import IDENTITY, Matrix, Vector, norm

Kind = TypeVar("Kind")
Choice = TypeVar("Choice", bound=StrEnum)

UNIT_TOLERANCE = 1e-6
"""How far a direction's length may be from one: more than rounding, less than a forgotten normalisation."""

_IDENTITY = repr(IDENTITY)
ANGSTROM, MICROMETRE, MILLIMETRE = 1e-10, 1e-6, 1e-3


def coerce(noun: Any, **fields: Any) -> None:
    """Put the checked values in place of those that a frozen dataclass was given."""
    for name, value in fields.items():
        object.__setattr__(noun, name, value)


def no_graph(name: str, value: Any) -> None:
    """Raise InputError where it is, or holds, a tensor of torch whose derivatives would be lost, without torch."""
    if getattr(value, "requires_grad", False):
        raise InputError(
            f"{name} is a tensor that requires_grad, whose derivatives a noun would lose; expected numbers, or "
            "tilesim.torch.simulate, which keeps them"
        )
    for item in value if isinstance(value, list | tuple) else ():
        if not isinstance(item, float):
            no_graph(name, item)


def number(name: str, value: Any) -> float:
    """A real number, NaN and infinity included, as a float."""
    if type(value) is float:
        return value
    no_graph(name, value)
    try:
        if _scalar(value):
            return float(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise InputError(f"{name} is {shown(value)}; expected a number")


def finite(name: str, value: Any) -> float:
    """A number that is neither NaN nor infinite."""
    result = number(name, value)
    if not math.isfinite(result):
        raise InputError(f"{name} is {result:g}; expected a finite number")
    return result


def positive(name: str, value: Any) -> float:
    """A finite number above zero."""
    result = finite(name, value)
    if not result > 0:
        raise InputError(f"{name} is {result:g}; expected a number above 0")
    return result


def not_negative(name: str, value: Any) -> float:
    """A finite number, zero or more."""
    result = finite(name, value)
    if not result >= 0:
        raise InputError(f"{name} is {result:g}; expected a number of 0 or more")
    return result


def length(name: str, value: Any, low: float, high: float, *units: float) -> float:
    """Metres between limits that no use exceeds; `units`, in metres, are those that were most likely forgotten."""
    result = finite(name, value)
    if not low <= result <= high:
        meant = next((result * unit for unit in units if low <= result * unit <= high), None)
        hint = "" if meant is None else f"; did you mean {meant:g}?"
        raise InputError(f"{name} is {result:g} m; expected metres, from {low:g} to {high:g}{hint}")
    return result


def whole_number(name: str, value: Any, at_least: int | None = None) -> int:
    """An int; integers of numpy and floats without a fraction are taken too."""
    if type(value) is not int:
        no_graph(name, value)
    result = value if type(value) is int else _integer(value)
    if result is None:
        raise InputError(f"{name} is {shown(value)}; expected a whole number")
    if at_least is not None and result < at_least:
        raise InputError(f"{name} is {result}; expected at least {at_least}")
    return result


def whole_numbers(name: str, values: Any, count: int, at_least: int | None = None) -> tuple[int, ...]:
    """Exactly `count` whole numbers."""
    items = _items(values)
    if items is None or len(items) != count:
        raise InputError(f"{name} is {shown(values)}; expected {count} whole numbers")
    return tuple(whole_number(name, item, at_least) for item in items)


def counts(name: str, values: Any, count: int) -> tuple[float, ...]:
    """Exactly `count` finite numbers above 0; whole ones are ints, however they were given."""
    found = numbers(name, values, count)
    if not min(found) > 0:
        raise InputError(f"{name} is {shown(values)}; expected {count} numbers above 0")
    return tuple(int(x) if x.is_integer() else x for x in found)


def numbers(name: str, value: Any, count: int) -> tuple[float, ...]:
    """Exactly `count` finite numbers from any sequence or array."""
    items = _items(value)
    if items is None or len(items) != count:
        raise InputError(f"{name} is {shown(value)}; expected {count} numbers")
    result = tuple(number(name, x) for x in items)
    if not all(map(math.isfinite, result)):
        raise InputError(f"{name} is {result}; expected {count} finite numbers")
    return result


def three_vector(name: str, value: Any) -> Vector:
    """Three finite numbers from any sequence or array."""
    if type(value) is tuple and len(value) == 3 and all(type(x) is float and math.isfinite(x) for x in value):
        return value  # the usual case, and a beam may have a million of them
    x, y, z = numbers(name, value, 3)
    return x, y, z


def direction(name: str, value: Any) -> Vector:
    """Three finite numbers, not all zero."""
    result = three_vector(name, value)
    if not any(result):
        raise InputError(f"{name} is {result}; expected 3 finite numbers, not all zero")
    return result


def unit_vector(name: str, value: Any, *, or_zero: bool = False) -> Vector:
    """Three numbers of length one to within rounding; `or_zero` lets the null vector pass."""
    result = three_vector(name, value)
    size = norm(result)
    if abs(size - 1.0) > UNIT_TOLERANCE and not (or_zero and size == 0.0):
        raise InputError(f"{name} is {result}, of length {size:g}; expected a unit vector")
    return result


def rotations(name: str, values: Any) -> tuple[Matrix, ...]:
    """Rotation matrices from nested sequences or an array, (n, 9) or (n, 3, 3)."""
    if type(values) is tuple and len(values) == 1 and type(values[0]) is tuple and repr(values[0]) == _IDENTITY:
        return (IDENTITY,)  # the usual case, and a series may have a hundred thousand of them
    try:
        # One by one first: a list may mix both forms, and numpy's word on ragged lists helps nobody.
        rows = [np.asarray(m, dtype=np.float64).reshape(9) for m in values]
        matrices = np.array(rows).reshape(-1, 3, 3)
    except (TypeError, ValueError, RuntimeError):  # the last one is torch's
        no_graph(name, values)
        raise InputError(f"{name} holds {shown(values)}; expected matrices of 3 x 3 numbers") from None
    if not len(matrices):
        return ()
    off = np.abs(matrices @ matrices.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2))
    if not (off <= 10 * UNIT_TOLERANCE).all():
        worst = int(np.argmax(~(off <= 10 * UNIT_TOLERANCE)))
        raise InputError(f"matrix {worst} of {name} is no rotation; expected three unit rows at right angles")
    return tuple(map(_nine, matrices.reshape(-1, 9).tolist()))


def _nine(values: Iterable[float]) -> Matrix:
    a, b, c, d, e, f, g, h, i = values
    return a, b, c, d, e, f, g, h, i


def flag(name: str, value: Any) -> bool:
    """True or False, and nothing that only counts as it."""
    if not isinstance(value, bool | np.bool_):
        raise InputError(f"{name} is {shown(value)}; expected True or False")
    return bool(value)


def text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name} is {shown(value)}; expected text")
    return str(value)


def choice(name: str, value: Any, kind: type[Choice]) -> Choice:
    """A member of the enum `kind`, or its value."""
    try:
        return kind(value)
    except ValueError:
        raise InputError(f"{name} is {shown(value)}; expected one of {', '.join(kind)}") from None


def instance(name: str, value: Any, kind: type[Kind]) -> Kind:
    """A value of class `kind`."""
    if not isinstance(value, kind):
        raise InputError(f"{name} is {shown(value)}; expected {_a(kind)}")
    return value


def instances(name: str, values: Any, kind: type[Kind]) -> tuple[Kind, ...]:
    """Values of class `kind` from any iterable; a single one is a list of one."""
    if isinstance(values, kind):
        return (values,)
    if not isinstance(values, Iterable):
        raise InputError(f"{name} is {shown(values)}; expected values of {kind.__name__}")
    return tuple(instance(name, value, kind) for value in values)


def _a(kind: type) -> str:
    return f"an {kind.__name__}" if kind.__name__[0] in "AEIO" else f"a {kind.__name__}"


def _scalar(value: Any) -> bool:
    """Whether it may stand for one real number; Python would take truth values and texts for numbers too."""
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    return getattr(value, "ndim", 0) == 0 and kind not in ("b", "c") and not isinstance(value, bool | str | bytes)


def _integer(value: Any) -> int | None:
    if not _scalar(value):
        return None
    try:
        return operator.index(value)
    except TypeError:
        pass
    try:
        real = float(value)
        return int(real) if real.is_integer() else None
    except (TypeError, ValueError, OverflowError):
        return None


def single(value: Any) -> bool:
    """Whether it is one value rather than several, as an array without dimensions is."""
    return getattr(value, "ndim", None) == 0 or not hasattr(value, "__len__")


def _items(value: Any) -> list[Any] | None:
    """The elements of a sequence or array; None where it is neither. An array's come as Python numbers."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0:
        return None
    return value.tolist() if isinstance(value, np.ndarray) else list(value)


def shown(value: Any) -> str:
    """A value in a one-line message; arrays, nouns and what takes several lines by their kind only."""
    if isinstance(value, np.ndarray) and value.size > 4:
        return f"an array of shape {value.shape}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _a(type(value))
    text = repr(value)
    if "\n" in text and not hasattr(value, "ndim"):
        return _a(type(value))
    shown = " ".join(text.split())
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
