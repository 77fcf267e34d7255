"""Reading EDF images: fabio reads the headers, the pixels are read where they lie."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO

import numpy as np

from tilesim.errors import InputError
from tilesim.formats.extra import need
from tilesim.formats.pixels import RawImage, check_number
from tilesim.io.reading import printable


def open_edf_image(path: str | os.PathLike[str], frame: int) -> RawImage:
    """Image `frame` of an EDF file. Raises InputError, naming the file, where it is damaged, packed or not flat."""
    name, edf = printable(path), need("fabio.edfimage", "reading EDF files")
    image = edf.EdfImage()
    with _quiet(), _Headers(path) as file:
        try:
            image.read(file)
            frames = image.nframes
            check_number(path, "frame", frame, frames)
            # Of this, shape and type are known from the header; `data` would fill up what is missing.
            found = image.get_frame(frame)
            header = {key.upper(): value for key, value in found.header.items()}
            dtype = np.dtype(found.dtype).newbyteorder(">" if "High" in header["BYTEORDER"] else "<")
            shape, start = tuple(found.shape), found.start
            packed = not header.get("COMPRESSION", "NONE").upper().startswith("NO")
            elsewhere = found.bfname is not None
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"{name}: expected an EDF file, found a damaged one ({error})") from error
    if packed or elsewhere or len(shape) != 2:
        raise InputError(f"{name}: expected an EDF image of two dimensions, not compressed, in the file itself")
    return RawImage(path, shape, dtype, start, frames)


class _Headers(FileIO):
    """A file from which headers are read, one behind the other: a size below 0 must not lead back for ever."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(os.fspath(path), "rb")
        self._left = 2 * os.fstat(self.fileno()).st_size + 2**16

    def read(self, size: int | None = -1, /) -> bytes:
        data: bytes = super().read(size)
        self._left -= len(data)
        if self._left < 0:
            raise OSError("a header leads back to one before it")
        return data


@contextmanager
def _quiet() -> Iterator[None]:
    """fabio logs what it then raises, or what it makes up for; what matters is checked here."""
    logger = logging.getLogger("fabio")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)
