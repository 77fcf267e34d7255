"""A frame of a store as an image: one panel, or all of them stacked along the slow axis."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tilesim.errors import StoreError
from tilesim.images.absent import blank_marks
from tilesim.images.pixels import BlockImage
from tilesim.store.metadata import UNREADABLE
from tilesim.store.place import store_errors
from tilesim.store.store import Store
from tilesim.tiling.tile import Tile


class StoredImage(BlockImage):
    """Pixels of a store; NaN, or what its fill value is, where tiles are missing.

    sound  True: the store must still be that of its job, every tile there; otherwise reading raises StoreError
    """

    def __init__(self, store: Store, frame: int, panel: int | None = 0, sound: bool = False) -> None:
        self.store = store
        self.frame = frame
        self.panel = panel
        self.sound = sound
        slow, fast = store.array.shape[-2:]
        self.panels = store.plan.panels
        self.shape = (slow * (self.panels if panel is None else 1), fast)
        self.dtype = store.array.dtype
        self.marks = blank_marks(store.array.fill_value)
        self.chunk: tuple[int, int] = store.layout.chunk
        self.frames = store.array.shape[0]
        self.complete = store.complete

    def block(self, rows: slice, columns: slice) -> np.ndarray:
        """The pixels of a part. Raises StoreError on damage."""
        if self.panel is not None:
            return self._read(self.panel, rows, columns)
        height = self.store.array.shape[-2]
        first, last, _ = rows.indices(self.shape[0])
        parts = [
            self._read(panel, slice(max(first - top, 0), min(last - top, height)), columns)
            for panel in range(self.panels)
            if (top := panel * height) < last and first < top + height
        ]
        return np.concatenate(parts) if parts else self._read(0, slice(0, 0), columns)

    def bands(self, rows: int) -> Iterator[tuple[int, np.ndarray]]:
        """First row and pixels (up to `rows`, fast), from top to bottom; each chunk is read once, a row at a time."""
        if self.sound:
            self.store.check_unchanged()
        height, step = self.store.array.shape[-2], self.chunk[0]
        for place, panel in enumerate(range(self.panels) if self.panel is None else (self.panel,)):
            for top in range(0, height, step):
                band = self._read(panel, slice(top, top + step), slice(None))
                self._check_tiles(panel, top)
                for first in range(0, len(band), rows):
                    yield place * height + top + first, band[first : first + rows]

    def _read(self, panel: int, rows: slice, columns: slice) -> np.ndarray:
        array, name = self.store.array, self.store.name
        images = (self.frame,) if array.ndim == 3 else (self.frame, panel)
        with store_errors(name, "read"):
            try:
                return np.asarray(array[(*images, rows, columns)])
            except UNREADABLE as error:
                first, left = rows.indices(array.shape[-2])[0], columns.indices(self.shape[1])[0]
                raise StoreError(
                    f"cannot read {name}: what is stored at frame {self.frame}, panel {panel}, slow {first}, "
                    f"fast {left} or after it is damaged"
                ) from error

    def _check_tiles(self, panel: int, top: int) -> None:
        """Raise StoreError where a tile of the row of chunks that was just read is not there: it was removed."""
        if not self.sound:
            return
        slow, fast = self.store.layout.tile
        row = top // slow * slow
        for column in range(0, self.shape[1], fast):
            if not self.store.has(Tile(self.frame, panel, row, row, column, column)):
                raise StoreError(
                    f"cannot read {self.store.name}: tiles were removed from the store; did another run use it?"
                )
