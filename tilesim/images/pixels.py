"""One image, read block by block: in a file as it lies there, or in memory where its format must be unpacked whole."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from tilesim.errors import InputError
from tilesim.files.reading import file_size, printable, read_bytes, read_into, unreadable
from tilesim.images.absent import Marks, as_numbers, usual_marks

SPARE = 512
"""Bytes behind the pixels that may be anything."""
MOST_PADDING = 2**16
"""Bytes behind them that may be padding, all alike."""


class Image(Protocol):
    """One frame of one panel of anything. It holds no open file, and several threads may read it."""

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (slow, fast)."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels, in the byte order of this machine."""
        ...

    @property
    def chunk(self) -> tuple[int, int] | None:
        """Pixels (slow, fast) that are read together at the cost of any part of them; None where there are none."""
        ...

    @property
    def complete(self) -> bool:
        """False where it is known that pixels are missing."""
        ...

    @property
    def frames(self) -> int:
        """How many there are where this one is from."""
        ...

    @property
    def panels(self) -> int:
        """The same of panels."""
        ...

    def block(self, rows: slice, columns: slice) -> np.ndarray:
        """The pixels (slow, fast) of a part of the image. Raises InputError or StoreError where they are not there."""
        ...

    def bands(self, rows: int) -> Iterator[tuple[int, np.ndarray]]:
        """First row and pixels (up to `rows`, fast) of one band of the image after the other."""
        ...

    def absent(self, pixels: np.ndarray, row: int = 0, column: int = 0) -> np.ndarray:
        """Which pixels of a block, which begins at a row and a column, have no value."""
        ...


class BlockImage:
    """Bands, for images that know blocks."""

    shape: tuple[int, int]
    dtype: np.dtype
    chunk: tuple[int, int] | None = None
    complete = True
    frames = 1
    panels = 1
    border = 0
    """A row at which a chunk begins."""
    marks: Marks | None = None
    """Numbers that stand for no value; None: the usual ones."""

    def block(self, rows: slice, columns: slice) -> np.ndarray:
        raise NotImplementedError

    def absent(self, pixels: np.ndarray, row: int = 0, column: int = 0) -> np.ndarray:
        """Which pixels of a block, which begins at a row and a column, have no value."""
        return (self.marks or usual_marks(self.dtype)).found(pixels)

    def bands(self, rows: int) -> Iterator[tuple[int, np.ndarray]]:
        """First row and pixels (up to `rows`, fast) of one band of the image after the other; each chunk is read once.

        A row of chunks is in memory at a time.
        """
        slow = self.shape[0]
        step, top = (self.chunk[0], self.border % self.chunk[0]) if self.chunk else (rows, 0)
        edges = [0, *range(top or step, slow, step), slow]
        for start, stop in pairwise(edges):
            strip = self.block(slice(start, stop), slice(None))
            for first in range(0, len(strip), rows):
                yield start + first, strip[first : first + rows]


class ImagePart(BlockImage):
    """A rectangle of an image, as an image."""

    def __init__(self, image: Image, rows: slice, columns: slice = slice(None)) -> None:
        self._image = image
        self._rows = range(*rows.indices(image.shape[0]))
        self._columns = range(*columns.indices(image.shape[1]))
        self.shape = (len(self._rows), len(self._columns))
        self.dtype = image.dtype
        self.complete = image.complete
        self.chunk = image.chunk
        self.border = getattr(image, "border", 0) - self._rows.start

    def block(self, rows: slice, columns: slice) -> np.ndarray:
        """The pixels of a part of the part."""
        inner = (self._rows[rows], self._columns[columns])
        return self._image.block(*(slice(part.start, part.stop) for part in inner))

    def absent(self, pixels: np.ndarray, row: int = 0, column: int = 0) -> np.ndarray:
        """Which pixels of a block have no value."""
        return self._image.absent(pixels, self._rows.start + row, self._columns.start + column)


class MaskedImage(BlockImage):
    """An image of which some pixels have no value, whatever number they hold."""

    def __init__(self, image: Image, masked: np.ndarray) -> None:
        """masked  (slow, fast) bool"""
        self._image, self._masked = image, masked
        self.shape, self.dtype, self.chunk = image.shape, image.dtype, image.chunk
        self.complete, self.frames, self.panels = image.complete, image.frames, image.panels
        self.border = getattr(image, "border", 0)

    def block(self, rows: slice, columns: slice) -> np.ndarray:
        """The pixels of a part, as they are."""
        return self._image.block(rows, columns)

    def bands(self, rows: int) -> Iterator[tuple[int, np.ndarray]]:
        """First row and pixels (up to `rows`, fast), from top to bottom."""
        return self._image.bands(rows)

    def absent(self, pixels: np.ndarray, row: int = 0, column: int = 0) -> np.ndarray:
        """Which pixels of a block have no value."""
        part = self._masked[row : row + pixels.shape[0], column : column + pixels.shape[1]]
        absent: np.ndarray = self._image.absent(pixels, row, column) | part
        return absent


class NumberImage(BlockImage):
    """An image as floats, NaN where a pixel has no value: what figures and pictures are made of."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self.shape, self.chunk = image.shape, image.chunk
        self.dtype = as_numbers(np.empty((0, 0), image.dtype), np.empty((0, 0), bool)).dtype
        self.complete, self.frames, self.panels = image.complete, image.frames, image.panels
        self.border = getattr(image, "border", 0)

    def block(self, rows: slice, columns: slice) -> np.ndarray:
        """The pixels of a part."""
        pixels = self._image.block(rows, columns)
        corner = (part.indices(size)[0] for part, size in zip((rows, columns), self.shape, strict=True))
        return as_numbers(pixels, self._image.absent(pixels, *corner))

    def bands(self, rows: int) -> Iterator[tuple[int, np.ndarray]]:
        """First row and pixels (up to `rows`, fast), from top to bottom."""
        for first, band in self._image.bands(rows):
            yield first, as_numbers(band, self._image.absent(band, first))


class StackedImage(BlockImage):
    """Images of one width, one below the other: what a flat file holds of a detector of several panels."""

    def __init__(self, images: Sequence[Image]) -> None:
        self.shape = (sum(image.shape[0] for image in images), images[0].shape[1])
        self.dtype = images[0].dtype
        self.complete = all(image.complete for image in images)
        self._images = images

    def block(self, rows: slice, columns: slice) -> np.ndarray:
        """The pixels of a part."""
        start, stop, _ = rows.indices(self.shape[0])
        parts, top = [], 0
        for image in self._images:
            first, last = max(start - top, 0), min(stop - top, image.shape[0])
            if first < last:
                parts.append(image.block(slice(first, last), columns))
            top += image.shape[0]
        return np.concatenate(parts) if parts else self._images[0].block(slice(0, 0), columns)

    def bands(self, rows: int) -> Iterator[tuple[int, np.ndarray]]:
        """First row and pixels (up to `rows`, fast), from top to bottom."""
        top = 0
        for image in self._images:
            for first, band in image.bands(rows):
                yield top + first, band
            top += image.shape[0]

    def absent(self, pixels: np.ndarray, row: int = 0, column: int = 0) -> np.ndarray:
        """Which pixels of a block have no value."""
        parts, top, stop = [np.zeros((0, pixels.shape[1]), bool)], 0, row + len(pixels)
        for image in self._images:
            first, last = max(row, top), min(stop, top + image.shape[0])
            if first < last:
                parts.append(image.absent(pixels[first - row : last - row], first - top, column))
            top += image.shape[0]
        return np.concatenate(parts)


class ArrayImage(BlockImage):
    """An image that was unpacked into memory."""

    def __init__(self, pixels: np.ndarray, frames: int = 1) -> None:
        """pixels  (slow, fast)"""
        self.shape = pixels.shape
        self.dtype = pixels.dtype
        self.frames = frames
        self._pixels = pixels

    def block(self, rows: slice, columns: slice) -> np.ndarray:
        """A copy of a part."""
        return self._pixels[rows, columns].copy()


class RawImage(BlockImage):
    """Pixels that lie in a file as they are, slow axis first, from byte `offset` on; read where they are wanted."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        shape: tuple[int, int],
        dtype: np.dtype,
        offset: int = 0,
        frames: int = 1,
        marks: Marks | None = None,
    ) -> None:
        """Raises InputError, naming the file, where its pixels would not fit into it."""
        self.path = os.fspath(path)
        self.shape = (int(shape[0]), int(shape[1]))
        self.dtype = np.dtype(dtype).newbyteorder("=")
        self.frames = frames
        self.marks = marks
        self._stored = np.dtype(dtype)
        self._offset = offset
        needed = self.shape[0] * self.shape[1] * self._stored.itemsize
        available = max(0, file_size(path) - offset)
        if min(self.shape) < 1 or offset < 0 or available < needed:
            raise InputError(
                f"{printable(path)}: expected {needed} bytes of pixels for {self.shape[1]} x {self.shape[0]}"
                f" (fast x slow) of {self._stored.itemsize} bytes each, found {available}"
            )

    def block(self, rows: slice, columns: slice) -> np.ndarray:
        """The pixels of a part. Raises InputError where the file has become shorter or cannot be read."""
        first, last, _ = rows.indices(self.shape[0])
        left, right, _ = columns.indices(self.shape[1])
        pixels = np.empty((max(0, last - first), max(0, right - left)), self._stored)
        if pixels.size:
            try:
                descriptor = os.open(self.path, os.O_RDONLY)
            except OSError as error:
                raise unreadable(self.path, error) from error
            try:
                if pixels.shape[1] == self.shape[1]:
                    self._read(descriptor, first, 0, pixels)
                else:
                    for row, line in enumerate(pixels, first):
                        self._read(descriptor, row, left, line)
            finally:
                os.close(descriptor)
        return pixels.astype(self.dtype, copy=False)

    def _read(self, descriptor: int, row: int, column: int, pixels: np.ndarray) -> None:
        """Fill `pixels`, contiguous, with what begins at one pixel of the file."""
        offset = self._offset + (row * self.shape[1] + column) * self._stored.itemsize
        read_into(pixels, self.path, descriptor, offset)


def check_rest(path: str | os.PathLike[str], end: int) -> None:
    """Raise InputError where more than padding follows byte `end`, where the last pixels of a header end.

    Up to a block of anything is left alone, as readers of such files do.
    """
    rest = file_size(path) - end
    if rest <= SPARE or (rest <= MOST_PADDING and len(set(read_bytes(path, end, rest))) == 1):
        return
    raise InputError(f"{printable(path)}: expected {end} bytes, as its header has it, found {rest} more")


def check_number(path: str | os.PathLike[str], what: str, number: int, count: int) -> None:
    """Raise InputError unless `number` is one of the `count` frames or panels (`what`) of a file."""
    if not 0 <= number < count:
        expected = f"0 to {count - 1}" if count > 1 else "0: it holds one"
        raise InputError(f"{printable(path)}: there is no {what} {number}; expected {expected}")
