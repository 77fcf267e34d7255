"""Progress of a run: a bar with rate and time left on a terminal or in a notebook, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

Share = Callable[[object], float]
"""Work of a tile, by its report."""
ECHO_ROOM = 5
"""Columns for two echoes of Ctrl-C and the cursor; a bar that wraps is drawn twice."""
RECENT_SECONDS = 60.0
"""How far back the rate looks: workers come and go."""


class Pace:
    """Rate and time left by the tiles computed lately: those that were only read back from a store are fast."""

    def __init__(self, tiles: int, amount: float, unit: str, share: Share | None = None) -> None:
        """
        amount  work of all tiles together
        unit    of millions of it, such as steps; empty where it is the tiles themselves
        share   work of one of them; None: all have the same
        """
        self.tiles, self.done = tiles, 0
        self._share, self._unit = share or (lambda report: amount / tiles), unit
        self._remaining, self._computed = amount, 0.0
        self._recent = deque([(perf_counter(), 0.0)])
        """Times, and the work computed until then."""
        self._longest = 0.0
        """Longest wait for a tile."""

    def add(self, report: object) -> None:
        """Count one more tile, by its report."""
        now, work = perf_counter(), self._share(report)
        self.done, self._remaining = self.done + 1, self._remaining - work
        # A failure has no such field, and cost time.
        if not getattr(report, "restored", False):
            self._computed += work
            self._longest = max(self._longest, now - self._recent[-1][0])
            self._recent.append((now, self._computed))
        elif not self._computed:
            self._recent[0] = (now, 0.0)
        while len(self._recent) > 2 and now - self._recent[1][0] > RECENT_SECONDS:
            self._recent.popleft()

    @property
    def _each_second(self) -> float:
        """Work per second, lately. It falls where nothing comes for longer than ever: workers may be lost."""
        (since, before), (last, computed) = self._recent[0], self._recent[-1]
        return (computed - before) / max(max(last, perf_counter() - self._longest) - since, 1e-9)

    @property
    def rate(self) -> str:
        """Work per second; empty while nothing was computed."""
        if not self._computed:
            return ""
        return f"{self._each_second / 1e6:.1f} M {self._unit}/s" if self._unit else f"{self._each_second:.3g}/s"

    @property
    def left(self) -> float | None:
        """Seconds until all tiles are done, if no more of them are read back; None while hardly any work was done."""
        if self.done == self.tiles:
            return 0.0
        # The first tiles of an uneven batch may be so light that their rate is that of the start.
        return max(0.0, self._remaining) / self._each_second if self._computed > self._remaining / 1000 else None


@contextmanager
def progress(
    tiles: int,
    amount: float,
    wanted: bool,
    verb: str = "simulating",
    unit: str = "steps",
    lines: bool = True,
    crew: Callable[[], str] = lambda: "",
    share: Share | None = None,
) -> Iterator[Callable[[object], None]]:
    """Yields a function to call with each tile's report; writes to standard error.

    amount  work of all tiles together, in `unit`
    lines   whether plain lines are written where there is neither terminal nor notebook
    crew    who computes, as text; empty for this process
    share   work of one tile; None: all have the same
    """
    if not wanted:
        yield lambda report: None
    elif shows_bars():
        with _bar(Pace(tiles, amount, unit, share), verb, crew) as advance:
            yield advance
    else:
        yield _lines(Pace(tiles, amount, unit, share), crew) if lines else lambda report: None


@contextmanager
def counting(verb: str, total: int, what: str, wanted: bool) -> Iterator[Callable[[], None]]:
    """Yields a function to call after each of `total` things; shows a bar that goes at the end, nothing elsewhere."""
    if not wanted or total < 2 or not shows_bars():
        yield lambda: None
        return
    with _bar(Pace(total, total, ""), verb, lambda: "", what, transient=True) as advance:
        yield lambda: advance(None)


@contextmanager
def waiting(what: str, wanted: bool) -> Iterator[None]:
    """Show on a terminal what is waited for, and for how long already, until the block ends."""
    if not wanted or not shows_bars():
        yield
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn(what), TimeElapsedColumn())
    with Progress(*columns, console=_console(), transient=True) as bar:
        bar.add_task("", total=None)
        yield


def shows_bars() -> bool:
    """Whether standard error is a terminal, or this is a notebook."""
    return in_notebook() or (sys.stderr is not None and sys.stderr.isatty())


def in_notebook() -> bool:
    """Whether the code runs in a cell of Jupyter."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return type(shell).__name__ == "ZMQInteractiveShell"


def _console() -> Console:
    """Standard error, whose last columns stay free: a ^C that a terminal echoes must not wrap onto another line."""
    from rich.console import Console, ConsoleDimensions

    class Narrower(Console):
        @property  # type: ignore[misc]
        def size(self) -> ConsoleDimensions:
            width, height = super().size
            return ConsoleDimensions(max(1, width - ECHO_ROOM), height)

    return Console() if in_notebook() else Narrower(stderr=True)


@contextmanager
def _bar(
    pace: Pace, verb: str, crew: Callable[[], str], what: str = "tiles", transient: bool = False
) -> Iterator[Callable[[object], None]]:
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        """Work per second."""

        max_refresh = 0.5

        def render(self, task: Task) -> Text:
            return Text(pace.rate)

    class Clock(ProgressColumn):
        """Time so far and time left, without hours while there are none: the bar needs the room."""

        max_refresh = 0.5

        def render(self, task: Task) -> Text:
            past = task.finished_time if task.finished else task.elapsed
            return Text(f"{_clock(past)} left {_clock(pace.left)}")

    class Bar(Progress):
        """With a line on who computes below."""

        def get_renderables(self) -> Iterator[RenderableType]:
            yield from super().get_renderables()
            if self.tasks and (who := crew()):
                yield Text(f"on {who}", no_wrap=True, overflow="ellipsis")

    columns: tuple[Any, ...] = (
        TextColumn(verb),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn(f"{{task.completed:.0f}}/{{task.total:.0f}} {what}"),
        Rate(),
        Clock(),
    )
    with Bar(*columns, console=_console(), transient=transient) as bar:
        task = bar.add_task("", total=pace.tiles)

        def advance(report: object) -> None:
            pace.add(report)
            bar.update(task, advance=1)

        yield advance


def _clock(seconds: float | None) -> str:
    """m:ss, or h:mm:ss from an hour on."""
    if seconds is None:
        return "-:--"
    minutes, rest = divmod(max(0, int(seconds)), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def _lines(pace: Pace, crew: Callable[[], str]) -> Callable[[object], None]:
    said = 0

    def advance(report: object) -> None:
        nonlocal said
        pace.add(report)
        percent = 100 * pace.done // pace.tiles
        if percent // 10 > said // 10:
            said = percent
            left = f"left {_clock(pace.left)}" if pace.rate and pace.left is not None else ""
            how = ", ".join(filter(None, (pace.rate or "all read back", left, crew())))
            print(f"{percent}% done ({pace.done} of {pace.tiles} tiles, {how})", file=sys.stderr, flush=True)

    return advance
