"""Lists and objects of a JSON file: what a key must hold, or one line that names it."""

from __future__ import annotations

from typing import Any

from tilesim.errors import InputError

Plain = dict[str, Any]
"""A JSON object."""


def a_list(plain: Plain, key: str, where: str = "") -> list[Any]:
    """The list of a key; empty where there is none. Raises InputError."""
    found = plain.get(key)
    if found is None:
        return []
    if not isinstance(found, list):
        raise InputError(f"{key}{where} is {str(found)[:20]!r}; expected a list")
    return found


def objects(plain: Plain, key: str, where: str = "") -> list[Plain]:
    """The objects that a key lists; none where there is none. Raises InputError."""
    found = a_list(plain, key, where)
    for number, one in enumerate(found):
        if not isinstance(one, dict):
            raise InputError(f"{key} {number}{where} is {str(one)[:20]!r}; expected an object, as DIALS writes it")
    return found


def an_object(plain: Plain, key: str, where: str = "") -> Plain:
    """The object of a key; empty where there is none. Raises InputError."""
    found = plain.get(key)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise InputError(f"{key}{where} is {str(found)[:20]!r}; expected an object, as DIALS writes it")
    return found
