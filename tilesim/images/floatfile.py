"""The raw float image on disk: written tile by tile, read band by band, never whole in memory (spec files 6)."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

import numpy as np

from tilesim.errors import StoreError
from tilesim.files.reading import printable, read_into
from tilesim.files.replace import check_writable, create_beside, is_special, put_in_place, replacing, store_errors
from tilesim.tiling.tile import Tile

PIXEL = np.dtype("<f4")


class FloatImage:
    """Pixels (slow, fast), little-endian float32, slow axis first; from `create`.

    As a context manager it is discarded at the end of the block, which leaves a committed image in place.
    """

    def __init__(self, path: str, shape: tuple[int, int], descriptor: int, temporary: str) -> None:
        self.path = path
        self.shape = (shape[0], shape[1])
        self._descriptor = descriptor
        self._temporary: str | None = temporary

    @classmethod
    def create(cls, path: str | os.PathLike[str], shape: tuple[int, int]) -> FloatImage:
        """A new image of zeros beside `path`, with its space on disk reserved; `commit` puts it in place.

        Raises StoreError, naming path and cause: no folder, no permission, not enough space.
        """
        check_writable(path)
        with store_errors(path):
            # Nothing can lie beside a device or a pipe.
            created = _elsewhere() if is_special(path) else create_beside(path)
            image = cls(os.fspath(path), shape, *created)
            try:
                _reserve(image._descriptor, shape[0] * shape[1] * PIXEL.itemsize)
            except BaseException:
                image.discard()
                raise
        return image

    def write(self, tile: Tile | tuple[slice, slice], values: np.ndarray) -> None:
        """Store the pixels of one tile; several threads may do so at once. Raises StoreError."""
        rows, columns = tile.slices if isinstance(tile, Tile) else tile
        first, last, _ = rows.indices(self.shape[0])
        left, right, _ = columns.indices(self.shape[1])
        if values.shape != (last - first, right - left):
            raise ValueError(f"{values.shape} pixels for a tile of {(last - first, right - left)}")
        pixels = np.ascontiguousarray(values, PIXEL)
        with store_errors(self.path):
            if right - left == self.shape[1]:
                self._write_at(first, 0, pixels)
            else:
                for row, segment in enumerate(pixels, first):
                    self._write_at(row, left, segment)

    def bands(self, rows: int) -> Iterator[tuple[int, np.ndarray]]:
        """First row and float32 pixels (up to `rows`, fast) of one band of the image after the other."""
        slow, fast = self.shape
        for first in range(0, slow, rows):
            band = np.empty((min(rows, slow - first), fast), PIXEL)
            read_into(band, self.path, self._descriptor, first * fast * PIXEL.itemsize)
            yield first, band

    def commit(self) -> None:
        """Put the image at its path, replacing what is there; it stays readable here. Raises StoreError."""
        if self._temporary is None:
            raise StoreError(f"cannot write {printable(self.path)}: the image is in place or discarded already")
        if is_special(self.path):
            with replacing(self.path) as file:
                for _, band in self.bands(max(1, 2**22 // self.shape[1])):
                    file.write(band.data)
            return
        put_in_place(self._temporary, self.path)
        self._temporary = None

    def discard(self) -> None:
        """Close the image and remove what was not committed; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._temporary)
            self._temporary = None

    def __enter__(self) -> FloatImage:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    def _write_at(self, row: int, column: int, pixels: np.ndarray) -> None:
        data = pixels.reshape(-1).view(np.uint8).data
        offset = (row * self.shape[1] + column) * PIXEL.itemsize
        while data:  # one call may write less than asked
            written = os.pwrite(self._descriptor, data, offset)
            data, offset = data[written:], offset + written


def _elsewhere() -> tuple[int, str]:
    """A temporary file in the system's folder of these: (descriptor, path)."""
    from tempfile import mkstemp

    return mkstemp(prefix="tilesim-")


def _reserve(descriptor: int, size: int) -> None:
    """Give the file its size, and where the system can, its space, so that a full disk shows at once."""
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        os.ftruncate(descriptor, size)
