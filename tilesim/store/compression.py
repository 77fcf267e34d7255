"""How the chunks of a store are made smaller without loss: what there is to choose, and its codecs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tilesim.errors import InputError
from tilesim.frozen import frozen

if TYPE_CHECKING:
    from zarr.abc.codec import BytesBytesCodec

METHODS = {"lz4": 5, "zstd": 1}
"""Methods of Blosc, each with its usual level: the last one before it gets slow (docs/performance.md)."""
NONE = "none"
HIGHEST = 9
OVERHEAD = 16
"""Bytes that a chunk grows by at most: what Blosc cannot make smaller it stores as it is, behind a header."""


@frozen
class Compression:
    """A method of Blosc and its level, or `none` and 0."""

    method: str
    level: int

    def __str__(self) -> str:
        return NONE if self.method == NONE else f"{self.method}:{self.level}"

    def codecs(self, dtype: str) -> list[BytesBytesCodec]:
        """The codecs that the bytes of a chunk of `dtype` go through: the last one's checksum shows damage."""
        from zarr.codecs import BloscCname, BloscCodec, BloscShuffle, Crc32cCodec

        if self.method == NONE:
            return [Crc32cCodec()]
        name, shuffle, size = BloscCname(self.method), BloscShuffle.shuffle, np.dtype(dtype).itemsize
        return [BloscCodec(cname=name, clevel=self.level, shuffle=shuffle, typesize=size), Crc32cCodec()]


def parse_compression(text: str) -> Compression:
    """`none`, `lz4`, `zstd`, or a level too, such as `zstd:3`. Raises InputError."""
    method, colon, level = text.partition(":")
    if text == NONE:
        return Compression(NONE, 0)
    if method in METHODS and not colon:
        return Compression(method, METHODS[method])
    if method in METHODS and level in map(str, range(1, HIGHEST + 1)):
        return Compression(method, int(level))
    raise InputError(
        f"--compression {text!r}; expected none, lz4 or zstd, or with a level from 1 to {HIGHEST} such as zstd:3"
    )


def default_compression(dtype: str) -> Compression:
    """What pays: photons hardly get smaller by more than lz4, whole numbers do."""
    return parse_compression("zstd" if np.dtype(dtype).kind in "iu" else "lz4")
