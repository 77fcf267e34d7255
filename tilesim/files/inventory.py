"""What a command reads and writes, compared before anything is opened for writing: no output may harm an input."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from tilesim.errors import InputError
from tilesim.files.reading import printable
from tilesim.files.replace import check_name, check_writable, is_special
from tilesim.frozen import frozen

ROOT = "zarr.json"
"""The object without which there is no store."""
MARK = b'"tilesim"'
"""What the root of a store of tilesim's holds."""
START = 2**16
"""Bytes of a root in which the mark is looked for."""
Key = tuple[int, int] | str
"""Identity of a file: device and number where it is there, otherwise the path with links followed."""


@frozen
class NamedFile:
    """A file, folder or URL, and what names it."""

    label: str
    """Flag, option or argument, such as -hkl"""
    path: str
    """As the user wrote it"""

    @property
    def shown(self) -> str:
        """The name for a message."""
        return printable(self.path)


def check_files(
    inputs: Iterable[NamedFile], outputs: Iterable[NamedFile] = (), stores: Iterable[NamedFile] = ()
) -> None:
    """Refuse outputs that are inputs or lie in one, hold one, are one and the same, or lie in a store of tilesim's.

    Names count for what they lead to: relative or absolute, through links of either kind, as file:// or /proc/...

    inputs   files, and stores, that are read
    outputs  files that are written
    stores   folders or URLs that are filled, and perhaps replaced

    Raises InputError; StoreError where a file cannot be written for another reason. Touches nothing.
    """
    known = _Places()
    read = _by_key(inputs, known)
    files, folders = list(outputs), list(stores)
    holders = {key: one for one in folders for key in known.keys(one.path)}
    for one in read.values():
        if (held := _first(holders, known.above(one.path))) is not None:
            raise _inside(one, f"output {held.shown}")
    written: dict[Key, NamedFile] = {}
    for one in (*files, *folders):
        if _is_device(one.path):
            continue
        own, above = known.keys(one.path), tuple(known.above(one.path))
        if (found := _first(read, own)) is not None:
            raise InputError(f"{one.shown} is an input ({found.label}); expected another name for an output")
        if (found := _first(read, above)) is not None:
            raise _inside(one, f"input {found.shown}")
        if _first(written, own) is not None and not is_special(one.path):
            raise InputError(f"{one.shown} is named for two outputs; expected a file of its own for each")
        if (found := _first(holders, above)) is not None:
            raise _inside(one, f"output {found.shown}")
        if (store := known.store_around(one.path)) is not None:
            raise _inside(one, f"store {printable(store)}")
        written |= dict.fromkeys(own, one)
    for one in files:
        check_writable(one.path)
    for one in folders:
        if "://" not in one.path:
            check_name(one.path)


def _inside(one: NamedFile, what: str) -> InputError:
    return InputError(f"{one.shown} ({one.label}) lies inside the {what}; expected a place outside of it")


def _by_key(named: Iterable[NamedFile], known: _Places) -> dict[Key, NamedFile]:
    found: dict[Key, NamedFile] = {}
    for one in named:
        if not _is_device(one.path):
            found |= dict.fromkeys(known.keys(one.path), one)
    return found


def _first(among: dict[Key, NamedFile], keys: Iterable[Key]) -> NamedFile | None:
    return next((among[key] for key in keys if key in among), None)


class _Places:
    """Identities of paths and of the folders above them, each folder asked for once."""

    def __init__(self) -> None:
        self._folder = lru_cache(4096)(_identity)
        self._around = lru_cache(4096)(_store_at_or_above)

    def keys(self, path: str) -> tuple[Key, ...]:
        """What a path may be recognised by."""
        real = _real(path)
        return (real,) if "://" in real else tuple(dict.fromkeys((_identity(real), real)))

    def above(self, path: str) -> Iterator[Key]:
        """Identities of the folders that a path is in, from the inside."""
        return (key for folder in _folders(_real(path)) for key in (self._folder(folder), folder))

    def store_around(self, path: str) -> str | None:
        """The store of tilesim's, on this machine, that a path is in."""
        real = _real(path)
        return None if "://" in real else self._around(os.path.dirname(real))


def _real(path: str) -> str:
    """A path without links, `.` and `..`; of a URL the same by its text."""
    scheme, separator, rest = path.partition("://")
    if not separator:
        return os.path.realpath(path.replace("\0", "?"))
    if scheme.lower() == "file":
        return os.path.realpath(unquote(urlsplit(path).path).replace("\0", "?"))
    return f"{scheme.lower()}://{posixpath.normpath(rest)}"


def _folders(real: str) -> Iterator[str]:
    """The folders above a path without links, or the URLs above one."""
    scheme, separator, rest = real.rpartition("://")
    while (above := posixpath.dirname(rest)) != rest and (above or not separator):
        yield f"{scheme}{separator}{above}"
        rest = above


def _identity(real: str) -> Key:
    if "://" in real:
        return real
    try:
        found = os.stat(real)
    except (OSError, ValueError):
        return real
    return found.st_dev, found.st_ino


def _is_device(path: str) -> bool:
    """Whether a path is that of a terminal or another device, which reading and writing do not harm."""
    try:
        return stat.S_ISCHR(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def _store_at_or_above(folder: str) -> str | None:
    for place in (folder, *_folders(folder)):
        try:
            with open(os.path.join(place, ROOT), "rb") as file:
                if MARK in file.read(START):
                    return place
        except (OSError, ValueError):
            continue
    return None
