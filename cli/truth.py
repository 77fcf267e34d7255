"""`tilesim truth`: tables of the reflections and labels of stored shots."""

from __future__ import annotations

import click

from tilesim_cli.command import FILE, ExampledCommand


@click.command(
    "truth",
    cls=ExampledCommand,
    examples=("shots.zarr --reflections reflections.csv --labels labels.csv",),
)
@click.argument("store", type=click.Path())
@click.option("--reflections", metavar="FILE", type=FILE, help="Table of reflections: .csv, .parquet or .h5.")
@click.option("--labels", metavar="FILE", type=FILE, help="Table with a row for every shot.")
@click.option(
    "--least", type=click.FloatRange(min=0), default=1.0, metavar="X", help="Photons of a reflection that counts [1]."
)
def command(store: str, reflections: str | None, labels: str | None, least: float) -> None:
    """Write what STORE, of a run with --truth, knows of its shots as tables: docs/truth.md."""
    from tilesim.images.opening import open_dataset
    from tilesim.tools.truth import Truth

    if reflections is None and labels is None:
        raise click.UsageError("nothing to write; expected --reflections FILE, --labels FILE or both")
    for path in Truth(open_dataset(store), least).write(reflections, labels):
        click.echo(f"wrote {path}")
