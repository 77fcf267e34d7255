"""Ctrl-C and SIGTERM as exceptions that never strike while a module is being imported."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(BaseException):
    """SIGTERM: what was begun is to be removed as after Ctrl-C."""


EXCEPTIONS = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}


def obey() -> None:
    """Have SIGINT raise KeyboardInterrupt and SIGTERM Terminated from now on, unless they are ignored (nohup, `&`).

    In an import either would be lost or mistaken: importlib drops what is raised in its own callbacks, compiled modules
    make an ImportError of any exception, and an ImportError means that an optional library is not there.
    """
    for number in EXCEPTIONS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _raise)


@contextmanager
def held() -> Iterator[None]:
    """Both wait meanwhile: what is raised in callbacks, as modules have them for a fork, would be lost."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, EXCEPTIONS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore() -> None:
    """Ignore both from now on: what is left is to say how it ended."""
    for number in EXCEPTIONS:
        signal.signal(number, signal.SIG_IGN)


def _raise(number: int, frame: FrameType | None) -> None:
    """Raise the exception of a signal, after the import that is in progress where there is one."""
    exception = EXCEPTIONS[signal.Signals(number)]
    sys.unraisablehook = lambda _: None  # objects that it strikes while they are made cannot end properly
    importer = _importer(frame)
    if importer is None:
        raise exception

    def strike(*_: object) -> None:
        raise exception

    # At the next line of the frame whose statement imports: Python calls back where a trace function is set.
    importer.f_trace = strike
    sys.settrace(lambda *_: None)


def _importer(frame: FrameType | None) -> FrameType | None:
    """The frame that waits for the import in progress, the outermost of nested ones; None where there is none."""
    importer = None
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            importer = frame.f_back
        frame = frame.f_back
    return importer
