"""Series carried out through stores: tiles by any engine, then each frame's files from the store as it completes."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from time import perf_counter

from tilesim.compute import summed_type
from tilesim.errors import TileError, TilesimError
from tilesim.run.files import report_files, report_frame, write_cache, write_files
from tilesim.run.frames import Frame, file_names
from tilesim.run.images import Scales
from tilesim.run.job import Job
from tilesim.run.provenance import describe
from tilesim.run.results import FrameResult, Missing, Results
from tilesim.run.statistics import Summary, summarize
from tilesim.run.tally import Tally
from tilesim.run.task import TileFailure, TileReport
from tilesim.run.work import Engine, Work, compute_here
from tilesim.store.compression import Compression
from tilesim.store.create import StoreHandle, create_store
from tilesim.store.layout import PHOTONS, FrameCoordinate
from tilesim.store.place import delete_store
from tilesim.store.read import StoredFrame
from tilesim.store.write import finish_store

WAITING_FRAMES = 4
"""Complete frames whose files are still to be made; beyond that the tiles wait."""
FIGURES = {"max_I": "photons/pixel", "mean": "photons/pixel", "total": "photons"}
"""Of each frame of a series, in its store."""
UNITS = {"phi": "degree", "osc": "degree", "misset": "degree", "lambda": "angstrom", "distance": "mm", "pixel": "mm"}
"""Of parameters that are coordinates, as nanoBragg's flags take them."""


Maker = Callable[[Frame, StoredFrame, Summary], Scales]
"""Makes all files of a complete frame, or none; raises StoreError."""


@dataclass(frozen=True)
class Series:
    """Frames of one shape, and the store that their tiles go to."""

    frames: tuple[Frame, ...]
    job: Job
    place: str
    """Folder or URL of the store."""
    name: str
    """The same as the user wrote it, for messages."""
    kept: bool = True
    """Whether somebody asked for the store; otherwise it goes when all files are made of it."""


@dataclass
class _Progress:
    """One series while its tiles come in."""

    series: Series
    store: StoreHandle
    results: list[FrameResult]
    tallies: dict[int, Tally] = field(default_factory=dict)
    """Of the frames that have begun and are not complete, by their place in the series."""
    tiles: int = 0
    """That are stored."""


def carry_out_series(
    series: Sequence[Series],
    *,
    engine: Engine = compute_here,
    maker: Maker = write_files,
    makers: int = 1,
    resume: bool = False,
    overwrite: bool = False,
    compression: Compression | None = None,
    on_tile: Callable[[TileReport | TileFailure], None] = lambda event: None,
) -> Results:
    """Compute what is missing in the stores, and make the files of every frame as it completes.

    maker        makes the files of one frame, `makers` of them at a time
    resume       whether stores of the same jobs may be there; their tiles are read back, and computed where damaged
    compression  of the stores; None: that of a store that is resumed, or the default
    on_tile      called in this thread with every tile

    A tile that fails is told of in the results, in a series a frame's file too, and the rest is completed. Raises
    StoreError, InputError and ClusterError; then, and when interrupted, the stores keep what was done: a note says so.
    """
    start = perf_counter()
    running: list[_Progress] = []
    missing: list[Missing] = []
    dtypes, workers, restored = set(), set(), 0
    several = sum(len(one.frames) for one in series) > 1
    with _telling_what_is_kept(series, running), _Finisher(maker, makers, tolerant=several) as finisher:
        for one in series:
            running.append(_begin(one, resume, overwrite, compression))
        works = [Work(one.series.job, one.store, resume) for one in running]
        with closing(engine(works)) as events:
            for number, event in events:
                one = running[number]
                if isinstance(event, TileFailure):
                    missing.append(Missing(one.series.frames[event.tile.frame].number, str(event.tile), event.reason))
                else:
                    _check(event, one.series.job)
                    dtypes.add(event.dtype)
                    workers.add(event.worker)
                    restored += event.restored
                    _take_in(one, event, finisher)
                on_tile(event)
        unmade = finisher.wait()
        for one in running:
            _end(one, missing, bool(unmade))
        warnings = write_cache(series[0].frames[0].command)
    return Results(
        frames=tuple(result for one in running for result in one.results),
        stores=tuple(one.series.name for one in running if one.series.kept),
        missing=(*missing, *unmade),
        seconds=perf_counter() - start,
        computed=sum(one.tiles for one in running) - restored,
        restored=restored,
        dtypes=tuple(sorted(dtypes)),
        workers=len(workers - {""}),
        warnings=warnings,
    )


def _begin(series: Series, resume: bool, overwrite: bool, compression: Compression | None) -> _Progress:
    store = create_store(
        series.place,
        series.job.plan,
        series.job.experiment.detector.panels[0],
        describe(series.frames, series.job),
        coordinates=coordinates(series.frames),
        pixels=replace(PHOTONS, compression=compression),
        # Nobody looks after a store that is not kept.
        overwrite=overwrite or not (series.kept or resume),
        resume=resume,
    )
    return _Progress(series, store, [FrameResult(frame) for frame in series.frames])


def _check(report: TileReport, job: Job) -> None:
    """Raise TileError where a tile was computed otherwise than the job says."""
    experiment = job.experiments[report.tile.frame]
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
    plan, place = one.series.job.plan, report.tile.frame
    tally = one.tallies.setdefault(place, Tally(plan.each))
    tally.add(plan.number(report.tile) % plan.each, report.statistics)
    one.tiles += 1
    if tally.complete:
        del one.tallies[place]
        result = one.results[place]
        result.summary = summarize(one.series.job.experiments[place], tally.total)
        image = StoredFrame(one.store.place, place, plan.image, one.store.job_digest)
        finisher.begin(result, image, one.series.job.latches[place])


def _end(one: _Progress, missing: Sequence[Missing], unmade: bool) -> None:
    """Record what became of the series in its store, or remove a store that nobody asked for.

    unmade  whether files are still to be made of it
    """
    numbers = {frame.number for frame in one.series.frames}
    mine = [asdict(m) for m in missing if m.frame in numbers]
    if not (one.series.kept or mine or unmade):
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


def coordinates(frames: Sequence[Frame]) -> tuple[FrameCoordinate, ...]:
    """Numbers and parameters of the frames of a series; none for a single image."""
    if len(frames) == 1 and not frames[0].parameters:
        return ()
    names = dict.fromkeys(name for frame in frames for name in frame.parameters)
    found = [FrameCoordinate("frame", [frame.number for frame in frames], long_name="frame number")]
    if any(frame.name for frame in frames):
        found.append(FrameCoordinate("name", [frame.name for frame in frames]))
    for name in names:
        values = [frame.parameters.get(name) for frame in frames]
        found.append(FrameCoordinate(name, _alike(values), units=UNITS.get(name)))
    return tuple(found)


def _alike(values: list) -> list:
    """Values of one kind: numbers with NaN where there is none, tuples of one length, or else text."""
    given = [value for value in values if value is not None]
    lengths = {len(value) if isinstance(value, tuple) else 0 for value in given}
    if len(lengths) == 1 and not any(isinstance(value, str | bool) for value in given):
        [length] = lengths
        if all(not isinstance(x, str) for value in given for x in (value if length else (value,))):
            nothing = (math.nan,) * length if length else math.nan
            return [nothing if value is None else value for value in values]
    return ["" if value is None else _text(value) for value in values]


def _text(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


@contextmanager
def _telling_what_is_kept(series: Sequence[Series], running: Sequence[_Progress]) -> Iterator[None]:
    """Add to whatever ends the run what it leaves behind."""
    try:
        yield
    except BaseException as error:
        done, total = sum(one.tiles for one in running), sum(len(one.job.plan) for one in series)
        where = ", ".join(one.name for one in series[:3])
        # A store that could not even be begun is no use.
        if running or not isinstance(error, TilesimError):
            error.add_note(f"{done} of {total} tiles are kept in {where}: the same command with --resume goes on")
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

    def begin(self, result: FrameResult, image: StoredFrame, latch: int | None) -> None:
        """Make the files of one frame soon."""
        self._waiting.append((result, self._pool.submit(self._make, result.frame, image, result.summary, latch)))
        while self._waiting and (len(self._waiting) > self._limit or self._waiting[0][1].done()):
            self._settle()

    def wait(self) -> list[Missing]:
        """Return when all files are made, with those that could not be."""
        while self._waiting:
            self._settle()
        return self._missing

    def _make(self, frame: Frame, image: StoredFrame, summary: Summary, latch: int | None) -> tuple[str, ...]:
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
        result.files = file_names(result.frame)

    def __enter__(self) -> _Finisher:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
