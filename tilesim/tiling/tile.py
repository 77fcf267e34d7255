"""The tile: a rectangle of pixels of one frame and panel, the unit of work and of storage."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Tile:
    """Absolute, zero-based, half-open pixel ranges: they keep their meaning under any tiling."""

    frame: int
    panel: int
    slow_start: int
    slow_stop: int
    fast_start: int
    fast_stop: int

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (slow, fast)."""
        return (self.slow_stop - self.slow_start, self.fast_stop - self.fast_start)

    @property
    def pixels(self) -> int:
        return self.shape[0] * self.shape[1]

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of this tile in an array (slow, fast) of the whole panel."""
        return (slice(self.slow_start, self.slow_stop), slice(self.fast_start, self.fast_stop))

    def __str__(self) -> str:
        where = f"slow {self.slow_start}:{self.slow_stop} fast {self.fast_start}:{self.fast_stop}"
        return f"tile frame {self.frame} panel {self.panel} {where}"
