"""The one line on standard error that says why a command ended."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress

LONGEST = 2000
"""Characters of a message, which may hold what somebody typed."""
REFUSED = ("failed to map segment from shared object", "Cannot allocate memory", "Too many open files")
"""Ends of the dynamic linker's messages where a limit of the system kept it from loading a library."""


def with_notes(text: str, error: BaseException, otherwise: str = "") -> str:
    """What ended the run, and what it says of what is kept."""
    # click makes an Abort of a KeyboardInterrupt, and a second Ctrl-C may have met the first.
    notes = next(filter(None, (getattr(link, "__notes__", []) for link in _links(error))), [otherwise])
    return "; ".join(filter(None, (text, *notes)))


def obstacle(error: BaseException) -> str:
    """What ended a run from outside: a limit of memory, threads or open files, a malformed file of settings.

    Empty where it is something else.
    """
    if isinstance(error, MemoryError):
        return (
            f"memory does not suffice{f' ({error})' if str(error) else ''}; free some, or raise its limit (ulimit -v)"
        )
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return "no further thread can be started; raise the limit of memory or of processes (ulimit -v, ulimit -u)"
    if isinstance(error, ImportError):
        reasons = [line for link in _links(error) for line in str(link).splitlines() if line.endswith(REFUSED)]
        return f"cannot load what it takes: {reasons[-1]}" if reasons else ""
    # dask's and zarr's words of a file in ~/.config
    return (
        str(error).splitlines()[0].partition(", original")[0]
        if isinstance(error, ValueError) and "config file at" in str(error)
        else ""
    )


def _links(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came from, back to the first."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def complain(message: str) -> None:
    """Print one line, where there is a standard error that takes it."""
    line = " ".join(message.split())
    if len(line) > LONGEST:
        line = f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}"
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            print(f"tilesim: {line}", file=sys.stderr, flush=True)
