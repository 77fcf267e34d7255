"""Files that a file names and that are read with it: HDF5 links and virtual datasets, masks of a CrystFEL geometry."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress

from tilesim.errors import InputError
from tilesim.files.libraries import Hdf5, need
from tilesim.files.reading import read_bytes

HDF5 = b"\x89HDF\r\n\x1a\n"
DEEPEST, MOST = 6, 20_000
"""Groups within groups, and objects, that are looked at."""
LARGEST = 2**22
"""Bytes of a text in which names are looked for."""
MASK = re.compile(rb"^\s*(?:\S+/)?mask\d*_file\s*=\s*([^;\r\n]+)", re.MULTILINE)


def linked_files(path: str) -> tuple[str, ...]:
    """Names of the files that `path`, which can be read, takes pixels or masks from; itself not among them."""
    if "://" in path or not os.path.isfile(path):
        return ()
    folder = os.path.dirname(path)
    if read_bytes(path, 0, len(HDF5)) == HDF5:
        names = _of_hdf5(path)
    else:
        names = [os.fsdecode(name.strip()) for name in MASK.findall(read_bytes(path, 0, LARGEST))]
    return tuple(dict.fromkeys(os.path.join(folder, name) for name in names if name not in ("", ".")))


def _of_hdf5(path: str) -> list[str]:
    from tilesim.files.hdf5 import read_hdf5

    # What was read of it is sound; another part of it may be damaged, which is nothing to complain of here.
    with suppress(InputError):
        return read_hdf5(_names, path)
    return []


def _names(path: str) -> list[str]:
    from tilesim.files.hdf5 import opened

    names: list[str] = []
    with suppress(InputError), opened(path) as file:
        names.extend(_named_in(file, [MOST], DEEPEST))
    return names


def _named_in(group: Hdf5, left: list[int], deep: int) -> Iterator[str]:
    """Files that the links and datasets of a group name; `left` counts how many more are looked at."""
    h5py = need("h5py", "reading HDF5 files")
    for key in group:
        left[0] -= 1
        if left[0] < 0:
            return
        link = group.get(key, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            yield link.filename
        elif isinstance(link, h5py.HardLink):
            item = group[key]
            if isinstance(item, h5py.Group) and deep:
                yield from _named_in(item, left, deep - 1)
            elif isinstance(item, h5py.Dataset):
                yield from (name for name, *_ in item.external or ())
                if item.is_virtual:
                    yield from (source.file_name for source in item.virtual_sources())
