"""Reading HDF5 images: NXmx and what DECTRIS detectors write, (frame, slow, fast) in one or several datasets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np

from tilesim.errors import InputError
from tilesim.files.libraries import Hdf5, need
from tilesim.files.reading import printable, unreadable
from tilesim.images.pixels import BlockImage, check_number

PLACES = ("data", "instrument/detector/data")
"""Paths of pixels within an entry: a dataset, or a group of them."""
DETECTOR = "instrument/detector"
PARTS = re.compile(r"data(_\d+)?")


@dataclass(frozen=True)
class Module:
    """Where a panel is in the data, (slow, fast) each."""

    corner: tuple[int, int]
    shape: tuple[int, int]


class Hdf5Image(BlockImage):
    """One frame of a dataset; the file is opened for each block, so that nothing stays open."""

    def __init__(
        self, path: str, dataset: str, place: tuple[int, ...], module: Module, frames: int, panels: int
    ) -> None:
        self.path = path
        self.shape = module.shape
        self.frames = frames
        self.panels = panels
        self.border = -module.corner[0]
        self._dataset = dataset
        self._place = place
        self._corner = module.corner
        with _opened(path) as file:
            stored = file[dataset]
            self.dtype = stored.dtype.newbyteorder("=")
            self.chunk = tuple(stored.chunks[-2:]) if stored.chunks else None

    def block(self, rows: slice, columns: slice) -> np.ndarray:
        """The pixels of a part. Raises InputError where they are damaged, or a library to unpack them is missing."""
        parts = (
            slice(*(edge + corner for edge in part.indices(size)[:2]))
            for part, size, corner in zip((rows, columns), self.shape, self._corner, strict=True)
        )
        with _opened(self.path) as file:
            pixels: np.ndarray = file[self._dataset][(*self._place, *parts)]
        return pixels.astype(self.dtype, copy=False)


def open_hdf5_image(path: str | os.PathLike[str], frame: int, panel: int) -> Hdf5Image:
    """A frame of /entry/data/data, /entry/data/data_000001 ... or /entry/instrument/detector/data.

    Frames are counted through all datasets. Panels are the second of four dimensions, or the NXdetector_modules that
    lie in the data where there are several. Raises InputError.
    """
    name = os.fspath(path)
    with _opened(name) as file:
        parts = _datasets(file, name)
        modules = _modules(file[parts[0][0].partition("/")[0]], parts[0][1])
    frames = sum(shape[0] if len(shape) > 2 else 1 for _, shape in parts)
    check_number(path, "frame", frame, frames)
    number = frame
    for dataset, shape in parts:
        count = shape[0] if len(shape) > 2 else 1
        if number < count:
            panels = shape[1] if len(shape) == 4 else len(modules)
            check_number(path, "panel", panel, panels)
            module = modules[0 if len(shape) == 4 else panel]
            return Hdf5Image(name, dataset, (number, panel)[: len(shape) - 2], module, frames, panels)
        number -= count
    raise AssertionError("counted above")


def _datasets(file: Hdf5, name: str) -> list[tuple[str, tuple[int, ...]]]:
    """Path and shape of every dataset of pixels, in order. Raises InputError where there is none."""
    import h5py

    entries = [key for key in file if isinstance(_item(file, key), h5py.Group)]
    # What is called entry comes first.
    for entry in sorted(entries, key=lambda key: (key != "entry", key)):
        for place in PLACES:
            found = _item(file[entry], place)
            items = {place: found}
            if isinstance(found, h5py.Group):
                names = [key for key in found if PARTS.fullmatch(key)]
                names = ["data"] if "data" in names else sorted(names)
                items = {f"{place}/{key}": _linked(found, key, name) for key in names}
            parts = [(f"{entry}/{key}", item) for key, item in items.items() if isinstance(item, h5py.Dataset)]
            if parts:
                return [(key, _shape(item, f"{printable(name)}: {key}")) for key, item in parts]
    raise InputError(f"{printable(name)}: expected pixels at /entry/data/data or /entry/data/data_000001, found none")


def _modules(entry: Hdf5, shape: tuple[int, ...]) -> list[Module]:
    """The panels that lie side by side in the data, in the order of their numbers; the whole where there is one."""
    import h5py

    detector, whole, found = _item(entry, DETECTOR), Module((0, 0), (shape[-2], shape[-1])), []
    if len(shape) == 4 or not isinstance(detector, h5py.Group):
        return [whole]
    for key in sorted(detector, key=lambda key: [int(n) for n in re.findall(r"\d+", key)]):
        group = _item(detector, key)
        if isinstance(group, h5py.Group) and group.attrs.get("NX_class") in ("NXdetector_module", b"NXdetector_module"):
            try:
                (top, left), (slow, fast) = (map(int, group[name][-2:]) for name in ("data_origin", "data_size"))
            except (KeyError, TypeError, ValueError, IndexError):
                return [whole]
            beyond = top + slow > whole.shape[0] or left + fast > whole.shape[1]
            if min(top, left) < 0 or min(slow, fast) < 1 or beyond:
                return [whole]
            found.append(Module((top, left), (slow, fast)))
    return found if len(found) > 1 else [whole]


def _item(group: Hdf5, key: str) -> Hdf5 | None:
    """What is under a key, None where nothing is or a link leads nowhere."""
    try:
        return group.get(key)
    except (KeyError, OSError, RuntimeError):
        return None


def _linked(group: Hdf5, key: str, name: str) -> Hdf5:
    item = _item(group, key)
    if item is None:
        target = getattr(group.get(key, getlink=True), "filename", None)
        where = f" in {printable(target)}" if target else ""
        raise InputError(f"{printable(name)}: {group.name}/{key} leads to nothing{where}")
    return item


def _shape(dataset: Hdf5, where: str) -> tuple[int, ...]:
    shape: tuple[int, ...] = dataset.shape
    if dataset.dtype.kind not in "iuf" or not shape or not 2 <= len(shape) <= 4 or min(shape) < 1:
        raise InputError(f"{where}: expected numbers (frame, slow, fast), found {dataset.dtype} of shape {shape}")
    return shape


@contextmanager
def _opened(path: str) -> Iterator[Hdf5]:
    """The file, its errors in one line."""
    h5py = need("h5py", "reading HDF5 files")
    with suppress(ImportError):
        import hdf5plugin  # noqa: F401  (the codecs of detectors)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except FileNotFoundError as error:
        raise unreadable(path, error) from error
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split())
        hint = "; pip install 'tilesim[formats]' has codecs" if "filter" in reason or "plugin" in reason else ""
        raise InputError(f"{printable(path)}: the HDF5 file cannot be read ({reason}){hint}") from error
