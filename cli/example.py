"""`tilesim example`: synthetic input to try the program with."""

from __future__ import annotations

import shlex

import click

from tilesim_cli.command import ExampledCommand


@click.command(
    "example",
    cls=ExampledCommand,
    examples=("input",),
)
@click.argument("folder", metavar="DIR", type=click.Path())
@click.option("--overwrite", is_flag=True, help="Replace files of an earlier example.")
def command(folder: str, overwrite: bool) -> None:
    """Write a lysozyme-like crystal, its orientation and a script that renders it into DIR."""
    from tilesim.example import write_example

    for path in write_example(folder, overwrite=overwrite):
        click.echo(f"wrote {path}")
    script = f"{click.format_filename(folder)}/run.sh"
    # A name that begins with a dash would be an option of sh.
    click.echo(f"next: sh {shlex.quote(script if not script.startswith('-') else f'./{script}')}")
