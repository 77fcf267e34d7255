"""Statistics of an image, gathered tile by tile and merged in tile order (spec intensity 9)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tilesim.compute import Pixels, PixelSums, TileImage, rendered_part
from tilesim.frozen import frozen
from tilesim.kernels.sums import sum_pixels
from tilesim.model import Experiment


@frozen
class Statistics:
    """Sums over the rendered pixels of some tiles; `merge` joins two of them."""

    pixels: int = 0
    """Rendered: inside the region of interest and not masked."""
    mean: float = 0.0
    deviation: float = 0.0
    """Sum of squared deviations from the mean."""
    squares: float = 0.0
    """Sum of the squares, each rounded to float32 as the reference does."""
    maximum: float = 0.0
    """Largest of the float32 pixels; 0 where none is positive."""
    brightest: tuple[int, int] | None = None
    """(slow, fast) of the first pixel in the image that has it."""
    solid_angle: float = 0.0
    """Sum over pixels, layers and sub-pixels, steradian."""
    not_finite: int = 0
    """Pixels that are NaN or infinite."""
    negative: int = 0
    """Pixels below zero."""

    @property
    def total(self) -> float:
        """Photons of all pixels."""
        return self.mean * self.pixels

    @property
    def sound(self) -> bool:
        """Whether all pixels can be counts of photons."""
        return not (self.not_finite or self.negative)

    def merge(self, other: Statistics) -> Statistics:
        """Statistics of both parts (Chan, Golub and LeVeque, 1983)."""
        n = self.pixels + other.pixels
        if n == 0:
            return self
        shift = other.mean - self.mean
        ahead = other.maximum > self.maximum or (
            other.maximum == self.maximum and other.brightest is not None and _earlier(other.brightest, self.brightest)
        )
        top = other if ahead else self
        return Statistics(
            n,
            self.mean + shift * other.pixels / n,
            self.deviation + other.deviation + shift * shift * self.pixels * other.pixels / n,
            self.squares + other.squares,
            top.maximum,
            top.brightest,
            self.solid_angle + other.solid_angle,
            self.not_finite + other.not_finite,
            self.negative + other.negative,
        )


@frozen
class Summary:
    """The reference's figures for a whole image."""

    max_I: float
    max_x: float
    """Metres along the fast axis to the last sub-pixel of the brightest pixel, as max_y along the slow one."""
    max_y: float
    mean: float
    rms: float
    rmsd: float
    solid_angle: float
    """Steradian, divided by the steps as the reference has it."""
    total: float
    """Photons"""
    rendered_pixels: int
    brightest: tuple[int, int] | None
    """(slow, fast)"""


def tile_statistics(
    experiment: Experiment, image: TileImage, sums: Callable[[Pixels], PixelSums] = sum_pixels
) -> Statistics:
    """Statistics of one tile, whose panel is the experiment's only one.

    sums  as `sum_pixels`
    """
    within, active = rendered_part(experiment, image.tile)
    part = image.photons[within]
    values = part.ravel() if active is None else part[active]
    if len(values) == 0:
        return Statistics()
    found = sums(values)
    return Statistics(
        pixels=len(values),
        mean=found.mean,
        deviation=found.deviation,
        squares=found.squares,
        maximum=found.maximum,
        brightest=_place(image, within, active, found.brightest, experiment.shape[0]) if found.maximum > 0 else None,
        solid_angle=image.solid_angle,
        not_finite=found.not_finite,
        negative=found.negative,
    )


def _place(
    image: TileImage, within: tuple[slice, slice], active: np.ndarray | None, number: int, rows: int
) -> tuple[int, int]:
    """(slow, fast) in the image of stacked panels of a tile's rendered pixel, by its number among them."""
    place = number if active is None else int(np.flatnonzero(active)[number])
    slow, fast = divmod(place, within[1].stop - within[1].start)
    top = image.tile.panel * rows
    return top + image.tile.slow_start + within[0].start + slow, image.tile.fast_start + within[1].start + fast


def summarize(experiment: Experiment, statistics: Statistics) -> Summary:
    """The figures that the reference prints, of the rendered pixels.

    Strictly, rmsd counts masked pixels of the region as well, each as the square of the mean (K16), and the solid
    angle, a sum over layers and sub-pixels, is divided by all steps (K17).
    """
    n = statistics.pixels
    m = experiment.region.pixels if experiment.sampling.strict_c else n
    oversample = experiment.sampling.oversample
    angles = experiment.steps if experiment.sampling.strict_c else experiment.layers * oversample**2
    slow, fast = statistics.brightest or (0, 0)
    edge = experiment.detector.panels[slow // experiment.panel_shape[0]].pixel_size / oversample
    at = [edge * (i * oversample + oversample - 1) + edge / 2 if statistics.brightest else 0.0 for i in (fast, slow)]
    deviation = statistics.deviation + (m - n) * statistics.mean**2
    return Summary(
        max_I=statistics.maximum,
        max_x=at[0],
        max_y=at[1],
        mean=statistics.mean,
        rms=math.sqrt(statistics.squares / max(n - 1, 1)),
        rmsd=math.sqrt(deviation / max(m - 1, 1)),
        solid_angle=statistics.solid_angle / angles,
        total=statistics.total,
        rendered_pixels=n,
        brightest=statistics.brightest,
    )


def _earlier(pixel: tuple[int, int], other: tuple[int, int] | None) -> bool:
    return other is None or pixel < other
