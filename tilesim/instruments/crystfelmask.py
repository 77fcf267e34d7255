"""Pixels that a CrystFEL geometry file leaves out: whole panels, their edges, bad regions and mask files."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import numpy as np

from tilesim.errors import InputError
from tilesim.files.hdf5 import check_sources, opened, read_hdf5
from tilesim.files.libraries import Hdf5
from tilesim.files.reading import printable
from tilesim.frozen import frozen
from tilesim.instruments.crystfellines import Line, Lines, nearest
from tilesim.model.detector import Panel

IN_DATA = ("min_fs", "max_fs", "min_ss", "max_ss")
IN_LABORATORY = ("min_x", "max_x", "min_y", "max_y")
FIELDS = (*IN_DATA, *IN_LABORATORY, "panel")
MAX_PIXELS = 2**31
"""More pixels than this on a panel with a mask are taken for a mistake."""
OLD_NAMES = {"mask": "data", "mask_file": "file", "mask_good": "goodbits", "mask_bad": "badbits"}
"""Older names of the parts of mask 0"""
DIGITS = re.compile("[0-9]{1,9}")


@frozen
class PanelMask:
    """A panel and the lines that may leave out pixels of it."""

    name: str
    panel: Panel
    edges: tuple[int, int, int, int]
    """First and last pixel along fs, then along ss, in the data"""
    lines: Lines


@frozen
class BadRegion:
    """A bad region and its lines."""

    name: str
    lines: Lines


def mask_of(
    panels: Sequence[PanelMask], regions: Sequence[BadRegion], name: str
) -> tuple[list[np.ndarray | None], tuple[str, ...]]:
    """Which pixels (slow, fast) of each panel are good, None where all are, and notes on masks that cannot be read.

    name  the geometry file: mask files may stand beside it

    Raises InputError.
    """
    for region in regions:
        _check(region, [panel.name for panel in panels])
    notes: dict[str, None] = {}
    files = _MaskFiles(os.path.dirname(name), notes)
    active = []
    for one in panels:
        bad = [part for part in _parts(one, files) if part is not None]
        bad += [part for region in regions if (part := _within(region, one)) is not None]
        active.append(~np.logical_or.reduce(bad) if bad else None)
    for region in regions:
        _check_use(region, panels)
    return active, tuple(notes)


def _parts(one: PanelMask, files: _MaskFiles) -> list[np.ndarray | None]:
    """What the panel's own lines leave out, each as bad pixels (slow, fast)."""
    shape = one.panel.shape
    if (line := one.lines.get("no_index")) and _is_true(line):
        return [_whole(shape, True)]
    parts: list[np.ndarray | None] = []
    if line := one.lines.get("mask_edge_pixels"):
        if (width := line.whole_number()) < 0:
            raise line.wrong("a number of pixels, 0 or more")
        if width:
            bad = _whole(shape, True)
            bad[width : shape[0] - width, width : shape[1] - width] = False
            parts.append(bad)
    return [*parts, *(files.bad(one, number) for number in range(8))]


def _is_true(line: Line) -> bool:
    word = line.value.lower()
    return word == "true" or (word != "false" and line.whole_number() != 0)


def _whole(shape: tuple[int, int], value: bool) -> np.ndarray:
    if shape[0] * shape[1] > MAX_PIXELS:
        raise InputError(f"a mask of a panel of {shape[0]} x {shape[1]} pixels; expected at most 2^31 pixels")
    return np.full(shape, value)


def _check(region: BadRegion, names: Sequence[str]) -> None:
    """Raise InputError unless a region states one rectangle, and a panel that there is."""
    for key, line in region.lines.items():
        if key not in FIELDS:
            raise line.unknown(f"there is no {key[:40]!r} of a bad region", nearest(key, FIELDS))
    kinds = [[key for key in kind if key in region.lines] for kind in (IN_DATA, IN_LABORATORY)]
    if all(kinds):
        raise InputError(f"{region.name} has {kinds[0][0]} and {kinds[1][0]}; expected fs and ss, or x and y")
    for key in IN_LABORATORY if kinds[1] else IN_DATA:
        if key not in region.lines:
            raise InputError(f"{region.name}/{key} is missing")
    limits = {key: line.number_in() for key, line in region.lines.items() if key != "panel"}
    for key, value in limits.items():
        if key.startswith("max") and value < limits[key.replace("max", "min")]:
            raise region.lines[key].wrong(f"at least {key.replace('max', 'min')}")
    owner = region.lines.get("panel")
    if owner is not None and owner.value not in names:
        raise InputError(f"line {owner.number}: {owner.text}: there is no such panel")


def _check_use(region: BadRegion, panels: Sequence[PanelMask]) -> None:
    """Raise InputError where a region of one panel lies beside it."""
    line = region.lines.get("panel")
    for one in panels:
        if line is not None and one.name == line.value and "min_fs" in region.lines and _rectangle(region, one) is None:
            raise line.wrong(f"a panel that {region.name} has pixels of")


def _within(region: BadRegion, one: PanelMask) -> np.ndarray | None:
    """The pixels of a panel in a region; None where it has none, or is of another panel."""
    line = region.lines.get("panel")
    if line is not None and line.value != one.name:
        return None
    if "min_x" in region.lines:
        return _inside(region, one.panel)
    found = _rectangle(region, one)
    if found is None:
        return None
    bad = _whole(one.panel.shape, False)
    bad[found] = True
    return bad


def _rectangle(region: BadRegion, one: PanelMask) -> tuple[slice, slice] | None:
    """Rows and columns of a panel in a region of the data; None where there are none."""
    left, right, top, bottom = one.edges
    low_fs, high_fs, low_ss, high_ss = (region.lines[key].number_in() for key in IN_DATA)
    columns = max(int(-(-low_fs // 1)), left), min(int(high_fs // 1), right)
    rows = max(int(-(-low_ss // 1)), top), min(int(high_ss // 1), bottom)
    if columns[0] > columns[1] or rows[0] > rows[1]:
        return None
    return slice(rows[0] - top, rows[1] - top + 1), slice(columns[0] - left, columns[1] - left + 1)


def _inside(region: BadRegion, panel: Panel) -> np.ndarray | None:
    """The pixels of a panel whose centre lies in a rectangle of the laboratory, in pixels."""
    slow, fast = (np.arange(count) + 0.5 for count in panel.shape)
    inside = _whole(panel.shape, True)
    for axis, name in enumerate("xy"):
        low, high = (region.lines[f"{end}_{name}"].number_in() for end in ("min", "max"))
        place = panel.origin[axis] / panel.pixel_size + slow[:, None] * panel.slow[axis] + fast * panel.fast[axis]
        inside &= (place >= low) & (place <= high)
    return inside if inside.any() else None


class _MaskFiles:
    """The masks that stand in files; what cannot be had is noted."""

    def __init__(self, folder: str, notes: dict[str, None]) -> None:
        self.folder, self.notes = folder, notes

    def bad(self, one: PanelMask, number: int) -> np.ndarray | None:
        """The pixels that mask `number` says are bad; None where there is no such mask, or it cannot be had."""
        named = {part: one.lines.get(f"mask{number}_{part}") for part in OLD_NAMES.values()}
        if number == 0:
            for old, part in OLD_NAMES.items():
                both = [line for line in (named[part], one.lines.get(old)) if line is not None]
                named[part] = max(both, key=lambda line: line.number, default=None)
        place, file = named["data"], named["file"]
        good, wrong = (line.whole_number() if (line := named[part]) else 0 for part in ("goodbits", "badbits"))
        if place is None:
            if file is not None:
                raise file.wrong(f"mask{number}_data, the place in it, too")
            return None
        lost = "the pixels that it marks are simulated"
        if file is None or "%" in place.value:
            self.notes[f"the mask {place.value[:60]} stands in the images, which are not read: {lost}"] = None
            return None
        paths = (file.value, os.path.join(self.folder, file.value))
        path = next((path for path in paths if os.path.isfile(path)), None)
        if path is None:
            self.notes[f"there is no mask file {printable(file.value)[:80]}: {lost}"] = None
            return None
        words = _words(path, one, place)
        return np.asarray(((words & good) != good) | ((words & wrong) != 0))


def _words(path: str, one: PanelMask, place: Line) -> np.ndarray:
    """The words of a panel's pixels in a mask file. Raises InputError."""
    shown = f"{printable(path)}: {place.value[:60]}"
    try:
        words = read_hdf5(_read_words, path, one, place)
    except InputError as error:
        if "HDF5" not in str(error):
            raise
        raise InputError(f"{shown}: expected an HDF5 mask, which line {place.number} needs; {error}") from None
    if words.dtype.kind == "f" and not np.isfinite(words).all():
        raise InputError(f"{shown} holds NaN or infinity; expected whole numbers")
    return words.astype(np.int64)


def _read_words(path: str, one: PanelMask, place: Line) -> np.ndarray:
    """The same as they are stored."""
    shown = f"{printable(path)}: {place.value[:60]}"
    with opened(path) as file:
        if place.value not in file:
            raise InputError(f"{printable(path)}: there is no {place.value[:60]}, which line {place.number} names")
        found: Hdf5 = file[place.value]
        if not hasattr(found, "dtype") or found.dtype.kind not in "iufb":
            raise InputError(f"{shown} is no mask; expected an array of numbers")
        check_sources(found)
        return np.asarray(found[_cut(one, found.shape, shown)])


def _cut(one: PanelMask, shape: tuple[int, ...], shown: str) -> tuple[slice | int, ...]:
    """Where a panel is in the array that holds all, as its dimN lines say. Raises InputError."""
    left, right, top, bottom = one.edges
    dimensions = {0: "ss", 1: "fs"}
    for key, line in one.lines.items():
        if key.startswith("dim"):
            dimensions[int(key[3:])] = line.value
    order = [dimensions[number] for number in sorted(dimensions)]
    if len(shape) != len(order):
        order = [what for what in order if what != "%"]  # a mask for all frames
    places: dict[str, slice | int] = {"ss": slice(top, bottom + 1), "fs": slice(left, right + 1), "%": 0}
    cut = tuple(places.get(what, int(what) if DIGITS.fullmatch(what) else -1) for what in order)
    ends = [part.stop if isinstance(part, slice) else part + 1 for part in cut]
    within = len(cut) == len(shape) and all(0 < end <= size for end, size in zip(ends, shape, strict=True))
    known = all(size == 1 for what, size in zip(order, shape, strict=False) if what == "%")
    if not (within and known and [what for what in order if what in ("ss", "fs")] == ["ss", "fs"]):
        raise InputError(
            f"{shown} has {' x '.join(map(str, shape))} words, in which {one.name} is not found: fs {left} to {right}, "
            f"ss {top} to {bottom}, dimensions {', '.join(order)[:60]}"
        )
    return cut
