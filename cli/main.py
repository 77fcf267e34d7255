"""The entry point `tilesim`: finds a command's module, and turns errors into one line and an exit status."""

from __future__ import annotations

import os
import signal
import sys
import threading
from importlib import import_module

import click

COMMANDS = {
    "run": "simulate an image from a nanoBragg command line",
    "batch": "simulate a list or grid of experiments from a TOML file",
    "plan": "say what `run` would do, and how long it would take",
    "trace": "print every intermediate value of one pixel, or compare two such logs",
    "example": "write realistic synthetic input and the command to run",
    "noise": "add the noise of beam and detector to images that are there",
    "info": "say what a store holds",
    "preview": "draw a store or image: a PNG, or a page with pan and zoom",
    "pyramid": "add coarser levels to a store, for quick previews",
    "rerun": "compute stored frames again, and compare them",
    "verify": "read a store again and name what is missing or damaged",
    "compare": "compare two images, or two programs run with the same flags",
    "export": "write a stored or float image as SMV, CBF, TIFF, EDF, NXmx, .expt or PNG",
}

LONGEST = 2000
"""Characters of an error, which may hold what somebody typed."""
EXIT_INPUT = 2
EXIT_FAILURE = 1
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


class Commands(click.Group):
    """Commands are imported when they are asked for: start-up time counts."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        from tilesim_cli.arguments import plainly_spelled

        return plainly_spelled(import_module(f"tilesim_cli.{name}").command)

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
    epilog="Say `tilesim run --help` for every flag.",
)
@click.option(
    "-V", "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Versions."
)
def tilesim() -> None:
    """X-ray diffraction images from nanoBragg's own command lines, tiled and distributed."""


class Terminated(BaseException):
    """SIGTERM: what was begun is to be removed as after Ctrl-C."""


def _terminate(*_: object) -> None:
    raise Terminated


def main() -> None:
    """Run the command line; never shows a traceback for what a user can repair."""
    from tilesim.errors import ClusterError, TileError, TilesimError

    try:
        signal.signal(signal.SIGTERM, _terminate)
        status = tilesim(standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        status = error.exit_code
    except click.exceptions.Exit as done:
        status = done.exit_code
    except click.ClickException as error:
        _complain(error.format_message())
        status = error.exit_code
    except (ClusterError, TileError) as error:
        _complain(_with_notes(str(error), error))
        status = EXIT_FAILURE
    except TilesimError as error:
        _complain(_with_notes(str(error), error))
        status = EXIT_INPUT
    except (KeyboardInterrupt, click.Abort) as error:
        _complain(_with_notes("interrupted", error, "nothing was written"))
        status = EXIT_INTERRUPTED
    except Terminated as error:
        _complain(_with_notes("terminated", error, "nothing was written"))
        status = EXIT_TERMINATED
    except OSError as error:
        # Outputs have errors of their own: without a name it is standard output, full or without a reader.
        if not isinstance(error, BrokenPipeError):
            _complain(f"{error.filename or 'cannot write standard output'}: {error.strerror or error}")
        # Nor may Python try again at its end.
        sys.stdout = None
        status = EXIT_FAILURE
    _leave(status)


def _leave(status: int) -> None:
    """Exit at once: threads that still compute a tile nobody wants would keep the process for minutes."""
    if threading.active_count() == 1:
        sys.exit(status)
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.flush()
    os._exit(status or 0)


def _with_notes(text: str, error: BaseException, otherwise: str = "") -> str:
    """What ended the run, and what it says of what is kept."""
    # click makes an Abort of a KeyboardInterrupt, and a second Ctrl-C may have met the first.
    notes, cause = [], error
    while cause is not None and not notes:
        notes, cause = getattr(cause, "__notes__", []), cause.__context__
    return "; ".join(filter(None, (text, *(notes or [otherwise]))))


def _complain(message: str) -> None:
    line = " ".join(message.split())
    if len(line) > LONGEST:
        line = f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}"
    click.echo(f"tilesim: {line}", err=True)


if __name__ == "__main__":
    main()
