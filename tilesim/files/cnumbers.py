"""Numbers as C reads them: `atof`, and the `%lg` and `%d` of `fscanf` (glibc's), for the strict readers."""

from __future__ import annotations

import re
from collections.abc import Iterator

_NUMBER = re.compile(
    rb"""[ \t\n\v\f\r]*
    ( [+-]? 0x (?: [0-9a-f]+ \.? [0-9a-f]* | \. [0-9a-f]+ ) (?: p [+-]? [0-9]+ )?
    | [+-]? (?: [0-9]+ \.? [0-9]* | \. [0-9]+ ) (?: e [+-]? [0-9]+ )?
    | [+-]? (?: inf (?: inity )? | nan )
    )""",
    re.VERBOSE | re.IGNORECASE,
)

# scanf takes a whole candidate off the stream, such as the "1e" of "1ergs", before it converts.
_REAL = rb"""[ \t\n\v\f\r]*
    ( [+-]? 0x (?= \.? [0-9a-f] ) [0-9a-f]* \.? [0-9a-f]* (?: p [+-]? [0-9]* )?
    | [+-]? (?! 0x ) (?: [0-9]+ \.? [0-9]* | \. [0-9]+ ) (?: e [+-]? [0-9]* )?
    | [+-]? (?: inf (?: inity | (?! i ) ) | nan )
    )"""
_INTEGER = rb"[ \t\n\v\f\r]* ( [+-]? [0-9]+ )"


def atof(text: bytes, start: int = 0) -> float:
    """The longest number at `start`, after white space; 0 where there is none."""
    found = _NUMBER.match(text, start)
    return _value(found[1]) if found else 0.0


def scan_records(text: bytes, kinds: str) -> Iterator[tuple[float, ...]]:
    """Records from the start of `text` until one is not complete; `kinds` such as "ddg" is two integers, one real.

    Line ends are white space like any other, as for `fscanf`.
    """
    # Atomic groups: a number, once taken, is not taken apart to make two.
    items = b"".join(b"(?>" + (_INTEGER if letter == "d" else _REAL) + b")" for letter in kinds)
    record = re.compile(items, re.VERBOSE | re.IGNORECASE)
    converters = [int if letter == "d" else _scanned for letter in kinds]
    position = 0
    while found := record.match(text, position):
        yield tuple(convert(item) for convert, item in zip(converters, found.groups(), strict=True))
        position = found.end()


def _scanned(item: bytes) -> float:
    try:
        return float(item)
    except ValueError:
        return atof(item)


def _value(number: bytes) -> float:
    if b"x" in number.lower():
        try:
            return float.fromhex(number.decode())
        except OverflowError:
            return float("-inf" if number.startswith(b"-") else "inf")
    return float(number)
