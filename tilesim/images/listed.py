"""Lists of images as CrystFEL has them (.lst): a file in each line, and which of its events."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from itertools import groupby
from typing import TYPE_CHECKING

from tilesim.errors import InputError
from tilesim.files.reading import plain_text, printable, quoted, read_bytes
from tilesim.frozen import frozen
from tilesim.images.pixels import check_number
from tilesim.images.registry import Format, format_of
from tilesim.model import Series

if TYPE_CHECKING:
    from tilesim.images.dataset import Dataset

LINE = re.compile(r"(?P<file>.+?)(?:\s+(?P<event>\S*//\S*))?")
EVENT = re.compile(r"//(\d{1,9})")
LISTED = (Format.NXMX, Format.CBF)
"""Formats of the files of a list, as CrystFEL reads them."""


@frozen
class ListedFile:
    """One line of a list."""

    where: str
    """List and line, for messages"""
    path: str
    event: int | None
    """Number of the image in its file, from 0; None: all that it holds"""


def read_list(path: str | os.PathLike[str]) -> tuple[ListedFile, ...]:
    """The lines of a list. Raises InputError, naming the line.

    A name is relative to the folder of the list, as tilesim writes it, or else to the working folder, as CrystFEL
    takes it.
    """
    name, folder, found = printable(path), os.path.dirname(os.fspath(path)), []
    for number, row in enumerate(plain_text(read_bytes(path), name).splitlines(), 1):
        line = os.fsdecode(row.strip())
        if not line:
            continue
        where, match = f"{name} line {number}", LINE.fullmatch(line)
        assert match is not None  # the line is not empty
        event = match["event"] and EVENT.fullmatch(match["event"])
        if match["event"] and not event:
            raise InputError(f"{where}: expected an event such as //3, found {quoted(match['event'].encode())}")
        there = next((one for one in (os.path.join(folder, match["file"]), match["file"]) if os.path.isfile(one)), None)
        if there is None:
            raise InputError(f"{where}: there is no file {printable(match['file'])}; expected FILE, or FILE //EVENT")
        found.append(ListedFile(where, there, int(event[1]) if event else None))
    if not found:
        raise InputError(f"{name}: expected a file in each line, and //EVENT; found none")
    return tuple(found)


def open_list(
    path: str | os.PathLike[str], open_file: Callable[[str], Dataset]
) -> tuple[tuple[tuple[Dataset, int], ...], Series | str]:
    """The file and place in it of every image of a list, and the experiments, or why they are not known.

    Raises InputError, naming the line.
    """
    opened: dict[str, Dataset] = {}
    found: list[tuple[Dataset, int]] = []
    for line in read_list(path):
        try:
            if line.path not in opened:
                if (form := format_of(line.path)) not in LISTED:
                    raise InputError(f"{printable(line.path)} is a {form} file; expected HDF5 or CBF in a list")
                opened[line.path] = open_file(line.path)
            own = opened[line.path]
            if line.event is not None:
                check_number(line.path, "event", line.event, len(own))
            first = found[0][0] if found else own
            if (own.shape, own.panels) != (first.shape, first.panels):
                raise InputError(
                    f"{printable(line.path)} holds {own.panels} panels of {own.shape} pixels (slow, fast); expected "
                    f"{first.panels} of {first.shape}, as before"
                )
        except InputError as error:
            raise InputError(f"{line.where}: {error}") from None
        found += [(own, place) for place in (range(len(own)) if line.event is None else (line.event,))]
    return tuple(found), _experiments(found)


def _experiments(found: list[tuple[Dataset, int]]) -> Series | str:
    parts = []
    for _, group in groupby(found, key=lambda one: id(one[0])):
        images = list(group)
        own = images[0][0]
        if own.unknown:
            return f"of {printable(own.path)} it is not known"
        parts.append(own.series.take([place for _, place in images]))
    return Series.join(parts, numbers=range(len(found)))
