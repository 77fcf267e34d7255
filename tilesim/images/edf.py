"""EDF images: a padded text header and the pixels as they are; written band by band, read where they lie."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping

import numpy as np

from tilesim.errors import InputError
from tilesim.files.guarded import guarded
from tilesim.files.libraries import need
from tilesim.files.reading import printable, quoted
from tilesim.images.banded import Bands
from tilesim.images.flat import write_banded
from tilesim.images.packed import KEY
from tilesim.images.pixels import RawImage, check_number, check_rest

BLOCK = 512
TYPES = {
    "f4": "FloatValue",
    "f8": "DoubleValue",
    "i1": "SignedByte",
    "i2": "SignedShort",
    "i4": "SignedInteger",
    "i8": "Signed64",
    "u1": "UnsignedByte",
    "u2": "UnsignedShort",
    "u4": "UnsignedInteger",
    "u8": "Unsigned64",
}


def write_edf(path: str | os.PathLike[str], image: Bands, title: str = "", experiment: str | None = None) -> None:
    """Write all pixels in the type that they have, band by band, all or nothing. Raises StoreError.

    experiment  from `packed`
    """
    slow, fast = image.shape
    items = {
        "HeaderID": "EH:000001:000000:000000",
        "Image": "1",
        "ByteOrder": "LowByteFirst",
        "DataType": TYPES[image.dtype.str[1:]],
        "Dim_1": str(fast),
        "Dim_2": str(slow),
        "Size": str(slow * fast * image.dtype.itemsize),
        **({"title": title} if title else {}),
        **({KEY: experiment} if experiment else {}),
    }
    text = "{\n" + "".join(f"{key} = {value} ;\n" for key, value in items.items())
    size = -(-(len(text) + 2) // BLOCK) * BLOCK
    write_banded(path, f"{text.ljust(size - 2)}}}\n".encode("ascii"), (band for _, band in image.bands()))


def open_edf_image(path: str | os.PathLike[str], frame: int) -> RawImage:
    """Image `frame` of an EDF file; fabio reads the headers.

    Raises InputError, naming the file, where it is damaged, packed or not flat.
    """
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
    opened = RawImage(path, shape, dtype, start, image.nframes)
    _check_size(path, header, math.prod(shape) * dtype.itemsize)
    if frame == image.nframes - 1:
        check_rest(path, start + math.prod(shape) * dtype.itemsize)
    return opened


def _check_size(path: str | os.PathLike[str], header: Mapping[str, str], needed: int) -> None:
    """Raise InputError where a header states another size than dimensions and type make, padding allowed for."""
    for key in ("SIZE", "EDF_BINARYSIZE"):
        text = header.get(key, str(needed)).strip()
        stated = int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else -1
        if stated != needed and not (stated % BLOCK == 0 and 0 < stated - needed < BLOCK):
            raise InputError(
                f"{printable(path)}: expected {key} = {needed} bytes, which its dimensions and type make, found"
                f" {quoted(text.encode())}"
            )
