"""Standard output and error that are closed, full, or of few characters."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any, TextIO


def steady_streams() -> None:
    """Make standard output and error take any name, and errors that nobody can read end no run.

    A descriptor below 3 that is closed is opened on nothing: the next file would get its number, and what libraries
    print would go into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    if sys.stderr is not None and not isinstance(sys.stderr, Unfailing):
        sys.stderr = Unfailing(sys.stderr)  # type: ignore[assignment]


def flush_output() -> None:
    """Write what is left for standard output. Raises OSError, after which Python does not try again at its end."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        sys.stdout = None  # type: ignore[assignment]
        raise


class Unfailing:
    """A text stream whose failures to write are nobody's concern; the rest is that of the stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write text, if that is possible."""
        with contextlib.suppress(OSError):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is left, if that is possible."""
        with contextlib.suppress(OSError):
            self._stream.flush()
