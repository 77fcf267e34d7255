"""Reading HDF5 images: NXmx and what DECTRIS detectors write, (frame, slow, fast) in one or several datasets."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import product
from typing import Any

import numpy as np

from tilesim.errors import InputError
from tilesim.files import apart
from tilesim.files.hdf5 import bounds_of, check_sources, opened, read_hdf5
from tilesim.files.libraries import Hdf5
from tilesim.files.reading import printable
from tilesim.frozen import frozen
from tilesim.images.absent import Marks, blank_marks, unsigned_marks
from tilesim.images.pixels import BlockImage, check_number

PLACES = ("data", "instrument/detector/data", "data_1", "instrument_1/detector_1/data")
"""Paths of pixels within an entry, of NXmx and of CXI files: a dataset, or a group of them."""
DETECTOR = "instrument/detector"
MASKS = ("pixel_mask", "detectorSpecific/pixel_mask")
"""Paths of masks within a detector."""
PARTS = re.compile(r"data(_\d+)?")
SLOWEST = 2e7
"""Bytes that are unpacked in a second at least."""


@frozen
class Module:
    """Where a panel is in the data, (slow, fast) each."""

    corner: tuple[int, int]
    shape: tuple[int, int]

    def part(self, rows: slice, columns: slice) -> tuple[slice, slice]:
        """Rows and columns of the panel as those of the data."""
        (top, bottom), (left, right) = (
            part.indices(size)[:2] for part, size in zip((rows, columns), self.shape, strict=True)
        )
        return (
            slice(top + self.corner[0], bottom + self.corner[0]),
            slice(left + self.corner[1], right + self.corner[1]),
        )


@frozen
class Part:
    """One frame of one panel in a file."""

    dataset: str
    place: tuple[int, ...]
    """Index along the dimensions before slow and fast"""
    module: Module
    frames: int
    panels: int
    dtype: np.dtype[Any]
    chunk: tuple[int, int] | None
    marks: Marks
    mask: str | None
    """Dataset of words that are not 0 where pixels have no value"""
    mask_place: tuple[int, ...]


class Hdf5Image(BlockImage):
    """One frame of a dataset; the file is opened for each block, so that nothing stays open."""

    def __init__(self, path: str, part: Part) -> None:
        self.path = path
        self.shape = part.module.shape
        self.frames = part.frames
        self.panels = part.panels
        self.border = -part.module.corner[0]
        self.dtype = part.dtype
        self.chunk = part.chunk
        self.marks = part.marks
        self._part = part

    def block(self, rows: slice, columns: slice) -> np.ndarray:
        """The pixels of a part. Raises InputError where they are damaged, or a library to unpack them is missing."""
        where = self._part.module.part(rows, columns)
        work = self.dtype.itemsize * math.prod(part.stop - part.start for part in where)
        part = self._part
        pixels = read_hdf5(_read, self.path, part.dataset, part.place, where, seconds=apart.LIMIT + work / SLOWEST)
        return pixels.astype(self.dtype, copy=False)

    def absent(self, pixels: np.ndarray, row: int = 0, column: int = 0) -> np.ndarray:
        """Which pixels of a block have no value: marks, what was never written, and those of the file's mask."""
        where = (slice(row, row + pixels.shape[0]), slice(column, column + pixels.shape[1]))
        absent = super().absent(pixels)
        part = self._part
        if part.mask is not None:
            masked = _mask(self.path, os.stat(self.path).st_mtime_ns, part.mask, part.mask_place, part.module)
            absent |= masked[where]
        if self._unwritten is not None:
            absent |= self._unwritten[where]
        return absent

    @cached_property
    def _unwritten(self) -> np.ndarray | None:
        part = self._part
        return read_hdf5(_read_unwritten, self.path, part.dataset, part.place, part.module)


def open_hdf5_image(path: str | os.PathLike[str], frame: int, panel: int) -> Hdf5Image:
    """A frame of /entry/data/data, /entry/data/data_000001 ... or /entry/instrument/detector/data.

    Frames are counted through all datasets. Panels are the second of four dimensions, or the NXdetector_modules that
    lie in the data where there are several. Raises InputError.
    """
    name = os.fspath(path)
    return Hdf5Image(name, read_hdf5(_find, name, frame, panel))


def _find(name: str, frame: int, panel: int) -> Part:
    """Where a frame of a panel is in a file, and what is said of its pixels."""
    with opened(name) as file:
        parts = _datasets(file, name)
        entry = file[parts[0][0].partition("/")[0]]
        modules = _modules(entry, parts[0][1])
        frames = sum(shape[0] if len(shape) > 2 else 1 for _, shape in parts)
        check_number(name, "frame", frame, frames)
        number = frame
        for dataset, shape in parts:
            count = shape[0] if len(shape) > 2 else 1
            if number >= count:
                number -= count
                continue
            panels = shape[1] if len(shape) == 4 else len(modules)
            check_number(name, "panel", panel, panels)
            stored = file[dataset]
            mask, mask_place = _mask_of(entry, name, shape, frames, frame, panel)
            return Part(
                dataset,
                (number, panel)[: len(shape) - 2],
                modules[0 if len(shape) == 4 else panel],
                frames,
                panels,
                stored.dtype.newbyteorder("="),
                tuple(stored.chunks[-2:]) if stored.chunks else None,
                _marks(entry, stored, mask is not None),
                mask,
                mask_place,
            )
    raise AssertionError("counted above")


def _read(name: str, dataset: str, place: tuple[int, ...], where: tuple[slice, slice]) -> np.ndarray:
    """Pixels of a part of a frame."""
    with opened(name) as file:
        stored = file[dataset]
        check_sources(stored, [slice(number, number + 1) for number in place] + list(where))
        pixels: np.ndarray = stored[(*place, *where)]
    return pixels


def _read_unwritten(name: str, dataset: str, place: tuple[int, ...], module: Module) -> np.ndarray | None:
    """Where (slow, fast) nobody wrote pixels of a panel, and the library makes them up; None for nowhere."""
    with opened(name) as file:
        stored = file[dataset]
        unwritten = np.zeros(module.shape, bool)
        rows, columns = module.part(slice(None), slice(None))
        if stored.is_virtual:
            unwritten[:] = True
            for source in stored.virtual_sources():
                low, high = bounds_of(source.vspace, stored.shape)
                if all(a <= number <= b for a, number, b in zip(low, place, high, strict=False)):
                    (top, left), (bottom, right) = (
                        [max(0, edge - corner) for edge, corner in zip(bound[-2:], module.corner, strict=True)]
                        for bound in (low, [edge + 1 for edge in high])
                    )
                    unwritten[top:bottom, left:right] = False
        elif stored.chunks is not None and stored.id.get_num_chunks() < _chunks(stored):
            steps = stored.chunks
            lead = [number // step * step for number, step in zip(place, steps, strict=False)]
            down, across = (
                range(part.start // step * step, part.stop, step)
                for part, step in zip((rows, columns), steps[-2:], strict=True)
            )
            for top, left in product(down, across):
                if stored.id.get_chunk_info_by_coord((*lead, top, left)).byte_offset is None:
                    above, before = top - module.corner[0], left - module.corner[1]
                    unwritten[
                        max(0, above) : max(0, above + steps[-2]), max(0, before) : max(0, before + steps[-1])
                    ] = True
        elif not stored.external and stored.id.get_storage_size() == 0:
            unwritten[:] = True
    return unwritten if unwritten.any() else None


def _chunks(stored: Hdf5) -> int:
    return math.prod(-(-size // step) for size, step in zip(stored.shape, stored.chunks, strict=True))


@lru_cache(maxsize=4)
def _mask(path: str, changed: int, dataset: str, place: tuple[int, ...], module: Module) -> np.ndarray:
    """Where pixels of a panel have no value by the file's mask; kept, because all frames share it."""
    return read_hdf5(_read_mask, path, dataset, place, module)


def _read_mask(name: str, dataset: str, place: tuple[int, ...], module: Module) -> np.ndarray:
    words = _read(name, dataset, place, module.part(slice(None), slice(None)))
    masked: np.ndarray = words != 0
    return masked


def _mask_of(
    entry: Hdf5, name: str, shape: Sequence[int], frames: int, frame: int, panel: int
) -> tuple[str | None, tuple[int, ...]]:
    """The dataset of a mask, and its index before slow and fast. Raises InputError where it is not of the pixels."""
    import h5py

    detector = _item(entry, DETECTOR)
    if not isinstance(detector, h5py.Group):
        return None, ()
    for key in MASKS:
        if key not in detector and detector.get(key, getlink=True, default=None) is None:
            continue
        words = _linked(detector, key, name)
        lead, planes = words.shape[:-2] if isinstance(words, h5py.Dataset) else (), shape[1:-2]
        if not isinstance(words, h5py.Dataset) or words.dtype.kind not in "iub" or words.shape[-2:] != shape[-2:]:
            found = f"{words.dtype} of shape {words.shape}" if isinstance(words, h5py.Dataset) else "a group"
            raise InputError(
                f"{printable(name)}: {words.name}: expected whole numbers, one for each of {tuple(shape[-2:])} pixels"
                f" (slow, fast), found {found}"
            )
        # One for all, one for each panel, or one for each frame, as NXmx has it.
        for known, place in (
            ((), ()),
            (planes, (panel,)[: len(planes)]),
            ((1, *planes), (0, panel)[: 1 + len(planes)]),
            ((frames, *planes), (frame, panel)[: 1 + len(planes)]),
        ):
            if lead == tuple(known):
                return words.name, place
        raise InputError(
            f"{printable(name)}: {words.name} has shape {words.shape}; expected one word for each pixel, of all "
            f"{frames} frames or each"
        )
    return None, ()


def _marks(entry: Hdf5, stored: Hdf5, masked: bool) -> Marks:
    """Numbers that stand for no value: among unsigned ones the two largest, but where a mask says which they are."""
    fill, dtype = blank_marks(stored.fillvalue), stored.dtype
    if dtype.kind == "f":
        return fill
    if dtype.kind == "i":
        least = _number(entry, "underload_value")
        return Marks(least=min(0.0, least) if least is not None else 0, blank=fill.blank)
    if masked:
        return fill
    bits = _number(entry, "bit_depth_image")
    stored_bits = 8 * dtype.itemsize
    return unsigned_marks(int(bits) if bits in (8, 16, 32) and bits < stored_bits else stored_bits, 2)


def _number(entry: Hdf5, key: str) -> float | None:
    """A number of the detector; None where there is none."""
    item = _item(entry, f"{DETECTOR}/{key}")
    try:
        return float(np.asarray(item[()]).reshape(-1)[0]) if item is not None else None
    except (TypeError, ValueError, IndexError):
        return None


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
