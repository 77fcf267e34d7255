"""Projections of frames along their series: the maximum and the sum of every block."""

from __future__ import annotations

import numpy as np

from tilesim.pictures.view import MEAN, View


class Projections:
    """Maximum and sum of views of one region, as they come; pixels without a value are in neither."""

    def __init__(self) -> None:
        self._first: View | None = None
        self._maxima = self._sums = np.empty((0, 0))
        self._there = np.empty((0, 0), bool)
        self._frames = 0
        self.alike = True
        """Whether all frames cover the same pixels: otherwise there is nothing to project."""

    def add(self, view: View) -> None:
        """Take the view of one more frame."""
        if self._first is None:
            self._first, shape = view, view.blocks.shape
            self._maxima, self._sums, self._there = np.full(shape, np.nan), np.zeros(shape), np.zeros(shape, bool)
        if (view.region, view.factor, view.reduced) != (self._first.region, self._first.factor, self._first.reduced):
            self.alike = False
        if not self.alike or not np.isfinite(view.blocks).any():
            return
        there = ~np.isnan(view.means)
        self._maxima = np.fmax(self._maxima, view.blocks)
        self._sums += np.where(there, view.means, 0.0)
        self._there |= there
        self._frames += 1

    @property
    def described(self) -> str:
        """What they are, in words."""
        if not self.views:
            return "No maximum and sum: these take two frames with pixels, all of the same."
        one = self._first
        blocks = f", the sum one of means of {one.factor} x {one.factor} pixels" if one and one.factor > 1 else ""
        return f"Maximum and sum are those of {self._frames} frames{blocks}; a pixel that a frame lacks is in neither."

    @property
    def views(self) -> dict[str, tuple[str, View]]:
        """What each shows, and its view, by "maximum" and "sum"; none where nothing can be projected."""
        if self._first is None or not self.alike or self._frames < 2:
            return {}
        one = self._first
        sums = np.where(self._there, self._sums, np.nan)
        return {
            "maximum": (
                f"maximum of {self._frames} frames",
                View(self._maxima, one.region, one.factor, one.reduced, one.units),
            ),
            "sum": (f"sum of {self._frames} frames", View(sums, one.region, one.factor, MEAN, one.units)),
        }
