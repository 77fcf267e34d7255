"""Derivatives with structure factors on a CPU (cpp/factors.cpp): sums by reflection, and rows for f' and f''."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tilesim.compute import Numbers
from tilesim.kernels.compiling import FACTORS
from tilesim.kernels.fused import FusedKernel
from tilesim.kernels.library import load
from tilesim.kernels.tables import bordered_parts, channels_of
from tilesim.model import AnomalousFactors

BLOCK = 2**14
"""Pixels per call."""
Floats = npt.NDArray[np.float64]
OTHER = "the struct of fused.py is not that of cpp/setup.h"


def pull_back(kernel: FusedKernel, numbers: Numbers, slopes: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
    """The sums over pixels of slope times derivative with every amplitude of the table.

    Returns Miller indices (n, 3) in the order of the table, and the sums (n,), of the reflections that have any.
    """
    library, factors = load(FACTORS), kernel.experiment.factors
    numbers, slopes = np.ascontiguousarray(numbers, np.int64), np.ascontiguousarray(slopes, np.float64)
    entries = library.tilesim_entries_new()
    try:
        for at in range(0, len(numbers), BLOCK):
            some, due = numbers[at : at + BLOCK], slopes[at : at + BLOCK]
            pixels = (len(some), some.ctypes.data, due.ctypes.data)
            if library.tilesim_entries_add(entries, kernel.address, *pixels) < 0:
                raise AssertionError(OTHER)
        count = library.tilesim_entries_count(entries)
        found, sums = np.empty(count, np.int64), np.empty(count)
        library.tilesim_entries_take(entries, found.ctypes.data, sums.ctypes.data)
    finally:
        library.tilesim_entries_free(entries)
    # The table has a border of the default, which is no reflection.
    places = np.stack(np.unravel_index(found, [n + 2 for n in factors.grid.shape]), axis=1) - 1
    inside = ((places >= 0) & (places < factors.grid.shape)).all(axis=1) & (sums != 0.0)
    return places[inside] + np.array(factors.minimum), sums[inside]


class AnomalousKernel:
    """A kernel of the image, made ready for derivatives with f' and f'' of elements."""

    def __init__(self, kernel: FusedKernel) -> None:
        experiment = kernel.experiment
        assert isinstance(experiment.factors, AnomalousFactors)
        channels = channels_of(experiment.factors, [source.wavelength for source in experiment.beam.waves])
        self._kernel, self._library = kernel, load(FACTORS)
        # Tables of amplitudes have no parts, whatever the image is computed from.
        self._parts = bordered_parts(experiment.factors)
        self._mixture = np.ascontiguousarray(experiment.factors.mixture(channels.wavelengths))

    def derivatives(self, numbers: Numbers) -> Floats:
        """Derivatives (element, 2, channel, n) of pixels with f' and f'', by rising wavelength of the channel."""
        numbers = np.ascontiguousarray(numbers, np.int64)
        channels, parts = self._mixture.shape
        found = np.empty((parts - 1, 2, channels, len(numbers)))
        arrays = (self._parts.ctypes.data, self._mixture.ctypes.data, found.ctypes.data)
        pixels = (self._kernel.address, len(numbers), numbers.ctypes.data)
        if self._library.tilesim_anomalous(*pixels, channels, parts, *arrays) < 0:
            raise AssertionError(OTHER)
        return found
