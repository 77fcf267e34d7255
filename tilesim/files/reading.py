"""Getting a file's bytes, as text where it is one, and quoting a piece of them in a one-line error."""

from __future__ import annotations

import io
import os
import re
import select
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np

from tilesim.errors import InputError

QUOTED = 60
"""Characters of a bad line that an error shows."""
LONGEST_SHOWN = 240
"""Characters of a name that an error shows."""
MOST = 2**30
"""Bytes of a text, and of anything that has no size of its own, such as a pipe."""
CHUNK = 2**20
WAITS = 1000
"""Milliseconds without a byte after which a pipe is said to be waited for."""
GZIP = b"\x1f\x8b"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_FOREIGN = {
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"BZh": "a file of bzip2",
    b"\xfd7zXZ": "a file of xz",
    b"PK\x03\x04": "a zip archive",
    b"\x28\xb5\x2f\xfd": "a file of zstd",
}
_NUMBER = re.compile(
    rb"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf(?:inity)?|nan)", re.IGNORECASE | re.ASCII
)
_GLUE = re.compile(rb"(?<=[0-9.])(?=[+-])")


def file_size(path: str | os.PathLike[str]) -> int:
    """Bytes of a regular file. Raises InputError where there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{printable(path)}: expected a file, found a folder, a pipe or a device")
    return status.st_size


def read_bytes(path: str | os.PathLike[str], start: int = 0, size: int = -1) -> bytes:
    """The whole file, or up to `size` bytes from `start`. Raises InputError, naming it and why it cannot be read.

    A pipe or device that gives nothing at first is waited for, which a warning says; one without an end is refused.
    """
    try:
        with _opened(path) as (file, regular):
            if start:  # no pipe can seek
                file.seek(start)
            return file.read(size) if regular or size >= 0 else _until_end(file, printable(path))
    except (OSError, ValueError, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        raise unreadable(path, error) from error


def read_text(path: str | os.PathLike[str]) -> bytes:
    """The text of a file, out of gzip and without a byte order mark. Raises InputError, naming it."""
    return plain_text(read_bytes(path), printable(path))


def plain_text(data: bytes, name: str) -> bytes:
    """The text that a file's bytes are, out of gzip and without a byte order mark.

    Raises InputError where they are none, naming the file, and where there is more than `MOST` of it.
    """
    if data.startswith(GZIP):
        import gzip

        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                data = file.read(MOST + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{name}: expected text, found a damaged gzip file ({error})") from error
    for mark, what in _FOREIGN.items():
        if data.startswith(mark):
            raise InputError(f"{name}: expected plain text or gzip of it, found {what}")
    if len(data) > MOST:
        raise InputError(f"{name}: expected at most {MOST} bytes of text, found more")
    zero = data.find(b"\0")
    if zero >= 0:
        line = data.count(b"\n", 0, zero) + 1
        raise InputError(f"{name} line {line}: expected text, found a zero byte: it is a binary file or a damaged one")
    return data.removeprefix(BYTE_ORDER_MARK)


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[tuple[BinaryIO, bool]]:
    """A file to read, once it has something to give, and whether it is a regular one."""
    # A pipe that nobody writes to would hold up its opening, too.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        if not regular:
            _wait(descriptor, printable(path))
            os.set_blocking(descriptor, True)
        yield file, regular


def _wait(descriptor: int, name: str) -> None:
    """Wait until there is a byte, or an end; a signal ends it."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if not poll.poll(WAITS):
        import logging

        logging.getLogger(__name__).warning("waiting for somebody to write to %s", name)
        poll.poll()


def _until_end(file: BinaryIO, name: str) -> bytes:
    """All that a pipe or device gives. Raises InputError where that does not end."""
    parts, length = [], 0
    while part := file.read(CHUNK):
        parts.append(part)
        length += len(part)
        if b"\0" in part and not parts[0].startswith(GZIP):
            raise InputError(f"{name}: expected text, found zero bytes")
        if length > MOST:
            raise InputError(f"{name}: expected at most {MOST} bytes of text, found no end")
    return b"".join(parts)


def read_into(pixels: np.ndarray, path: str | os.PathLike[str], descriptor: int, offset: int) -> None:
    """Fill a contiguous array from an open file, of which `path` is the name. Raises InputError where it is shorter."""
    data = pixels.reshape(-1).view(np.uint8).data
    while data:
        try:
            count = os.preadv(descriptor, [data], offset)
        except OSError as error:
            raise unreadable(path, error) from error
        if count == 0:
            raise InputError(f"{printable(path)}: the file ended while it was read")
        data, offset = data[count:], offset + count


def unreadable(path: str | os.PathLike[str], error: Exception) -> InputError:
    """The error for a file that cannot be opened or read, to be raised by the caller."""
    return InputError(f"cannot read {printable(path)}: {getattr(error, 'strerror', None) or error or 'out of memory'}")


def printable(path: str | os.PathLike[str]) -> str:
    """The file's name as given, control characters escaped so that a message stays one line; the middle of a long one
    is left out.
    """
    name = os.fspath(path)
    if len(name) > LONGEST_SHOWN:
        name = f"{name[: LONGEST_SHOWN // 2]}...{name[-LONGEST_SHOWN // 2 :]}"
    return name if name.isprintable() else repr(name)


def encodable(text: str) -> str:
    """The text with the bytes of names that are no characters escaped, for what holds characters only."""
    return text.encode("utf-8", "backslashreplace").decode()


def quoted(text: bytes) -> str:
    """The start of a line in quotes, unprintable bytes escaped."""
    line = text.strip().decode("ascii", "backslashreplace")
    short = line if len(line) <= QUOTED else line[: QUOTED - 3] + "..."
    return repr(short)


def number(field: bytes) -> float:
    """The decimal number that `field` spells, NaN and infinity too. Raises ValueError on anything else."""
    if not _NUMBER.fullmatch(field):  # Python would take 1_000 for a number
        raise ValueError(field)
    return float(field)


def fields(line: bytes) -> list[bytes]:
    """What stands between white space; numbers that a sign alone separates, as in 0.02-0.10, are taken apart.

    Columns of a fixed width may leave no space between, and the reference reads them.
    """
    found = line.split()
    if not _GLUE.search(line):
        return found
    return [part for field in found for part in _apart(field)]


def _apart(field: bytes) -> list[bytes]:
    parts = _GLUE.split(field)
    return parts if all(map(_NUMBER.fullmatch, parts)) else [field]


def uncommented(data: bytes) -> list[bytes]:
    """The lines of a text without line ends (LF, CR-LF or CR) and without `#` comments; blank ones stay."""
    return [line.partition(b"#")[0] for line in data.splitlines()]
