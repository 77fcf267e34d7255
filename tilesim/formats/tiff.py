"""TIFF images, by fabio, which wants an image whole."""

from __future__ import annotations

import os

import numpy as np

from tilesim.errors import InputError
from tilesim.formats.banded import Bands
from tilesim.formats.extra import need
from tilesim.formats.packed import KEY
from tilesim.io.replace import replacing_path

MAX_PIXELS = 2**26
"""An image of more is refused: it would be in memory as a whole, more than once."""


def write_tiff(path: str | os.PathLike, image: Bands, title: str = "", experiment: str | None = None) -> None:
    """Write all pixels in the type that they have, all or nothing.

    experiment  from `packed`

    Raises StoreError, InputError where fabio is missing or the image has more than MAX_PIXELS.
    """
    slow, fast = image.shape
    if slow * fast > MAX_PIXELS:
        raise InputError(
            f"a TIFF image of {slow} x {fast} pixels; expected at most {MAX_PIXELS}, for it is made in memory; "
            "--format edf and nxmx have no such limit"
        )
    if image.dtype == np.float64:
        raise InputError("a TIFF image holds no 64-bit floats; expected --format edf, or --round")
    tiff = need("fabio.TiffIO", "writing TIFF files")
    whole = np.empty(image.shape, image.dtype)
    for first, band in image.bands():
        whole[first : first + len(band)] = band
    with replacing_path(path) as name:
        file = tiff.TiffIO(name, mode="w")
        try:
            file.writeImage(whole, info=_description(title, experiment), software="tilesim", date="")
        finally:
            file.close()


def _description(title: str, experiment: str | None) -> dict[str, str]:
    return {**({"title": title} if title else {}), **({KEY: experiment} if experiment else {})}
