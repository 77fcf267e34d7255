"""What a run made, and what it could not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tilesim.engine.statistics import Summary
from tilesim.frozen import frozen
from tilesim.model.noun import counted
from tilesim.series.frames import Frame


@frozen
class Missing:
    """What could not be done."""

    frame: int
    what: str
    why: str


@dataclass
class FrameResult:
    """What became of one frame."""

    frames: Sequence[Frame]
    """The series that it is one of"""
    place: int = 0
    """Which one, counted from 0"""
    summary: Summary | None = None
    """None where tiles are missing."""
    lines: tuple[str, ...] = ()
    """The reference's report on it (spec files 9, items 23 to 30)."""
    files: tuple[str, ...] = ()

    @property
    def frame(self) -> Frame:
        """The frame, made again each time: there may be a hundred thousand."""
        return self.frames[self.place]


@frozen(repr=False)
class Results:
    """What a run made."""

    frames: tuple[FrameResult, ...]
    stores: tuple[str, ...] = ()
    missing: tuple[Missing, ...] = ()
    seconds: float = 0.0
    """Seconds of computing, reading back and storing tiles."""
    computed: int = 0
    """Tiles"""
    restored: int = 0
    """Tiles that were in the store already."""
    dtypes: tuple[str, ...] = ()
    """Type of the terms that were summed, as the tiles report it."""
    workers: int = 0
    """That did at least one tile; 0 where this process did all."""
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        files = sum(len(one.files) for one in self.frames)
        rows = [
            f"{counted(len(self.frames), 'frame')} in {self.seconds:.3g} s",
            f"{counted(self.computed, 'tile')} computed, {self.restored} restored",
            *([f"stores: {', '.join(self.stores)}"] if self.stores else []),
            *([counted(files, "file")] if files else []),
            *([f"{len(self.missing)} missing, the first: {self.missing[0].why}"] if self.missing else []),
        ]
        return "\n".join(["Results", *(f"  {row}" for row in rows)])
