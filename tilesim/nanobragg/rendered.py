"""Which pixels are rendered: the region of -roi, and the masks and images that flags name."""

from __future__ import annotations

import math

from tilesim.errors import InputError
from tilesim.model import PixelMask
from tilesim.nanobragg.geometry import Geometry
from tilesim.nanobragg.settings import Settings


def inclusive_roi(settings: Settings, geometry: Geometry) -> tuple[int, int, int, int]:
    """Inclusive limits of -roi with the defaults filled in (spec command-line 4.12)."""
    defaults = (0, geometry.pixels_fast, 0, geometry.pixels_slow)
    if settings.roi is None:
        return defaults
    return tuple(d if x < 0 else x for x, d in zip(settings.roi, defaults, strict=True))


def images_read(settings: Settings, strict_c: bool) -> tuple[str, ...]:
    """Names of the images that are read: the reference goes on without a file that is missing or no SMV image."""
    names = tuple(n for n in (settings.mask_file, settings.image_file) if n is not None)
    if not names:
        return ()
    from tilesim.images.smv import read_smv_header

    return tuple(name for name in names if read_smv_header(name, strict=strict_c).header_bytes)


def mask_of(settings: Settings, geometry: Geometry, strict_c: bool) -> PixelMask | None:
    """Pixels whose word in the mask file is not zero (spec files 4)."""
    path = settings.mask_file
    if path is None:
        return None
    from tilesim.images.smv import read_smv_header, read_smv_pixels

    header = read_smv_header(path, strict=strict_c)
    if header.header_bytes == 0:  # strict: not an image, so the reference goes on without a mask
        return None
    words = read_smv_pixels(path, header)
    shape = (geometry.pixels_slow, geometry.pixels_fast)
    count = math.prod(shape)
    # The reference applies the fast count of the run to the words of the file.
    if words.shape != shape and not (strict_c and 0 < count <= words.size):
        raise InputError(
            f"{path}: {words.shape[1]} x {words.shape[0]} pixels (fast x slow); "
            f"expected {shape[1]} x {shape[0]}, the detector's"
        )
    return PixelMask(words.reshape(-1)[:count].reshape(shape) != 0)
