"""Lines of a CrystFEL geometry file: key = value, numbers with units, and what is wrong with a line."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

from tilesim.errors import InputError
from tilesim.frozen import frozen

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
SHOWN = 60


@frozen
class Line:
    """One statement of a file."""

    number: int
    """Counted from 1"""
    key: str
    """With the panel or bad region in front, if any"""
    value: str

    @property
    def text(self) -> str:
        return f"{self.key[:SHOWN]} = {self.value[:SHOWN]}"

    @property
    def in_data(self) -> bool:
        """Whether the value stands in the images: a path, or a name with a placeholder."""
        return self.value.startswith("/") or "%" in self.value

    def number_in(self, units: Mapping[str, float] | None = None) -> float:
        """The number, in the unit that `units` are factors to; "" is that of a bare number. Raises InputError."""
        word, _, unit = self.value.replace("\t", " ").partition(" ")
        factor = (units or {"": 1.0}).get(unit.strip())
        expected = "a number" + (" in " + " or ".join(filter(None, units)) if units else "")
        if self.in_data:
            raise self.wrong(f"{expected}; the value stands in the data, write it here")
        if factor is None or not NUMBER.fullmatch(word) or not math.isfinite(value := float(word) * factor):
            raise self.wrong(expected)
        return value

    def whole_number(self) -> int:
        """A whole number, decimal or as 0xff. Raises InputError."""
        if re.fullmatch(r"0[xX][0-9a-fA-F]{1,16}", self.value):
            return int(self.value, 16)
        value = self.number_in()
        if not value.is_integer():
            raise self.wrong("a whole number")
        return int(value)

    def wrong(self, expected: str) -> InputError:
        return InputError(f"line {self.number}: {self.text}: expected {expected}")

    def unknown(self, what: str, near: str) -> InputError:
        return InputError(f"line {self.number}: {what}{near}")


Lines = dict[str, Line]
"""By key, without panel; the last one counts."""


def read_lines(content: bytes) -> Iterator[Line]:
    """The statements, without comments. Raises InputError."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise InputError("expected UTF-8; it begins with the byte-order mark of UTF-16") from None
        text = content.decode("latin-1")  # of comments, most likely
    for number, row in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        statement = row.partition(";")[0].strip()
        if not statement:
            continue
        key, equals, value = (part.strip() for part in statement.partition("="))
        parts = key.split("/", 1)
        if not equals or not all(parts) or any(part != part.strip() for part in parts):
            raise InputError(f"line {number}: expected key = value; found {statement[:SHOWN]!r}")
        yield Line(number, key, value)


def nearest(key: str, known: Iterable[str]) -> str:
    """A hint at the names that are like it, for the end of a message."""
    close = get_close_matches(key[:SHOWN], list(dict.fromkeys(known)), 3, 0.7)
    return f"; expected a key of CrystFEL's, such as {', '.join(close)}" if close else "; expected a key of CrystFEL's"
