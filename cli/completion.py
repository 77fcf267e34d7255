"""`tilesim completion`: what a shell needs to complete tilesim's words."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from tilesim_cli.command import ExampledCommand
from tilesim_cli.program import COMPLETE

PLACES = {
    "bash": "~/.local/share/bash-completion/completions/tilesim",
    "zsh": '"${fpath[1]}/_tilesim"',
    "fish": "~/.config/fish/completions/tilesim.fish",
}
"""Where each shell looks for it when it is first needed."""


@click.command(
    "completion", cls=ExampledCommand, examples=tuple(f"{shell} > {place}" for shell, place in PLACES.items())
)
@click.argument("shell", metavar="bash|zsh|fish", type=click.Choice(list(PLACES)))
def command(shell: str) -> None:
    """Print the completion for a shell: commands, options, nanoBragg's flags, detectors, files.

    One line of the examples installs it, for shells that start from then on; bash needs the package bash-completion and
    the folder (mkdir -p). In one shell alone: eval "$(tilesim completion bash)".
    """
    kind = get_completion_class(shell)
    assert kind is not None  # one of the three
    click.echo(kind(click.get_current_context().find_root().command, {}, "tilesim", COMPLETE).source())
