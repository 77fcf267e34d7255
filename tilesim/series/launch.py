"""From frames to work that is ready to begin: job, workers and store, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from tilesim.engine.job import Job, job_budget, lay_out, make_job, steps_of
from tilesim.engine.task import TileFailure, TileReport
from tilesim.errors import InputError
from tilesim.files.replace import hidden_place
from tilesim.frozen import frozen
from tilesim.series.frames import Frames
from tilesim.series.provenance import describe
from tilesim.series.results import Results
from tilesim.tiling.budget import check_budget

if TYPE_CHECKING:
    from tilesim.engine.access import Access
    from tilesim.engine.cluster import Cluster
    from tilesim.store.compression import Compression

Say = Callable[[str], None]
MOST_MAKERS = 32
"""Frames whose files are made at a time by workers; each has a thread of this process that waits."""


def silent(line: str) -> None:
    """Say nothing."""


@frozen
class Choices:
    """How to compute and store, none of which decides a pixel."""

    tile: tuple[int, int] | None = None
    """Pixels (slow, fast) of a tile; None: chosen"""
    precision: str = "mixed"
    device: str = "auto"
    backend: str = "auto"
    resume: bool = False
    overwrite: bool = False
    compression: Compression | None = None
    """Compression of the store; None: that of one that is resumed, or the default"""
    tables: bool = True
    """Whether the store holds the structure factors"""
    truth: bool = False
    """Whether the store holds the truth of every pixel beside it"""
    assemble: str = "client"
    """Who makes the files of frames: client or workers"""

    def check(self) -> Choices:
        """The choices themselves. Raises InputError where they exclude each other."""
        if self.resume and self.overwrite:
            raise InputError("--resume and --overwrite exclude each other")
        return self


@frozen
class Rendering:
    """Frames of one shape, and the store that their tiles go to."""

    frames: Frames
    job: Job
    place: str
    """Folder or URL of the store; empty where the one image goes straight into its files"""
    name: str
    """The same as the user wrote it, for messages"""
    kept: bool = True
    """Whether somebody asked for the store; otherwise it goes when all files are made of it"""
    tables: bool = True
    """Whether the store holds the structure factors"""
    compression: Compression | None = None
    """Compression of the store; None: that of one that is resumed, or the default"""


@frozen
class Launch:
    """Frames that are ready to be rendered."""

    renderings: tuple[Rendering, ...]
    """One for each store"""
    cluster: Cluster | None
    choices: Choices

    @property
    def direct(self) -> bool:
        """Whether the one image goes straight into its files, without a store."""
        return not self.renderings[0].place

    @cached_property
    def steps(self) -> int:
        """Evaluations of the lattice factor in all."""
        return sum(one.job.evaluations for one in self.renderings)

    def steps_of(self, event: object) -> float:
        """Evaluations for one tile. One that failed does not say whose it was: those of a mean one."""
        return self._steps_each.get(getattr(event, "digest", ""), self.steps / self.tiles)

    @cached_property
    def _steps_each(self) -> dict[str, float]:
        """Evaluations for a tile of each job, by the digest of the job."""
        return {one.job.digest: one.job.evaluations / len(one.job.plan) for one in self.renderings}

    @property
    def tiles(self) -> int:
        return sum(len(one.job.plan) for one in self.renderings)

    @property
    def crew(self) -> str:
        """Who computes, for people; empty for this process."""
        return "" if self.cluster is None else self.cluster.crew

    def render(
        self,
        on_tile: Callable[[TileReport | TileFailure], None] = lambda event: None,
        say: Say | None = None,
        warn: Say = silent,
    ) -> Results:
        """Compute what is missing in the stores and make all files; see `render_all`.

        say  takes what nanoBragg prints while it renders one image
        """
        if self.direct:
            from tilesim.series.direct import render

            [one] = self.renderings
            return render(one.frames[0], one.job, on_tile, say=say)
        from tilesim.series.rendering import render_all

        how: dict[str, Any] = {"resume": self.choices.resume, "overwrite": self.choices.overwrite}
        if self.cluster is not None:
            from tilesim.engine.dispatch import run_on_workers

            how["engine"] = partial(run_on_workers, self.cluster, warn=warn)
            if self.choices.assemble == "workers":
                from tilesim.series.assemble import make_on_workers

                how |= {"maker": partial(make_on_workers, self.cluster)}
                how |= {"makers": min(len(self.cluster.compatible), MOST_MAKERS)}
        return render_all(self.renderings, on_tile=on_tile, **how)


@contextmanager
def launched(
    groups: Sequence[tuple[Frames, str | None]],
    choices: Choices,
    access: Access | None = None,
    say: Say = silent,
    warn: Say = silent,
    shown: bool = False,
) -> Iterator[Launch]:
    """Frames with the store of each group as the user named it, on connected workers where `access` is to some.

    say   takes what there is to say of the choice of device and kernel
    warn  takes warnings
    shown whether a terminal shows that workers are waited for

    Raises tilesim's errors; without a named store a hidden one beside the first file is used.
    """
    choices.check()
    direct = access is None and not choices.resume and [(len(frames), zarr) for frames, zarr in groups] == [(1, None)]
    with connected(access, choices.device, warn, shown) as cluster:
        ready = tuple(_rendering(frames, zarr, choices, cluster, say, direct) for frames, zarr in groups)
        yield Launch(ready, cluster, choices)


def _rendering(
    frames: Frames, zarr: str | None, choices: Choices, cluster: Cluster | None, say: Say, direct: bool
) -> Rendering:
    if choices.truth:
        _check_truth(frames, zarr)
    place, kept = "" if direct else store_place(frames, zarr), zarr is not None
    job = make(frames, choices, cluster, place if kept or choices.resume else None, say)
    return Rendering(frames, job, place, zarr or place, kept, choices.tables, choices.compression)


def _check_truth(frames: Frames, zarr: str | None) -> None:
    """Raise InputError where there is no store for the truth, or no truth."""
    if zarr is None:
        raise InputError("--truth without a store; expected --zarr DIR, or zarr in the batch file, which holds it")
    if any(frames.series[frame].sampling.strict_c for frame, _ in frames.series.representatives()):
        raise InputError("--truth with --strict-c; expected one of them, the reference's sum has no truth")


def make(frames: Frames, choices: Choices, cluster: Cluster | None, place: str | None, say: Say = silent) -> Job:
    """The job of some frames, for `cluster` or this process, that fits memory and the store that is at `place`."""
    from tilesim.engine.inline import default_threads

    series, tile, backend, several = frames.series, choices.tile, choices.backend, None
    if place is not None and choices.resume:
        from tilesim.store.describe import stored_choices

        stored = stored_choices(place)
        several = stored.get("tile_frames") if tile in (None, stored.get("tile")) else None
        tile = tile or stored.get("tile")
        backend = stored.get("backend", backend) if backend == "auto" else backend
    if cluster is None:
        job = make_job(series, tile, choices.precision, choices.device, backend, say, several)
        job = replace(job, truth=choices.truth)
        threads = default_threads(job)
        check_budget(job_budget(job, threads))
    else:
        from tilesim.engine.sizing import sized_job

        device, backend = cluster.resolve(choices.device, backend, steps_of(series))
        job = replace(lay_out(series, tile, choices.precision, device, backend, several), truth=choices.truth)
        job = sized_job(job, cluster, chosen=tile is not None)
    if place is not None:
        from tilesim.store.create import check_target

        check_target(
            place,
            describe(frames, job),
            resume=choices.resume,
            overwrite=choices.overwrite,
            compression=choices.compression,
        )
    return job


def store_place(frames: Frames, zarr: str | None) -> str:
    """The store that was named, or a hidden one beside the first file. Raises InputError where there is neither."""
    from tilesim.store.place import normal_place

    if zarr is not None:
        return normal_place(zarr)
    named = frames.files(0).named
    if not named:
        raise InputError("no output; expected a store or files")
    return hidden_place(named[0])


@contextmanager
def connected(access: Access | None, device: str, warn: Say = silent, shown: bool = False) -> Iterator[Cluster | None]:
    """Connected workers, at least one of them compatible; None for this process. Raises ClusterError, InputError."""
    if access is None:
        yield None
        return
    try:
        from tilesim.engine.connect import connect
    except ModuleNotFoundError as error:
        raise InputError(f"workers need dask.distributed ({error}); pip install 'tilesim[cluster]'") from None

    from tilesim.series.progress import waiting

    what = f"starting {access.processes} workers" if access.processes else "waiting for workers"
    with ExitStack() as stack:
        with waiting(what, shown):
            cluster = stack.enter_context(connect(access, device))
            cluster.await_workers(warn)
            cluster.drop_stale_jobs()
        yield cluster
