"""Reading grey TIFF images: pixels as they lie in the file, or unpacked by Pillow where they are compressed."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass

import numpy as np

from tilesim.errors import InputError
from tilesim.formats.extra import need
from tilesim.formats.pixels import ArrayImage, RawImage, check_number
from tilesim.io.reading import printable, unreadable

WIDTH, HEIGHT, BITS, COMPRESSION, OFFSETS, SAMPLES, COUNTS, TILES, FORMAT = 256, 257, 258, 259, 273, 277, 279, 322, 339
PLAIN = 1
"""Not compressed."""
LETTERS = {1: "u", 2: "i", 3: "f"}
"""Of the sample formats: unsigned, signed, IEEE float."""
SIZES = {"u": (1, 2, 4), "i": (1, 2, 4), "f": (2, 4, 8)}
MOST_PAGES = 100_000
MOST_EXPANSION = 1100
"""A compressed byte becomes no more than this many (deflate)."""


@dataclass(frozen=True)
class Page:
    """What one image file directory says, checked."""

    shape: tuple[int, int]
    dtype: np.dtype
    compression: int
    offset: int | None
    """Where the pixels begin; None where they do not lie there in one piece."""


def open_tiff_image(path: str | os.PathLike, frame: int) -> RawImage | ArrayImage:
    """Page `frame` of a TIFF file. Raises InputError, naming the file, where it is damaged or not grey."""
    pages = _read_directories(path)
    check_number(path, "frame", frame, len(pages))
    page = _page(path, *pages[frame])
    if page.offset is not None:
        return RawImage(path, page.shape, page.dtype, page.offset, len(pages))
    return ArrayImage(_unpack(path, frame, page), len(pages))


def _read_directories(path: str | os.PathLike) -> list[tuple[dict, str]]:
    """The tags of every page, and the byte order."""
    plugin = need("PIL.TiffImagePlugin", "reading TIFF files")
    pages, seen = [], set()
    with warnings.catch_warnings():
        # Pillow warns of tags that it skips; what is needed is checked here.
        warnings.simplefilter("ignore")
        try:
            with open(path, "rb") as file:
                start = file.read(8)
                order = "<" if start[:2] == b"II" else ">"
                start += file.read(8) if start[2:4] in (b"+\0", b"\0+") else b""
                directory = plugin.ImageFileDirectory_v2(start)
                while directory.next and directory.next not in seen:
                    if len(pages) == MOST_PAGES:
                        raise InputError(f"{printable(path)}: expected at most {MOST_PAGES} pages")
                    seen.add(directory.next)
                    file.seek(directory.next)
                    directory.load(file)
                    tags = {tag: directory.get(tag) for tag in directory if tag in WANTED}
                    pages.append((tags, order))
        except OSError as error:
            raise unreadable(path, error) from error
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"{printable(path)}: expected a TIFF file, found a damaged one ({error})") from error
    if not pages:
        raise InputError(f"{printable(path)}: expected a TIFF file with an image, found none")
    return pages


WANTED = {WIDTH, HEIGHT, BITS, COMPRESSION, OFFSETS, SAMPLES, COUNTS, TILES, FORMAT}


def _page(path: str | os.PathLike, tags: dict, order: str) -> Page:
    name = printable(path)
    try:
        slow, fast = int(tags[HEIGHT]), int(tags[WIDTH])
        bits, letter = int(_first(tags.get(BITS, 1))), LETTERS[int(_first(tags.get(FORMAT, 1)))]
        compression, samples = int(tags.get(COMPRESSION, PLAIN)), int(tags.get(SAMPLES, 1))
        offsets, counts = ([int(n) for n in tags.get(tag, ())] for tag in (OFFSETS, COUNTS))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name}: expected a TIFF file, found a damaged one or none of numbers") from error
    if samples != 1 or bits % 8 or bits // 8 not in SIZES[letter]:
        raise InputError(f"{name}: expected a grey image of 8 to 32 bits or floats, found {samples} x {bits} bits")
    if min(slow, fast) < 1:
        raise InputError(f"{name}: expected a TIFF image of some pixels, found {fast} x {slow}")
    dtype = np.dtype(f"{order}{letter}{bits // 8}")
    together = all(a + n == b for a, n, b in zip(offsets, counts, offsets[1:], strict=False))
    plain = compression == PLAIN and offsets and together and TILES not in tags
    return Page((slow, fast), dtype, compression, offsets[0] if plain else None)


def _first(value: object) -> object:
    return value[0] if isinstance(value, tuple) else value


def _unpack(path: str | os.PathLike, frame: int, page: Page) -> np.ndarray:
    image = need("PIL.Image", "reading TIFF files")
    slow, fast = page.shape
    if slow * fast * page.dtype.itemsize > MOST_EXPANSION * os.path.getsize(path):
        raise InputError(f"{printable(path)}: {fast} x {slow} pixels cannot come out of so small a file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with image.open(path, formats=["TIFF"]) as opened:
                opened.seek(frame)
                pixels = np.asarray(opened)
        except Exception as error:
            raise InputError(f"{printable(path)}: the compressed TIFF image cannot be read ({error})") from error
    if pixels.shape != page.shape:
        raise InputError(f"{printable(path)}: expected {fast} x {slow} pixels, found {pixels.shape}")
    # Pillow has unsigned 32-bit integers as signed ones.
    native = page.dtype.newbyteorder("=")
    return pixels.view(native) if pixels.dtype.itemsize == native.itemsize else pixels.astype(native)
