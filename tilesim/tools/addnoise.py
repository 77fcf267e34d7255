"""`tilesim.add_noise`: a lazy array, or a dataset into a store or files."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any, overload

from tilesim.errors import InputError
from tilesim.model import Region
from tilesim.model.noise import Noise

if TYPE_CHECKING:
    import dask.array as da

    from tilesim.images.dataset import Dataset
    from tilesim.tools.measuring import NoiseResult

Path = str | os.PathLike[str]


@overload
def add_noise(image: da.Array, noise: Noise, **how: Any) -> da.Array: ...


@overload
def add_noise(image: Dataset | Path, noise: Noise, *, store: Path, **how: Any) -> NoiseResult: ...


def add_noise(
    image: da.Array | Dataset | Path,
    noise: Noise,
    *,
    store: Path | None = None,
    frame: int | None = None,
    panel: int | None = None,
    dtype: str | None = None,
    region: Region | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    scheduler_file: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    tile: int | tuple[int, int] | None = None,
    compression: str | None = None,
    pixel_size: float | None = None,
    progress: bool | None = None,
) -> da.Array | NoiseResult:
    """Measure images of expected photons: a lazy array, or a dataset into a store or files.

    The bytes are the same either way, however an image is cut into chunks or tiles and whoever computes them.

    Parameters
    ----------
    image : dask.array.Array, Dataset or path
        Expected photons (slow, fast), such as `simulate` gives, or a dataset of which all frames are measured.
    noise : Noise
        What beam and detector add.
    store : path or URL, optional
        Store of a dataset's noisy images, or files by the ending of a name, in which {frame} and {panel} are filled in.
    frame, panel : int, optional
        Numbers that the noise of an array belongs to (0); of a dataset the one frame or panel to measure.
    dtype : str, optional
        "float32" (of arrays by default), "int32" (of stores) or "uint16".
    region : Region, optional
        Part of an array that was simulated; the rest has no value (NaN, -1, 0), like pixels that are NaN.
    workers, scheduler, scheduler_file, resume, overwrite, tile, compression, progress
        As for `run`.
    pixel_size : float, optional
        Edge of a pixel in metres, for a store whose input does not state it.

    Returns
    -------
    dask.array.Array or NoiseResult
        A lazy image of `dtype`, or the figures and files of every frame.

    Raises
    ------
    InputError, StoreError, ClusterError
        Where noise and pixels do not go together, or an output cannot be written.

    Examples
    --------
    >>> import tilesim
    >>> still = tilesim.from_nanobragg("-default_F 100 -cell 50 60 70 90 90 90 -N 5 -detpixels 64 -distance 100")
    >>> counts = tilesim.add_noise(tilesim.simulate(still), tilesim.Noise(readout=2.0), dtype="int32")
    >>> counts.shape, str(counts.dtype)
    ((64, 64), 'int32')
    """
    if hasattr(image, "dask"):
        from tilesim.tools.lazynoise import noisy_array

        if store is not None:
            raise InputError("store= goes with a dataset; expected tilesim.open(...) in place of an array")
        return noisy_array(image, noise, frame=frame or 0, panel=panel or 0, dtype=dtype or "float32", region=region)
    if store is None:
        raise InputError("the noise of a dataset needs a place; expected store=, a store or the name of files")
    from tilesim.images.opening import dataset_of
    from tilesim.series.launch import connected
    from tilesim.series.progress import progress as showing
    from tilesim.store.compression import parse_compression
    from tilesim.tools.measuring import check_measured, measure, pixel_type_of
    from tilesim.tools.noisejob import noise_job
    from tilesim.tools.reached import access_of, engine_of, read_for

    data, target = dataset_of(image), os.fspath(store)
    job = noise_job(
        data,
        noise,
        pixel_type_of(target, dtype),
        frames=None if frame is None else (data.place(frame),),
        panels=None if panel is None else (panel,),
        tile=(tile, tile) if isinstance(tile, int) else tile,
    )
    access = access_of(workers, scheduler, scheduler_file)
    check_measured(job, target, read_for(access))
    pixels = math.prod(job.plan.shape)
    with connected(access, "cpu") as cluster:
        shown = progress is not False
        with showing(len(job.plan), pixels, shown, "measuring", "pixels", lines=progress is True) as on_tile:
            return measure(
                job,
                target,
                pixel_size=_pixel_size(data, pixel_size),
                engine=engine_of(cluster),
                compression=None if compression is None else parse_compression(compression),
                resume=resume,
                overwrite=overwrite,
                on_tile=on_tile,
            )


def _pixel_size(data: Dataset, given: float | None) -> float:
    if not data.unknown:
        return data.experiment(0).detector.panels[0].pixel_size
    if given is None:
        raise InputError(f"{data.path} does not state the size of a pixel; expected pixel_size= in metres")
    return given
