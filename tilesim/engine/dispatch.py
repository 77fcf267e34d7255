"""Sending tiles to workers: a bounded number in flight, each failure answered, nothing waited for in vain."""

from __future__ import annotations

import math
import secrets
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any

from dask.typing import Key
from distributed import Future, KilledWorker

from tilesim.engine.cluster import Cluster
from tilesim.engine.task import TileFailure, TileReport
from tilesim.engine.timed import within
from tilesim.engine.work import Event, Work
from tilesim.engine.worker import Answer, JobPlugin, Refusal, run_remote
from tilesim.errors import ClusterError, StoreError

FETCH_SECONDS = 5.0
"""Seconds for the reports of tiles that are done to arrive."""
SEND_SECONDS = 60.0
"""Seconds that the job may take to reach all workers, at least: one that is stopped never says that it has it."""
LOOK_SECONDS = 2.0
"""Seconds between two times that the scheduler is asked who is there."""
MOST_HANDED_OUT = 10
"""Times that works are sent to all workers, while some of these die."""
ATTEMPTS = 3
"""Times that a tile is tried which fails without harm to its worker."""
MOST_ATTEMPTS = 100
"""Times that a tile is sent whose answers are lost with their workers, or by the way."""
LEAD_SECONDS = 0.3
"""Work that is sent ahead for each thread, so that none waits for the client."""
LEAD_TILES = (2, 64)
"""At least and at most so many tiles for each thread."""


@dataclass
class Item:
    """One tile on its way."""

    work: int
    number: int
    failed_on: list[str] = field(default_factory=list)
    """Workers on which it failed."""
    attempt: int = 0
    suspected: bool = False
    """Workers died while they had it, once too often."""
    only_on: tuple[str, ...] = ()
    """Workers that may have it; empty for all."""
    future: Future[Any] | None = None


def run_on_workers(
    cluster: Cluster, works: Sequence[Work], warn: Callable[[str], None] = lambda line: None
) -> Generator[Event]:
    """Compute every tile of some works; yields the number of the work and what became of a tile, as they finish.

    Every tile is answered exactly once. A tile that fails is tried on other workers; one that kills its workers is
    tried once more alone at the end, so that its neighbours are not blamed, and then given up as a TileFailure.

    Raises StoreError where tiles cannot be stored from any worker, ClusterError where scheduler or workers are lost.
    """
    name = f"tilesim {cluster.client.id} {secrets.token_hex(4)}"
    run = _Run(cluster, works, name, warn)
    try:
        _hand_out(cluster, JobPlugin(name, tuple(works)))
        yield from run.events()
    except (OSError, TimeoutError) as error:
        raise ClusterError(f"the scheduler at {cluster.address} was lost ({error})") from error
    finally:
        run.close()


def _hand_out(cluster: Cluster, plugin: JobPlugin) -> None:
    """Send the works to all workers. A worker that dies meanwhile ends the call for all: it is made again."""
    for attempt in range(MOST_HANDED_OUT):
        try:
            within(max(cluster.timeout, SEND_SECONDS), lambda: cluster.client.register_plugin(plugin))
            return
        except TimeoutError:
            return  # those that have it begin, the others refuse
        except OSError:
            if cluster.lost or attempt == MOST_HANDED_OUT - 1:
                raise


def window(threads: int) -> tuple[int, int]:
    """Tiles in flight, at least and at most, by how long they take."""
    fewest, most = LEAD_TILES
    return max(1, threads) * fewest, max(1, threads) * most


class _Run:
    """The tiles in flight of one run."""

    def __init__(self, cluster: Cluster, works: Sequence[Work], name: str, warn: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._works = works
        self._name = name
        self._warn = warn
        self._warned: set[str] = set()
        self._flight: dict[Key, Item] = {}
        """By the keys of their futures."""
        self._finished: SimpleQueue[Future[Any]] = SimpleQueue()
        self._again: deque[Item] = deque()
        self._suspects: deque[Item] = deque()
        self._seconds = LEAD_SECONDS
        self._on_gpu = works[0].function.device != "cpu"
        self._looked = monotonic()
        self._answered = self._looked
        """When the last tile came back."""
        self._deserted: float | None = None
        """Since when no worker takes tiles."""
        self._lack = ""
        """What was last said of that."""
        self._idle: dict[str, float] = {}
        """Since when a compatible worker takes none."""

    def events(self) -> Iterator[Event]:
        fresh = (Item(w, n) for w, work in enumerate(self._works) for n in range(len(work.function.plan)))
        unanswered = sum(len(work.function.plan) for work in self._works)
        while unanswered:
            if self._cluster.taking:
                self._fill(fresh)
                if not self._flight and self._suspects:
                    self._send([self._suspects.popleft()])
            for item, result in self._wait():
                event = self._answer(item, result)
                if event is not None:
                    unanswered -= 1
                    yield event
            self._look()

    def close(self) -> None:
        """Take back what is in flight, and the works from the workers."""
        client = self._cluster.client
        # A worker may have come without the job, or be gone.
        with suppress(OSError, TimeoutError, ValueError, KeyError):
            if not self._cluster.lost:
                client.cancel([item.future for item in self._flight.values()], force=True)
                within(FETCH_SECONDS, lambda: client.unregister_worker_plugin(self._name))
        self._flight.clear()

    @property
    def _window(self) -> int:
        fewest, most = window(self._cluster.threads)
        ahead = math.ceil(LEAD_SECONDS / max(self._seconds, 1e-6)) + 1
        return min(max(self._cluster.threads * ahead, fewest), most)

    def _fill(self, fresh: Iterator[Item]) -> None:
        room = self._window - len(self._flight)
        # A quarter empty before it is filled: tiles sent together cost less.
        if room < self._window // 4 and self._flight:
            return
        while self._again:
            self._send([self._again.popleft()])
            room -= 1
        batch = [item for _, item in zip(range(room), fresh, strict=False)]
        if batch:
            self._send(batch)

    def _send(self, items: list[Item]) -> None:
        taking = self._cluster.taking
        failed_on = {address for item in items for address in item.failed_on}
        others = [address for address in taking if address not in failed_on]
        some = self._cluster.incompatible or self._cluster.idle
        chosen = others if failed_on and others else taking if some else []
        futures = self._cluster.client.map(
            run_remote,
            [self._name] * len(items),
            [item.work for item in items],
            [item.number for item in items],
            key=[(self._name, item.work, item.number, item.attempt) for item in items],
            pure=False,
            workers=chosen or None,
            resources={"GPU": 1} if self._on_gpu and self._declared() else None,
        )
        for item, future in zip(items, futures, strict=True):
            item.attempt += 1
            item.future = future
            item.only_on = tuple(chosen)
            self._flight[future.key] = item
            future.add_done_callback(self._finished.put)

    def _declared(self) -> bool:
        """Whether workers say that they have a GPU, so that the scheduler can count."""
        return any(worker.gpu_resource for worker in self._cluster.compatible.values())

    def _wait(self) -> list[tuple[Item, Answer | None]]:
        """Items that are done, with what came back or None: what there is now, or the next until it is time to look."""
        done: list[Future[Any]] = []
        with suppress(Empty):
            done.append(self._finished.get(timeout=LOOK_SECONDS))
            while True:
                done.append(self._finished.get_nowait())
        if self._cluster.lost:
            raise ClusterError(f"the scheduler at {self._cluster.address} was lost")
        # dask calls back from a thread, which it may not get where memory is short.
        done = done or [item.future for item in self._flight.values() if item.future and item.future.done()]
        answered = {future.key: future for future in done if future.key in self._flight}
        results = self._fetch({key: future for key, future in answered.items() if future.status == "finished"})
        return [(self._flight.pop(key), results.get(key)) for key in answered]

    def _fetch(self, futures: dict[Key, Future[Any]]) -> dict[Key, Answer]:
        """Results by key. One that was lost with its worker is left out, and its tile is sent again.

        dask itself would wait until it is computed again, which a worker that has gone may never do.
        """
        client = self._cluster.client
        try:
            results: dict[Key, Answer] = client.sync(
                lambda: client.gather(futures, errors="skip", asynchronous=True), callback_timeout=FETCH_SECONDS
            )
            return results
        except TimeoutError:
            return {}

    def _answer(self, item: Item, result: Answer | None) -> Event | None:
        """The event of a tile whose future is done; None where it is tried again."""
        future, item.future = item.future, None
        assert future is not None  # it is done
        self._answered = monotonic()
        if isinstance(result, TileReport):
            self._seconds += 0.1 * (result.seconds - self._seconds)
            return item.work, result
        if isinstance(result, TileFailure):
            return self._failed(item, result)
        if isinstance(result, Refusal):
            self._cluster.compatible.pop(result.worker, None)
            self._cluster.incompatible[result.worker] = result.reason
            self._again.append(item)
            return None
        if future.status == "error":
            return self._broken(item, future.exception())
        if item.attempt >= MOST_ATTEMPTS:
            tile = self._works[item.work].function.plan[item.number]
            return item.work, TileFailure(tile, f"{tile}: sent {item.attempt} times, and no answer arrives")
        self._again.append(item)
        return None

    def _failed(self, item: Item, failure: TileFailure) -> Event | None:
        tile = self._works[item.work].function.plan[item.number]
        item.failed_on.append(failure.worker)
        if len(item.failed_on) < ATTEMPTS:
            self._again.append(item)
            return None
        if failure.kind == "storing":
            raise StoreError(f"{failure.reason} (worker {failure.worker})")
        return item.work, TileFailure(tile, failure.reason, failure.worker)

    def _broken(self, item: Item, error: BaseException) -> Event | None:
        """A task that raised: its workers died, or they could not even read it."""
        tile = self._works[item.work].function.plan[item.number]
        if not isinstance(error, KilledWorker):
            return self._failed(item, TileFailure(tile, f"{tile}: {type(error).__name__}: {error}"))
        if item.suspected:
            last = error.last_worker.address
            return item.work, TileFailure(tile, f"{tile}: every worker that had it died, the last was {last}", last)
        item.suspected = True
        self._suspects.append(item)
        return None

    def _look(self) -> None:
        """Every while, see who came and who left. Raises ClusterError where nobody is left for too long."""
        now = monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        self._cluster.refresh()
        for address, reason in self._cluster.incompatible.items():
            if address not in self._warned:
                self._warned.add(address)
                self._warn(f"worker {address} is not used: {reason}")
        if stuck := self._stuck(now):
            self._cluster.client.cancel(stuck, force=True)  # and so sent again
        if self._cluster.taking:
            self._deserted, self._lack = None, ""
            return
        lack = "takes tiles" if self._cluster.idle else "is left"
        if lack != self._lack:
            self._lack = lack
            self._warn(f"no worker {lack} at {self._cluster.address}{self._cluster.idlers}; waiting for one")
        if self._deserted is None:
            self._deserted = now
        elif now - max(self._deserted, self._answered) > self._cluster.timeout:
            raise ClusterError(self._cluster.shortage("has come back"))

    def _stuck(self, now: float) -> list[Future[Any] | None]:
        """Tiles that would wait for ever: for workers that are all gone, or in the queue of one that takes none."""
        idle = self._cluster.idle
        self._idle = {address: self._idle.get(address, now) for address in idle}
        given_up = [address for address, since in self._idle.items() if now - since > self._cluster.timeout]
        held: dict[str, list[Key]] = {}
        with suppress(KeyError):  # one has gone just now
            held = self._cluster.client.processing(given_up) if given_up and self._cluster.taking else {}
        keys = {key for queue in held.values() for key in queue}
        there = self._cluster.compatible.keys()
        return [
            item.future
            for key, item in self._flight.items()
            if key in keys or (item.only_on and not there & set(item.only_on))
        ]
