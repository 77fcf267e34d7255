"""Opening one frame of one panel of a store or image file of any format."""

from __future__ import annotations

import os

import numpy as np

from tilesim.errors import InputError
from tilesim.files.reading import file_size, printable
from tilesim.images.pixels import Image, RawImage, check_number
from tilesim.images.registry import Format, format_of


def open_image(
    path: str | os.PathLike[str], *, shape: tuple[int, int] | None = None, frame: int = 0, panel: int = 0
) -> Image:
    """One frame of one panel of a store (a folder or a URL) or of a float, SMV, CBF, TIFF, EDF or HDF5 (NXmx) file.

    shape   pixels (slow, fast) of a float file, which has no header; None: a square. Where the file states its shape
            itself, they must agree
    frame   the number of the image in its file, from 0
    panel   the number of the detector's panel, from 0

    Raises InputError, naming the file, on anything that is no such image, is cut short or has no such frame.
    """
    form = format_of(path)
    if form == Format.STORE:
        from tilesim.images.stored import StoredImage
        from tilesim.store.store import Store

        store = Store.open(path)
        check_number(path, "frame", frame, store.array.shape[0])
        check_number(path, "panel", panel, store.plan.panels)
        return _checked(path, StoredImage(store, frame, panel), shape)
    if form == Format.LST:
        from tilesim.images.opening import open_dataset

        return _checked(path, open_dataset(path).pixels(frame, panel), shape)
    if form == Format.NXMX:
        from tilesim.images.hdf5 import open_hdf5_image

        return _checked(path, open_hdf5_image(path, frame, panel), shape)
    check_number(path, "panel", panel, 1)
    return _checked(path, _open_file(path, form, shape, frame), shape)


def _open_file(path: str | os.PathLike[str], form: Format, shape: tuple[int, int] | None, frame: int) -> Image:
    if form == Format.TIFF:
        from tilesim.images.tiff import open_tiff_image

        return open_tiff_image(path, frame)
    if form == Format.EDF:
        from tilesim.images.edf import open_edf_image

        return open_edf_image(path, frame)
    check_number(path, "frame", frame, 1)
    if form == Format.SMV:
        from tilesim.images.smv import read_smv_layout, smv_marks

        shape, dtype, begin = read_smv_layout(path)
        return RawImage(path, shape, dtype, begin, marks=smv_marks(path, dtype))
    if form == Format.CBF:
        from tilesim.images.cbf import open_cbf_image

        return open_cbf_image(path)
    return RawImage(path, _float_shape(path, shape), np.dtype("<f4"))


def _float_shape(path: str | os.PathLike[str], shape: tuple[int, int] | None) -> tuple[int, int]:
    """Pixels (slow, fast) of a float file; a square where nobody states it."""
    size = file_size(path)
    if shape is None:
        edge = round((size // 4) ** 0.5)
        if 4 * edge * edge != size:
            raise InputError(
                f"{printable(path)}: {size} bytes are no square image of 4-byte floats, and no header says"
                " otherwise; its shape must be given"
            )
        return (edge, edge)
    if 4 * shape[0] * shape[1] != size:
        raise InputError(
            f"{printable(path)}: expected a float file of {4 * shape[0] * shape[1]} bytes for {shape[1]} x {shape[0]}"
            f" pixels (fast x slow) of 4 bytes, found {size} bytes"
        )
    return shape


def _checked(path: str | os.PathLike[str], image: Image, shape: tuple[int, int] | None) -> Image:
    if shape is not None and tuple(image.shape) != tuple(shape):
        raise InputError(
            f"{printable(path)}: expected {shape[1]} x {shape[0]} pixels (fast x slow), found"
            f" {image.shape[1]} x {image.shape[0]}"
        )
    return image
