"""From arguments to work that is ready to begin: the frames, the workers, the job, and the store."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tilesim.nanobragg.command import Command
    from tilesim.run.access import Access
    from tilesim.run.cluster import Cluster
    from tilesim.run.frames import Frame
    from tilesim.run.job import Job
    from tilesim.run.stored import Series


@dataclass(frozen=True)
class Launch:
    """What is to be done, checked as far as can be without computing."""

    frames: tuple[Frame, ...]
    job: Job
    cluster: Cluster | None
    place: str | None
    """Of the store; None where tiles go straight into the float image."""
    zarr: str | None
    """The store as the user named it; None where nobody asked for one."""

    @property
    def series(self) -> Series:
        from tilesim.run.stored import Series

        return Series(self.frames, self.job, self.place, self.zarr or self.place, self.zarr is not None)


def read(arguments: Sequence[str], options: dict) -> Command:
    """The resolved command line; warnings go to standard error. Raises InputError."""
    from tilesim.nanobragg import background, factors, instrument
    from tilesim.nanobragg.resolve import read_command
    from tilesim.nanobragg.words import words_of

    command = read_command(
        [
            *arguments,
            *words_of(options, factors.WORDS),
            *words_of(options, background.WORDS),
            *words_of(options, instrument.WORDS),
        ],
        options["strict_c"],
        write_fdump=options["write_fdump"],
        completeness=options["completeness"],
    )
    if not options["quiet"]:
        for warning in command.warnings:
            click.echo(f"WARNING: {warning}", err=True)
    return command


@contextmanager
def launched(command: Command, options: dict, begin: bool = False) -> Iterator[Launch]:
    """One command's frames, on connected workers where options ask for them. Raises tilesim's errors.

    begin  whether they will be computed: the search for the edge of the table (K3) takes a moment
    """
    from tilesim.run.extras import check_outputs, extras_of
    from tilesim.run.frames import check_names, expand, of_series

    count, access, extras = options["frames"], access_of(options), extras_of(options)
    if count > 1:
        command = of_series(command, extras.zarr is not None)
    if begin:
        from tilesim.run.provenance import noted

        command = noted(command)
    check_names(command, extras.preview, count)
    frames = expand(command, count, options["frame_osc"], preview=extras.preview)
    check_outputs(frames, extras)
    kept = extras.zarr is not None
    place = None
    if kept or access or options["resume"] or count > 1:
        place = store_place(frames[0], extras.zarr)
    with workers(access, options) as cluster:
        job = make(frames, options, cluster, place if kept or options["resume"] else None)
        yield Launch(frames, job, cluster, place, extras.zarr)


def make(frames: Sequence[Frame], options: dict, cluster: Cluster | None, place: str | None) -> Job:
    """The job of some frames, for `cluster` or this process, that fits memory and the store that is at `place`."""
    from tilesim.run.inline import default_threads
    from tilesim.run.job import lay_out, make_job, steps_of
    from tilesim.tiling.budget import check_budget, memory_budget

    experiments = tuple(frame.command.experiment for frame in frames)
    tile, precision = options["tile"], options["precision"]
    device, backend = options["device"], options["backend"]
    if place is not None and options["resume"]:
        from tilesim.store.read import stored_choices

        stored = stored_choices(place)
        tile = tile or stored.get("tile")
        backend = stored.get("backend", backend) if backend == "auto" else backend
    if cluster is None:
        say = (lambda line: None) if options["quiet"] else (lambda line: click.echo(f"tilesim: {line}", err=True))
        job = make_job(experiments, tile, precision, device, backend, say)
        threads = default_threads(job)
        check_budget(memory_budget(job.experiment, job.plan, job.block, job.numbers_per_pixel, threads))
    else:
        from tilesim.run.sizing import sized_job

        device, backend = cluster.resolve(device, backend, steps_of(experiments))
        job = lay_out(experiments, tile, precision, device, backend)
        job = sized_job(job, cluster, chosen=tile is not None)
    if place is not None:
        from tilesim.run.provenance import describe
        from tilesim.store.create import check_target

        check_target(place, describe(frames, job), overwrite=options["overwrite"], resume=options["resume"])
    return job


def store_place(frame: Frame, zarr: str | None) -> str:
    """The store that was asked for, or a hidden one beside the first file."""
    from tilesim.io.replace import is_special
    from tilesim.run.frames import file_names
    from tilesim.store.place import normal_place

    if zarr is not None:
        return normal_place(zarr)
    first = file_names(frame)[0]
    folder, name = ("", "tilesim") if is_special(first) else os.path.split(os.path.realpath(first))
    return normal_place(os.path.join(folder, f".{name}.tiles.zarr"))


@contextmanager
def telling_when_done() -> Iterator[Callable[[], None]]:
    """Call what this gives once all is written: what ends the program after that says so."""
    done = []
    try:
        yield lambda: done.append(True)
    except BaseException as error:
        if done:
            error.add_note("everything was written before")
        raise


def access_of(options: dict) -> Access | None:
    """How to reach workers; None for this process. Raises click.UsageError on options that exclude each other.

    What worker processes of this machine are forked from begins at once, beside all that is read and checked first.
    """
    ways = [name for name in ("workers", "scheduler", "scheduler_file") if options[name] is not None]
    if len(ways) > 1:
        raise click.UsageError(f"--{ways[0]} and --{ways[1]} exclude each other".replace("_", "-"))
    if options["resume"] and options["overwrite"]:
        raise click.UsageError("--resume and --overwrite exclude each other")
    if not math.isfinite(options["patience"]) or options["patience"] < 0:
        raise click.UsageError(f"--patience is {options['patience']}; expected seconds, not negative")
    tls = tuple(options[name] for name in ("tls_ca", "tls_cert", "tls_key"))
    if any(tls) and not all(tls):
        raise click.UsageError("--tls-ca, --tls-cert and --tls-key go together")
    if any(tls) and (not ways or ways == ["workers"]):
        raise click.UsageError("--tls-ca, --tls-cert and --tls-key go with --scheduler or --scheduler-file")
    if options["assemble"] == "workers" and not ways:
        raise click.UsageError("--assemble workers goes with --workers, --scheduler or --scheduler-file")
    if (options["scheduler"] or "").startswith("tls://") and not all(tls):
        raise click.UsageError(f"--scheduler {options['scheduler']} needs --tls-ca, --tls-cert and --tls-key")
    if not ways:
        return None
    if options["workers"]:
        from tilesim.run import forks

        with suppress(OSError):  # told of where the workers are started
            forks.begin()
    from tilesim.run.access import Access

    return Access(
        options["workers"] or 0,
        options["scheduler"],
        options["scheduler_file"],
        tls if any(tls) else None,
        options["patience"],
    )


@contextmanager
def workers(access: Access | None, options: dict) -> Iterator[Cluster | None]:
    """Connected workers, at least one of them fit; None for this process. Raises ClusterError, InputError."""
    if access is None:
        yield None
        return
    try:
        from tilesim.run.cluster import connect
    except ModuleNotFoundError as error:
        raise click.UsageError(f"workers need dask.distributed ({error}); pip install 'tilesim[cluster]'") from None

    with connect(access, options["device"]) as cluster:
        cluster.await_workers(warn)
        cluster.drop_stale_jobs()
        yield cluster


def warn(line: str) -> None:
    click.echo(f"WARNING: {line}", err=True)
