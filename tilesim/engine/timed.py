"""Time limits on calls of dask that have none of their own, and what went wrong in one line."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import NoReturn, TypeVar

Made = TypeVar("Made")


def within(seconds: float, make: Callable[[], Made]) -> Made:
    """What `make` gives or raises; TimeoutError where that takes too long.

    dask tries a port of something else again and again, and waits for a stopped worker for ever: no limit of its own
    ends that.
    """
    answer: SimpleQueue[Callable[[], Made]] = SimpleQueue()

    def run() -> None:
        try:
            made = make()
            answer.put(lambda: made)
        except Exception as error:
            answer.put(partial(_raise, error))

    Thread(target=run, name="connect", daemon=True).start()
    try:
        outcome = answer.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"no answer of a dask scheduler in {seconds:g} s") from None
    return outcome()


def _raise(error: Exception) -> NoReturn:
    raise error


def one_line(error: BaseException) -> str:
    """What an error says, or its kind where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
