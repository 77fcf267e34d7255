"""Adding up the figures of a frame in one order, in whatever order its tiles are finished."""

from __future__ import annotations

from typing import Generic, TypeVar

from tilesim.engine.task import Figures

F = TypeVar("F", bound=Figures)


class Tally(Generic[F]):
    """Sums over `count` tiles along a fixed binary tree: the same to the last bit for any order of arrival.

    Only subtrees with unfinished neighbours are kept, so memory follows the tiles in flight, not those done.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._parts: dict[tuple[int, int], F] = {}
        self.added = 0

    @property
    def complete(self) -> bool:
        return self.added == self._count

    @property
    def total(self) -> F:
        """The figures of all tiles; only where it is complete."""
        [total] = self._parts.values()
        return total

    def add(self, number: int, figures: F) -> None:
        """Take in tile `number` (0 to count - 1), once."""
        self.added += 1
        level, place = 0, number
        while (1 << level) < self._count:
            left, right = (level, place & ~1), (level, place | 1)
            # At the ragged end there may be no right neighbour at all.
            if right[1] << level < self._count:
                other = self._parts.pop(left if place & 1 else right, None)
                if other is None:
                    break
                figures = other.merge(figures) if place & 1 else figures.merge(other)
            level, place = level + 1, place >> 1
        self._parts[level, place] = figures
