"""The command `tilesim`: finds a command's module, and turns errors into one line and an exit status."""

from __future__ import annotations

import os
import sys
import warnings
from importlib import import_module

import click
from click.shell_completion import CompletionItem

from tilesim_cli.complaint import complain, obstacle, with_notes
from tilesim_cli.streams import flush_output, steady_streams

COMMANDS = {
    "run": "simulate an image from a nanoBragg command line",
    "batch": "simulate a list or grid of experiments from a TOML file",
    "plan": "say what `run` would do, and how long it would take",
    "trace": "print every intermediate value of one pixel, or compare two such logs",
    "example": "write realistic synthetic input and the command to run",
    "detectors": "list the detectors that are known by name",
    "refine": "fit orientation, cell, panels, ... to measured images",
    "background": "measure the scattering curve of what is in the beam",
    "noise": "add the noise of beam and detector to images that are there",
    "info": "say what a store holds",
    "preview": "draw a store or image: a PNG, or a page for a browser",
    "pyramid": "add coarser levels to a store, for quick previews",
    "truth": "tables of the reflections and labels of stored shots",
    "rerun": "compute stored frames again, and compare them",
    "verify": "read a store again and name what is missing or damaged",
    "compare": "compare two images, or two programs run with the same flags",
    "nb-compare": "the same, with the options and results of nb-compare",
    "corrections": "say where images and files depart from nanoBragg's, and why",
    "export": "write a stored or float image as SMV, CBF, TIFF, EDF, NXmx, CXI, .expt or PNG",
    "serve": "stay there to run small commands sooner",
    "completion": "completion for bash, zsh and fish",
    "help": "print the help of a command, or a page of the documentation",
}

COMPLETE = "_TILESIM_COMPLETE"
"""Variable by which a shell asks for completions."""
EXIT_INPUT = 2
EXIT_FAILURE = 1


class Commands(click.Group):
    """Commands are imported when they are asked for: start-up time counts."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        from tilesim_cli.arguments import plainly_spelled

        return plainly_spelled(import_module(f"tilesim_cli.{name.replace('-', '_')}").command)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _print_version(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from importlib.metadata import version

    from tilesim import __version__

    used = (f"{name} {version(name)}" for name in ("torch", "dask", "zarr", "numpy"))
    click.echo(", ".join((f"tilesim {__version__}", *used)))
    ctx.exit()


# Commands inherit the short form; run and plan, whose words are nanoBragg's, take it only alone.
@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Say `tilesim help run` for every flag, `tilesim completion --help` for completion in your shell.",
)
@click.option(
    "-V", "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Versions."
)
def tilesim() -> None:
    """X-ray diffraction images from nanoBragg's own command lines, tiled and distributed."""


def run() -> int:
    """Run the command that the arguments name, and give its exit status; errors become one line."""
    steady_streams()
    status = _status()
    try:
        flush_output()
    except OSError as error:
        status = status or _output_failed(error)
    return status


def _status() -> int:
    """The exit status of the command; an error is one line on standard error."""
    from tilesim.errors import ClusterError, TileError, TilesimError
    from tilesim_cli.environment import check_settings

    if COMPLETE in os.environ:
        from tilesim_cli.shells import answer_by_these

        answer_by_these()
    try:
        check_settings()
        return tilesim(standalone_mode=False, complete_var=COMPLETE) or 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return error.exit_code
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        complain(error.format_message())
        return error.exit_code
    except click.Abort as error:
        raise KeyboardInterrupt from error
    except (ClusterError, TileError) as error:
        complain(with_notes(str(error), error))
        return EXIT_FAILURE
    except TilesimError as error:
        complain(with_notes(str(error), error))
        return EXIT_INPUT
    except OSError as error:
        return _output_failed(error)
    except (MemoryError, ImportError, RuntimeError, ValueError) as error:
        if not (reason := obstacle(error)):
            raise
        warnings.simplefilter("ignore")  # of what was begun and cannot be finished now
        complain(with_notes(reason, error))
        return EXIT_FAILURE


def _output_failed(error: OSError) -> int:
    """Say that standard output is full, where it has a reader; outputs have errors of their own, which name them."""
    if not isinstance(error, BrokenPipeError):
        complain(f"{error.filename or 'cannot write standard output'}: {error.strerror or error}")
    # Nor may Python try again at its end.
    sys.stdout = None
    return EXIT_FAILURE
