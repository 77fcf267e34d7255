"""SMV images: reading header and pixels, and the 16-bit pixels of the noiseless image (spec files 4, 7.2)."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tilesim.errors import InputError
from tilesim.files.cnumbers import atof
from tilesim.files.reading import printable, unreadable

MAGIC = b"{\nHEADER_BYT"
BLOCK = 512
"""Bytes of the smallest header."""
MAX_HEADER = 2**24
"""A larger header is taken for a mistake."""
MAX_SIDE = 2**31 - 1
ORDERS = {"little_endian": "<", "big_endian": ">"}
TYPES = {
    "unsigned_char": "u1", "signed_char": "i1",
    "unsigned_short": "u2", "signed_short": "i2", "short": "i2", "unsigned_short_int": "u2", "short_int": "i2",
    "unsigned_long": "u4", "signed_long": "i4", "long": "i4", "unsigned_long_int": "u4", "long_int": "i4",
    "unsigned_int": "u4", "signed_int": "i4", "int": "i4", "float": "f4", "float_ieee": "f4", "double": "f8",
}  # fmt: skip
"""What programs write as TYPE."""


@dataclass(frozen=True)
class SmvHeader:
    """The text before the pixels; empty (`header_bytes` 0) for a file that strict reading ignores."""

    text: bytes
    header_bytes: int
    """Where the header says that the pixels begin."""

    def value(self, key: str) -> float | None:
        """The number after the next `=` behind the last place where `key` occurs, within other words too.

        None where it does not occur or is NaN; 0 where no number follows.
        """
        return _value(self.text, key)

    @property
    def size(self) -> tuple[int, int]:
        """Pixels (fast, slow); (0, 0) where the header does not say."""
        fast, slow = self.value("SIZE1"), self.value("SIZE2")
        if fast is not None and -1 < fast < 1:
            fast = slow = self.value("DETECTOR_DIMENSIONS")
        return (_count(fast), _count(slow))


def read_smv_header(path: str | os.PathLike[str], *, strict: bool = False) -> SmvHeader:
    """The header of an SMV image. Raises InputError, naming the file, where there is none or its sizes are absurd.

    `strict` gives an empty header for a missing file and for one that does not begin like an SMV image, which
    the reference ignores; a file of less than 512 bytes is an error for it, too.
    """
    name = printable(path)
    try:
        with open(path, "rb") as file:
            block = file.read(BLOCK)
            header_bytes = _count(_value(block.partition(b"\0")[0], "HEADER_BYTES"))
            rest = file.read(header_bytes - BLOCK) if BLOCK < header_bytes <= MAX_HEADER else b""
    except (OSError, ValueError) as error:
        if strict:
            return SmvHeader(b"", 0)
        raise unreadable(path, error) from error
    if len(block) < BLOCK:
        raise InputError(f"{name}: expected an SMV header of at least {BLOCK} bytes, found {len(block)} bytes")
    if not block.startswith(MAGIC):
        if strict:
            return SmvHeader(b"", 0)
        raise InputError(f"{name}: expected an SMV image, found no HEADER_BYTES at its start")
    if not 0 < header_bytes <= MAX_HEADER or len(block + rest) < header_bytes:
        raise InputError(f"{name}: expected an SMV header as long as its HEADER_BYTES={header_bytes} say")
    header = SmvHeader((block + rest)[:header_bytes].partition(b"\0")[0], header_bytes)
    if min(header.size) < 1:
        raise InputError(f"{name}: expected an SMV header with positive SIZE1 and SIZE2, found {header.size}")
    return header


def read_smv_pixels(path: str | os.PathLike[str], header: SmvHeader) -> np.ndarray:
    """Pixels (slow, fast) uint16, little-endian whatever BYTE_ORDER says, as in the reference.

    Raises InputError where the file is too short for the size in its header.
    """
    fast, slow = header.size
    offset = header.header_bytes // 2 * 2
    try:
        with open(path, "rb") as file:
            available = os.fstat(file.fileno()).st_size - offset
            if available < 2 * fast * slow:
                raise InputError(
                    f"{printable(path)}: expected {2 * fast * slow} bytes of pixels for {fast} x {slow} (fast x slow),"
                    f" found {max(available, 0)}"
                )
            return np.fromfile(file, "<u2", fast * slow, offset=offset).reshape(slow, fast)
    except OSError as error:
        raise unreadable(path, error) from error


def read_smv_layout(path: str | os.PathLike[str]) -> tuple[tuple[int, int], np.dtype, int]:
    """Pixels (slow, fast), their type in the byte order of the file, and the byte where they begin.

    TYPE and BYTE_ORDER are believed, and HEADER_BYTES unless the text runs over it and the size of the file says so,
    as in the reference's files. Raises InputError, naming the file.
    """
    header, name = read_smv_header(path), printable(path)
    fast, slow = header.size
    kind, order = (_word(header.text, key) for key in ("TYPE", "BYTE_ORDER"))
    if (kind or "unsigned_short") not in TYPES:
        raise InputError(f"{name}: expected a TYPE such as unsigned_short or float, found {kind}")
    if (order or "little_endian") not in ORDERS:
        raise InputError(f"{name}: expected BYTE_ORDER little_endian or big_endian, found {order}")
    dtype = np.dtype(ORDERS[order or "little_endian"] + TYPES[kind or "unsigned_short"])
    begin = header.header_bytes
    try:
        surplus = os.stat(path).st_size - begin - fast * slow * dtype.itemsize
        if 0 < surplus <= BLOCK:
            with open(path, "rb") as file:
                start = file.read(begin + surplus)
            text = re.search(rb"}\s*\f", start)
            begin = len(start) if text and text.end() == len(start) else begin
    except OSError as error:
        raise unreadable(path, error) from error
    return (slow, fast), dtype, begin


def header_block(items: Iterable[tuple[str, str]], size: int = BLOCK) -> bytes:
    """The text of `items`, padded to a multiple of 512 bytes (at least `size`) that its HEADER_BYTES tells."""
    items = tuple(items)
    while len(text := header_text(items, size)) > size:
        size += BLOCK
    return text.ljust(size)


def header_text(items: Iterable[tuple[str, str]], size: int, bare: tuple[str, ...] = ()) -> bytes:
    """The header without padding; items named in `bare` end without a semicolon."""
    lines = [f"{key}={value}" + ("" if key in bare else ";") for key, value in (("HEADER_BYTES", str(size)), *items)]
    return "\n".join(("{", *lines, "}\f")).encode("ascii")


def int_pixels(values: np.ndarray, scale: float, adc: float) -> np.ndarray:
    """Float image to uint16, rounded half up in single precision, clamped to 0..65535; NaN is 0 (spec files 7.2)."""
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = values.astype(np.float64) * scale + adc
    scaled = np.clip(np.nan_to_num(scaled, copy=False, nan=0.0, posinf=65535.0, neginf=0.0), 0.0, 65535.0)
    return np.floor((scaled + 0.5).astype(np.float32)).astype("<u2")


def _word(text: bytes, key: str) -> str | None:
    """The text of the item `key`, in small letters; the last one counts."""
    found = re.findall(rb"(?m)^[ \t]*" + key.encode() + rb"[ \t]*=[ \t]*([^;\r\n]*)", text)
    return found[-1].decode("latin-1").strip().lower().replace(" ", "_") if found else None


def _value(text: bytes, key: str) -> float | None:
    found = text.rfind(key.encode())
    if found < 0:
        return None
    equals = text.find(b"=", found + len(key))
    number = atof(text, equals + 1) if equals >= 0 else 0.0
    return None if math.isnan(number) else number


def _count(number: float | None) -> int:
    """Truncated to an integer; 0 for what cannot be a size."""
    return int(number) if number is not None and abs(number) <= MAX_SIDE else 0
