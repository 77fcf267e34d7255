"""`tilesim help`: the help of a command."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from tilesim_cli.command import ExampledCommand


def _commands_beginning(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    program = ctx.find_root()
    return program.command.shell_complete(program, incomplete)


@click.command("help", cls=ExampledCommand, examples=("run", "noise"))
@click.argument("name", metavar="[COMMAND]", required=False, shell_complete=_commands_beginning)
@click.pass_context
def command(ctx: click.Context, name: str | None) -> None:
    """Print the help of COMMAND, as `tilesim COMMAND --help` does, or the list of commands."""
    program = ctx.find_root()
    if name is None:
        click.echo(program.get_help())
        return
    asked = program.command
    assert isinstance(asked, click.Group)
    _, found, _ = asked.resolve_command(program, [name])
    assert found is not None  # or it raised UsageError
    with click.Context(found, parent=program, info_name=name) as described:
        click.echo(found.get_help(described))
