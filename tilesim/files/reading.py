"""Getting a file's bytes, and quoting a piece of them in a one-line error."""

from __future__ import annotations

import os

import numpy as np

from tilesim.errors import InputError

QUOTED = 60
"""Characters of a bad line that an error shows."""


LONGEST_SHOWN = 240
"""Characters of a name that an error shows."""


def read_bytes(path: str | os.PathLike[str], start: int = 0, size: int = -1) -> bytes:
    """The whole file, or up to `size` bytes from `start`. Raises InputError, naming it and why it cannot be read."""
    try:
        with open(path, "rb") as file:
            if start:  # no pipe can seek
                file.seek(start)
            return file.read(size)
    except (OSError, ValueError, MemoryError) as error:
        raise unreadable(path, error) from error


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


def quoted(text: bytes) -> str:
    """The start of a line in quotes, unprintable bytes escaped."""
    line = text.decode("ascii", "backslashreplace").strip()
    short = line if len(line) <= QUOTED else line[: QUOTED - 3] + "..."
    return repr(short)


def number(field: bytes) -> float:
    """The decimal number that `field` spells, NaN and infinity too. Raises ValueError on anything else."""
    if b"_" in field:  # Python would take 1_000 for a number
        raise ValueError(field)
    return float(field)


def uncommented(data: bytes) -> list[bytes]:
    """The lines of a text without line ends (LF, CR-LF or CR) and without `#` comments; blank ones stay."""
    return [line.partition(b"#")[0] for line in data.splitlines()]
