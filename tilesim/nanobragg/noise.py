"""The reference's noise image, replayed draw by draw over a finished float image (spec noise 3, 7)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch

from tilesim.model.sampling import Region
from tilesim.nanobragg.draws import Draws, Stream, single
from tilesim.physics.poisson import noise_pixels

_REJECTION_FROM = 12.0
_NORMAL_ABOVE = 1e6
_LANCZOS = (
    76.18009172947146,
    -86.50532032941677,
    24.01409824083091,
    -1.231739572450155,
    0.001208650973866179,
    -0.000005395239384953,
)


class NoiseReplay:
    """Noise images from one sequential stream; `photons` and `overloads` add up as pixels are drawn.

    region    pixels that draw; the others are 0
    adc       offset added to every pixel of the region
    seed      noise seed, internal sign
    snapshot  the shared state that the orientation draws left behind (`Draws.snapshot`)
    """

    def __init__(self, region: Region, adc: float, seed: int, snapshot: Sequence[int]) -> None:
        self.photons = 0.0
        """Counts so far, before offset and clipping."""
        self.overloads = 0
        """Pixels so far above 65535."""
        self._region = region
        self._adc = adc
        self._deviates = Deviates(Draws.restore(snapshot).stream(seed))

    def bands(self, bands: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Noise pixels of one image, band by band.

        bands   (rows, fast) float32 expected photons: together the whole image, in image order
        yields  (rows, fast) uint16

        A second image continues the stream where the first one left it.
        """
        region = self._region
        columns = slice(region.fast_start, region.fast_stop)
        top = 0
        for band in bands:
            inside = slice(max(0, region.slow_start - top), max(0, region.slow_stop - top))
            noisy = np.zeros(band.shape, np.uint16)
            means = band[inside, columns]
            counts = np.empty(means.shape)
            for row, values in enumerate(means):
                counts[row] = self._count(values.astype(np.float32).tolist())
            pixels, overloads = noise_pixels(torch.from_numpy(counts), self._adc)
            noisy[inside, columns] = pixels.numpy()
            self.overloads += overloads
            top += len(band)
            yield noisy

    def _count(self, means: list[float]) -> list[float]:
        counts = [self._deviates.poisson(mean) for mean in means]
        for count in counts:  # one by one, like the reference: sum() rounds otherwise
            self.photons += count
        return counts


class Deviates:
    """Gaussian and Poisson deviates of one stream, single-precision values (spec noise 3)."""

    def __init__(self, stream: Stream) -> None:
        self._uniform = stream.uniform
        self._spare: float | None = None

    def gauss(self) -> float:
        """Zero mean, unit variance: polar Box-Muller, which keeps every second number (spec noise 3.1)."""
        if self._spare is not None:
            value, self._spare = self._spare, None
            return value
        square = 0.0
        while not 0.0 < square < 1.0:
            v1 = single(2.0 * self._uniform() - 1.0)
            v2 = single(2.0 * self._uniform() - 1.0)
            square = single(single(v1 * v1) + single(v2 * v2))
        factor = single(math.sqrt(-2.0 * math.log(square) / square))
        self._spare = single(v1 * factor)
        return single(v2 * factor)

    def poisson(self, mean: float) -> float:
        """A count for a single-precision mean; above 1e6 not a whole number (spec noise 3.3)."""
        if mean > _NORMAL_ABOVE:
            return single(mean + math.sqrt(mean) * self.gauss())
        if mean < _REJECTION_FROM:
            return self._multiplied(mean)
        return self._rejected(mean)

    def _multiplied(self, mean: float) -> float:
        """Uniform numbers multiplied until they fall to exp(-mean)."""
        product = self._uniform()
        if mean <= 0.0:
            return 0.0  # any number will do, and exp(-mean) could overflow
        threshold = single(math.exp(-mean))
        count = 0.0
        while product > threshold:
            count += 1.0
            product = single(product * self._uniform())
        return count

    def _rejected(self, mean: float) -> float:
        """Proposals from a Lorentzian, rejected by the ratio of the distributions."""
        uniform = self._uniform
        if math.isnan(mean):
            uniform(), uniform()
            return mean
        width = single(math.sqrt(2.0 * mean))
        log_mean = single(math.log(mean))
        peak = single(single(mean * log_mean) - ln_gamma(mean + 1.0))
        while True:
            count = -1.0
            while count < 0.0:
                y = single(math.tan(math.pi * uniform()))
                count = single(single(width * y) + mean)
            count = float(math.floor(count))
            exponent = single(single(single(count * log_mean) - ln_gamma(count + 1.0)) - peak)
            if uniform() <= single(0.9 * (1.0 + single(y * y)) * math.exp(exponent)):
                return count


def ln_gamma(x: float) -> float:
    """ln of the gamma function by Lanczos' series, single-precision argument and result (spec noise 3.2)."""
    x = single(x)
    shifted = x + 5.5
    shifted -= (x + 0.5) * math.log(shifted)
    series = 1.000000000190015
    for term, coefficient in enumerate(_LANCZOS, start=1):
        series += coefficient / (x + term)
    return single(-shifted + math.log(2.5066282746310005 * series / x))
