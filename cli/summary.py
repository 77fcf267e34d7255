"""What a run did, as plain values for `--json`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tilesim.series.frames import Frames
    from tilesim.series.launch import Launch
    from tilesim.series.results import Missing, Results

SHOWN = 10
"""Missing tiles that are named on standard error; the JSON has all."""


def summary(launch: Launch, results: Results) -> dict[str, Any]:
    """Summary of one series: provenance, statistics, files, time, what is missing."""
    from tilesim.series.provenance import describe

    [rendering] = launch.renderings
    job, first = rendering.job, results.frames[0]
    plain = {
        **describe(rendering.frames, job),
        "statistics": asdict(first.summary) if len(results.frames) == 1 and first.summary else None,
        **files_summary(results),
        "steps": job.evaluations,
        "steps_per_second": job.evaluations / results.seconds if not results.restored else None,
        "tiles": len(job.plan),
        "completeness": completeness(rendering.frames),
    }
    if len(results.frames) > 1:
        plain["frames"] = frames_summary(results)
    return plain


def completeness(frames: Frames) -> list[dict[str, Any]]:
    """Shells of resolution with d-spacings in metres, null for infinity; empty where nobody asked for them."""
    return [asdict(shell) for shell in frames.commands[0].completeness]


def files_summary(results: Results) -> dict[str, Any]:
    """Files, time, what is missing."""
    return {
        "files": [*(path for result in results.frames for path in result.files), *results.stores],
        "seconds": results.seconds,
        "dtype": "/".join(results.dtypes),
        "computed_tiles": results.computed,
        "restored_tiles": results.restored,
        "workers": results.workers,
        "complete": not results.missing,
        "missing": [asdict(missing) for missing in results.missing],
    }


def frames_summary(results: Results) -> list[dict[str, Any]]:
    """One entry per frame."""
    return [
        {
            "frame": result.frame.number,
            "name": result.frame.name,
            "parameters": dict(result.frame.labels),
            "complete": result.summary is not None,
            "statistics": asdict(result.summary) if result.summary else None,
            "files": list(result.files),
        }
        for result in results.frames
    ]


def complain_of_missing(missing: Sequence[Missing]) -> None:
    """Leave with status 1 where something is missing, naming it."""
    if not missing:
        return
    for one in missing[:SHOWN]:
        click.echo(f"tilesim: frame {one.frame}: {one.why}", err=True)
    more = f", {SHOWN} of them are named here" if len(missing) > SHOWN else ""
    click.echo(f"tilesim: {len(missing)} tiles, files or frames are missing{more}; --resume tries them again", err=True)
    click.get_current_context().exit(1)


def write_json(path: str, value: dict[str, Any]) -> None:
    """Write one JSON object to a file, whole or not at all, or to standard output."""
    from tilesim.files.replace import replacing
    from tilesim.store.layout import jsonable

    text = json.dumps(jsonable(value), indent=2) + "\n"
    if path == "-":
        click.echo(text, nl=False)
        return
    with replacing(path) as file:
        file.write(text.encode())
