"""The verbs of `import tilesim`: run, open, export, preview, truth; adding noise: addnoise.py."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tilesim.errors import InputError
from tilesim.model import Experiment, Series

if TYPE_CHECKING:
    from tilesim.files.outputs import Outputs
    from tilesim.images.dataset import Dataset
    from tilesim.series.results import Results
    from tilesim.tools.export import ExportResult
    from tilesim.tools.truth import Truth

Path = str | os.PathLike[str]


def run(
    experiment: Experiment | Sequence[Experiment],
    *,
    store: Path | None = None,
    files: Outputs | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    scheduler_file: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    tile: int | tuple[int, int] | None = None,
    precision: str = "mixed",
    device: str = "auto",
    backend: str = "auto",
    tables: bool = True,
    truth: bool = False,
    compression: str | None = None,
    progress: bool | None = None,
) -> Results:
    """Compute the images of an experiment or a series, into a store, into files, or both.

    Parameters
    ----------
    experiment : Experiment or sequence of Experiment
        One experiment, a `Series`, or an experiment for each frame; all of one detector shape.
    store : path or URL, optional
        Zarr store to fill, which holds the experiments, too, and can be resumed.
    files : Outputs, optional
        Files to make of every frame.
    workers : int, optional
        Number of worker processes to start on this machine; by default threads of this process compute.
    scheduler, scheduler_file : optional
        Address of a dask scheduler, or the file that it wrote, whose workers compute.
    resume, overwrite : bool
        Whether a store of the same job is resumed, or one that is there is replaced.
    tile : int or (int, int), optional
        Pixels (slow, fast) of a tile; chosen where it is not given.
    precision, device, backend : str
        "mixed" or "double"; "auto", "cpu" or "cuda"; "auto", "eager" or "fused".
    tables : bool
        Whether the store holds the structure factors.
    truth : bool
        Whether the store holds mean wavelength and mean h, k, l of every pixel.
    compression : str, optional
        Compression of the store: "none", "lz4", "zstd", or with a level as in "zstd:3".
    progress : bool, optional
        Whether progress is shown; by default a bar where there is a terminal or a notebook.

    Returns
    -------
    Results
        Statistics and files of every frame, and what is missing.

    Raises
    ------
    InputError, PlanError, StoreError, ClusterError
        Where something is wrong with the input, the job, an output or the workers; nothing is half-written, and what
        a store holds already is resumed by the same call with ``resume=True``.

    Examples
    --------
    >>> import tempfile, tilesim
    >>> still = tilesim.from_nanobragg("-default_F 100 -cell 50 60 70 90 90 90 -N 5 -detpixels 64 -distance 100")
    >>> series = tilesim.Series(still, scan_start=[0.0, 0.01])
    >>> folder = tempfile.mkdtemp()
    >>> results = tilesim.run(series, store=f"{folder}/x.zarr")
    >>> len(results.frames), results.missing
    (2, ())
    """
    from tilesim.files.outputs import Outputs
    from tilesim.series.frames import Frames
    from tilesim.series.launch import Choices, launched
    from tilesim.series.progress import progress as showing
    from tilesim.series.targets import check_outputs
    from tilesim.store.compression import parse_compression
    from tilesim.tools.reached import access_of, read_for

    series = Series.of(experiment)
    outputs, name = files or Outputs(), None if store is None else os.fspath(store)
    if name is None and not outputs.named:
        raise InputError("run makes nothing; expected store=, or files=Outputs(...)")
    outputs.check(len(series))
    frames = Frames(series, outputs)
    access = access_of(workers, scheduler, scheduler_file)
    check_outputs(frames, name, read=read_for(access))
    choices = Choices(
        tile=(tile, tile) if isinstance(tile, int) else tile,
        precision=precision,
        device=device,
        backend=backend,
        resume=resume,
        overwrite=overwrite,
        compression=None if compression is None else parse_compression(compression),
        tables=tables,
        truth=truth,
    )
    with launched([(frames, name)], choices, access) as launch:
        shown = progress is not False
        with showing(launch.tiles, launch.steps, shown, lines=progress is True) as on_tile:
            return launch.render(on_tile)


def open(
    path: Path,
    *,
    experiment: Experiment | Sequence[Experiment] | None = None,
    shape: tuple[int, int] | None = None,
) -> Dataset:
    """Open the images and experiments of a store, or of a float, SMV, CBF, TIFF, EDF or HDF5 (NXmx) file.

    Parameters
    ----------
    path : path or URL
        Store, a folder or a URL, or image file; the format is known by the content.
    experiment : Experiment or sequence of Experiment, optional
        Experiment of the first frame, which the others follow by its oscillation, or one for each frame, in place of
        what the file states.
    shape : (int, int), optional
        Pixels (slow, fast) of a float file, which has no header; by default a square.

    Returns
    -------
    Dataset
        Images are read when they are computed, experiments when they are asked for.

    Raises
    ------
    InputError
        Where there is nothing of the kind, naming the file.

    Examples
    --------
    >>> import tilesim
    >>> data = tilesim.open("x.zarr")                 # doctest: +SKIP
    >>> data.experiment(0).beam, data.image(0).max().compute()   # doctest: +SKIP
    """
    from tilesim.images.opening import open_dataset

    return open_dataset(path, experiment=experiment, shape=shape)


def export(
    data: Dataset | Path,
    out: Path,
    *,
    format: str | None = None,
    frames: int | Sequence[int] | None = None,
    panel: int | None = None,
    scale: float | None = None,
    offset: float | None = None,
    models: Path | None = None,
    axes: str = "imgcif",
    material: str | None = None,
) -> ExportResult:
    """Write images to the files of other programs.

    Parameters
    ----------
    data : Dataset or path
        What to export.
    out : path
        Name of the file, in which {frame}, {image} (frame + 1) and {panel} are filled in.
    format : str, optional
        "float", "smv", "cbf", "tiff", "edf", "nxmx", "cxi", "expt" or "png"; by default by the ending of `out`.
    frames : int or sequence of int, optional
        Numbers of the frames; by default all.
    panel : int, optional
        Number of one panel; by default all.
    scale : float, optional
        Factor of photons before they are rounded to whole numbers, for integer formats; without it nothing is rounded.
    offset : float, optional
        Number added to the pixels of SMV files.
    models : path, optional
        File of DIALS models (.expt) to write beside the images.
    axes : str
        Laboratory frame of the models: "imgcif", "mcstas" or "lab".
    material : str, optional
        Sensor material, where the experiment does not state it.

    Returns
    -------
    ExportResult
        Files that were written, and remarks on what they do not hold.

    Raises
    ------
    InputError, StoreError
        Where the format cannot hold the images, or a file cannot be written; then none is.

    Examples
    --------
    >>> import tilesim
    >>> tilesim.export("x.zarr", "x_{frame:04d}.cbf", scale=1).files     # doctest: +SKIP
    """
    from tilesim.geometry.axes import Axes
    from tilesim.images.opening import dataset_of
    from tilesim.images.registry import Format, format_named
    from tilesim.tools.export import EXPORTED, Selection, export_images

    data, out = dataset_of(data), os.fspath(out)
    form = Format(format) if format is not None else format_named(out, EXPORTED, ", or format=")
    numbers = data.frames if frames is None else (frames,) if isinstance(frames, int) else frames
    chosen = Selection(
        form,
        tuple(data.place(number) for number in numbers),
        tuple(range(data.panels)) if panel is None else (panel,),
        scale,
        offset,
        Axes(axes),
        None if models is None else os.fspath(models),
        material,
    )
    return export_images(data, out, chosen)


def preview(
    data: Dataset | Path,
    out: Path,
    *,
    frame: int | Sequence[int] | None = None,
    panel: int | None = None,
    **choices: Any,
) -> tuple[str, ...]:
    """Draw frames, panels assembled by their geometry: a PNG, or a page for a browser where the name ends in .html.

    Parameters
    ----------
    data : Dataset or path
        What to draw.
    out : path
        Name of the picture or page.
    frame : int or sequence of int, optional
        Number of the frame; by default the first, of a page all. A PNG of several is a contact sheet.
    panel : int, optional
        Number of one panel; by default all of them.
    **choices
        Fields of `tilesim.tools.previewchoices.PreviewChoices`, such as ``spots=20``, ``rings=False``, ``scale="log"``.

    Returns
    -------
    tuple of str
        What could not be drawn, a line each.

    Raises
    ------
    InputError, StoreError
        Where there is no such frame, or what was asked for needs a geometry that is not known.

    Examples
    --------
    >>> import tilesim
    >>> tilesim.preview("x.zarr", "x.png", frame=3, spots=20)      # doctest: +SKIP
    """
    from tilesim.images.opening import dataset_of
    from tilesim.tools.preview import draw_dataset
    from tilesim.tools.previewchoices import PreviewChoices, is_page

    data = dataset_of(data)
    known = PreviewChoices.__dataclass_fields__
    if wrong := next((name for name in choices if name not in known), None):
        raise InputError(f"preview has no choice {wrong!r}; expected one of {', '.join(known)}")
    if frame is None:
        places: Sequence[int] = range(len(data)) if is_page(os.fspath(out)) else (0,)
    else:
        places = [data.place(number) for number in ([frame] if isinstance(frame, int) else frame)]
    return draw_dataset(data, out, places, panel, PreviewChoices(**choices)).remarks


def truth(
    data: Dataset | Path, *, reflections: Path | None = None, labels: Path | None = None, least: float = 1.0
) -> Truth:
    """Tables of the reflections and of the labels of every shot in a store of a run with ``truth=True``.

    Parameters
    ----------
    data : Dataset or path
        The store; all its pixels must be there.
    reflections, labels : path, optional
        Files to write a table to: .csv, .h5, or .parquet where pyarrow is installed.
    least : float
        Photons of a reflection that counts.

    Returns
    -------
    Truth
        Its ``reflections``, a row for each on a panel of a frame, and ``labels``, a row for each frame, are arrays (n,)
        by the name of the column (docs/truth.md), as `pandas.DataFrame` takes them; computed when they are asked for.

    Raises
    ------
    InputError, StoreError
        Where the store holds no truth, is not complete, or a table cannot be written; then none is.

    Examples
    --------
    >>> import tempfile, tilesim
    >>> flags = "-default_F 100 -cell 50 60 70 90 90 90 -N 5 -detpixels 64 -distance 100 -fluence 1e26"
    >>> store = f"{tempfile.mkdtemp()}/x.zarr"
    >>> _ = tilesim.run(tilesim.from_nanobragg(flags), store=store, truth=True)
    >>> known = tilesim.truth(store)
    >>> known.labels["frame"].tolist(), [round(x, 2) for x in known.reflections["partiality"].tolist()][:3]
    ([0], [0.94, 0.99, 1.0])
    """
    from tilesim.images.opening import dataset_of
    from tilesim.model.checks import not_negative
    from tilesim.tools.truth import Truth

    known = Truth(dataset_of(data), not_negative("least", least))
    known.write(*(None if path is None else os.fspath(path) for path in (reflections, labels)))
    return known
