"""The derivatives of a job's tiles, of one process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from tilesim.compute import Numbers, rendered_part, rendered_pixels
from tilesim.engine.job import Job
from tilesim.gradients.chain import coefficients
from tilesim.gradients.parameters import Parameter
from tilesim.gradients.reflections import FactorDerivatives
from tilesim.tiling.tile import Tile

if TYPE_CHECKING:
    from tilesim.kernels.amplitudes import AnomalousKernel
    from tilesim.kernels.fused import FusedKernel
    from tilesim.kernels.slopes import SlopesKernel

Array = npt.NDArray[np.float64]
Made = TypeVar("Made")


class GradientRunner:
    """The derivatives of a job's tiles, for several threads of one process."""

    def __init__(self, job: Job, parameters: tuple[Parameter, ...]) -> None:
        self.job, self.parameters = job, parameters
        self._kernels: dict[tuple[str, int], Any] = {}
        self._lock = RLock()

    @property
    def size(self) -> int:
        """Numbers that are varied."""
        return sum(one.size for one in self.parameters)

    def __reduce__(self) -> tuple[Any, ...]:
        return GradientRunner, (self.job, self.parameters)  # kernels are made where they are used

    def blocks(self, panel: int, numbers: Numbers) -> Iterator[tuple[slice, Array, Array]]:
        """Which of the pixels with these numbers, their photons (n,) and derivatives (numbers, n), block by block."""
        block = self._slopes(panel).block
        for start in range(0, len(numbers), block):
            some = slice(start, start + block)
            yield some, *self._block(panel, numbers[some])

    def _block(self, panel: int, numbers: Numbers) -> tuple[Array, Array]:
        photons, slopes = self._slopes(panel).derivatives(numbers)
        if len(slopes) == self.size:
            return photons, slopes
        anomalous, parts, start = self._anomalous(panel).derivatives(numbers), [], 0
        for one in self.parameters:
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
        return FactorDerivatives(*pull_back(self._image(tile.panel), self.numbers(tile), slopes))

    def placed(self, tile: Tile) -> Array:
        """The derivatives (numbers, slow, fast) of a tile; zero outside the region and where masked."""
        numbers, image = self.numbers(tile), np.zeros((self.size, *tile.shape))
        for some, _, slopes in self.blocks(tile.panel, numbers):
            slow, fast = np.divmod(numbers[some], self.job.experiment.panel_shape[1])
            image[:, slow - tile.slow_start, fast - tile.fast_start] = slopes
        return image

    def numbers(self, tile: Tile) -> Numbers:
        """The rendered pixels of a tile."""
        return rendered_pixels(self._image(tile.panel).experiment, tile)

    def rendered(self, tile: Tile, values: Any) -> Array:
        """What an array (slow, fast) of a tile has at its rendered pixels."""
        within, active = rendered_part(self._image(tile.panel).experiment, tile)
        part = np.broadcast_to(np.asarray(values, np.float64), tile.shape)[within]
        return part.ravel() if active is None else part[active]

    def _image(self, panel: int) -> FusedKernel:
        from tilesim.kernels import fused

        experiment, precision = self.job.experiment, self.job.precision
        return self._once("image", panel, lambda: fused.lower(experiment.of_panel(panel), precision))

    def _slopes(self, panel: int) -> SlopesKernel:
        from tilesim.kernels.slopes import SlopesKernel

        def make() -> SlopesKernel:
            ordinary = [one for one in self.parameters if one.part != "factors"]
            return SlopesKernel(self._image(panel), coefficients(self.job.experiment, panel, ordinary))

        return self._once("slopes", panel, make)

    def _anomalous(self, panel: int) -> AnomalousKernel:
        from tilesim.kernels.amplitudes import AnomalousKernel

        return self._once("anomalous", panel, lambda: AnomalousKernel(self._image(panel)))

    def _once(self, kind: str, panel: int, make: Callable[[], Made]) -> Made:
        with self._lock:
            if (kind, panel) not in self._kernels:
                self._kernels[kind, panel] = make()
            made: Made = self._kernels[kind, panel]
            return made
