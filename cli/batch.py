"""`tilesim batch`: the experiments of a TOML file to their stores and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from tilesim_cli.arguments import batch_options
from tilesim_cli.command import GroupedCommand

if TYPE_CHECKING:
    from tilesim.series.batchfile import Batch
    from tilesim.series.frames import Frames
    from tilesim.series.launch import Launch
    from tilesim.series.results import Missing, Results


@click.command(
    "batch",
    cls=GroupedCommand,
    examples=(
        "grid.toml",
        "grid.toml --dry-run",
        "grid.toml --workers 8 --resume --keep-going --json done.json",
    ),
)
@click.argument("file", metavar="FILE.toml", type=click.Path())
@batch_options
@click.option("--keep-going", is_flag=True, help="Leave out experiments that cannot be resolved, and name them.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and stop.")
def command(file: str, **options: Any) -> None:
    """Simulate the experiments of FILE.toml (docs/batch.md): one store where their shapes agree, and files by name."""
    from tilesim.files.inventory import NamedFile
    from tilesim.nanobragg.options import Options
    from tilesim.series.batch import frames_of_batch
    from tilesim.series.batchfile import read_batch
    from tilesim.series.targets import check_outputs
    from tilesim_cli.launch import access_of, choices_of, files_of, launched, telling_when_done, warn

    access, _ = access_of(options), choices_of(options)
    batch = read_batch(file)
    tell = (lambda line: None) if options["quiet"] else warn
    groups, unresolved = frames_of_batch(
        batch, options["strict_c"], Options.read(options), keep_going=options["keep_going"], warn=tell
    )
    if not groups:
        raise click.UsageError(f"no experiment of {file} can be resolved; the first: {unresolved[0].why}")
    found = stores(batch, groups)
    inputs = [NamedFile("FILE.toml", file), *(NamedFile("[draw]", name) for name in batch.files), *files_of(access)]
    check_outputs(list(groups.values()), [name for _, name in found if name], options["json_file"], inputs)
    with telling_when_done() as done, launched(found, options, access) as launch:
        if options["dry_run"]:
            for line in plan(launch, unresolved):
                click.echo(line)
            return
        results = render(launch, options)
        done()
    finish(launch, results, unresolved, options)


def stores(batch: Batch, groups: Mapping[tuple, Frames]) -> list[tuple[Frames, str | None]]:
    """The frames of every store with its name."""
    from tilesim.series.batch import store_names

    names: Sequence[str | None] = store_names(list(groups), batch.zarr) if batch.zarr else [None] * len(groups)
    return list(zip(groups.values(), names, strict=True))


def render(launch: Launch, options: Mapping[str, Any]) -> Results:
    """Compute and write, showing progress; a line for every frame goes to standard output."""
    from tilesim.series.progress import progress
    from tilesim.series.provenance import note
    from tilesim_cli.launch import warn
    from tilesim_cli.run import series_lines

    remark = note([k for one in launch.renderings for k in one.frames.corrections])
    if remark:
        click.echo(remark, err=True)
    silent = options["quiet"] or options["json_file"] == "-"
    who = {"crew": lambda: launch.crew, "share": launch.steps_of}
    with progress(launch.tiles, launch.steps, not options["quiet"], **who) as on_tile:
        results = launch.render(on_tile, warn=warn)
    for warning in results.warnings:
        warn(warning)
    for line in () if silent else series_lines(results.frames):
        click.echo(line)
    return results


def finish(launch: Launch, results: Results, unresolved: Sequence[Missing], options: Mapping[str, Any]) -> None:
    """The summary, and what is missing."""
    from dataclasses import asdict

    from tilesim_cli.summary import complain_of_missing, files_summary, frames_summary, write_json

    missing = (*unresolved, *results.missing)
    if options["json_file"]:
        made = [
            {"path": one.place, "job_digest": one.job.digest, "frames": len(one.frames)} for one in launch.renderings
        ]
        plain = files_summary(results) | {
            "stores": made,
            "complete": not missing,
            "missing": [asdict(one) for one in missing],
            "frames": frames_summary(results),
        }
        write_json(options["json_file"], plain)
    elif not options["quiet"]:
        for path in results.stores:
            click.echo(f"wrote {path}")
    complain_of_missing(missing)


def plan(launch: Launch, unresolved: Sequence[Missing]) -> list[str]:
    """What would be done, store by store, and what all of it takes."""
    from tilesim.engine.job import job_budget
    from tilesim.store.layout import Layout
    from tilesim_cli.plan import here, readable_bytes, readable_time, there

    lines, size, memory, seconds = [], 0, 0, 0.0
    for one in launch.renderings:
        shape, job = one.job.plan.shape, one.job
        where = one.place if one.kept else "files only"
        lines.append(
            f"{where}: {shape[0]} frames of {' x '.join(map(str, shape[1:]))} pixels, {len(job.plan)} tiles of "
            f"{job.plan.size}, {job.evaluations:.4g} steps, {job.device}, {job.backend} kernel"
        )
        how = here(job) if launch.cluster is None else there(job, launch.cluster)
        size += Layout.of_plan(job.plan).image_bytes
        memory = max(memory, job_budget(job, how["threads_each"]).total)
        if trial := how["trial"]():
            seconds += job.evaluations / (trial.steps_per_second * min(how["threads"], len(job.plan)))
    lines.append(
        f"in all: at most {readable_bytes(size)} of pixels, {readable_bytes(memory)} of memory besides the libraries"
        f"{' in each worker' if launch.cluster else ''}, {readable_time(seconds)} of computing"
    )
    return [*lines, *(f"left out: {one.why}" for one in unresolved)]
