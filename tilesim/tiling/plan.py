"""The tile plan: a regular grid of tiles over the frames of a detector, as a range and not a list."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tilesim.errors import PlanError
from tilesim.frozen import frozen
from tilesim.tiling.tile import Tile

DEFAULT_TILE = 512
"""Largest edge of a default tile, pixels: a task takes a while, and yet progress is seen."""
SMALLEST_TILE = 64
"""Smallest edge of a default tile, pixels, unless the image is smaller."""
TILES_ALONG = 4
"""Default tiles along each axis at least, unless they would be too small: work for many threads."""
BLOCKS = 64
"""Blocks of frames of a series at least, before a tile has several frames: work for many threads."""
LARGEST_BLOCK = 2**23
"""Pixels of a default tile of several frames at most."""
LONGEST_BLOCK = 2**25
"""Lattice evaluations of such a tile at most: half a second or so of one core."""


def default_tile(shape: tuple[int, int], panels: int = 1, frames: int = 1) -> tuple[int, int]:
    """Pixels (slow, fast) of a tile for images of `shape` (slow, fast), or of one of several panels.

    Depends on images and their number alone: tiles are the objects of a store, which are the same on every machine.
    """
    # Panels and frames are work for many threads already.
    along = TILES_ALONG if panels == 1 and frames < BLOCKS else 1

    def edge(pixels: int) -> int:
        return even_edge(pixels, max(math.ceil(pixels / DEFAULT_TILE), min(along, pixels // SMALLEST_TILE)))

    return (edge(shape[0]), edge(shape[1]))


def default_frames(count: int, tile: tuple[int, int], evaluations: float = 1.0) -> int:
    """Frames of a tile of so many pixels (slow, fast) in a series of `count`: one, unless it is of many small images.

    evaluations  of the lattice factor for each pixel
    """
    pixels = tile[0] * tile[1]
    return max(1, min(count // BLOCKS, LARGEST_BLOCK // pixels, int(LONGEST_BLOCK / max(pixels * evaluations, 1.0))))


def even_edge(pixels: int, parts: int) -> int:
    """Edge of tiles that cover an axis in so many nearly equal parts: little is stored beyond the image."""
    return math.ceil(pixels / parts)


@frozen
class TilePlan:
    """Tiles of `tile` (slow, fast) pixels in `frames` images each, of `shape`; edge tiles are ragged."""

    shape: tuple[int, ...]
    """(frame, slow, fast), or (frame, panel, slow, fast) for a detector of several panels"""
    tile: tuple[int, int]
    frames: int = 1
    """Frames of a tile; arrays of tiles of several frames have an axis (frame, slow, fast), also where one is left"""

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise PlanError(f"a tile of {self.frames} frames; expected at least 1")
        if min(self.tile) < 1:
            raise PlanError(f"a tile of {self.tile[0]} x {self.tile[1]} pixels; expected at least 1 x 1")
        # A tile larger than the image is the whole image, and of more frames it has all.
        object.__setattr__(self, "frames", min(self.frames, self.shape[0]))
        object.__setattr__(self, "tile", tuple(min(t, n) for t, n in zip(self.tile, self.shape[-2:], strict=True)))

    @property
    def panels(self) -> int:
        return math.prod(self.shape[1:-2])

    @property
    def image(self) -> tuple[int, int]:
        """Pixels (slow, fast) of a frame whose panels are stacked along the slow axis."""
        return (self.panels * self.shape[-2], self.shape[-1])

    @property
    def grid(self) -> tuple[int, ...]:
        """Tiles along the axes of `shape`."""
        slow, fast = self.shape[-2:]
        blocks = math.ceil(self.shape[0] / self.frames)
        return (blocks, *self.shape[1:-2], math.ceil(slow / self.tile[0]), math.ceil(fast / self.tile[1]))

    @property
    def size(self) -> str:
        """Size of a tile, in words."""
        frames = f"{self.frames} frames x " if self.frames > 1 else ""
        return f"{frames}{self.tile[0]} x {self.tile[1]}"

    @property
    def each(self) -> int:
        """Tiles that a frame has a part in."""
        return math.prod(self.grid[1:])

    def __len__(self) -> int:
        return math.prod(self.grid)

    def number(self, tile: Tile) -> int:
        """The number of a tile: the inverse of `plan[number]`."""
        rows, columns = self.grid[-2:]
        row, column = tile.slow_start // self.tile[0], tile.fast_start // self.tile[1]
        return ((tile.frame // self.frames * self.panels + tile.panel) * rows + row) * columns + column

    def index(self, tile: Tile) -> tuple[int | slice, ...]:
        """Index of a tile in an array of `shape`."""
        frames = slice(tile.frame, tile.frame + tile.frames) if self.frames > 1 else tile.frame
        return (*(frames, tile.panel)[: len(self.shape) - 2], *tile.slices)

    def parts(self, tile: Tile, values: Any) -> list[tuple[Tile, Any]]:
        """The frames of a tile, each with its part of the array `values` of the tile, or with None."""
        several = self.frames > 1 and values is not None
        return [(tile.of_frame(frame), values[n] if several else values) for n, frame in enumerate(tile.places)]

    def joined(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """The array of a tile from those (slow, fast) of its frames."""
        return np.stack(values) if self.frames > 1 else values[0]

    def stacked(self, tile: Tile) -> tuple[slice, slice]:
        """Index of a tile in an array `image` (slow, fast) of its frame."""
        top = tile.panel * self.shape[-2]
        return (slice(top + tile.slow_start, top + tile.slow_stop), slice(tile.fast_start, tile.fast_stop))

    def __getitem__(self, number: int) -> Tile:
        """Tile `number` in storage order: frames, panel, slow, fast."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        rows, columns = self.grid[-2:]
        image, rest = divmod(number, rows * columns)
        block, panel = divmod(image, self.panels)
        frame = block * self.frames
        row, column = divmod(rest, columns)
        slow, fast = row * self.tile[0], column * self.tile[1]
        return Tile(
            frame,
            panel,
            slow,
            min(slow + self.tile[0], self.shape[-2]),
            fast,
            min(fast + self.tile[1], self.shape[-1]),
            min(self.frames, self.shape[0] - frame),
        )

    def __iter__(self) -> Iterator[Tile]:
        return (self[n] for n in range(len(self)))
