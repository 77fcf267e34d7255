"""Reading EDF images: fabio reads the headers, the pixels are read where they lie."""

from __future__ import annotations

import os

import numpy as np

from tilesim.errors import InputError
from tilesim.files.guarded import guarded
from tilesim.files.libraries import need
from tilesim.files.reading import printable
from tilesim.images.pixels import RawImage, check_number


def open_edf_image(path: str | os.PathLike[str], frame: int) -> RawImage:
    """Image `frame` of an EDF file. Raises InputError, naming the file, where it is damaged, packed or not flat."""
    edf = need("fabio.edfimage", "reading EDF files")
    image = edf.EdfImage()
    with guarded(path, "fabio", "an EDF file") as file:
        image.read(file)
        check_number(path, "frame", frame, image.nframes)
        # Of this, shape and type are known from the header; `data` would fill up what is missing.
        found = image.get_frame(frame)
        header = {key.upper(): value for key, value in found.header.items()}
        dtype = np.dtype(found.dtype).newbyteorder(">" if "High" in header["BYTEORDER"] else "<")
        shape, start = tuple(found.shape), found.start
        packed = not header.get("COMPRESSION", "NONE").upper().startswith("NO")
        if packed or found.bfname is not None or len(shape) != 2:
            raise InputError(
                f"{printable(path)}: expected an EDF image of two dimensions, not compressed, in the file itself"
            )
    return RawImage(path, shape, dtype, start, image.nframes)
