"""`tilesim truth`: tables of the reflections and labels of stored shots."""

from __future__ import annotations

import click


@click.command("truth")
@click.argument("store", type=click.Path())
@click.option("--reflections", metavar="FILE", help="Table of reflections: .csv, .parquet or .h5.")
@click.option("--labels", metavar="FILE", help="Table with a row for every shot.")
@click.option(
    "--least", type=click.FloatRange(min=0), default=1.0, metavar="X", help="Photons of a reflection that counts [1]."
)
def command(store: str, reflections: str | None, labels: str | None, least: float) -> None:
    """Write what STORE, of a run with --truth, knows of its shots as tables: docs/truth.md."""
    from tilesim.files.inventory import NamedFile, check_files
    from tilesim.files.replace import all_together
    from tilesim.files.tables import check_table
    from tilesim.images.dataset import open_dataset
    from tilesim.tools.truth import write_labels, write_reflections

    wanted = (("--reflections", reflections, write_reflections), ("--labels", labels, write_labels))
    tables = [(NamedFile(option, path), write) for option, path, write in wanted if path is not None]
    if not tables:
        raise click.UsageError("nothing to write; expected --reflections FILE, --labels FILE or both")
    check_files([NamedFile("STORE", store)], [file for file, _ in tables])
    for file, _ in tables:
        check_table(file.path)
    data = open_dataset(store)
    with all_together():
        for file, write in tables:
            write(data, file.path, least)
    for file, _ in tables:
        click.echo(f"wrote {file.path}")
