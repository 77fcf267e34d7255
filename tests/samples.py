"""One small image in every format that tilesim reads, written by libraries that are not ours where there are any."""

from pathlib import Path

import fabio.cbfimage
import fabio.dtrekimage
import fabio.edfimage
import fabio.tifimage
import h5py
import hdf5plugin
import numpy as np
import tifffile
from PIL import Image as Pillow

from tilesim.store.create import Contents, create_store
from tilesim.store.finish import finish_store
from tilesim.store.place import normal_place
from tilesim.tiling.plan import TilePlan

SHAPE = (13, 11)
PIXEL_SIZE = 1e-4
PIXELS = (np.arange(13 * 11).reshape(SHAPE) * 37 % 1000).astype(np.uint16)
"""(slow, fast), whole numbers."""


def store(path: Path, frames: np.ndarray, tile: tuple[int, int] = (4, 4), finish: bool = True) -> Path:
    """A complete store of some frames (frame, slow, fast)."""
    plan = TilePlan(frames.shape, tile)
    made = create_store(normal_place(path), plan, Contents({"digest": "e", "job_digest": "j"}, PIXEL_SIZE))
    for one in plan:
        made.write(one, frames[(one.frame, *one.slices)])
    if finish:
        finish_store(made, None)
    return path


def smv(path: Path, pixels: np.ndarray = PIXELS, kind: str = "unsigned_short", order: str = "little_endian") -> Path:
    """An SMV file; no library writes them."""
    path.write_bytes(smv_header(pixels.shape, kind, order).ljust(512) + pixels.tobytes())
    return path


def smv_header(shape: tuple[int, int], kind: str, order: str, more: str = "") -> bytes:
    text = f"{{\nHEADER_BYTES=512;\nDIM=2;\nBYTE_ORDER={order};\nTYPE={kind};\nSIZE1={shape[1]};\nSIZE2={shape[0]};\n"
    return f"{text}PIXEL_SIZE=0.1;\nBEAMLINE=fake;\n{more}}}\f".encode()


def _float(path: Path) -> np.ndarray:
    pixels = PIXELS.astype("<f4") / 7
    pixels.tofile(path)
    return pixels


def _store(path: Path) -> np.ndarray:
    pixels = PIXELS.astype(np.float32) / 7
    store(path, pixels[None])
    return pixels


def _smv(kind: str, dtype: str, order: str = "little_endian"):
    def write(path: Path) -> np.ndarray:
        pixels = PIXELS.astype(dtype)
        smv(path, pixels, kind, order)
        return pixels

    return write


def _fabio(writer, dtype: str):
    def write(path: Path) -> np.ndarray:
        pixels = PIXELS.astype(dtype)
        writer(data=pixels).write(str(path))
        return pixels

    return write


def _pillow(dtype: str, compression: str | None):
    def write(path: Path) -> np.ndarray:
        pixels = PIXELS.astype(dtype)
        Pillow.fromarray(pixels).save(path, format="TIFF", compression=compression)
        return pixels

    return write


def _tifffile(dtype: str, byteorder: str = "<", bigtiff: bool = False, **options):
    def write(path: Path) -> np.ndarray:
        pixels = PIXELS.astype(dtype)
        with tifffile.TiffWriter(path, byteorder=byteorder, bigtiff=bigtiff) as file:
            file.write(pixels, photometric="minisblack", **options)
        return pixels

    return write


def _hdf5(dtype: str, place: str, **options):
    def write(path: Path) -> np.ndarray:
        pixels = PIXELS.astype(dtype)
        with h5py.File(path, "w") as file:
            file.create_dataset(place, data=pixels[None], **options)
        return pixels

    return write


WRITERS = {
    "float": _float,
    "store": _store,
    "smv-unsigned_short": _smv("unsigned_short", "<u2"),
    "smv-big": _smv("unsigned_short", ">u2", "big_endian"),
    "smv-float": _smv("float", "<f4"),
    "smv-signed_long": _smv("signed_long", "<i4"),
    "cbf": _fabio(fabio.cbfimage.CbfImage, "int32"),
    "edf-uint16": _fabio(fabio.edfimage.EdfImage, "uint16"),
    "edf-float32": _fabio(fabio.edfimage.EdfImage, "float32"),
    "tiff-float32": _fabio(fabio.tifimage.TifImage, "float32"),
    "tiff-uint32": _fabio(fabio.tifimage.TifImage, "uint32"),
    "tiff-deflate": _pillow("uint16", "tiff_adobe_deflate"),
    "tiff-lzw": _pillow("uint16", "tiff_lzw"),
    "tiff-pillow": _pillow("float32", None),
    "tiff-big-endian": _tifffile("int32", ">", rowsperstrip=5),
    "tiff-bigtiff": _tifffile("float64", bigtiff=True),
    "tiff-tiles": _tifffile("uint16", ">", tile=(16, 16)),
    "tiff-predicted": _tifffile("uint32", compression="zlib", predictor=True),
    "hdf5-plain": _hdf5("int32", "entry/data/data"),
    "hdf5-bitshuffle": _hdf5("uint32", "entry/data/data_000001", chunks=(1, 4, 4), **hdf5plugin.Bitshuffle()),
    "hdf5-detector": _hdf5("float32", "entry/instrument/detector/data", chunks=(1, 13, 11), compression="gzip"),
}
"""By format and variant; each writes SHAPE pixels to a path and returns them."""
