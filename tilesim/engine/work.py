"""Work: a tile function with the store that its tiles go to, and the engine that runs works in this process."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

from tilesim.engine.inline import run_inline
from tilesim.engine.task import TileFailure, TileFunction, TileReport
from tilesim.store.store import Store


@dataclass(frozen=True)
class Work:
    """A tile function and the store that its tiles go to."""

    function: TileFunction
    store: Store
    known: bool = False
    """Whether the store may hold tiles already, which are read back rather than computed."""


Event = tuple[int, TileReport | TileFailure]
"""Number of a work, and what became of one of its tiles."""
Engine = Callable[[Sequence[Work]], Generator[Event]]
"""Runs works: every tile is answered once, in any order."""


def compute_here(works: Sequence[Work], threads: int | None = None) -> Generator[Event]:
    """The engine of this process. Raises StoreError where a tile cannot be stored."""
    for number, work in enumerate(works):
        store = work.store.ready()
        with closing(run_inline(work.function, [store.write], threads, store.read if work.known else None)) as events:
            for event in events:
                yield number, event
