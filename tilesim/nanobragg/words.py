"""Words with two dashes and a value that may stand among nanoBragg's flags: what nanoBragg has no flag for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from tilesim.errors import InputError
from tilesim.nanobragg.values import Kind, checked


def split_words(args: Sequence[str], names: Mapping[str, str], strict_c: bool) -> tuple[list[str], dict[str, str]]:
    """The arguments without the words in `names`, and the text that follows each of these, the last one by name.

    The value is the next argument or stands after an equals sign. Raises InputError where nanoBragg is to be
    reproduced, which has no such words.
    """
    rest, found = [], {}
    words = iter(args)
    for word in words:
        name, assigned, value = word.partition("=")
        if name not in names:
            rest.append(word)
            continue
        if not assigned:
            value = next(words, "")
        if strict_c:
            raise InputError(f"{name} is no flag of nanoBragg's; expected without --strict-c")
        found[name] = value
    return rest, found


def words_of(options: Mapping, names: Mapping[str, str]) -> list[str]:
    """The other way round: words of what `options` says by the field of each word in `names`, None left out."""
    return [part for word, f in names.items() if options.get(f) is not None for part in (word, str(options[f]))]


def text_of(name: str, text: str) -> str:
    """A value that is a name. Raises InputError where the next flag stands there."""
    if not text or text.startswith("-"):
        raise InputError(f"{name} needs a value; found {text!r}")
    return text


def number_of(name: str, text: str, expected: str, holds: Callable[[float], bool]) -> float:
    """A value that is a number and for which `holds`. Raises InputError, saying what was `expected`."""
    try:
        number = checked(Kind.REAL, text)
    except ValueError:
        number = math.nan
    if not holds(number):
        raise InputError(f"{name} expects {expected}; found {text!r}")
    return number
