"""Telling tilesim's own double-dash options from nanoBragg's flags, which may stand in any order."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import CompletionItem

from tilesim_cli.arguments import LONGEST
from tilesim_cli.command import FILE, GroupedCommand, flags_beginning, write_sections
from tilesim_cli.groups import FIRST, by_subject

WORDS = "tilesim.words"
"""Where a context keeps the words before the one that a shell completes."""
BATCH = ".toml"
"""Ending of batch files."""
EXAMPLES = (
    "-hkl P1.hkl -mat A.mat -distance 100 -N 5 -floatfile out.bin",
    "-default_F 100 -cell 78 78 38 90 90 90 -N 5 --preview out.png",
    "-hkl P1.hkl -mat A.mat -osc 1 -phisteps 10 -N 5 --zarr out.zarr",
    "--model model.pdb -lambda 0.98 -distance 200 -misset 10 20 30 -N 10 -floatfile out.bin",
)
EXIT_STATUSES = (
    ("0", "done"),
    ("1", "something is missing: a tile failed, the cluster was lost, standard output could not be written"),
    ("2", "bad input, or an output that cannot be written"),
    ("130, 143", "interrupted (Ctrl-C), terminated; no file is half written, and a store can be resumed"),
)


class MixedCommand(GroupedCommand):
    """A click command whose words that are not its own options are nanoBragg's; they go to `ctx.args`.

    click must not see those: it would take -lambda for -l -a -m ... A bare -- may stand between.
    """

    def __init__(self, *args: Any, first: tuple[str, ...] = FIRST, **options: Any) -> None:
        """
        first  flags and options that its help begins with
        """
        super().__init__(*args, **{"examples": EXAMPLES, "exit_statuses": EXIT_STATUSES, **options})
        self.first = first

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if ctx.resilient_parsing:
            # A shell completes a line that is not finished: nothing of it is an error.
            ctx.meta[WORDS] = list(args)
            return super().parse_args(ctx, [])
        if args == ["-h"]:
            args = ["--help"]
        own, others = self.split(ctx, args)
        super().parse_args(ctx, own)
        if others and others[0].endswith(BATCH):
            batch = f"tilesim batch {others[0][:LONGEST]}"
            raise click.UsageError(
                f"expected a flag; found {others[0][:LONGEST]!r}, a batch file: `{batch}` runs it, `{batch} --dry-run` "
                "says what would be done",
                ctx=ctx,
            )
        unknown = [word for word in others if word.startswith("--")]
        if unknown and not ctx.params.get("strict_c"):
            name = unknown[0].partition("=")[0][:LONGEST]
            near = _flag_meant(name) or _similar(name, self._options())
            raise click.NoSuchOption(name, possibilities=near, ctx=ctx)
        ctx.args = others
        return others

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options that matter most, all options by subject, then nanoBragg's flags by theirs."""
        from tilesim.nanobragg.flags import flag_help

        flags = flag_help()
        own = self.records(ctx)
        known = own | {
            spelling.split()[0].rstrip(","): (spelling, text) for _, rows in flags for spelling, text in rows
        }
        most = [known[_listed(name, known)] for name in self.first]
        write_sections(formatter, {"Options that matter most": most, **by_subject(own)})
        used = {f"nanoBragg flags: {title}": [row for row in rows if not _idle(row)] for title, rows in flags}
        idle = [row for _, rows in flags for row in rows if _idle(row)]
        without = "nanoBragg flags without effect, accepted so that its command lines run"
        write_sections(formatter, {**used, without: idle})

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """What the word may become: an option or flag, or a file behind a flag that names one."""
        words = ctx.meta.get(WORDS, ())
        if incomplete.startswith("-"):
            own = super().shell_complete(ctx, incomplete)
            return [one for one in own if one.value not in words] + flags_beginning(incomplete)
        if not words or not _names_a_file(words[-1]):
            return []
        return FILE.shell_complete(ctx, click.Argument(["word"]), incomplete)

    def _options(self) -> dict[str, int]:
        """Every spelling of an option of ours, and how many values follow."""
        options = {"--help": 0}
        for parameter in self.params:
            if isinstance(parameter, click.Option):
                options |= {
                    name: 0 if parameter.is_flag else parameter.nargs
                    for name in (*parameter.opts, *parameter.secondary_opts)
                }
        return options

    def split(self, ctx: click.Context, args: list[str]) -> tuple[list[str], list[str]]:
        """The words that are ours, with their values, and nanoBragg's. Raises UsageError."""
        options, own, others = self._options(), [], []
        words = iter(args)
        for word in words:
            name, assigned, value = word.partition("=")
            if name not in options:
                others += [word] if word != "--" else []
                continue
            own.append(word)
            values = [value] if assigned else []
            while len(values) < options[name]:
                value = next(words, "")
                # The next flag is no value: nobody wants a file of that name.
                if value.startswith("-") and value != "-" and not _is_number(value):
                    raise click.BadOptionUsage(
                        name, f"{name} needs {_many(options[name])}; found {value[:LONGEST]!r}", ctx=ctx
                    )
                own.append(value)
                values.append(value)
                if not value:
                    break
            if options[name] and not all(values):
                raise click.BadOptionUsage(name, f"{name} needs {_many(options[name])}", ctx=ctx)
        return own, others


def _many(values: int) -> str:
    return "a value" if values == 1 else f"{values} values"


def _listed(name: str, known: dict[str, tuple[str, str]]) -> str:
    """The spelling by which a flag or option is listed: in help -mat is -mat[rix]."""
    return next(one for one in known if one == name or one.partition("[")[0] == name)


def _names_a_file(word: str) -> bool:
    """Whether a word is a flag of nanoBragg's whose value is a file."""
    from tilesim.nanobragg.flags import FLAGS
    from tilesim.nanobragg.values import Kind

    return any(one.kind == Kind.FILE for row in FLAGS if word in row.names for one in row.takes)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _idle(flag: tuple[str, str]) -> bool:
    """Whether a flag, (spelling, help), changes nothing at all."""
    return flag[1].startswith("no effect")


def _similar(word: str, options: dict[str, int]) -> list[str]:
    from difflib import get_close_matches

    return get_close_matches(word, options)


def _flag_meant(word: str) -> list[str]:
    """The flag of nanoBragg's, which have one dash, that somebody wrote with two."""
    from tilesim.nanobragg.flags import FLAGS

    flag = word[1:]
    return [flag] if any(flag == name for row in FLAGS for name in row.names) else []
