"""`tilesim pyramid`: coarser levels in a store, for quick looks at any zoom."""

from __future__ import annotations

import click


@click.command("pyramid")
@click.argument("store", type=click.Path())
@click.option("--overwrite", is_flag=True, help="Make it again where it is there.")
@click.option("--quiet", is_flag=True, help="Print errors only.")
def command(store: str, overwrite: bool, quiet: bool) -> None:
    """Add to STORE its image as means of 2 x 2, 4 x 4, ... pixels (OME-Zarr), down to 512 along the longer edge."""
    from tilesim.tools.pyramid import build_pyramid

    built = build_pyramid(store, overwrite=overwrite)
    if built.missing:
        click.echo(f"WARNING: {built.missing} tiles are missing; their blocks are NaN", err=True)
    if not quiet:
        for line in lines(store, built):
            click.echo(line)


def lines(store: str, built) -> list[str]:
    """What was done, for people."""
    if not built.levels:
        return [f"{store}: the image is small, it needs no coarser levels"]
    sizes = ", ".join(f"{level.shape[0]} x {level.shape[1]}" for level in built.levels)
    verb = "has" if built.kept else "got"
    return [f"{store}: {verb} {len(built.levels)} coarser levels, {sizes} (slow, fast)"]
