"""Where the modules of an NXmx detector lie in its data, in which order, and their masks."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

import numpy as np

from tilesim.errors import InputError
from tilesim.files.hdf5 import check_sources
from tilesim.files.libraries import Hdf5
from tilesim.instruments.nexus import broken_link, children, member, names, numbers, text, within

Place = tuple[slice, ...]
"""Place of a module in an image, slow before fast."""
Modules = Sequence[tuple[Hdf5, Place]]
LARGEST = 2**31
"""Pixels along one edge."""


def module_slices(entry: Hdf5, detector: Hdf5, notes: list[str]) -> list[tuple[Hdf5, Place]]:
    """The modules of a detector in the order of their pixels, each with its place in an image. Raises InputError.

    Sizes that are fast before slow, of which the data in the same file say so, are turned.
    """
    found = []
    for module in children(detector, "NXdetector_module"):
        origin, size = (_whole(module, key) for key in ("data_origin", "data_size"))
        if len(origin) != len(size) or len(size) < 2 or any(n != 1 for n in size[:-2]):
            raise InputError(
                f"{module.name} has data_origin {origin} and data_size {size}; expected those of one panel"
            )
        stride = member(module, "data_stride")
        if stride is not None and (numbers(stride) != 1.0).any():
            raise InputError(f"{stride.name} is {numbers(stride).tolist()[:4]}; expected 1, pixels without gaps")
        found.append((module, origin, size))
    found.sort(key=lambda one: (one[1], _number_in_name(one[0])))
    shapes = _shapes(entry, detector, len(found[0][2]))
    if shapes and not any(_fits(found, shape) for shape in shapes.values()):
        found = [(module, _turned(origin), _turned(size)) for module, origin, size in found]
        witness = next((name for name, shape in shapes.items() if _fits(found, shape)), None)
        if witness is None:
            name, shape = next(iter(shapes.items()))
            raise InputError(
                f"{found[0][0].name} has data_size {_turned(found[0][2])}, {name} has the shape {shape}; "
                "expected modules within the data"
            )
        notes.append(f"data_size of {found[0][0].name} is fast before slow, as {witness} shows; it is turned")
        found.sort(key=lambda one: (one[1], _number_in_name(one[0])))
    return [
        (module, tuple(slice(top, top + count) for top, count in zip(origin, size, strict=True)))
        for module, origin, size in found
    ]


def _whole(module: Hdf5, key: str) -> tuple[int, ...]:
    dataset = member(module, key)
    if dataset is None:
        raise InputError(f"{module.name} has no {key}; expected one")
    values = numbers(dataset)
    low = 1 if key == "data_size" else 0
    if not ((values == np.floor(values)) & (values >= low) & (values < LARGEST)).all():
        raise InputError(f"{dataset.name} is {values.tolist()[:4]}; expected pixels")
    return tuple(int(x) for x in values)


def _turned(pixels: tuple[int, ...]) -> tuple[int, ...]:
    return (*pixels[:-2], pixels[-1], pixels[-2])


def _fits(modules: Sequence[tuple[Hdf5, tuple[int, ...], tuple[int, ...]]], shape: tuple[int, ...]) -> bool:
    """Whether modules are within an image."""
    return all(
        top + count <= edge for _, origin, size in modules for top, count, edge in zip(origin, size, shape, strict=True)
    )


def _shapes(entry: Hdf5, detector: Hdf5, dimensions: int) -> dict[str, tuple[int, ...]]:
    """Shapes of an image by what in the file shows them: data, or else masks, or else counts of pixels."""
    found: dict[str, tuple[int, ...]] = {}
    for group in (*within(entry, "NXdata"), detector):
        parts = sorted(key for key in names(group) if re.match(r"data_\d+$", key))
        for key in (text(group.attrs.get("signal", "data")), "data", *parts):
            item = member(group, key)
            shape = getattr(item, "shape", None) or ()
            if item is not None and len(shape) in (dimensions, dimensions + 1):
                found[str(item.name)] = tuple(shape[-dimensions:])
    specific = member(detector, "detectorSpecific")
    groups = [detector] if specific is None else [detector, specific]
    for item in (member(group, "pixel_mask") for group in groups) if not found else ():
        if item is not None and getattr(item, "size", None) and item.ndim == dimensions:
            found[str(item.name)] = tuple(item.shape)
    if not found and specific is not None and dimensions == 2:
        counts = [member(specific, f"{axis}_pixels_in_detector") for axis in "yx"]
        if all(count is not None for count in counts):
            found[str(specific.name)] = tuple(int(numbers(count)[0]) for count in counts)
    return found


def _number_in_name(group: Hdf5) -> tuple[str, int]:
    """Names by their number: module_10 comes after module_9."""
    name = posixpath.basename(group.name)
    digits = re.search(r"\d+$", name)
    return (name[: digits.start()], int(digits.group())) if digits else (name, -1)


def active_pixels(detector: Hdf5, modules: Modules, notes: list[str]) -> list[np.ndarray | None]:
    """Pixels (slow, fast) of each module whose words are zero in all masks; None: all. Raises InputError."""
    keys = [key for key in names(detector) if re.match(r"pixel_mask(_\d+)?$", key)]
    parts = []
    for module, place in modules:
        own = tuple(slice(0, part.stop - part.start) for part in place[-2:])
        found = [_active(detector, key, place, notes) for key in keys]
        if "pixel_mask" in module:
            found.append(_active(module, "pixel_mask", own, notes))
        active = [one for one in found if one is not None]
        parts.append(np.logical_and.reduce(active) if active else None)
    return parts


def _active(group: Hdf5, key: str, place: Place, notes: list[str]) -> np.ndarray | None:
    """True where a mask has no word for a module's pixels; None for a mask that says nothing."""
    shape = tuple(part.stop - part.start for part in place)
    name = f"{group.name}/{key}"
    words = member(group, key)
    if words is None:
        notes.append(f"{name} is a link to {broken_link(group, key)}, which is not there; no pixel is masked by it")
        return None
    if not words.size:
        return None
    frames = words.ndim - len(place)
    if frames not in (0, 1) or any(part.stop > n for part, n in zip(place, words.shape[frames:], strict=True)):
        if tuple(reversed(words.shape[-2:])) == shape[-2:] and not any(part.start for part in place):
            notes.append(f"{name} is fast before slow; no pixel is masked by it")
            return None
        raise InputError(f"{name} has {words.shape} words, which are not the modules' pixels")
    if frames and words.shape[0] > 1:
        notes.append(f"{name} differs from frame to frame; that of frame 0 is taken")
    check_sources(words, [*(slice(0, 1),) * frames, *place])
    found: np.ndarray = np.asarray(words[(*(0,) * frames, *place)]).reshape(shape[-2:]) == 0
    return found
