"""`tilesim detectors`: the library of detectors by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tilesim_cli.arguments import detectors_beginning
from tilesim_cli.command import FILE, ExampledCommand

if TYPE_CHECKING:
    from tilesim.instruments.library import DetectorLayout

HEAD = ("name", "detector", "pixels", "panels", "pixel, mm", "size, mm", "sensor, mm")


@click.command(
    "detectors",
    cls=ExampledCommand,
    examples=("", "cspad", "--picture detectors.png"),
    epilog="docs/detectors.md says how they are placed, and how others are described.",
)
@click.argument("names", metavar="[NAME ...]", nargs=-1, shell_complete=detectors_beginning)
@click.option("--picture", metavar="FILE.png", type=FILE, help="Draw their modules, all at one scale.")
def command(names: tuple[str, ...], picture: str | None) -> None:
    """List the detectors that --detector knows, or those of these NAMEs with what is typical and from which source.

    Pixels are slow x fast, of each panel where there are several, gaps included where there is one.
    """
    from tilesim.instruments.library import layout, library

    chosen = [layout(name) for name in names] or list(library().values())
    if picture is not None:
        from tilesim.files.inventory import NamedFile, check_files
        from tilesim.images.registry import Format, format_named
        from tilesim.pictures.outlines import draw_outlines

        format_named(picture, (Format.PNG,))
        check_files((), [NamedFile("--picture", picture)])
        draw_outlines(picture, {one.name: one.outlines for one in chosen})
    for line in table(chosen):
        click.echo(line)
    for one in chosen if names else ():
        click.echo(f"\n{one.name}\n  ideal or typical: {one.nominal}\n  source: {one.source}")
    if picture is not None:
        click.echo(f"wrote {picture}")


def table(detectors: Sequence[DetectorLayout]) -> list[str]:
    """One line on each, with a head, in columns."""
    rows = [HEAD, *map(row, detectors)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(one, widths, strict=True)).rstrip() for one in rows]


def row(one: DetectorLayout) -> tuple[str, ...]:
    """Cells of the table."""
    height, width = 1e3 * (one.outlines.max(axis=(0, 1)) - one.outlines.min(axis=(0, 1)))[::-1]
    sensor = one.sensor
    return (
        one.name,
        one.maker,
        " x ".join(map(str, one.panel or one.raster)),
        str(one.count),
        f"{1e3 * one.pixel_size:g}",
        f"{height:.0f} x {width:.0f}",
        f"{sensor.material} {1e3 * sensor.thickness:g}",
    )
