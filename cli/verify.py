"""`tilesim verify`: whether a store is whole."""

from __future__ import annotations

import json

import click

from tilesim_cli.command import ExampledCommand

SHOWN = 20
"""Tiles that are named; the JSON has all."""


@click.command(
    "verify",
    cls=ExampledCommand,
    examples=(
        "out.zarr",
        "out.zarr --quiet || tilesim run ... --zarr out.zarr --resume",
    ),
)
@click.argument("store", type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--quiet", is_flag=True, help="Print nothing; the exit status says it.")
@click.pass_context
def command(ctx: click.Context, store: str, as_json: bool, quiet: bool) -> None:
    """Read all of STORE again, compare its checksums, and name what is missing or damaged (exit status 1)."""
    from tilesim.store.store import Store
    from tilesim.store.verify import verify_store

    found = verify_store(Store.open(store))
    if as_json:
        click.echo(json.dumps(as_plain(store, found), indent=2))
    elif not quiet:
        for line in lines(store, found):
            click.echo(line)
    ctx.exit(0 if found.intact else 1)


def as_plain(store: str, found) -> dict:
    """The findings as plain values."""
    return {
        "path": store,
        "status": found.status,
        "intact": found.intact,
        "tiles": found.total,
        "missing": [str(tile) for tile in found.missing],
        "damaged": [str(tile) for tile in found.damaged],
        "unreadable_coordinates": list(found.coordinates),
        "damaged_levels": list(found.levels),
    }


def lines(store: str, found) -> list[str]:
    """The findings for people."""
    if found.intact:
        return [f"{store}: {found.total} tiles, all there and intact"]
    wrong = [*(f"missing: {tile}" for tile in found.missing), *(f"damaged: {tile}" for tile in found.damaged)]
    wrong += [f"damaged: coordinate {name}" for name in found.coordinates]
    wrong += [f"damaged: coarser level {path}" for path in found.levels]
    more = [f"... and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else []
    counts = f"{len(found.missing)} missing, {len(found.damaged)} damaged"
    return [
        f"{store}: {found.total} tiles, {counts}, stored as {found.status}",
        *wrong[:SHOWN],
        *more,
        *(["the command that made it repairs it with --resume"] if found.incomplete else []),
        *(["`tilesim pyramid --overwrite` makes its coarser levels again"] if found.levels else []),
    ]
