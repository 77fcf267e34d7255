"""Writing files all or not at all: into temporary files beside them, renamed on success."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextvars import ContextVar
from typing import BinaryIO

from tilesim.errors import StoreError
from tilesim.files.reading import printable

HIDDEN = ".tiles.zarr"
"""How the name of a folder ends that files are made of."""
LONGEST, LONGEST_PATH = 255, 4095
"""Bytes of a name in a folder, and of a whole path, that Linux takes."""
OPEN_FILES = re.compile(r"/dev/std|/dev/fd/|/proc/[^/]+/(task/[^/]+/)?fd/")
"""How names of open files begin."""

_waiting: ContextVar[list[tuple[str, str | os.PathLike[str]]] | None] = ContextVar("waiting", default=None)
"""Temporary files of the block of `all_together` that runs now, and the paths that they are meant for."""


@contextlib.contextmanager
def all_together() -> Iterator[None]:
    """Files that this block writes and puts in place get there at its end, all of them; none where it fails."""
    waiting: list[tuple[str, str | os.PathLike[str]]] = []
    before = _waiting.set(waiting)
    try:
        yield
        for temporary, path in waiting:
            _rename(temporary, path)
    except BaseException:
        for temporary, _ in waiting:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        raise
    finally:
        _waiting.reset(before)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary file to write; it takes the place of `path` when the block ends well, and vanishes otherwise.

    A target that exists and is no regular file (a device, a FIFO, standard output) is written straight.
    Raises StoreError, naming path and cause, where writing fails. A link is followed, not replaced.
    """
    check_writable(path)
    if is_special(path):
        with store_errors(path), open(path, "wb") as file:
            yield file
        return
    with _temporary(path) as (descriptor, _), os.fdopen(descriptor, "wb") as file:
        yield file


@contextlib.contextmanager
def replacing_path(path: str | os.PathLike[str]) -> Iterator[str]:
    """The name of an empty file for a library that opens files itself; it takes the place of `path` as in `replacing`.

    Raises StoreError, also where `path` is a device or a pipe.
    """
    check_writable(path)
    if is_special(path):
        raise StoreError(f"cannot write {printable(path)}: expected the name of a file, found a device or a pipe")
    with _temporary(path) as (descriptor, name):
        os.close(descriptor)
        yield name


@contextlib.contextmanager
def _temporary(path: str | os.PathLike[str]) -> Iterator[tuple[int, str]]:
    """A new file beside `path`, open, and its name; it takes the place of `path`, or is removed."""
    with store_errors(path):
        descriptor, temporary = create_beside(path)
        try:
            yield descriptor, temporary
            put_in_place(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


def put_in_place(temporary: str, path: str | os.PathLike[str]) -> None:
    """Rename a finished file from `create_beside` to `path`: now, or with the others of `all_together`.

    Raises StoreError.
    """
    waiting = _waiting.get()
    if waiting is None:
        _rename(temporary, path)
    else:
        waiting.append((temporary, path))


def _rename(temporary: str, path: str | os.PathLike[str]) -> None:
    with store_errors(path):
        os.replace(temporary, os.path.realpath(path))


def check_name(path: str | os.PathLike[str]) -> None:
    """Raise StoreError where the system does not take such a name: it holds NUL bytes, or is too long."""
    if "\0" in os.fspath(path):
        raise StoreError(f"cannot write {printable(path)}: expected a file name without NUL bytes")
    real = os.fsencode(os.path.realpath(path))
    longest = max(map(len, real.split(b"/")))
    if longest > LONGEST or len(real) > LONGEST_PATH:
        raise StoreError(
            f"cannot write {printable(path)}: the name has {longest} bytes, its path {len(real)}; expected at most "
            f"{LONGEST} and {LONGEST_PATH}"
        )


def check_writable(path: str | os.PathLike[str]) -> None:
    """Whether `path` can be written later, to be asked before a long run; creates nothing.

    Raises StoreError where its folder is missing or closed, it is a folder, or it is write-protected.
    """
    name = os.fspath(path)
    with store_errors(path):
        check_name(name)
        real = os.path.realpath(name)
        if not name or name.endswith(os.sep) or os.path.isdir(real):
            raise StoreError(f"cannot write {printable(path)}: expected the name of a file, found that of a folder")
        if os.path.islink(real):
            raise StoreError(f"cannot write {printable(path)}: it is a link that leads back to itself")
        if os.path.exists(name):
            if not os.access(name, os.W_OK):
                raise PermissionError(13, "Permission denied")
            if is_special(name):
                return
        folder = os.path.dirname(real)
        if not os.path.isdir(folder):
            raise StoreError(f"cannot write {printable(path)}: there is no folder {printable(folder)}")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise StoreError(f"cannot write {printable(path)}: no permission to write in folder {printable(folder)}")


def hidden_place(file: str) -> str:
    """The folder beside `file` for what it is made of: a store that goes when it is there."""
    folder, name = ("", "tilesim") if is_special(file) else os.path.split(os.path.realpath(file))
    if len(os.fsencode(name)) > LONGEST - len(HIDDEN) - 1:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return os.path.realpath(os.path.join(folder, f".{name}{HIDDEN}"))


def is_special(path: str | os.PathLike[str]) -> bool:
    """Whether `path` exists and is to be written straight, not replaced: no regular file, or an open descriptor."""
    if OPEN_FILES.match(os.path.abspath(path)):
        return True
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


def create_beside(path: str | os.PathLike[str]) -> tuple[int, str]:
    """Descriptor and name of a new file in the folder of `path`, with the permissions of `path`. May raise OSError."""
    real = os.path.realpath(path)
    temporary = os.path.join(os.path.dirname(real), f".tilesim-{os.urandom(8).hex()}.tmp")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    with contextlib.suppress(OSError):
        os.fchmod(descriptor, stat.S_IMODE(os.stat(real).st_mode))
    return descriptor, temporary


@contextlib.contextmanager
def store_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn the operating system's errors into StoreError lines that name `path`; errors of other files pass."""
    try:
        yield
    except OSError as error:
        if error.filename is not None and not _concerns(error.filename, path):
            raise
        raise StoreError(f"cannot write {printable(path)}: {error.strerror or error}") from error


def _concerns(filename: object, path: str | os.PathLike[str]) -> bool:
    """Whether an error about `filename` is one about writing `path` or its temporary file."""
    name = os.fsdecode(filename) if isinstance(filename, str | bytes) else ""
    return name == os.fspath(path) or os.path.dirname(name) == os.path.dirname(os.path.realpath(path))
