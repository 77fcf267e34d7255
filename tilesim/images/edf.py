"""EDF images: a padded text header and the pixels as they are."""

from __future__ import annotations

import os

from tilesim.images.banded import Bands
from tilesim.images.flat import write_banded
from tilesim.images.packed import KEY

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
