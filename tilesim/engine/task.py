"""Tile functions: what an engine runs over a plan of tiles, and what is answered of each tile."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any, Protocol, Self

import numpy as np

from tilesim.errors import TileError, TilesimError
from tilesim.frozen import frozen
from tilesim.tiling.plan import TilePlan
from tilesim.tiling.tile import Tile

Read = Callable[[Tile], np.ndarray | None]
"""Pixels of a tile that an earlier run has stored already, or None."""
Write = Callable[..., None]
"""Stores (tile, pixels) of one tile, (slow, fast) or (frame, slow, fast) as in its plan, and the truth of a job that
has one; called from several threads."""


class Figures(Protocol):
    """What is said of the pixels of some tiles."""

    def merge(self, other: Any) -> Self:
        """The figures of both parts."""
        ...


@frozen
class TileResult:
    """Pixels of one tile, and what is said of them."""

    values: np.ndarray | None
    """(slow, fast), or (frame, slow, fast) where tiles of the plan have several frames; None: only figures"""
    figures: tuple[Figures, ...]
    """Figures of each of its frames"""
    device: str
    """Where they were computed"""
    dtype: str
    """Type of the terms that were summed"""
    truth: np.ndarray | None = None
    """(row, slow, fast) or (frame, row, slow, fast) as of `compute.tile_truth`; None: not asked for, or known"""


class Runner(Protocol):
    """A tile function made ready in one process, for several threads of it."""

    def __call__(self, tile: Tile, known: np.ndarray | None = None) -> TileResult:
        """The pixels of a tile with their figures; computed unless they are known."""
        ...


class TileFunction(Protocol):
    """What an engine runs: a value that travels to any process."""

    @property
    def plan(self) -> TilePlan:
        """The tiles."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 that names the bytes of all tiles."""
        ...

    @property
    def device(self) -> str:
        """cpu, cuda or cuda:N."""
        ...

    @property
    def backend(self) -> str:
        """eager, which needs torch, fused or fused (no FMA)."""
        ...

    def ready(self) -> Runner:
        """The function ready to run in this process: imports what it needs."""
        ...


@frozen
class TileReport:
    """What became of one tile."""

    tile: Tile
    figures: tuple[Any, ...]
    """Figures of each of its frames"""
    seconds: float
    device: str
    dtype: str
    """Type of the terms that were summed"""
    backend: str
    digest: str
    """Digest of the tile function that was really run"""
    restored: bool = False
    """Found in the store and read back, not computed"""
    worker: str = ""
    """Address; empty in this process"""


@frozen
class TileFailure:
    """A tile that could not be computed, or not stored."""

    tile: Tile
    reason: str
    worker: str = ""
    """Address; empty in this process"""
    kind: str = "computing"
    """Or storing"""


def run_tile(
    function: TileFunction, runner: Runner, tile: Tile, write: Write, read: Read | None = None, worker: str = ""
) -> TileReport:
    """Compute and write one tile, unless it can be read back: the same on a thread and on a worker.

    Raises TileError, which names the tile, and what `write` raises.
    """
    start = perf_counter()
    stored = read(tile) if read else None
    result = _result(runner, tile, stored)
    if stored is None and result.values is not None:
        write(tile, result.values, *(() if result.truth is None else (result.truth,)))
    return TileReport(
        tile,
        result.figures,
        perf_counter() - start,
        result.device,
        result.dtype,
        function.backend,
        function.digest,
        stored is not None,
        worker,
    )


def _result(runner: Runner, tile: Tile, known: np.ndarray | None) -> TileResult:
    try:
        return runner(tile, known)
    except TilesimError:
        raise
    except Exception as error:
        raise TileError(f"{tile}: {type(error).__name__}: {error}") from error
