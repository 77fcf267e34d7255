"""`tilesim help`: the help of a command, or a page of the documentation."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from tilesim_cli.command import ExampledCommand
from tilesim_cli.pages import SUFFIX, page, pages

PAGES = "docs"
"""Word for the list of pages."""


def _commands_beginning(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    program = ctx.find_root()
    found = [CompletionItem(name, help=title) for name, title in pages().items() if name.startswith(incomplete)]
    return [*program.command.shell_complete(program, incomplete), *found]


@click.command("help", cls=ExampledCommand, examples=("run", "docs", "docs/spectra.md"))
@click.argument("name", metavar="[COMMAND|PAGE]", required=False, shell_complete=_commands_beginning)
@click.pass_context
def command(ctx: click.Context, name: str | None) -> None:
    """Print the help of COMMAND, as `tilesim COMMAND --help` does, or the list of commands.

    PAGE is a page of the documentation as messages name it, docs/spectra.md; `docs` lists them.
    """
    program = ctx.find_root()
    if name is None:
        click.echo(program.get_help())
        return
    if name == PAGES:
        formatter = click.HelpFormatter()
        formatter.write_dl(list(pages().items()))
        click.echo(formatter.getvalue(), nl=False)
        return
    asked = program.command
    assert isinstance(asked, click.Group)
    if asked.get_command(program, name) is None and (text := page(name)) is not None:
        click.echo(text, nl=False)
        return
    if name.endswith(SUFFIX) or name.startswith(f"{PAGES}/"):
        raise click.UsageError(f"no page {name!r}; expected one of those that `tilesim help {PAGES}` lists")
    _, found, _ = asked.resolve_command(program, [name])
    assert found is not None  # or it raised UsageError
    with click.Context(found, parent=program, info_name=name) as described:
        click.echo(found.get_help(described))
