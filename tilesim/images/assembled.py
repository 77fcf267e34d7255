"""The images of panels as one image: every pixel of the plane shows the nearest one of a panel, gaps show none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tilesim.geometry.assembly import Assembly
from tilesim.images.pixels import BlockImage, Image
from tilesim.model.sampling import Region


class AssembledImage(BlockImage):
    """Panels on a plane, read where they are wanted; NaN in gaps."""

    def __init__(self, images: Sequence[Image], assembly: Assembly) -> None:
        """images  of all panels, as floats"""
        self.shape = assembly.plane.shape
        self.dtype = images[0].dtype
        self.complete = all(image.complete for image in images)
        self._images, self._assembly = images, assembly
        self._boxes = [assembly.box(n, (0, one.shape[0]), (0, one.shape[1])) for n, one in enumerate(assembly.panels)]

    def block(self, rows: slice, columns: slice) -> np.ndarray:
        """The pixels of a part of the plane."""
        (top, bottom, _), (left, right, _) = (
            part.indices(n) for part, n in zip((rows, columns), self.shape, strict=True)
        )
        pixels = np.full((max(0, bottom - top), max(0, right - left)), np.nan, self.dtype)
        for number, box in enumerate(self._boxes):
            part = Region(
                max(top, box.slow_start),
                min(bottom, box.slow_stop),
                max(left, box.fast_start),
                min(right, box.fast_stop),
            )
            if part.slow_start >= part.slow_stop or part.fast_start >= part.fast_stop:
                continue
            row, column, slow, fast = self._assembly.sources(number, part)
            if slow.size:
                corner = (slow.min(), fast.min())
                read = self._images[number].block(
                    slice(int(corner[0]), int(slow.max()) + 1), slice(int(corner[1]), int(fast.max()) + 1)
                )
                pixels[row - top, column - left] = read[slow - corner[0], fast - corner[1]]
        return pixels
