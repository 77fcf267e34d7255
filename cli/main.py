"""The entry point `tilesim`: obeys signals from its first moment on, and leaves with an exit status."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from contextlib import suppress

from tilesim_cli import signals
from tilesim_cli.environment import settle

EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143
MADE_BY_IMPORTS = 50_000
"""Objects that may hold others which the imports of a run leave, or a few more."""


def main() -> None:
    """Run the command line; never shows a traceback for what a user can repair."""
    _finish(_anywhere)


def here() -> None:
    """Run the command line in this process, whatever TILESIM_SERVER says."""
    _finish(_here)


def _finish(command: Callable[[], int]) -> None:
    """Leave with the status of a command, or with that of the signal that ends it."""
    signals.obey()
    settle()
    _spare_imports()
    try:
        try:
            status = command()
        finally:
            signals.ignore()
    except KeyboardInterrupt as error:
        _complain("interrupted", error)
        status = EXIT_INTERRUPTED
    except signals.Terminated as error:
        _complain("terminated", error)
        status = EXIT_TERMINATED
    _leave(status)


def _spare_imports() -> None:
    """Look for garbage when imports have made their objects, all of which stay, and as usual from then on."""
    usual = gc.get_threshold()
    if usual[0] >= MADE_BY_IMPORTS:
        return

    def as_usual(*_: object) -> None:
        gc.set_threshold(*usual)
        gc.callbacks.remove(as_usual)

    gc.callbacks.append(as_usual)
    gc.set_threshold(MADE_BY_IMPORTS)


def _anywhere() -> int:
    """Exit status of the command, which the server runs where there is one that can (docs/server.md)."""
    if os.environ.get("TILESIM_SERVER"):
        from tilesim_cli.handover import handed_over

        status = handed_over()
        if status is not None:
            return status
    return _here()


def _here() -> int:
    from tilesim_cli.program import run

    return run()


def nb_compare() -> None:
    """Run the entry point `nb-compare`: the command of this name."""
    sys.argv[:1] = ["tilesim", "nb-compare"]
    main()


def _complain(what: str, error: BaseException) -> None:
    """One line on standard error: what ended the run, and what is kept."""
    from tilesim_cli.complaint import complain, with_notes

    complain(with_notes(what, error, "nothing was written"))


def _leave(status: int) -> None:
    """Exit at once: Python would take its modules apart, and wait for threads that compute a tile nobody wants."""
    import threading

    for stream in (sys.stdout, sys.stderr):
        # Standard output was flushed where a failure can be told of; here it takes what it can.
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
    if "multiprocessing.resource_tracker" in sys.modules and threading.active_count() == 1:
        sys.exit(status)  # gives back what worker processes shared
    os._exit(status)


if __name__ == "__main__":
    main()
