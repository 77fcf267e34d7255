"""Images with noise: computed where they are read, tile by tile through some threads."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np

from tilesim.engine.backend import one_thread_each
from tilesim.engine.inline import usable_cores
from tilesim.tiling.plan import TilePlan
from tilesim.tiling.tile import Tile
from tilesim.tools.noise import Measurement, Read, Tally, measured, tally

Item, Result = TypeVar("Item"), TypeVar("Result")


class NoisyImage:
    """A frame and panel as it is measured; nothing is computed before it is read, and nothing is kept."""

    def __init__(
        self,
        measurement: Measurement,
        read: Read,
        *,
        frame: int = 0,
        panel: int = 0,
        tile: tuple[int, int],
        threads: int | None = None,
    ) -> None:
        """
        read     expected photons
        frame    number in the series; the noise of each is its own
        tile     pixels (slow, fast) that are computed at a time; no pixel depends on it
        threads  that `bands` uses; None: as many as there are cores
        """
        self.measurement, self.shape = measurement, measurement.shape
        self.dtype = np.dtype(measurement.numbers.dtype)
        self.tally = Tally()
        """Of what `bands` has given since it was called last."""
        self._read, self._number, self._panel, self._threads = read, frame, panel, threads
        self._plan = TilePlan((1, *self.shape), tile)

    def block(self, rows: slice, columns: slice) -> np.ndarray:
        """The pixels of some rows and columns."""
        top, bottom, _ = rows.indices(self.shape[0])
        left, right, _ = columns.indices(self.shape[1])
        return self.measure(Tile(0, 0, top, max(top, bottom), left, max(left, right)))[0]

    def measure(self, tile: Tile, known: np.ndarray | None = None) -> tuple[np.ndarray, Tally]:
        """The pixels of one tile, computed unless they are `known`, and their figures."""
        tile = dataclasses.replace(tile, frame=self._number, panel=self._panel)
        values = measured(self.measurement, self._read, tile) if known is None else known
        return values, tally(self.measurement, self._read, tile, values)

    def bands(self, rows: int) -> Iterator[tuple[int, np.ndarray]]:
        """First row and pixels (up to `rows`, fast), from top to bottom; two rows of tiles are in memory."""
        self.tally = Tally()
        across = self._plan.grid[-1]
        row: list[np.ndarray] = []
        for tile, (values, figures) in in_threads(self.measure, self._plan, self._threads, ahead=across):
            self.tally += figures
            row.append(values)
            if len(row) == across:
                band, row = np.concatenate(row, axis=1), []
                for first in range(0, len(band), rows):
                    yield tile.slow_start + first, band[first : first + rows]


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int | None = None, ahead: int = 0
) -> Iterator[tuple[Item, Result]]:
    """Every item with function(item), in order; a bounded number, `ahead` of them at least, waits to be taken.

    Stopping early (or an error, or Ctrl-C) drops what has not started.
    """
    threads = threads or usable_cores()
    items, restore = iter(items), one_thread_each()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="tile")
    waiting = deque((item, pool.submit(function, item)) for item in islice(items, max(2 * threads, ahead)))
    try:
        while waiting:
            item, future = waiting.popleft()
            result = future.result()
            waiting.extend((item, pool.submit(function, item)) for item in islice(items, 1))
            yield item, result
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        restore()
