"""The derivatives of a job's tiles, of one process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from tilesim.compute import Numbers, rendered_part, rendered_pixels
from tilesim.engine.job import Job
from tilesim.gradients.chain import coefficients
from tilesim.gradients.parameters import Parameter, parse_parameters
from tilesim.gradients.reflections import FactorDerivatives
from tilesim.tiling.tile import Tile

if TYPE_CHECKING:
    from tilesim.kernels.amplitudes import AnomalousKernel
    from tilesim.kernels.fused import FusedKernel
    from tilesim.kernels.slopes import SlopesKernel

Array = npt.NDArray[np.float64]
Made = TypeVar("Made")
KEPT_KERNELS = 48
"""More than are in work at a time, three of each panel."""


class GradientRunner:
    """The derivatives of a job's tiles, for several threads of one process; the last few kernels are kept."""

    def __init__(self, job: Job, names: tuple[str, ...]) -> None:
        """
        names  parameters
        """
        self.job, self.names = job, names
        self._kernels: OrderedDict[tuple[str, int, int], Any] = OrderedDict()
        self._parameters: dict[int, tuple[Parameter, ...]] = {}
        self._lock = RLock()

    def __reduce__(self) -> tuple[Any, ...]:
        return GradientRunner, (self.job, self.names)  # kernels are made where they are used

    def parameters(self, frame: int) -> tuple[Parameter, ...]:
        """The parameters, of an experiment of the job."""
        if frame not in self._parameters:
            self._parameters[frame] = parse_parameters(self.names, self.job.series[frame]) if self.names else ()
        return self._parameters[frame]

    def size(self, frame: int) -> int:
        """Numbers that are varied."""
        return sum(one.size for one in self.parameters(frame))

    def blocks(self, tile: Tile, numbers: Numbers) -> Iterator[tuple[slice, Array, Array]]:
        """Which of the pixels with these numbers, their photons (n,) and derivatives (numbers, n), block by block."""
        block = self._slopes(tile).block
        for start in range(0, len(numbers), block):
            some = slice(start, start + block)
            yield some, *self._block(tile, numbers[some])

    def _block(self, tile: Tile, numbers: Numbers) -> tuple[Array, Array]:
        photons, slopes = self._slopes(tile).derivatives(numbers)
        if len(slopes) == self.size(tile.frame):
            return photons, slopes
        anomalous, parts, start = self._anomalous(tile).derivatives(numbers), [], 0
        for one in self.parameters(tile.frame):
            if one.part == "factors":
                parts.append(anomalous[list(one.places), int(one.field == "f2")].sum(axis=0))
            else:
                parts.append(slopes[start : start + one.size])
                start += one.size
        return photons, np.concatenate(parts)

    def reflections(self, tile: Tile, cotangent: Any) -> FactorDerivatives:
        """The product of the cotangent (slow, fast) of a tile with its derivatives with all amplitudes."""
        from tilesim.kernels.amplitudes import pull_back

        slopes = self.rendered(tile, cotangent)
        return FactorDerivatives(*pull_back(self._image(tile), self.numbers(tile), slopes))

    def placed(self, tile: Tile) -> Array:
        """The derivatives (numbers, slow, fast) of a tile; zero outside the region and where masked."""
        numbers, image = self.numbers(tile), np.zeros((self.size(tile.frame), *tile.shape))
        for some, _, slopes in self.blocks(tile, numbers):
            slow, fast = np.divmod(numbers[some], self.job.plan.shape[-1])
            image[:, slow - tile.slow_start, fast - tile.fast_start] = slopes
        return image

    def numbers(self, tile: Tile) -> Numbers:
        """The rendered pixels of a tile."""
        return rendered_pixels(self._image(tile).experiment, tile)

    def rendered(self, tile: Tile, values: Any) -> Array:
        """What an array (slow, fast) of a tile has at its rendered pixels."""
        within, active = rendered_part(self._image(tile).experiment, tile)
        part = np.broadcast_to(np.asarray(values, np.float64), tile.shape)[within]
        return part.ravel() if active is None else part[active]

    def _image(self, tile: Tile) -> FusedKernel:
        from tilesim.kernels import fused

        experiment, precision = self.job.series[tile.frame], self.job.precision
        return self._once("image", tile, lambda: fused.lower(experiment.of_panel(tile.panel), precision))

    def _slopes(self, tile: Tile) -> SlopesKernel:
        from tilesim.kernels.slopes import SlopesKernel

        def make() -> SlopesKernel:
            ordinary = [one for one in self.parameters(tile.frame) if one.part != "factors"]
            table = coefficients(self.job.series[tile.frame], tile.panel, ordinary)
            return SlopesKernel(self._image(tile), table)

        return self._once("slopes", tile, make)

    def _anomalous(self, tile: Tile) -> AnomalousKernel:
        from tilesim.kernels.amplitudes import AnomalousKernel

        return self._once("anomalous", tile, lambda: AnomalousKernel(self._image(tile)))

    def _once(self, kind: str, tile: Tile, make: Callable[[], Made]) -> Made:
        place = (kind, tile.frame, tile.panel)
        with self._lock:
            if place not in self._kernels:
                self._kernels[place] = make()
            self._kernels.move_to_end(place)
            while len(self._kernels) > KEPT_KERNELS:
                self._kernels.popitem(last=False)
            made: Made = self._kernels[place]
            return made
