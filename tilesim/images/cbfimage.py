"""Reading CBF images of pixel-array detectors: one binary section, byte-offset compressed (Pilatus, Eiger)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re

import numpy as np

from tilesim.errors import InputError
from tilesim.files.libraries import need
from tilesim.files.reading import printable, unreadable
from tilesim.images.pixels import ArrayImage, file_size

SECTION = b"--CIF-BINARY-FORMAT-SECTION--"
MARK = b"\x0c\x1a\x04\xd5"
"""What the pixels begin after."""
MOST_HEADER = 2**20
"""Bytes before the pixels."""
MOST_PER_PIXEL = 15
"""Bytes of a packed pixel: 1, 2, 4 and 8 of them where every difference is large."""
TYPES = {f"{sign} {bits}-bit integer": f"{letter}{bits // 8}"
         for sign, letter in (("signed", "i"), ("unsigned", "u")) for bits in (8, 16, 32)}  # fmt: skip


def open_cbf_image(path: str | os.PathLike[str]) -> ArrayImage:
    """The image of a CBF file, unpacked. Raises InputError, naming the file, where it is damaged or not byte-offset."""
    name, data = printable(path), _read(path, 0, MOST_HEADER)
    begin = data.find(SECTION)
    mark = data.find(MARK, begin)
    if begin < 0 or mark < 0:
        raise InputError(f"{name}: expected a CBF file with a binary section, found none")
    header = data[begin:mark].decode("latin-1")
    packed = _text(header, r'conversions\s*=\s*"?([\w-]+)')
    if packed is None or packed.upper() != "X-CBF_BYTE_OFFSET":
        raise InputError(f"{name}: expected pixels packed as x-CBF_BYTE_OFFSET, found {packed or 'no conversion'}")
    kind = (_text(header, r'X-Binary-Element-Type:\s*"?([^"\r\n]*)') or "signed 32-bit integer").strip().lower()
    if kind not in TYPES:
        raise InputError(f"{name}: expected integers of up to 32 bits, found {kind}")
    size, fast, slow = (
        _count(name, header, key)
        for key in ("X-Binary-Size", "X-Binary-Size-Fastest-Dimension", "X-Binary-Size-Second-Dimension")
    )
    start = mark + len(MARK)
    available = file_size(path) - start
    # A packed pixel has a byte at least, so that no header can ask for more memory than that.
    if available < size or not fast * slow <= size <= MOST_PER_PIXEL * fast * slow:
        raise InputError(
            f"{name}: expected {size} bytes for {fast} x {slow} pixels (fast x slow), found {available};"
            f" a pixel takes 1 to {MOST_PER_PIXEL}"
        )
    stream = _read(path, start, size)
    _check_digest(name, header, stream)
    compression = need("fabio.compression", "reading CBF files")
    with np.errstate(over="ignore"):
        pixels = np.asarray(compression.decByteOffset(stream, size=fast * slow, dtype=np.dtype(TYPES[kind])))
    if pixels.size != fast * slow:
        raise InputError(f"{name}: expected {fast * slow} pixels, found {pixels.size}")
    return ArrayImage(pixels.reshape(slow, fast).astype(TYPES[kind], copy=False))


def _read(path: str | os.PathLike[str], start: int, size: int) -> bytes:
    try:
        with open(path, "rb") as file:
            file.seek(start)
            return file.read(size)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error


def _check_digest(name: str, header: str, stream: bytes) -> None:
    digest = _text(header, r"Content-MD5:\s*(\S+)")
    if digest is None:
        return
    try:
        expected = base64.b64decode(digest)
    except (binascii.Error, ValueError):
        expected = b""
    if expected != hashlib.md5(stream, usedforsecurity=False).digest():
        raise InputError(f"{name}: the pixels do not match their Content-MD5: the file is damaged")


def _text(header: str, pattern: str) -> str | None:
    found = re.search(pattern, header)
    return found[1] if found else None


def _count(name: str, header: str, key: str) -> int:
    digits = _text(header, rf"(?m)^{key}:\s*(\d{{1,12}})\s*$")
    if not digits or int(digits) < 1:
        raise InputError(f"{name}: expected a positive {key} in the header of the binary section")
    return int(digits)
