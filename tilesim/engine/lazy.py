"""The image as a lazy dask array: slicing it computes only the tiles that the slice touches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tilesim.engine.job import make_job
from tilesim.engine.lowered import JobRunner
from tilesim.model import Experiment
from tilesim.model.series import one_experiment
from tilesim.tiling.plan import TilePlan
from tilesim.tiling.tile import Tile

if TYPE_CHECKING:
    import dask.array as da


def simulate(
    experiment: Experiment,
    tile: int | tuple[int, int] | None = None,
    precision: str = "mixed",
    device: str = "auto",
    backend: str = "auto",
) -> da.Array:
    """The image of an experiment as a lazy array: slicing it computes only the tiles that the slice touches.

    Parameters
    ----------
    experiment : Experiment
        What to simulate.
    tile : int or (int, int), optional
        Pixels (slow, fast) of a tile, which is a chunk of the array; chosen where it is not given.
    precision : str
        "mixed" (float64 phases, float32 sums; within 1e-5 of double) or "double".
    device : str
        "auto", "cpu", "cuda" or "cuda:N".
    backend : str
        "auto", "eager" or "fused".

    Returns
    -------
    dask.array.Array
        Photons per pixel, float32 (slow, fast), or (panel, slow, fast) of several panels.

    Raises
    ------
    InputError, PlanError
        At once; no pixel is computed before the array is. (Strict interpolation is looked through for its first
        evaluation outside the table.)

    Examples
    --------
    >>> import tilesim
    >>> still = tilesim.from_nanobragg("-default_F 100 -cell 50 60 70 90 90 90 -N 5 -detpixels 64 -distance 100")
    >>> image = tilesim.simulate(still, tile=16)
    >>> image.shape, image[:4, :4].compute().shape
    ((64, 64), (4, 4))
    """
    import dask.array as da
    from dask.delayed import delayed

    job = make_job(one_experiment(experiment), tile, precision, device, backend, frames=1)
    # The tiles share what this one task gives, once per computation: their kernels, with one table.
    lowered = delayed(JobRunner, pure=True, traverse=False)(job, dask_key_name=f"lower-{job.digest}")
    shape = job.plan.shape[1:]
    edges = (*(1 for _ in shape[:-2]), *job.plan.tile)
    array: da.Array = da.map_blocks(
        _block,
        job.plan,
        lowered,
        chunks=tuple(_edges(length, edge) for length, edge in zip(shape, edges, strict=True)),
        dtype=np.float32,
        meta=np.empty((0,) * len(shape), np.float32),
        name=f"tilesim-{job.digest}",
    )
    return array


def simulate_now(
    experiment: Experiment,
    precision: str = "mixed",
    device: str = "auto",
    backend: str = "auto",
) -> np.ndarray:
    """The whole image at once, on the threads of this process.

    Parameters
    ----------
    experiment : Experiment
        What to simulate.
    precision, device, backend : str
        As for `simulate`.

    Returns
    -------
    ndarray
        Photons per pixel, float32 (slow, fast), or (panel, slow, fast) of several panels.

    Raises
    ------
    InputError, PlanError, TileError
        Where the experiment cannot be simulated so.

    Examples
    --------
    >>> import tilesim
    >>> still = tilesim.from_nanobragg("-default_F 100 -cell 50 60 70 90 90 90 -N 5 -detpixels 64 -distance 100")
    >>> bool(tilesim.simulate_now(still).max() > 1)
    True
    """
    from tilesim.engine.inline import run_inline
    from tilesim.engine.task import TileFailure
    from tilesim.errors import TileError

    job = make_job(one_experiment(experiment), None, precision, device, backend)
    image = np.empty(job.plan.shape, np.float32)

    def keep(tile: Tile, values: np.ndarray) -> None:
        image[job.plan.index(tile)] = values

    for event in run_inline(job, [keep]):
        if isinstance(event, TileFailure):
            raise TileError(event.reason)
    whole: np.ndarray = image[0]
    return whole


def _block(plan: TilePlan, lowered: JobRunner, block_id: tuple[int, ...] = ()) -> np.ndarray:
    tile = plan[int(np.ravel_multi_index(block_id, plan.grid[1:]))]
    values = lowered(tile).values
    assert values is not None  # a job has pixels
    return values.reshape(*(1 for _ in block_id[2:]), *tile.shape)


def _edges(length: int, chunk: int) -> tuple[int, ...]:
    full, rest = divmod(length, chunk)
    return (chunk,) * full + ((rest,) if rest else ())
