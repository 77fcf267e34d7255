"""What commands that simulate share: from click's values to a command line's experiment, choices and workers."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tilesim.engine.access import Access
    from tilesim.files.inventory import NamedFile
    from tilesim.nanobragg.command import Command
    from tilesim.series.frames import Frames
    from tilesim.series.launch import Choices, Launch


def read(arguments: Sequence[str], options: Mapping[str, Any]) -> Command:
    """The resolved command line; warnings go to standard error. Raises InputError."""
    from tilesim.nanobragg.options import Options
    from tilesim.nanobragg.resolve import read_command

    command = read_command(
        arguments,
        options["strict_c"],
        options=Options.read(options),
        write_fdump=options["write_fdump"],
        completeness=options["completeness"],
    )
    if not options["quiet"]:
        for warning in command.warnings:
            warn(warning)
    return command


def frames_of(
    command: Command, options: Mapping[str, Any], access: Access | None = None, begin: bool = False
) -> Frames:
    """The frames of a command line and its options, their outputs checked. Raises InputError, StoreError.

    access  to workers, whose files are inputs, too
    begin   whether they will be computed: the search for the edge of the table (K3) takes a moment
    """
    from dataclasses import replace

    from tilesim.series.frames import files_of_command, frames_of_command
    from tilesim.series.targets import check_outputs

    count, zarr = options["frames"], options["zarr"]
    outputs = files_of_command(command, count, zarr is not None, options["preview"])
    if outputs.float_file is None:  # named outputs of tilesim's own: nobody waits for nanoBragg's (K14)
        command = replace(command, corrections=tuple(k for k in command.corrections if k != "K14"))
    command = replace(command, outputs=outputs)
    if begin:
        from tilesim.series.provenance import noted

        command = noted(command)
    frames = frames_of_command(command, count, options["frame_osc"])
    check_outputs(frames, zarr, options["json_file"], files_of(access))
    return frames


def files_of(access: Access | None) -> tuple[NamedFile, ...]:
    """The files that are read to reach workers."""
    return () if access is None else access.files


@contextmanager
def launched(
    groups: Sequence[tuple[Frames, str | None]], options: Mapping[str, Any], access: Access | None
) -> Iterator[Launch]:
    """Frames that are ready to be rendered, on connected workers where there is access to some."""
    from tilesim.series.launch import launched, silent

    choices = choices_of(options)
    say = silent if options["quiet"] else lambda line: click.echo(f"tilesim: {line}", err=True)
    with launched(groups, choices, access, say, warn, not options["quiet"]) as launch:
        yield launch


def choices_of(options: Mapping[str, Any]) -> Choices:
    """How to compute and store."""
    from tilesim.series.launch import Choices

    same = (
        "tile",
        "precision",
        "device",
        "backend",
        "resume",
        "overwrite",
        "compression",
        "tables",
        "truth",
        "assemble",
    )
    return Choices(**{name: options[name] for name in same}).check()


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


def access_of(options: Mapping[str, Any], *used: str) -> Access | None:
    """How to reach workers; None for this process. Raises click.UsageError on options that exclude each other.

    What worker processes of this machine are forked from begins at once, beside all that is read and checked first;
    it imports the modules `used`, too, which every one of them would import for itself.
    """
    ways = [name for name in ("workers", "scheduler", "scheduler_file") if options[name] is not None]
    if len(ways) > 1:
        raise click.UsageError(f"--{ways[0]} and --{ways[1]} exclude each other".replace("_", "-"))
    if not math.isfinite(options["timeout"]) or options["timeout"] < 0:
        raise click.UsageError(f"--timeout is {options['timeout']}; expected seconds, not negative")
    tls = tuple(options[name] for name in ("tls_ca", "tls_cert", "tls_key"))
    if any(tls) and not all(tls):
        raise click.UsageError("--tls-ca, --tls-cert and --tls-key go together")
    if any(tls) and (not ways or ways == ["workers"]):
        raise click.UsageError("--tls-ca, --tls-cert and --tls-key go with --scheduler or --scheduler-file")
    if options.get("assemble") == "workers" and not ways:
        raise click.UsageError("--assemble workers goes with --workers, --scheduler or --scheduler-file")
    if (options["scheduler"] or "").startswith("tls://") and not all(tls):
        raise click.UsageError(f"--scheduler {options['scheduler']} needs --tls-ca, --tls-cert and --tls-key")
    if not ways:
        return None
    if options["workers"]:
        from tilesim.engine import forks

        with suppress(OSError):  # reported where the workers are started
            forks.begin(*used)
    from tilesim.engine.access import Access

    return Access(
        options["workers"] or 0,
        options["scheduler"],
        options["scheduler_file"],
        tls if any(tls) else None,
        options["timeout"],
    )


def warn(line: str) -> None:
    """A warning on standard error."""
    click.echo(f"WARNING: {line}", err=True)


SHOWN_FILES = 20
"""Files that are named on a line each; of more the first and the last of each kind are."""


def wrote(paths: Sequence[str]) -> list[str]:
    """Lines that say which files were written."""
    kinds: dict[str, list[str]] = {}
    for path in paths:
        kinds.setdefault(os.path.splitext(path)[1] if len(paths) > SHOWN_FILES else path, []).append(path)
    return [
        f"wrote {some[0]}" if len(some) == 1 else f"wrote {len(some)} files: {some[0]} to {some[-1]}"
        for some in kinds.values()
    ]
