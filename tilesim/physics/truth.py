"""The truth of a pixel: its diffracted photons with their mean wavelength and mean Miller indices.

The sum is that of `intensity.photons`; an onlooker adds up what its terms are of.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from tilesim.physics.intensity import (
    Cell,
    KernelSetup,
    PixelList,
    Ray,
    Wave,
    photons,
    sweep,
    times_oversampled,
)
from tilesim.physics.lattice import miller_indices, nearest_node


def truth(setup: KernelSetup, pixels: PixelList) -> Tensor:
    """Photons without background, mean wavelength in metres, mean h, k, l: (5, n) float64.

    Means are weighted with photons, NaN where there are none. The Miller indices are those of the node nearest to each
    evaluation: whole numbers where a pixel has photons of one reflection.
    """
    seen = _Onlooker(setup, pixels)
    photons(setup, pixels, partial(sweep, watch=seen.watch), seen.watch)
    means = torch.where(seen.sum > 0, seen.totals / seen.sum, torch.nan)
    return torch.cat([seen.scaled[None], means])


class _Onlooker:
    """The sums of photons times wavelength, h, k, l, beside the sum of photons that it looks at."""

    def __init__(self, setup: KernelSetup, pixels: PixelList) -> None:
        self._setup = setup
        self._nothing = pixels.slow.new_zeros(4, len(pixels.slow))
        self.totals = self._layer = self._nothing
        self._grain = self._wave = self._nothing[1:]
        self.sum = self.scaled = self._nothing[0]

    def watch(self, event: str, *values: object) -> None:
        """As `tilesim.physics.watch.Watch`."""
        if (see := getattr(self, f"_see_{event}", None)) is not None:
            see(*values)

    def _see_ray(self, ray: Ray) -> None:
        self._ray = ray

    def _see_polarization(self, factor: Tensor, polar: Tensor) -> None:
        self._factor, self._wave = factor, self._nothing[1:]

    def _see_evaluation(self, wave: Wave, number: int, cell: Cell, allowed: Tensor | None, value: Tensor) -> None:
        node = torch.stack(nearest_node(miller_indices(wave.q, cell)))
        self._grain, self._seen = self._grain + node * value, wave

    def _see_grain(self, weight: float) -> None:
        self._wave, self._grain = self._wave + self._grain * weight, self._nothing[1:]

    def _see_term(self, term: Tensor) -> None:
        wave, setup = self._seen, self._setup
        indices = self._wave if wave.accepted is None else torch.where(wave.accepted, self._wave, 0.0)
        indices = times_oversampled(setup, indices * setup.weights[wave.source], self._ray, self._factor)
        self._layer = self._layer + torch.cat([(term * setup.wavelengths[wave.source])[None], indices])

    def _see_layer(self, layer_sum: Tensor, total: Tensor) -> None:
        captured = self._layer if self._setup.oversample_thick else self._layer * self._ray.capture
        self.totals, self._layer = self.totals + captured, self._nothing

    def _see_sum(self, total: Tensor) -> None:
        self.sum = total

    def _see_scaled(self, total: Tensor) -> None:
        self.scaled = total
