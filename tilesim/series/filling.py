"""Filling stores with tiles by any engine: counting them by frame, checking what was done, saying what is kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tilesim.engine.tally import Tally
from tilesim.engine.task import TileFailure, TileFunction, TileReport
from tilesim.engine.work import Engine, Work
from tilesim.errors import TileError, TilesimError
from tilesim.files.replace import HIDDEN
from tilesim.frozen import frozen
from tilesim.series.results import Missing
from tilesim.store.finish import count_present
from tilesim.store.place import delete_store
from tilesim.store.store import Store

WAITING_FRAMES = 4
"""Complete frames whose files are still to be made, for each maker; beyond that the tiles wait."""

OnTile = Callable[[TileReport | TileFailure], None]


@dataclass
class Filling:
    """A store while its tiles come in."""

    function: TileFunction
    store: Store
    numbers: Sequence[int]
    """Number of every frame, for people"""
    tallies: dict[int, Tally[Any]] = field(default_factory=dict)
    """Figures of the frames that have begun and are not complete, by their place in the series"""
    tiles: int = 0
    """Tiles that are stored"""
    restored: int = 0
    """Those of them that an earlier run had stored"""

    def take(self, report: TileReport) -> list[tuple[int, Any]]:
        """Count a tile; the frames that are complete now, by their place, with their figures. Raises TileError."""
        check_report(report, self.function)
        plan, complete = self.function.plan, []
        for frame, figures in zip(report.tile.places, report.figures, strict=True):
            tally = self.tallies.setdefault(frame, Tally(plan.each))
            tally.add(plan.number(report.tile) % plan.each, figures)
            if tally.complete:
                complete.append((frame, self.tallies.pop(frame).total))
        self.tiles += 1
        self.restored += report.restored
        return complete


AnyFilling = TypeVar("AnyFilling", bound=Filling)


@frozen
class Filled:
    """What became of all tiles."""

    missing: tuple[Missing, ...]
    dtypes: tuple[str, ...]
    """Types of the terms that were summed, as the tiles report them"""
    workers: int
    """Workers that did at least one tile; 0 where this process did all"""


def fill_stores(
    fillings: Sequence[AnyFilling],
    engine: Engine,
    on_frame: Callable[[AnyFilling, int, Any], None],
    *,
    resume: bool = False,
    on_tile: OnTile = lambda event: None,
) -> Filled:
    """Run the tile functions of some stores; every tile is in its store or listed as missing.

    on_frame  called in this thread with every complete frame, by its place, and its figures
    resume    whether tiles may be there already; they are read back, and computed where damaged
    on_tile   called in this thread with every tile

    Raises StoreError, TileError and ClusterError.
    """
    missing: list[Missing] = []
    dtypes, workers = set[str](), set[str]()
    with closing(engine([Work(one.function, one.store, resume) for one in fillings])) as events:
        for number, event in events:
            filling = fillings[number]
            if isinstance(event, TileFailure):
                numbers = (int(filling.numbers[frame]) for frame in event.tile.places)
                missing += [Missing(number, str(event.tile), event.reason) for number in numbers]
            else:
                dtypes.update(event.dtype.split("/"))
                workers.add(event.worker)
                for frame, total in filling.take(event):
                    on_frame(filling, frame, total)
            on_tile(event)
    return Filled(tuple(missing), tuple(sorted(dtypes)), len(workers - {""}))


def check_report(report: TileReport, function: TileFunction) -> None:
    """Raise TileError where a tile was computed otherwise than its function says."""
    asked = {
        "job": function.digest,
        "device": function.device.partition(":")[0],
        "backend": function.backend,
    }
    used = {
        "job": report.digest,
        "device": report.device.partition(":")[0],
        "backend": report.backend,
    }
    for name, value in asked.items():
        if used[name] != value:
            raise TileError(f"{report.tile} was computed by {name} {used[name]} at {report.worker}; expected {value}")


@contextmanager
def telling_what_is_kept(names: Sequence[str], total: int, fillings: Sequence[Filling]) -> Iterator[None]:
    """Add to whatever ends the block what it leaves behind.

    fillings  those that have begun; none where not even a store could be
    """
    try:
        yield
    except BaseException as error:
        done, where = sum(one.tiles for one in fillings), ", ".join(names[:3])
        # A store that could not even be begun is no use.
        if (fillings or not isinstance(error, TilesimError)) and not _removed(fillings):
            error.add_note(f"{done} of {total} tiles are kept in {where}: --resume computes the rest")
        raise


def _removed(fillings: Sequence[Filling]) -> bool:
    """Whether stores beside files, which nobody named, held no tile and are gone."""
    stores = [one.store for one in fillings]
    with suppress(TilesimError):
        if stores and all(
            one.place.endswith(HIDDEN) and not count_present(one.place, len(one.layout.shape)) for one in stores
        ):
            for one in stores:
                delete_store(one.place)
            return True
    return False


class Finisher:
    """Has work on complete frames done beside the tiles, a bounded number of frames at a time."""

    def __init__(self, makers: int, tolerant: bool) -> None:
        """
        makers    frames at a time
        tolerant  whether a frame that fails is listed as missing; otherwise its error ends the run
        """
        self._tolerant = tolerant
        self._limit = WAITING_FRAMES * makers
        self._pool = ThreadPoolExecutor(makers, thread_name_prefix="files")
        self._waiting: deque[tuple[int, Callable[[Any], None], Future[Any]]] = deque()
        self._missing: list[Missing] = []

    def begin(self, number: int, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Do the work of frame `number` soon, and call `done` in this thread with what it gave."""
        self._waiting.append((number, done, self._pool.submit(work)))
        while self._waiting and (len(self._waiting) > self._limit or self._waiting[0][2].done()):
            self._settle()

    def wait(self) -> list[Missing]:
        """Return when all work is done, with what could not be."""
        while self._waiting:
            self._settle()
        return self._missing

    def _settle(self) -> None:
        number, done, future = self._waiting.popleft()
        try:
            done(future.result())
        except TilesimError as error:
            if not self._tolerant:
                raise
            self._missing.append(Missing(number, "files", str(error)))

    def __enter__(self) -> Finisher:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
