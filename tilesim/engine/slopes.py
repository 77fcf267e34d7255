"""The derivatives of a job's tiles, of one process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from tilesim.compute import Numbers, rendered_part, rendered_pixels, summed_type
from tilesim.engine.backend import check_rounding
from tilesim.engine.job import Job
from tilesim.gradients.chain import coefficients
from tilesim.gradients.parameters import Parameter, parse_parameters
from tilesim.gradients.reflections import FactorDerivatives
from tilesim.tiling.tile import Tile

if TYPE_CHECKING:
    from tilesim.kernels.amplitudes import AnomalousKernel
    from tilesim.kernels.fused import FusedKernel
    from tilesim.kernels.gpurows import GpuSlopesKernel
    from tilesim.kernels.slopes import SlopesKernel
    from tilesim.model import Experiment

Array = npt.NDArray[np.float64]
Made = TypeVar("Made")
KEPT_KERNELS = 64
"""More than are in work at a time, four things of each panel."""
LARGE_PAGE = 2**18
"""Numbers in a large page of memory, 2 MiB."""


class GradientRunner:
    """The derivatives of a job's tiles, for several threads of one process; the last few kernels are kept."""

    def __init__(self, job: Job, names: tuple[str, ...]) -> None:
        """
        names  parameters
        """
        check_rounding(job.backend, job.device)
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

    def blocks(self, tile: Tile, numbers: Numbers, into: Array | None = None) -> Iterator[tuple[slice, Array, Array]]:
        """Which of the pixels with these numbers, their photons (n,) and derivatives (numbers, n), block by block.

        into  where to put the derivatives of all
        """
        for some in self._cut(tile, numbers):
            yield some, *self._block(tile, numbers[some], None if into is None else into[:, some])

    def normal(self, tile: Tile, numbers: Numbers, data: Array, weights: Array) -> Array:
        """The sums of `SlopesKernel.normal` over the pixels with these numbers."""
        order, kernel = self._order(tile.frame), self._slopes(tile)
        sums = np.zeros((len(order) + 1,) * 2)
        for some in self._cut(tile, numbers):
            sums += kernel.normal(numbers[some], data[some], weights[some], self._others(tile, numbers[some]))
        order = np.append(order, len(order))
        return sums[np.ix_(order, order)]

    def pulled_back(self, tile: Tile, numbers: Numbers, cotangent: Array) -> Array:
        """The sums of the derivatives times a cotangent (n,) over the pixels with these numbers."""
        order, kernel = self._order(tile.frame), self._slopes(tile)
        sums = np.zeros(len(order))
        for some in self._cut(tile, numbers):
            # einsum adds up in one order; a library of linear algebra may not.
            others = np.einsum("in,n->i", self._others(tile, numbers[some]), cotangent[some])
            sums += np.concatenate([kernel.pulled_back(numbers[some], cotangent[some]), others])
        return sums[order]

    def _cut(self, tile: Tile, numbers: Numbers) -> Iterator[slice]:
        block = self._slopes(tile).block
        return (slice(start, start + block) for start in range(0, len(numbers), block))

    def _block(self, tile: Tile, numbers: Numbers, into: Array | None) -> tuple[Array, Array]:
        others = self._others(tile, numbers)
        if not len(others):
            return self._slopes(tile).derivatives(numbers, into)
        photons, slopes = self._slopes(tile).derivatives(numbers)
        return photons, np.take(np.concatenate([slopes, others]), self._order(tile.frame), axis=0, out=into)

    def _order(self, frame: int) -> npt.NDArray[np.int64]:
        """Places of the derivatives, those that follow from no rows behind all others."""
        last = np.concatenate([[one.part == "factors"] * one.size for one in self.parameters(frame)] or [[]])
        order: npt.NDArray[np.int64] = np.argsort(np.argsort(last, kind="stable"), kind="stable")
        return order

    def _others(self, tile: Tile, numbers: Numbers) -> Array:
        """Derivatives (m, n) of the pixels with these numbers that follow from no rows: those with f' and f''."""
        varied = [one for one in self.parameters(tile.frame) if one.part == "factors"]
        if not varied:
            return np.zeros((0, len(numbers)))
        found = self._anomalous(tile).derivatives(numbers)
        return np.concatenate([found[list(one.places), int(one.field == "f2")].sum(axis=0) for one in varied])

    def reflections(self, tile: Tile, cotangent: Any) -> FactorDerivatives:
        """The product of the cotangent (slow, fast) of a tile with its derivatives with all amplitudes."""
        from tilesim.kernels.amplitudes import pull_back

        slopes = self.rendered(tile, cotangent)
        return FactorDerivatives(*pull_back(self._image(tile), self.numbers(tile), slopes))

    def placed(self, tile: Tile) -> Array:
        """The derivatives (numbers, slow, fast) of a tile; zero outside the region and where masked."""
        numbers, shape = self.numbers(tile), (self.size(tile.frame), *tile.shape)
        if len(numbers) == tile.shape[0] * tile.shape[1]:
            found = _empty(shape[0], len(numbers))
            for _ in self.blocks(tile, numbers, found):
                pass  # each block puts its own there
            return found.reshape(shape)
        image = np.zeros(shape)
        for some, _, slopes in self.blocks(tile, numbers):
            slow, fast = np.divmod(numbers[some], self.job.plan.shape[-1])
            image[:, slow - tile.slow_start, fast - tile.fast_start] = slopes
        return image

    def numbers(self, tile: Tile) -> Numbers:
        """The rendered pixels of a tile."""
        return rendered_pixels(self._experiment(tile), tile)

    def rendered(self, tile: Tile, values: Any) -> Array:
        """What an array (slow, fast) of a tile has at its rendered pixels."""
        within, active = rendered_part(self._experiment(tile), tile)
        part = np.broadcast_to(np.asarray(values, np.float64), tile.shape)[within]
        return part.ravel() if active is None else part[active]

    def _experiment(self, tile: Tile) -> Experiment:
        return self._once("experiment", tile, lambda: self.job.series[tile.frame].of_panel(tile.panel))

    def _image(self, tile: Tile) -> FusedKernel:
        from tilesim.kernels import fused

        return self._once("image", tile, lambda: fused.lower(self._experiment(tile), self.job.precision))

    def _slopes(self, tile: Tile) -> SlopesKernel | GpuSlopesKernel:
        from tilesim.kernels.slopes import SlopesKernel

        def make() -> SlopesKernel | GpuSlopesKernel:
            ordinary = [one for one in self.parameters(tile.frame) if one.part != "factors"]
            table = coefficients(self.job.series[tile.frame], tile.panel, ordinary)
            return SlopesKernel(self._image(tile), table) if self.job.device == "cpu" else self._on_gpu(tile, table)

        return self._once("slopes", tile, make)

    def _on_gpu(self, tile: Tile, table: Array) -> GpuSlopesKernel:
        from tilesim.kernels import gpu
        from tilesim.kernels.gpurows import GpuSlopesKernel

        experiment, precision, device = self._experiment(tile), self.job.precision, self.job.device
        waves, summed = [source.wavelength for source in experiment.beam.waves], summed_type(experiment, precision)
        amplitudes = self._once(
            "amplitudes", replace(tile, panel=0), lambda: gpu.lower_table(experiment.factors, summed, device, waves)
        )
        return GpuSlopesKernel(gpu.lower(experiment, precision, device, table=amplitudes), table)

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


def _empty(count: int, n: int) -> Array:
    """An array (count, n) that is not filled.

    The system gives large pages where an array has 4 MiB, numpy asking for them, and only whole ones: to be given the
    derivatives of a tile in pages of 4 KiB costs more than to compute them.
    """
    size = count * n
    if size < LARGE_PAGE:
        return np.empty((count, n))
    found = np.empty(size + LARGE_PAGE)
    start = -(found.ctypes.data // found.itemsize) % LARGE_PAGE
    return found[start : start + size].reshape(count, n)
