"""The in-process runner: tiles through a few threads; what every other runner must reproduce byte for byte."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from threading import Condition

import numpy as np

from tilesim.engine.backend import one_thread_each
from tilesim.engine.task import Read, TileFailure, TileFunction, TileReport, Write, run_tile
from tilesim.errors import TileError
from tilesim.tiling.tile import Tile


class Stopped(Exception):
    """The run ended before this tile was stored."""


class Gate:
    """What tiles pass on their way to be stored; once it is closed, nothing is being written, nor will be."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._inside = 0
        self._closed = False

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Raises Stopped where the gate is closed."""
        with self._changed:
            if self._closed:
                raise Stopped
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """Let nobody in any more, and wait for those inside."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: self._inside == 0)


def run_inline(
    function: TileFunction, writes: Sequence[Write], threads: int | None = None, read: Read | None = None
) -> Generator[TileReport | TileFailure]:
    """Run every tile of a function; what became of them comes in storage order, a bounded number is in flight.

    Every tile that is computed goes to all of `writes`; one that can be read back is not computed.

    Stopping the iteration early (or an error, or Ctrl-C) drops what has not started and does not wait for what
    has: such a tile is computed to its end, but not stored. Raises what writing raises.
    """
    runner = function.ready()
    restore = one_thread_each()  # tiles run side by side, each on one thread
    threads = threads or default_threads(function)
    tiles, gate = iter(function.plan), Gate()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="tile")

    def write(tile: Tile, *values: np.ndarray) -> None:
        with gate.passing():
            for one in writes:
                one(tile, *values)

    def answer(tile: Tile) -> TileReport | TileFailure:
        try:
            return run_tile(function, runner, tile, write, read)
        except TileError as error:
            return TileFailure(tile, str(error))

    def begin(count: int) -> list[Future[TileReport | TileFailure]]:
        return [pool.submit(answer, tile) for tile in islice(tiles, count)]

    try:
        running = deque(begin(2 * threads))
        while running:
            done = running.popleft().result()
            running.extend(begin(1))
            yield done
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        gate.close()
        restore()


def default_threads(function: TileFunction) -> int:
    """One thread per core that this process may use, or OMP_NUM_THREADS as for the reference; one feeds a GPU."""
    return usable_cores() if function.device == "cpu" else 1


def usable_cores() -> int:
    """Cores to compute on: those that this process may use, or OMP_NUM_THREADS."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdecimal() and int(wanted) > 0 else len(os.sched_getaffinity(0))
