"""Commands whose help shows examples, and the type of options whose values are files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from tilesim_cli.groups import Record, by_subject


class ExampledCommand(click.Command):
    """A click command that shows how it is called: examples to copy, and what its exit statuses mean."""

    def __init__(
        self,
        *args: Any,
        examples: Sequence[str] = (),
        exit_statuses: Sequence[tuple[str, str]] = (),
        **options: Any,
    ) -> None:
        """
        examples       what follows the command's name in each
        exit_statuses  statuses and their meaning, where the epilog does not have them
        """
        super().__init__(*args, **options)
        self.examples, self.exit_statuses = tuple(examples), tuple(exit_statuses)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The words that are left; an option without its value, or with one too many, is shown in an example."""
        try:
            return super().parse_args(ctx, args)
        except click.BadOptionUsage as error:
            if example := next((one for one in self.examples if error.option_name in one.split()), None):
                error.message = f"{error.message.rstrip('.')}; expected such as `tilesim {self.name} {example}`"
            raise

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        with formatter.section("Examples"):
            # Not wrapped: they are there to be copied.
            for example in self.examples:
                formatter.write(f"{'':{formatter.current_indent}}tilesim {self.name} {example}".rstrip() + "\n")
        if self.exit_statuses:
            with formatter.section("Exit status"):
                formatter.write_dl(self.exit_statuses)


class GroupedCommand(ExampledCommand):
    """A command with many options, which its help has by subject."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_sections(formatter, by_subject(self.records(ctx)))

    def records(self, ctx: click.Context) -> dict[str, Record]:
        """Spelling and help of every option, by the first of its spellings."""
        options = (one for one in self.get_params(ctx) if isinstance(one, click.Option))
        return {one.opts[0]: record for one in options if (record := one.get_help_record(ctx))}


def write_sections(formatter: click.HelpFormatter, sections: Mapping[str, Sequence[Record]]) -> None:
    """Write those that are not empty."""
    for title, rows in sections.items():
        if rows:
            with formatter.section(title):
                formatter.write_dl(rows)


class FileName(click.ParamType):
    """The name of a file or folder, taken as it is; a shell completes it."""

    name = "file"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]


class Flags(FileName):
    """A word of nanoBragg's: a flag, or what follows one."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        if not incomplete.startswith("-"):
            return super().shell_complete(ctx, param, incomplete)
        return flags_beginning(incomplete)


FILE, FLAGS = FileName(), Flags()


def flags_beginning(incomplete: str) -> list[CompletionItem]:
    """The flags of nanoBragg's that a word may become, each with its help."""
    from tilesim.nanobragg.flags import FLAGS as TABLE

    found = {name: flag.help for flag in TABLE for name in flag.names if name.startswith(incomplete)}
    return [CompletionItem(name, help=text) for name, text in found.items()]
