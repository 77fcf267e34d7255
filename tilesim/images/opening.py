"""Opening datasets: which pixels a store or file has, and which experiments it states or a caller gives it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from tilesim.errors import InputError
from tilesim.images.dataset import Dataset, checked, pair
from tilesim.images.image import open_image
from tilesim.images.listed import open_list
from tilesim.images.pixels import Image
from tilesim.images.registry import Format, format_of
from tilesim.model import Experiment, Series
from tilesim.model.checks import instance, shown
from tilesim.store.store import Store


def open_dataset(
    path: str | os.PathLike[str],
    *,
    experiment: Experiment | Sequence[Experiment] | None = None,
    shape: tuple[int, int] | None = None,
    warnings: Sequence[str] = (),
    notes: Mapping[str, Any] | None = None,
) -> Dataset:
    """The images and experiments of a store (a folder or URL), of a float, SMV, CBF, TIFF, EDF or HDF5 (NXmx) file, or
    of a list of files and events (.lst).

    experiment  of the first frame, in place of what the file says: the others follow it by its oscillation; or one
                for each frame
    shape       pixels (slow, fast) of a float file, which has no header, panels stacked; None: those of the
                experiment, or of the JSON file beside it, else a square
    warnings, notes  that belong to what the caller specified

    Raises InputError, naming the file.
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"images are {shown(path)}; expected a store or image file by its path, as tilesim.run makes")
    name, form = os.fspath(path), format_of(path)
    remarks, beside = tuple(warnings), notes or {}
    if form == Format.STORE:
        store = Store.open(name)
        size, panels, frames = pair(store.array.shape), store.plan.panels, store.numbers
        stated: Series | str = "" if experiment is None else _given(experiment, len(frames))
        if isinstance(stated, Series):
            checked(stated, name, size, panels)
        return Dataset(name, form, size, panels, frames, store, stated, experiment is None, False, remarks, beside)
    if form == Format.LST:
        listed, known_series = open_list(name, open_dataset)
        first_file, count = listed[0][0], len(listed)
        stated = known_series if experiment is None else _given(experiment, count)
        exact = experiment is None and all(own.exact for own, _ in listed)
        remarks += tuple(dict.fromkeys(line for own, _ in listed for line in own.warnings))
        size, panels = first_file.shape, first_file.panels
        return Dataset(
            name, form, size, panels, tuple(range(count)), None, stated, exact, False, remarks, beside, (), listed
        )
    exact = False
    if experiment is not None:
        stated = ""
        first = Series.of(experiment)[0]
        shape = first.shape if shape is None and form == Format.FLOAT else shape
    elif form == Format.FLOAT:
        from tilesim.images.flatfloat import read_sidecar

        stated, known = read_sidecar(name)
        shape, exact = shape or known, True
    image = open_image(name, shape=shape)
    if experiment is not None:
        stated = _given(experiment, image.frames)
    elif form != Format.FLOAT:
        stated, exact, said = _stated(name, form, image)
        remarks += said
    size, panels, stacked = pair(image.shape), image.panels, False
    if isinstance(stated, Series):
        first = stated[0]
        count = len(first.detector.panels)
        stacked = count > 1 == panels and size == first.shape
        if stacked:
            size, panels = first.panel_shape, count
        try:
            checked(stated, name, size, panels)
        except InputError as error:
            if experiment is not None:
                raise
            stated = str(error)
    return Dataset(name, form, size, panels, tuple(range(image.frames)), None, stated, exact, stacked, remarks, beside)


def _given(experiment: Experiment | Sequence[Experiment], count: int) -> Series:
    """The series of what a caller specified for `count` frames."""
    if isinstance(experiment, Sequence):
        if len(experiment) != count:
            raise InputError(f"{len(experiment)} experiments for {count} frames; expected one for each, or the first")
        return Series.of(experiment)
    return _following(instance("experiment", experiment, Experiment), count)


def _following(first: Experiment, count: int) -> Series:
    """A series in which each frame begins where the one before it ended."""
    scan = first.scan
    if count == 1:
        return Series(first)
    return Series(first, {"scan.start": [scan.start + k * scan.oscillation for k in range(count)]})


def _stated(path: str, form: Format, image: Image) -> tuple[Series | str, bool, tuple[str, ...]]:
    """The experiments that an image file states, or why it does not; whether they are exact; what to say of them."""
    try:
        if form == Format.NXMX:
            from tilesim.images.nxmxseries import read_nxmx_series

            return read_nxmx_series(path, image.frames)
        from tilesim.images.headers import header_experiment

        experiment, exact = header_experiment(path, form, pair(image.shape))
        return _following(experiment, image.frames), exact, ()
    except InputError as error:
        return str(error), False, ()


def dataset_of(data: Dataset | str | os.PathLike[str]) -> Dataset:
    """A dataset itself, or that of a path."""
    return data if isinstance(data, Dataset) else open_dataset(data)
