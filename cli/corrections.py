"""`tilesim corrections`: where images and files depart from nanoBragg's, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tilesim_cli.command import ExampledCommand

if TYPE_CHECKING:
    from tilesim.nanobragg.corrections import Correction

WIDTH = 100
"""Characters of a line."""


@click.command("corrections", cls=ExampledCommand, examples=("", "K1 K7"))
@click.argument("numbers", metavar="[K1 ...]", nargs=-1)
def command(numbers: tuple[str, ...]) -> None:
    """Say where tilesim departs from nanoBragg, and why: the corrections of these numbers, or all.

    A run prints a NOTE with the numbers of those that affect it; --strict-c turns all of them off.
    """
    from tilesim.nanobragg.corrections import CORRECTIONS

    known = {one.number: one for one in CORRECTIONS}
    for number in numbers:
        if number.upper() not in known:
            raise click.UsageError(f"{number}: there is no such correction; expected K1 to {CORRECTIONS[-1].number}")
    chosen = [known[number.upper()] for number in numbers] if numbers else CORRECTIONS
    click.echo("\n\n".join(map(entry, chosen)))


def entry(one: Correction) -> str:
    """A correction for people: its words, then what nanoBragg does, what tilesim does, and why."""
    rows = [("nanoBragg", one.reference), ("tilesim", one.ours), ("why", one.why)]
    lines = [f"{one.number}: {one.words}"]
    for name, text in rows:
        if text:
            lines.append(click.wrap_text(text, WIDTH, f"  {name:<11}", " " * 13))
    return "\n".join(lines)
