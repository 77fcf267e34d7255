"""The tile plan: a regular grid of tiles over the frames of a detector, as a range and not a list."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tilesim.errors import PlanError
from tilesim.tiling.tile import Tile

DEFAULT_TILE = 512
"""Largest edge of a default tile, pixels: a task takes a while, and yet progress is seen."""
SMALLEST_TILE = 64
"""Smallest edge of a default tile, pixels, unless the image is smaller."""
TILES_ALONG = 4
"""Default tiles along each axis at least, unless they would be too small: work for many threads."""


def default_tile(shape: tuple[int, int], panels: int = 1) -> tuple[int, int]:
    """Pixels (slow, fast) of a tile for an image of `shape` (slow, fast), or of one of several panels.

    Depends on the image alone: tiles are the chunks of a store, which are the same on every machine.
    """
    along = TILES_ALONG if panels == 1 else 1  # panels are work for many threads already

    def edge(pixels: int) -> int:
        return even_edge(pixels, max(math.ceil(pixels / DEFAULT_TILE), min(along, pixels // SMALLEST_TILE)))

    return (edge(shape[0]), edge(shape[1]))


def even_edge(pixels: int, parts: int) -> int:
    """Edge of tiles that cover an axis in so many nearly equal parts: little is stored beyond the image."""
    return math.ceil(pixels / parts)


@dataclass(frozen=True)
class TilePlan:
    """Tiles of `tile` (slow, fast) pixels over an image of `shape`; edge tiles are ragged."""

    shape: tuple[int, ...]
    """(frame, slow, fast), or (frame, panel, slow, fast) for a detector of several panels"""
    tile: tuple[int, int]

    def __post_init__(self) -> None:
        if min(self.tile) < 1:
            raise PlanError(f"a tile of {self.tile[0]} x {self.tile[1]} pixels; expected at least 1 x 1")
        # A tile larger than the image is the whole image.
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
        return (*self.shape[:-2], math.ceil(slow / self.tile[0]), math.ceil(fast / self.tile[1]))

    @property
    def each(self) -> int:
        """Tiles of a frame."""
        return math.prod(self.grid[1:])

    def __len__(self) -> int:
        return math.prod(self.grid)

    def number(self, tile: Tile) -> int:
        """The number of a tile: the inverse of `plan[number]`."""
        rows, columns = self.grid[-2:]
        row, column = tile.slow_start // self.tile[0], tile.fast_start // self.tile[1]
        return ((tile.frame * self.panels + tile.panel) * rows + row) * columns + column

    def index(self, tile: Tile) -> tuple[int | slice, ...]:
        """Index of a tile in an array of `shape`."""
        return (*(tile.frame, tile.panel)[: len(self.shape) - 2], *tile.slices)

    def stacked(self, tile: Tile) -> tuple[slice, slice]:
        """Index of a tile in an array `image` (slow, fast) of its frame."""
        top = tile.panel * self.shape[-2]
        return (slice(top + tile.slow_start, top + tile.slow_stop), slice(tile.fast_start, tile.fast_stop))

    def __getitem__(self, number: int) -> Tile:
        """Tile `number` in storage order: frame, panel, slow, fast."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        rows, columns = self.grid[-2:]
        image, rest = divmod(number, rows * columns)
        frame, panel = divmod(image, self.panels)
        row, column = divmod(rest, columns)
        slow, fast = row * self.tile[0], column * self.tile[1]
        return Tile(
            frame,
            panel,
            slow,
            min(slow + self.tile[0], self.shape[-2]),
            fast,
            min(fast + self.tile[1], self.shape[-1]),
        )

    def __iter__(self) -> Iterator[Tile]:
        return (self[n] for n in range(len(self)))
