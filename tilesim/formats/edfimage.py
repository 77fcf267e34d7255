"""Reading EDF images: fabio reads the headers, the pixels are read where they lie."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from tilesim.errors import InputError
from tilesim.formats.extra import need
from tilesim.formats.pixels import RawImage, check_number
from tilesim.io.reading import printable


def open_edf_image(path: str | os.PathLike, frame: int) -> RawImage:
    """Image `frame` of an EDF file. Raises InputError, naming the file, where it is damaged, packed or not flat."""
    name, edf = printable(path), need("fabio.edfimage", "reading EDF files")
    image = edf.EdfImage()
    with _quiet():
        try:
            image.read(os.fspath(path))
            frames = image.nframes
            check_number(path, "frame", frame, frames)
            # Its public names would read the pixels, and fill up what is missing.
            found = image._frames[frame]
            dtype = found.get_stype(found._dtype, found._data_byteorder)
            shape, start = tuple(found.shape), found.start
            packed = found._data_compression not in (None, "NONE")
            elsewhere = found.bfname is not None
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"{name}: expected an EDF file, found a damaged one ({error})") from error
        finally:
            image.close()
    if packed or elsewhere or len(shape) != 2:
        raise InputError(f"{name}: expected an EDF image of two dimensions, not compressed, in the file itself")
    return RawImage(path, shape, dtype, start, frames)


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
