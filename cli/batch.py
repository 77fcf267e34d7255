"""`tilesim batch`: a list or a grid of experiments, all in one go."""

from __future__ import annotations

import click

from tilesim_cli.arguments import batch_options
from tilesim_cli.progress import progress


@click.command("batch")
@click.argument("file", metavar="FILE.toml", type=click.Path())
@batch_options
@click.option("--keep-going", is_flag=True, help="Leave out experiments that cannot be resolved, and name them.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and stop.")
def command(file: str, **options) -> None:
    """Simulate the experiments of FILE.toml (docs/batch.md): one store where their shapes agree, and files by name."""
    from tilesim.io.batchfile import read_batch
    from tilesim.nanobragg import background, instrument
    from tilesim.nanobragg.words import words_of
    from tilesim.series.batch import frames_of_batch
    from tilesim_cli.launch import access_of, telling_when_done, warn, workers

    access = access_of(options)
    batch = read_batch(file)
    tell = (lambda line: None) if options["quiet"] else warn
    words = words_of(options, background.WORDS | instrument.WORDS)
    frames, unresolved = frames_of_batch(batch, options["strict_c"], words, keep_going=options["keep_going"], warn=tell)
    if not frames:
        raise click.UsageError(f"no experiment of {file} can be resolved; the first: {unresolved[0].why}")
    with telling_when_done() as done, workers(access, options) as cluster:
        series = ready(batch, frames, options, cluster)
        if options["dry_run"]:
            for line in plan(series, unresolved):
                click.echo(line)
            return
        results = carry_out(series, options, cluster)
        done()
    finish(series, results, unresolved, options)


def ready(batch, frames, options: dict, cluster) -> list:
    """One series for every store, checked as far as can be without computing."""
    from tilesim.series.batch import grouped
    from tilesim.series.extras import Extras, check_outputs
    from tilesim.series.stored import Series
    from tilesim_cli.launch import make, store_place

    check_outputs(frames, Extras(batch.zarr, None, options["json_file"], options["overwrite"]))
    kept = batch.zarr is not None
    series = []
    for name, members in grouped(frames, batch.zarr or store_place(frames[0], None)).items():
        place = store_place(members[0], name)
        job = make(members, options, cluster, place if kept or options["resume"] else None)
        series.append(Series(members, job, place, name, kept))
    return series


def carry_out(series: list, options: dict, cluster):
    """Compute and write, showing progress; a line for every frame goes to standard output."""
    from tilesim.series.provenance import corrections, note
    from tilesim.series.stored import carry_out_series
    from tilesim_cli.run import frame_line, how

    remark = note(corrections([frame for one in series for frame in one.frames]))
    if remark:
        click.echo(remark, err=True)
    silent = options["quiet"] or options["json_file"] == "-"
    tiles, steps = sum(len(one.job.plan) for one in series), sum(one.job.evaluations for one in series)
    with progress(tiles, steps, not options["quiet"]) as on_tile:
        results = carry_out_series(series, on_tile=on_tile, **how(cluster, options))
    for result in () if silent else results.frames:
        if result.summary is not None:
            click.echo(frame_line(result))
    return results


def finish(series: list, results, unresolved, options: dict) -> None:
    """The account, and what is missing."""
    from dataclasses import asdict

    from tilesim_cli.run import account_of, complain_of_missing, frames_account, write_json

    missing = (*unresolved, *results.missing)
    if options["json_file"]:
        plain = account_of(results) | {
            "stores": [{"path": one.place, "job_digest": one.job.digest, "frames": len(one.frames)} for one in series],
            "complete": not missing,
            "missing": [asdict(one) for one in missing],
            "frames": frames_account(results),
        }
        write_json(options["json_file"], plain)
    elif not options["quiet"]:
        for path in results.stores:
            click.echo(f"wrote {path}")
    complain_of_missing(missing)


def plan(series: list, unresolved) -> list[str]:
    """What would be done."""
    lines = []
    for one in series:
        shape, tile = one.job.plan.shape, one.job.plan.tile
        where = one.place if one.kept else "files only"
        lines.append(
            f"{where}: {shape[0]} frames of {' x '.join(map(str, shape[1:]))} pixels, {len(one.job.plan)} tiles of "
            f"{tile[0]} x {tile[1]}, {one.job.evaluations:.4g} steps, {one.job.device}, {one.job.backend} kernel"
        )
    return [*lines, *(f"left out: {one.why}" for one in unresolved)]
