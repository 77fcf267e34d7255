"""Derivatives of an image as a lazy array and as sums over pixels, by the same tiles as the image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tilesim.compute import rendered_part, rendered_pixels
from tilesim.engine.job import Job, make_job
from tilesim.errors import InputError
from tilesim.gradients.chain import coefficients
from tilesim.gradients.parameters import Parameter, parse_parameters
from tilesim.gradients.refusals import check_differentiable
from tilesim.model import Experiment, PixelMask
from tilesim.tiling.plan import TilePlan
from tilesim.tiling.tile import Tile

if TYPE_CHECKING:
    import dask.array as da

    from tilesim.kernels.slopes import SlopesKernel

Array = npt.NDArray[np.float64]
Tiling = int | tuple[int, int] | None
LARGE_PAGE = 2**18
"""Numbers in a large page of memory, 2 MiB."""


@dataclass(frozen=True)
class NormalEquations:
    """Sums over the pixels of an image of what a least-squares step is made of, with weights of 1 / variance.

    Examples
    --------
    >>> import numpy as np
    >>> from tilesim import NormalEquations
    >>> sums = NormalEquations(("beam.fluence",), np.array([[4.0]]), np.array([2.0]), 7.0, 100)
    >>> np.linalg.solve(sums.matrix, sums.vector)  # how much the fluence is to be changed
    array([0.5])
    """

    names: tuple[str, ...]
    """Parameters, each as often as it has numbers, in the order of the sums."""
    matrix: Array
    """(numbers, numbers) sums of products of two derivatives: J^T W J."""
    vector: Array
    """(numbers,) sums of derivative times residual, data minus image: J^T W r."""
    chi_squared: float
    """Sum of squared residuals."""
    pixels: int
    """How many there were."""


class GradientRunner:
    """The derivatives of a job's tiles, for several threads of one process."""

    def __init__(self, job: Job, parameters: tuple[Parameter, ...]) -> None:
        self.job, self.parameters = job, parameters
        self._kernels: dict[int, SlopesKernel] = {}
        self._lock = Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return GradientRunner, (self.job, self.parameters)  # kernels are made where they are used

    def pixels(self, tile: Tile) -> tuple[Array, Array]:
        """Photons (n,) of the rendered pixels of a tile, and their derivatives (numbers, n)."""
        kernel = self._kernel(tile.panel)
        wanted = rendered_pixels(kernel.experiment, tile)
        photons, found = np.empty(len(wanted)), _empty(sum(one.size for one in self.parameters), len(wanted))
        for start in range(0, len(wanted), kernel.block):
            at = slice(start, start + kernel.block)
            photons[at], _ = kernel.derivatives(wanted[at], found[:, at])
        return photons, found

    def normal(self, tile: Tile, data: Any, variance: Any) -> tuple[Array, int]:
        """The sums of `SlopesKernel.normal` over the rendered pixels of a tile, and how many these are."""
        kernel = self._kernel(tile.panel)
        wanted = rendered_pixels(kernel.experiment, tile)
        return kernel.normal(wanted, self.rendered(tile, data), 1.0 / self.rendered(tile, variance)), len(wanted)

    def pulled_back(self, tile: Tile, cotangent: Any) -> Array:
        """The sums of `SlopesKernel.pulled_back` over the rendered pixels of a tile."""
        kernel = self._kernel(tile.panel)
        return kernel.pulled_back(rendered_pixels(kernel.experiment, tile), self.rendered(tile, cotangent))

    def placed(self, tile: Tile) -> Array:
        """The derivatives (numbers, slow, fast) of a tile; zero outside the region and where masked."""
        _, found = self.pixels(tile)
        if found[0].size == tile.shape[0] * tile.shape[1]:
            return found.reshape(-1, *tile.shape)
        image = np.zeros((len(found), *tile.shape))
        within, active = rendered_part(self._kernel(tile.panel).experiment, tile)
        part = image[(slice(None), *within)]
        part[...] = found.reshape(part.shape) if active is None else 0.0
        if active is not None:
            part[:, active] = found
        return image

    def rendered(self, tile: Tile, values: Any) -> Array:
        """What an array (slow, fast) of a tile has at the pixels that `pixels` gives."""
        within, active = rendered_part(self._kernel(tile.panel).experiment, tile)
        part = np.broadcast_to(np.asarray(values, np.float64), tile.shape)[within]
        return part.ravel() if active is None else part[active]

    def _kernel(self, panel: int) -> SlopesKernel:
        with self._lock:
            if panel not in self._kernels:
                from tilesim.kernels import fused
                from tilesim.kernels.slopes import SlopesKernel

                experiment = self.job.experiment
                table = coefficients(experiment, panel, self.parameters)
                self._kernels[panel] = SlopesKernel(fused.lower(experiment.of_panel(panel), self.job.precision), table)
            return self._kernels[panel]


def gradient(
    experiment: Experiment, wrt: str | Iterable[str], tile: Tiling = None, precision: str = "mixed"
) -> da.Array:
    """The derivatives of an image as a lazy array: slicing it computes only the tiles that the slice touches.

    Parameters
    ----------
    experiment : Experiment
        What the image is of.
    wrt : str or sequence of str
        Parameters by name, such as "crystal.rotation" or "detector[0:4].distance"; docs/gradients.md lists them.
    tile : int or (int, int), optional
        Pixels (slow, fast) of a tile; chosen where it is not given.
    precision : str
        "mixed" or "double".

    Returns
    -------
    dask.array.Array
        Photons per unit of the parameter, float64 (number, slow, fast), or (number, panel, slow, fast) of several
        panels; a parameter of three numbers has three.

    Raises
    ------
    InputError, PlanError
        Where the image has no such derivative, or there is no C++ compiler.

    Examples
    --------
    >>> import tilesim
    >>> still = tilesim.from_nanobragg("-default_F 100 -cell 50 60 70 90 90 90 -N 5 -detpixels 64 -distance 100")
    >>> tilesim.gradient(still, ["crystal.rotation", "beam.wavelength"]).shape
    (4, 64, 64)
    """
    import dask.array as da

    job, parameters = _ready(experiment, wrt, tile, precision)
    plan, numbers = job.plan, sum(one.size for one in parameters)
    shape = plan.shape[1:]
    edges = (*(1 for _ in shape[:-2]), *plan.tile)
    chunks = tuple(_edges(length, edge) for length, edge in zip(shape, edges, strict=True))
    names = "-".join(one.name for one in parameters)
    array: da.Array = da.map_blocks(
        _block,
        plan,
        _lowered(job, parameters),
        chunks=((numbers,), *chunks),
        dtype=np.float64,
        meta=np.empty((0,) * (1 + len(shape)), np.float64),
        name=f"tilesim-gradient-{job.digest}-{names}",
    )
    return array


def normal_equations(
    experiment: Experiment,
    data: Any,
    variance: Any,
    wrt: str | Iterable[str],
    where: Any = None,
    tile: Tiling = None,
    precision: str = "mixed",
) -> NormalEquations:
    """The normal equations of a least-squares fit of the image to measured pixels, for a step of Gauss and Newton.

    They are summed tile by tile in one order: the same to the bit for any number of threads and workers.

    Parameters
    ----------
    experiment : Experiment
        What the image is of.
    data : array_like or dask.array.Array
        Measured photons, of the shape of the image.
    variance : array_like, dask.array.Array or float
        Their variance, above 0.
    wrt : str or sequence of str
        Parameters, as for `gradient`.
    where : array_like of bool, optional
        Pixels that count, of the shape of the image, such as shoeboxes: the others are not computed.
    tile, precision
        As for `gradient`.

    Returns
    -------
    NormalEquations
        J^T W J, J^T W r and chi squared.

    Raises
    ------
    InputError, PlanError
        As `gradient`; where arrays have another shape than the image.

    Examples
    --------
    >>> import tilesim
    >>> still = tilesim.from_nanobragg("-default_F 100 -cell 50 60 70 90 90 90 -N 5 -detpixels 64 -distance 100")
    >>> equations = tilesim.normal_equations(still, tilesim.simulate_now(still), 1.0, ["crystal.rotation"])
    >>> equations.matrix.shape, equations.pixels
    ((3, 3), 4096)
    """
    job, parameters = _ready(_within(experiment, where), wrt, tile, precision)
    parts = _by_tile(job, parameters, _normal, {"data": data, "variance": variance})
    sums, pixels = (sum(part[1:], start=part[0]) for part in zip(*parts, strict=True))
    names = tuple(one.name for one in parameters for _ in one.value)
    return NormalEquations(names, sums[:-1, :-1].copy(), sums[:-1, -1].copy(), float(sums[-1, -1]), int(pixels))


def pullback(
    experiment: Experiment, cotangent: Any, wrt: str | Iterable[str], tile: Tiling = None, precision: str = "mixed"
) -> dict[str, Array]:
    """The derivatives of a function of the image, from its derivatives with the pixels: a vector-Jacobian product.

    Parameters
    ----------
    experiment : Experiment
        What the image is of.
    cotangent : array_like or dask.array.Array
        Derivative of the function with every pixel, of the shape of the image.
    wrt, tile, precision
        As for `gradient`.

    Returns
    -------
    dict of str to ndarray
        Derivatives (numbers,) by the name of the parameter.

    Raises
    ------
    InputError, PlanError
        As `gradient`; where the array has another shape than the image.

    Examples
    --------
    >>> import numpy as np, tilesim
    >>> still = tilesim.from_nanobragg("-default_F 100 -cell 50 60 70 90 90 90 -N 5 -detpixels 64 -distance 100")
    >>> slopes = tilesim.pullback(still, np.ones((64, 64)), ["crystal.rotation", "beam.fluence"])
    >>> {name: slope.shape for name, slope in slopes.items()}
    {'crystal.rotation': (3,), 'beam.fluence': (1,)}
    """
    job, parameters = _ready(experiment, wrt, tile, precision)
    parts = _by_tile(job, parameters, _pulled_back, {"cotangent": cotangent})
    total, found, start = sum(parts[1:], start=parts[0]), {}, 0
    for one in parameters:
        found[one.name] = total[start : start + one.size]
        start += one.size
    return found


def _ready(
    experiment: Experiment, wrt: str | Iterable[str], tile: Tiling, precision: str
) -> tuple[Job, tuple[Parameter, ...]]:
    """The job and the parameters. Raises InputError, PlanError."""
    job = make_job(experiment, tile, precision, "cpu", "fused", frames=1)
    parameters = parse_parameters(wrt, experiment)
    check_differentiable(experiment, parameters)
    return job, parameters


def _within(experiment: Experiment, where: Any) -> Experiment:
    """The experiment with all pixels masked but some. Raises InputError."""
    if where is None:
        return experiment
    active = np.asarray(where, bool)
    shape = (len(experiment.detector.panels), *experiment.panel_shape)
    if active.shape not in (shape, shape[1:] if shape[0] == 1 else shape):
        raise InputError(f"where has the shape {active.shape}; expected that of the image, {shape}")
    active = active.reshape(experiment.shape)
    return experiment.replace(mask=PixelMask(active if experiment.mask is None else active & experiment.mask.active))


def _lowered(job: Job, parameters: tuple[Parameter, ...]) -> Any:
    """One task that gives the runner, which the tiles share."""
    from dask.delayed import delayed

    names = "-".join(one.name for one in parameters)
    return delayed(GradientRunner, pure=True, traverse=False)(
        job, parameters, dask_key_name=f"slope-{job.digest}-{names}"
    )


def _by_tile(job: Job, parameters: tuple[Parameter, ...], function: Any, arrays: dict[str, Any]) -> Sequence[Any]:
    """function(runner, tile, arrays of the tile) of every tile, in the order of the plan, by dask."""
    from dask.base import compute
    from dask.delayed import delayed

    shape = job.plan.shape[1:]
    for name, array in arrays.items():
        if np.ndim(array) and np.shape(array) != shape:
            raise InputError(f"{name} has the shape {np.shape(array)}; expected that of the image, {shape}")
    lowered, task = _lowered(job, parameters), delayed(function)
    calls = []
    for tile in job.plan:
        index = job.plan.index(tile)[1:]
        calls.append(task(lowered, tile, *(one[index] if np.ndim(one) else one for one in arrays.values())))
    found: Sequence[Any] = compute(*calls)
    return found


def _normal(runner: GradientRunner, tile: Tile, data: Any, variance: Any) -> tuple[Array, int]:
    return runner.normal(tile, data, variance)


def _pulled_back(runner: GradientRunner, tile: Tile, cotangent: Any) -> Array:
    return runner.pulled_back(tile, cotangent)


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


def _block(plan: TilePlan, lowered: GradientRunner, block_id: tuple[int, ...] = ()) -> Array:
    place = block_id[1:]
    tile = plan[int(np.ravel_multi_index(place, plan.grid[1:]))]
    found = lowered.placed(tile)
    return found.reshape(len(found), *(1 for _ in place[2:]), *tile.shape)


def _edges(length: int, chunk: int) -> tuple[int, ...]:
    full, rest = divmod(length, chunk)
    return (chunk,) * full + ((rest,) if rest else ())
