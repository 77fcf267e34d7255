"""The image as a lazy dask array: slicing it computes only the tiles that the slice touches."""

from __future__ import annotations

import numpy as np

from tilesim.compute import Kernel, simulate_tile
from tilesim.model import Experiment
from tilesim.run.job import lower_job, make_job


def simulate(
    experiment: Experiment,
    tile: int | tuple[int, int] | None = None,
    precision: str = "mixed",
    device: str = "auto",
    backend: str = "auto",
):
    """The image of an experiment as a lazy `dask.array` (slow, fast) float32, in photons per pixel.

    experiment  what to simulate; `tilesim.from_nanobragg` makes one from a command line
    tile        pixels (slow, fast) of a tile, which is a chunk of the array; one number for a square; None chooses
    precision   "mixed" (float64 phases, float32 sums; within 1e-5 of double) or "double"
    device      "auto", "cpu", "cuda" or "cuda:N"
    backend     "auto", "eager" or "fused"

    Raises InputError or PlanError at once; no pixel is computed before the array is. (Strict interpolation is looked
    through for its first evaluation outside the table.)
    """
    import dask
    import dask.array as da

    job = make_job(experiment, tile, precision, device, backend)
    # One task lowers the experiment, once per computation; the tiles share its result.
    kernel = dask.delayed(lower_job, pure=True, traverse=False)(job, dask_key_name=f"lower-{job.digest}")
    return da.map_blocks(
        _block,
        job.plan,
        kernel,
        chunks=(_edges(job.plan.shape[1], job.plan.tile[0]), _edges(job.plan.shape[2], job.plan.tile[1])),
        dtype=np.float32,
        meta=np.empty((0, 0), np.float32),
        name=f"tilesim-{job.digest}",
    )


def simulate_now(
    experiment: Experiment,
    precision: str = "mixed",
    device: str = "auto",
    backend: str = "auto",
) -> np.ndarray:
    """The whole image at once, (slow, fast) float32 photons per pixel; arguments as for `simulate`."""
    from tilesim.errors import TileError
    from tilesim.run.inline import run_inline
    from tilesim.run.task import TileFailure

    job = make_job(experiment, None, precision, device, backend)
    image = np.empty(experiment.shape, np.float32)

    def keep(tile, values):
        image[tile.slices] = values

    for event in run_inline(job, [keep]):
        if isinstance(event, TileFailure):
            raise TileError(event.reason)
    return image


def _block(plan, kernel: Kernel, block_id=None) -> np.ndarray:
    return simulate_tile(kernel, plan[block_id[0] * plan.grid[2] + block_id[1]]).photons


def _edges(length: int, chunk: int) -> tuple[int, ...]:
    full, rest = divmod(length, chunk)
    return (chunk,) * full + ((rest,) if rest else ())
