"""Work: a tile function with the store that its tiles go to, if any, and the engine that runs works in this process."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing

from tilesim.engine.inline import run_inline
from tilesim.engine.task import TileFailure, TileFunction, TileReport
from tilesim.frozen import frozen
from tilesim.store.store import Store


@frozen
class Work:
    """A tile function and the store that its tiles go to."""

    function: TileFunction
    store: Store | None = None
    """None: tiles have figures alone"""
    known: bool = False
    """Whether the store may hold tiles already, which are read back rather than computed."""


Event = tuple[int, TileReport | TileFailure]
"""Number of a work, and what became of one of its tiles."""
Engine = Callable[[Sequence[Work]], Generator[Event]]
"""Runs works: every tile is answered once, in any order."""


def compute_here(works: Sequence[Work], threads: int | None = None) -> Generator[Event]:
    """The engine of this process. Raises StoreError where a tile cannot be stored."""
    for number, work in enumerate(works):
        store = work.store.ready() if work.store is not None else None
        writes = [store.write] if store is not None else []
        read = store.read if store is not None and work.known else None
        with closing(run_inline(work.function, writes, threads, read)) as events:
            for event in events:
                yield number, event
