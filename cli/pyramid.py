"""`tilesim pyramid`: coarser levels in a store, for quick previews at any zoom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tilesim_cli.arguments import engine_options
from tilesim_cli.command import ExampledCommand

if TYPE_CHECKING:
    from tilesim.tools.pyramid import PyramidResult


@click.command(
    "pyramid",
    cls=ExampledCommand,
    examples=(
        "out.zarr",
        "series.zarr --workers 4",
    ),
)
@click.argument("store", type=click.Path())
@engine_options
@click.option("--overwrite", is_flag=True, help="Make it again where it is there.")
@click.option("--quiet", is_flag=True, help="Print errors only.")
def command(store: str, overwrite: bool, quiet: bool, **options: Any) -> None:
    """Add to STORE its image as means of 2 x 2, 4 x 4, ... pixels (OME-Zarr), down to 512 along the longer edge."""
    from tilesim.files.inventory import NamedFile, check_files
    from tilesim.series.launch import connected
    from tilesim.series.progress import counting
    from tilesim.store.store import Store
    from tilesim.tools.pyramid import build_pyramid
    from tilesim_cli.launch import access_of, files_of, warn

    access = access_of(options)
    check_files(files_of(access), stores=[NamedFile("STORE", store)])
    tiles = len(Store.open(store).plan)
    with (
        connected(access, "cpu", warn, not quiet) as cluster,
        counting("reading", tiles, "tiles", not quiet) as on_tile,
    ):
        built = build_pyramid(store, overwrite=overwrite, client=cluster and cluster.client, on_tile=on_tile)
    if built.missing:
        warn(f"{built.missing} tiles are missing; their blocks are NaN")
    if not quiet:
        for line in lines(store, built):
            click.echo(line)


def lines(store: str, built: PyramidResult) -> list[str]:
    """What was done, for people."""
    from tilesim.model.noun import counted

    if not built.levels:
        return [f"{store}: the image is small, it needs no coarser levels"]
    sizes = ", ".join(f"{level.shape[0]} x {level.shape[1]}" for level in built.levels)
    verb = "has" if built.kept else "got"
    return [f"{store}: {verb} {counted(len(built.levels), 'coarser level')}, {sizes} (slow, fast)"]
