"""Files, perhaps damaged, in the hands of a library: what it may read is bounded, and its log is quiet."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO
from typing import TYPE_CHECKING

from tilesim.errors import InputError
from tilesim.files.reading import printable

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MOST_HEADERS = 2**26
"""Bytes of all headers of a file."""
LEAST = 64
"""What a read counts for at least, so that there is an end to short ones, too."""


class LeadsBack(Exception):
    """What is raised instead of an OSError, which libraries take for the end of a file."""


class BoundedFile(BufferedReader):
    """A file from which headers are read: those that lead back to one before, or claim to be huge, must not go on."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(FileIO(os.fspath(path), "rb"))
        self.length = os.fstat(self.fileno()).st_size
        self.left = min(2 * self.length, MOST_HEADERS) + 2**16
        """Bytes that may still be read."""

    def read(self, size: int | None = -1, /) -> bytes:
        self._take(self.length if size is None or size < 0 else min(size, self.length))
        return super().read(size)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        self._take(memoryview(buffer).nbytes)
        return super().readinto(buffer)

    def _take(self, count: int) -> None:
        self.left -= max(count, LEAST)
        self.check()

    def check(self) -> None:
        """Raise LeadsBack, again where a library caught it, once too much was read."""
        if self.left < 0:
            raise LeadsBack("a header is longer than the file, or leads back")


@contextmanager
def guarded(path: str | os.PathLike[str], library: str, what: str) -> Iterator[BoundedFile]:
    """The file for `library`; whatever goes wrong there is an InputError: expected `what`, such as "a TIFF file"."""
    with quiet(library), BoundedFile(path) as file:
        try:
            yield file
            file.check()
        except InputError:
            raise
        except Exception as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{printable(path)}: expected {what}, found a damaged one ({reason})") from error


@contextmanager
def quiet(library: str) -> Iterator[None]:
    """Libraries log what they then raise, or what they make up for; what matters is checked by us."""
    logger = logging.getLogger(library)
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)
