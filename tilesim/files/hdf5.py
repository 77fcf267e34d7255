"""The one door to HDF5 files: what a damaged one does is done to a child process, and what is missing is named."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from typing import TypeVar, TypeVarTuple, Unpack

from tilesim.errors import InputError
from tilesim.files.apart import LostError, apart
from tilesim.files.libraries import Hdf5, need
from tilesim.files.reading import printable, unreadable

DEEPEST = 16
"""Virtual datasets of virtual datasets; more of them lead back."""

Found = TypeVar("Found")
Given = TypeVarTuple("Given")


def read_hdf5(
    function: Callable[[str, Unpack[Given]], Found],
    path: str | os.PathLike[str],
    *arguments: *Given,
    seconds: float | None = None,
) -> Found:
    """What a function of a module, which may use `opened`, finds in a file.

    seconds  of processor time that it may take; None: the usual

    Raises what the function raises, and InputError where the file keeps the library busy or crashes it.
    """
    name = os.fspath(path)
    if find_spec("h5py") is None:
        need("h5py", "reading HDF5 files")
    try:
        return apart(function, name, *arguments, seconds=seconds)
    except LostError as error:
        raise InputError(f"{printable(name)}: the HDF5 file is damaged: it {error}") from None


@contextmanager
def opened(path: str) -> Iterator[Hdf5]:
    """The file, for functions that `read_hdf5` calls. Raises InputError, also for what goes wrong within."""
    h5py = need("h5py", "reading HDF5 files")
    with suppress(ImportError):
        import_module("hdf5plugin")  # the codecs of detectors
    try:
        with h5py.File(path, "r") as file:
            yield file
    except FileNotFoundError as error:
        raise unreadable(path, error) from error
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        hint = "; pip install 'tilesim[formats]' has codecs" if "filter" in reason or "plugin" in reason else ""
        raise InputError(f"{printable(path)}: the HDF5 file cannot be read ({reason}){hint}") from error


def check_sources(dataset: Hdf5, wanted: Sequence[slice] = ()) -> None:
    """Raise InputError where what a dataset is made of is not there: the library would read zeros instead.

    That are files of a virtual dataset, files and datasets within these, and raw storage outside of the file.

    wanted  the part, by leading dimensions, that must be there; all of the others
    """
    if dataset.is_virtual or dataset.external:
        bounds = [part.indices(size)[:2] for part, size in zip(wanted, dataset.shape, strict=False)]
        bounds += [(0, size) for size in dataset.shape[len(bounds) :]]
        _check(dataset, bounds, 0)


def _check(dataset: Hdf5, wanted: Sequence[tuple[int, int]], depth: int) -> None:
    """The same for a dataset found along the way; bounds (start, stop) along every dimension."""
    where = f"{printable(dataset.file.filename)}: {dataset.name}"
    if depth > DEEPEST:
        raise InputError(f"{where} is made of itself")
    if dataset.external:
        _check_raw(dataset, where)
    if not dataset.is_virtual:
        return
    for source in dataset.virtual_sources():
        low, high = bounds_of(source.vspace, dataset.shape)
        held = [(max(a, x), min(b, y + 1)) for (a, b), x, y in zip(wanted, low, high, strict=True)]
        if any(start >= stop for start, stop in held):
            continue
        name, inner = _named(source, held)
        if name == ".":
            _check_part(dataset.file, inner, where, source, (low, high), held, depth)
            continue
        found = next((path for path in _candidates(dataset.file.filename, name) if os.path.exists(path)), None)
        if found is None:
            raise InputError(f"{where} is made of {printable(name)}, which is not there")
        with opened(found) as file:
            _check_part(file, inner, where, source, (low, high), held, depth)


def _check_part(
    file: Hdf5,
    name: str,
    where: str,
    source: Hdf5,
    outer: tuple[Sequence[int], Sequence[int]],
    held: Sequence[tuple[int, int]],
    depth: int,
) -> None:
    """Raise InputError unless a source is in its file, large enough, and whole itself.

    outer  first and last index of where it is put
    held   the part of this that is wanted, (start, stop) along every dimension
    """
    missing = f"{where} is made of {name} in {printable(file.filename)}, which is not there"
    try:
        part = file.get(name)
    except (KeyError, OSError, RuntimeError):
        part = None
    if part is None or not hasattr(part, "shape"):
        raise InputError(missing)
    low, high = bounds_of(source.src_space, part.shape)
    # All of a source is as much as its place holds.
    room = math.prod(b - a + 1 for a, b in zip(*outer, strict=True))
    short = math.prod(part.shape) < min(room, source.vspace.get_select_npoints())
    if short or len(low) != len(part.shape) or any(top >= size for top, size in zip(high, part.shape, strict=True)):
        raise InputError(f"{where} is made of more than {name} in {printable(file.filename)} holds: {part.shape}")
    alike = [b - a for a, b in zip(*outer, strict=True)] == [b - a for a, b in zip(low, high, strict=True)]
    bounds = [(a, b + 1) for a, b in zip(low, high, strict=True)]
    if alike:
        bounds = [(start - x + a, stop - x + a) for (start, stop), x, a in zip(held, outer[0], low, strict=True)]
    _check(part, bounds, depth + 1)


def bounds_of(space: Hdf5, shape: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
    """First and last index of a selection along every dimension of an array."""
    if space.get_select_type() == need("h5py", "reading HDF5 files").h5s.SEL_ALL:
        return [0] * len(shape), [size - 1 for size in shape]
    low, high = space.get_select_bounds()
    return low, high


def _named(source: Hdf5, held: Sequence[tuple[int, int]]) -> tuple[str, str]:
    """File and dataset of a source; %b in them is the number of the block that is wanted."""
    names = source.file_name, source.dset_name
    if not any("%b" in name for name in names):
        return names
    number = 0
    starts, strides, counts, _ = source.vspace.get_regular_hyperslab()
    for (start, _), first, stride, count in zip(held, starts, strides, counts, strict=True):
        if count > 1:
            number = max(0, start - first) // max(stride, 1)
    file, inner = (name.replace("%b", str(number)).replace("%%", "%") for name in names)
    return file, inner


def _candidates(main: str, name: str) -> Iterator[str]:
    """Where the library looks for a source of a file, in its order."""
    if os.path.isabs(name):
        yield name
        name = os.path.basename(name)
    for prefix in filter(None, os.environ.get("HDF5_VDS_PREFIX", "").split(":")):
        yield os.path.join(prefix.replace("${ORIGIN}", os.path.dirname(os.path.abspath(main))), name)
    yield os.path.join(os.path.dirname(os.path.abspath(main)), name)
    yield name
    yield os.path.join(os.path.dirname(os.path.realpath(main)), name)


def _check_raw(dataset: Hdf5, where: str) -> None:
    """Raise InputError where raw storage outside of the file is not there, or too short."""
    left = math.prod(dataset.shape) * dataset.dtype.itemsize
    origin = os.path.dirname(os.path.abspath(dataset.file.filename))
    prefix = os.environ.get("HDF5_EXTFILE_PREFIX", "").replace("${ORIGIN}", origin)
    for name, offset, size in dataset.external:
        path = os.path.join(prefix, name)
        try:
            available = os.stat(path).st_size - offset
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{where} is made of {printable(name)}, which cannot be read: {reason}") from None
        needed = min(size, left)
        if available < needed:
            raise InputError(
                f"{where} is made of {needed} bytes in {printable(name)}, which holds {max(0, available)} of them"
            )
        left -= needed
