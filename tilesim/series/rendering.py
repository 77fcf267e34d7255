"""Rendering through stores: tiles by any engine, then each frame's files from the store as it completes."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from time import perf_counter

from tilesim.compute import summed_type
from tilesim.engine.job import Job
from tilesim.engine.statistics import Summary, summarize
from tilesim.engine.tally import Tally
from tilesim.engine.task import TileFailure, TileReport
from tilesim.engine.work import Engine, Work, compute_here
from tilesim.errors import TileError, TilesimError
from tilesim.images.stored import StoredImage
from tilesim.series.coordinates import coordinates
from tilesim.series.files import report_files, report_frame, write_caches, write_files
from tilesim.series.frames import Frame
from tilesim.series.images import Scales
from tilesim.series.launch import Rendering
from tilesim.series.provenance import describe
from tilesim.series.results import FrameResult, Missing, Results
from tilesim.store.create import Contents, create_store
from tilesim.store.finish import finish_store
from tilesim.store.layout import PHOTONS, FrameCoordinate
from tilesim.store.place import delete_store
from tilesim.store.store import Store

WAITING_FRAMES = 4
"""Complete frames whose files are still to be made; beyond that the tiles wait."""
FIGURES = {"max_I": "photons/pixel", "mean": "photons/pixel", "total": "photons"}
"""Statistics of each frame of a series that its store holds, and their units."""

Maker = Callable[[Frame, StoredImage, Summary], Scales]
"""Makes all files of a complete frame, or none; raises StoreError."""


@dataclass
class _Progress:
    """One rendering while its tiles come in."""

    rendering: Rendering
    store: Store
    results: list[FrameResult]
    tallies: dict[int, Tally] = field(default_factory=dict)
    """Of the frames that have begun and are not complete, by their place in the series."""
    tiles: int = 0
    """That are stored."""


def render_all(
    renderings: Sequence[Rendering],
    *,
    engine: Engine = compute_here,
    maker: Maker = write_files,
    makers: int = 1,
    resume: bool = False,
    overwrite: bool = False,
    on_tile: Callable[[TileReport | TileFailure], None] = lambda event: None,
) -> Results:
    """Compute what is missing in the stores, and make the files of every frame as it completes.

    maker     makes the files of one frame, `makers` of them at a time
    resume    whether stores of the same jobs may be there; their tiles are read back, and computed where damaged
    on_tile   called in this thread with every tile

    A tile that fails is told of in the results, in a series a frame's file too, and the rest is completed. Raises
    StoreError, InputError and ClusterError; then, and when interrupted, the stores keep what was done: a note says so.
    """
    start = perf_counter()
    running: list[_Progress] = []
    missing: list[Missing] = []
    dtypes, workers, restored = set(), set(), 0
    several = sum(len(one.frames) for one in renderings) > 1
    with _telling_what_is_kept(renderings, running), _Finisher(maker, makers, tolerant=several) as finisher:
        for one in renderings:
            running.append(_begin(one, resume, overwrite))
        works = [Work(one.rendering.job, one.store, resume) for one in running]
        with closing(engine(works)) as events:
            for number, event in events:
                one = running[number]
                if isinstance(event, TileFailure):
                    number = int(one.rendering.frames.series.numbers[event.tile.frame])
                    missing.append(Missing(number, str(event.tile), event.reason))
                else:
                    _check(event, one.rendering.job)
                    dtypes.add(event.dtype)
                    workers.add(event.worker)
                    restored += event.restored
                    _take_in(one, event, finisher)
                on_tile(event)
        unmade = finisher.wait()
        for one in running:
            _end(one, missing, bool(unmade))
        warnings = write_caches([command for one in renderings for command in one.frames.commands])
    return Results(
        frames=tuple(result for one in running for result in one.results),
        stores=tuple(one.rendering.name for one in running if one.rendering.kept),
        missing=(*missing, *unmade),
        seconds=perf_counter() - start,
        computed=sum(one.tiles for one in running) - restored,
        restored=restored,
        dtypes=tuple(sorted(dtypes)),
        workers=len(workers - {""}),
        warnings=warnings,
    )


def _begin(rendering: Rendering, resume: bool, overwrite: bool) -> _Progress:
    frames, job = rendering.frames, rendering.job
    contents = Contents(
        describe(frames, job),
        job.experiment.detector.panels[0].pixel_size,
        # Nobody computes a store again that is not kept.
        frames.series if rendering.kept else None,
        rendering.tables,
        coordinates(frames),
        replace(PHOTONS, compression=rendering.compression),
    )
    # Nor looks after it.
    overwrite = overwrite or not (rendering.kept or resume)
    store = create_store(rendering.place, job.plan, contents, name=rendering.name, overwrite=overwrite, resume=resume)
    return _Progress(rendering, store, [FrameResult(frame) for frame in frames])


def _check(report: TileReport, job: Job) -> None:
    """Raise TileError where a tile was computed otherwise than the job says."""
    experiment = job.series[report.tile.frame]
    asked = {
        "job": job.digest,
        "device": job.device.partition(":")[0],
        "backend": job.backend,
        "dtype": summed_type(experiment, job.precision),
    }
    used = {
        "job": report.digest,
        "device": report.device.partition(":")[0],
        "backend": report.backend,
        "dtype": report.dtype,
    }
    for name, value in asked.items():
        if used[name] != value:
            raise TileError(f"{report.tile} was computed by {name} {used[name]} at {report.worker}; expected {value}")


def _take_in(one: _Progress, report: TileReport, finisher: _Finisher) -> None:
    """Count a tile; with the last one of a frame begin its files."""
    job, place = one.rendering.job, report.tile.frame
    plan = job.plan
    tally = one.tallies.setdefault(place, Tally(plan.each))
    tally.add(plan.number(report.tile) % plan.each, report.statistics)
    one.tiles += 1
    if tally.complete:
        del one.tallies[place]
        result = one.results[place]
        result.summary = summarize(job.series[place], tally.total)
        finisher.begin(result, StoredImage(one.store, place, None, sound=True), job.latches[place])


def _end(one: _Progress, missing: Sequence[Missing], unmade: bool) -> None:
    """Record what became of the frames in their store, or remove a store that nobody asked for.

    unmade  whether files are still to be made of it
    """
    numbers = set(one.rendering.frames.series.numbers.tolist())
    mine = [asdict(m) for m in missing if m.frame in numbers]
    if not (one.rendering.kept or mine or unmade):
        delete_store(one.store.place)
        return
    single = len(one.results) == 1 and one.results[0].summary is not None
    figures = () if len(one.results) == 1 else _figures(one.results)
    statistics = asdict(one.results[0].summary) if single else None
    finish_store(one.store, statistics, per_frame=figures, missing=mine)


def _figures(results: Sequence[FrameResult]) -> tuple[FrameCoordinate, ...]:
    """Statistics per frame; NaN where tiles are missing."""

    def values(name: str) -> list[float]:
        return [getattr(r.summary, name) if r.summary else math.nan for r in results]

    return tuple(FrameCoordinate(name, values(name), units=unit) for name, unit in FIGURES.items())


@contextmanager
def _telling_what_is_kept(renderings: Sequence[Rendering], running: Sequence[_Progress]) -> Iterator[None]:
    """Add to whatever ends the run what it leaves behind."""
    try:
        yield
    except BaseException as error:
        done, total = sum(one.tiles for one in running), sum(len(one.job.plan) for one in renderings)
        where = ", ".join(one.name for one in renderings[:3])
        # A store that could not even be begun is no use.
        if running or not isinstance(error, TilesimError):
            error.add_note(f"{done} of {total} tiles are kept in {where}: --resume computes the rest")
        raise


class _Finisher:
    """Has the files of complete frames made beside the computing, some frames at a time."""

    def __init__(self, maker: Maker, makers: int, tolerant: bool) -> None:
        self._maker = maker
        self._tolerant = tolerant
        self._limit = WAITING_FRAMES * makers
        self._pool = ThreadPoolExecutor(makers, thread_name_prefix="files")
        self._waiting: deque[tuple[FrameResult, Future]] = deque()
        self._missing: list[Missing] = []

    def begin(self, result: FrameResult, image: StoredImage, latch: int | None) -> None:
        """Make the files of one frame soon."""
        self._waiting.append((result, self._pool.submit(self._make, result.frame, image, result.summary, latch)))
        while self._waiting and (len(self._waiting) > self._limit or self._waiting[0][1].done()):
            self._settle()

    def wait(self) -> list[Missing]:
        """Return when all files are made, with those that could not be."""
        while self._waiting:
            self._settle()
        return self._missing

    def _make(self, frame: Frame, image: StoredImage, summary: Summary, latch: int | None) -> tuple[str, ...]:
        lines = report_frame(frame, latch, summary)
        return (*lines, *report_files(frame, self._maker(frame, image, summary)))

    def _settle(self) -> None:
        result, future = self._waiting.popleft()
        try:
            result.lines = future.result()
        except TilesimError as error:
            if not self._tolerant:
                raise
            self._missing.append(Missing(result.frame.number, "files", str(error)))
            return
        result.files = result.frame.outputs.named

    def __enter__(self) -> _Finisher:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
