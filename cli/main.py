"""The entry point `tilesim`: obeys signals from its first moment on, and leaves with an exit status."""

from __future__ import annotations

import os
import sys

from tilesim_cli import signals
from tilesim_cli.environment import settle

EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


def main() -> None:
    """Run the command line; never shows a traceback for what a user can repair."""
    signals.obey()
    settle()
    try:
        try:
            from tilesim_cli.program import run

            status = run()
        finally:
            signals.ignore()
    except KeyboardInterrupt as error:
        _complain("interrupted", error)
        status = EXIT_INTERRUPTED
    except signals.Terminated as error:
        _complain("terminated", error)
        status = EXIT_TERMINATED
    _leave(status)


def nb_compare() -> None:
    """Run the entry point `nb-compare`: the command of this name."""
    sys.argv[:1] = ["tilesim", "nb-compare"]
    main()


def _complain(what: str, error: BaseException) -> None:
    """One line on standard error: what ended the run, and what is kept."""
    from tilesim_cli.complaint import complain, with_notes

    complain(with_notes(what, error, "nothing was written"))


def _leave(status: int) -> None:
    """Exit at once: threads that still compute a tile nobody wants would keep the process for minutes."""
    import threading

    if threading.active_count() == 1:
        sys.exit(status)
    # Standard output was flushed where that can be told of; standard error takes what it can.
    if sys.stderr is not None:
        sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
