"""Progress of a run: a bar with rate and time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

ECHO_ROOM = 5
"""Columns for two echoes of Ctrl-C and the cursor; a bar that wraps is drawn twice."""


@contextmanager
def progress(tiles: int, steps: int, wanted: bool) -> Iterator:
    """Yields a function to call with each tile's report; writes to standard error."""
    if not wanted:
        yield lambda report: None
    elif sys.stderr.isatty():
        with _bar(tiles, steps) as advance:
            yield advance
    else:
        yield _lines(tiles, steps)


@contextmanager
def _bar(tiles: int, steps: int) -> Iterator:
    from rich.console import Console, ConsoleDimensions
    from rich.progress import (
        BarColumn,
        Progress,
        ProgressColumn,
        TaskProgressColumn,
        TextColumn,
    )
    from rich.text import Text

    class Narrower(Console):
        """A terminal whose last columns stay free: a ^C that it echoes there must not wrap onto another line."""

        @property
        def size(self) -> ConsoleDimensions:
            width, height = super().size
            return ConsoleDimensions(max(1, width - ECHO_ROOM), height)

    class Clock(ProgressColumn):
        """Time so far and time left, without hours while there are none: the bar needs the room."""

        max_refresh = 0.5

        def render(self, task) -> Text:
            past = task.finished_time if task.finished else task.elapsed
            return Text(f"{_clock(past)} left {_clock(task.time_remaining)}")

    columns = (
        TextColumn("simulating"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f} tiles"),
        TextColumn("{task.fields[rate]}"),
        Clock(),
    )
    with Progress(*columns, console=Narrower(stderr=True)) as bar:
        task = bar.add_task("", total=tiles, rate="")
        start, done = perf_counter(), 0

        def advance(report) -> None:
            nonlocal done
            done += 1
            bar.update(task, advance=1, rate=_rate(steps * done / tiles, perf_counter() - start))

        yield advance


def _clock(seconds: float | None) -> str:
    """m:ss, or h:mm:ss from an hour on."""
    if seconds is None:
        return "-:--"
    minutes, rest = divmod(max(0, int(seconds)), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def _lines(tiles: int, steps: int):
    start, done, said = perf_counter(), 0, 0

    def advance(report) -> None:
        nonlocal done, said
        done += 1
        percent = 100 * done // tiles
        if percent // 10 > said // 10:
            said = percent
            seconds = perf_counter() - start
            left = seconds * (tiles - done) / done
            rate = _rate(steps * done / tiles, seconds)
            print(f"{percent}% done ({done} of {tiles} tiles, {rate}, {left:.0f} s left)", file=sys.stderr, flush=True)

    return advance


def _rate(steps: float, seconds: float) -> str:
    return f"{steps / max(seconds, 1e-9) / 1e6:.1f} M steps/s"


@contextmanager
def counting(verb: str, total: int, what: str, wanted: bool) -> Iterator:
    """Yields a function to call after each of `total` things; shows a bar on a terminal, nothing elsewhere."""
    if not wanted or total < 2 or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(verb), BarColumn(), MofNCompleteColumn(), TextColumn(what), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)
