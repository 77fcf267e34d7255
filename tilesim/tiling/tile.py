"""The tile: a rectangle of pixels of one panel in one frame or several, the unit of work and of storage."""

from __future__ import annotations

from dataclasses import replace

from tilesim.frozen import frozen


@frozen
class Tile:
    """Absolute, zero-based, half-open pixel ranges: they keep their meaning under any tiling."""

    frame: int
    """The first one"""
    panel: int
    slow_start: int
    slow_stop: int
    fast_start: int
    fast_stop: int
    frames: int = 1
    """So many, one after the other"""

    @property
    def places(self) -> range:
        """The frames."""
        return range(self.frame, self.frame + self.frames)

    def of_frame(self, frame: int) -> Tile:
        """The part in one of the frames."""
        return self if self.frames == 1 else replace(self, frame=frame, frames=1)

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (slow, fast) in a frame."""
        return (self.slow_stop - self.slow_start, self.fast_stop - self.fast_start)

    @property
    def pixels(self) -> int:
        """Pixels in a frame."""
        return self.shape[0] * self.shape[1]

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of this tile in an array (slow, fast) of the whole panel."""
        return (slice(self.slow_start, self.slow_stop), slice(self.fast_start, self.fast_stop))

    def __str__(self) -> str:
        where = f"slow {self.slow_start}:{self.slow_stop} fast {self.fast_start}:{self.fast_stop}"
        frames = f"frame {self.frame}" if self.frames == 1 else f"frames {self.frame}:{self.frame + self.frames}"
        return f"tile {frames} panel {self.panel} {where}"
