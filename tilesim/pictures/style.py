"""matplotlib's own defaults for every picture, whatever a matplotlibrc says of fonts, colours and sizes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def own_style() -> Iterator[None]:
    """Draw and write with the defaults meanwhile; usable as a decorator, too."""
    import matplotlib

    defaults = matplotlib.rcParamsDefault
    with matplotlib.rc_context({name: defaults[name] for name in defaults if not name.startswith("backend")}):
        yield
