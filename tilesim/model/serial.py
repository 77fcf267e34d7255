"""Nouns to plain JSON-able values and back, driven by the dataclass fields themselves."""

from __future__ import annotations

import dataclasses
import types
import typing
from enum import Enum
from functools import cache
from typing import Any, TypeVar, overload

from tilesim.errors import InputError

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """Dataclasses to dicts, tuples to lists, enums to their values; a `to_dict` of its own wins below the top."""
    if dataclasses.is_dataclass(value):
        return {
            f.name: (x.to_dict() if hasattr(x := getattr(value, f.name), "to_dict") else to_plain(x))
            for f in dataclasses.fields(value)
        }
    if isinstance(value, tuple | list):
        return [to_plain(v) for v in value]
    return value.value if isinstance(value, Enum) else value


@overload
def from_plain(kind: type[T], plain: Any) -> T: ...


@overload
def from_plain(kind: Any, plain: Any) -> Any: ...


def from_plain(kind: Any, plain: Any) -> Any:
    """The inverse of `to_plain` for a value annotated as `kind`; values that already are of it pass.

    A field that is missing has its default. Raises InputError for one without, an unknown one, and a value of another
    kind.
    """
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return None if plain is None else from_plain(next(a for a in args if a is not type(None)), plain)
    if origin is tuple:
        if not isinstance(plain, list | tuple):
            raise InputError(f"{plain!r:.40} is no list of values")
        kinds = [args[0]] * len(plain) if args[1:] == (...,) else args
        if len(kinds) != len(plain):
            raise InputError(f"{plain!r:.40} has {len(plain)} values; expected {len(kinds)}")
        return tuple(from_plain(k, v) for k, v in zip(kinds, plain, strict=True))
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and isinstance(plain, dict):
        hints, fields = hints_of(kind), dataclasses.fields(kind)
        if unknown := plain.keys() - {f.name for f in fields}:
            raise InputError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
        given = [f.name for f in fields if f.name in plain or f.default is dataclasses.MISSING]
        if gone := [name for name in given if name not in plain]:
            raise InputError(f"{kind.__name__} lacks {', '.join(gone)}")
        return kind(**{name: from_plain(hints[name], plain[name]) for name in given})
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and not isinstance(plain, kind):
        raise InputError(f"{kind.__name__} is {plain!r:.40}; expected an object")
    if isinstance(kind, type) and issubclass(kind, Enum):
        if plain not in [one.value for one in kind] and not isinstance(plain, kind):
            raise InputError(f"{plain!r:.40} is not one of {', '.join(str(one.value) for one in kind)}")
        return kind(plain)
    return plain


@cache
def hints_of(kind: type) -> dict[str, Any]:
    """Type of every field of a dataclass."""
    return typing.get_type_hints(kind)
