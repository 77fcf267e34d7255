"""`tilesim completion`: what a shell needs to complete tilesim's words."""

from __future__ import annotations

import click

from tilesim_cli.command import ExampledCommand
from tilesim_cli.program import COMPLETE
from tilesim_cli.shells import SHELLS

PLACES = {
    "bash": "~/.local/share/bash-completion/completions/tilesim",
    "zsh": "~/.zfunc/_tilesim",
    "fish": "~/.config/fish/completions/tilesim.fish",
}
"""Where each shell looks for it when it is first needed."""


@click.command(
    "completion", cls=ExampledCommand, examples=tuple(f"{shell} > {place}" for shell, place in PLACES.items())
)
@click.argument("shell", metavar="bash|zsh|fish", type=click.Choice(list(PLACES)))
def command(shell: str) -> None:
    """Print the completion for a shell: commands, options, nanoBragg's flags, detectors, files.

    One of the examples installs it, for shells that start from then on. Make the folder first (mkdir -p); bash needs
    the package bash-completion, and zsh this above compinit in ~/.zshrc: fpath=(~/.zfunc $fpath). For one shell
    alone: eval "$(tilesim completion bash)", in fish tilesim completion fish | source.
    """
    click.echo(SHELLS[shell](click.get_current_context().find_root().command, {}, "tilesim", COMPLETE).source())
