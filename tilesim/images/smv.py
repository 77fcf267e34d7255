"""SMV images: header and pixels, read (spec files 4) and written with the geometry of any experiment's panel."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping

import numpy as np

from tilesim.errors import InputError
from tilesim.files.cnumbers import atof
from tilesim.files.reading import file_size, printable, unreadable
from tilesim.frozen import frozen
from tilesim.geometry.axes import Axes, rotation_to
from tilesim.images.absent import Marks, usual_marks
from tilesim.images.banded import Bands
from tilesim.images.facing import Facing, facing, facing_experiment
from tilesim.images.flat import write_banded
from tilesim.images.packed import KEY, packed
from tilesim.images.pixels import check_rest
from tilesim.model import Experiment
from tilesim.model.vectors import dot

Items = tuple[tuple[str, str], ...]
"""Keys and values of a header, in order."""

MAGIC = b"{\nHEADER_BYT"
BLOCK = 512
"""Bytes of the smallest header."""
SWAPPED = (2527, 2463)
"""Pixels (slow, fast) of images of ADSC's kind in which DIALS exchanges the two, because another program did."""
MAX_HEADER = 2**24
"""A larger header is taken for a mistake."""
MAX_SIDE = 2**31 - 1
TILTED = 1e-5
"""Distances along the beam and to the plane that differ by more, relative to them, are those of a tilted detector: by
more than the six digits that the reference writes."""
ORDERS = {"little_endian": "<", "big_endian": ">"}
TYPES = {
    "unsigned_char": "u1", "signed_char": "i1",
    "unsigned_short": "u2", "signed_short": "i2", "short": "i2", "unsigned_short_int": "u2", "short_int": "i2",
    "unsigned_long": "u4", "signed_long": "i4", "long": "i4", "unsigned_long_int": "u4", "long_int": "i4",
    "unsigned_int": "u4", "signed_int": "i4", "int": "i4", "float": "f4", "float_ieee": "f4", "double": "f8",
}  # fmt: skip
"""What programs write as TYPE."""


@frozen
class SmvHeader:
    """The text before the pixels; empty (`header_bytes` 0) for a file that strict reading ignores."""

    text: bytes
    header_bytes: int
    """Where the header says that the pixels begin."""

    def value(self, key: str) -> float | None:
        """The number after the next `=` behind the last place where `key` occurs, within other words too.

        None where it does not occur or is NaN; 0 where no number follows.
        """
        return _value(self.text, key)

    def item(self, key: str) -> float | None:
        """The number of the item of exactly this key, the last one; None where there is none."""
        try:
            number = float((_word(self.text, key) or "").replace("_", " "))  # which Python takes among digits
        except ValueError:
            return None
        return number if math.isfinite(number) else None

    @property
    def size(self) -> tuple[int, int]:
        """Pixels (fast, slow); (0, 0) where the header does not say."""
        fast, slow = self.value("SIZE1"), self.value("SIZE2")
        if fast is not None and -1 < fast < 1:
            fast = slow = self.value("DETECTOR_DIMENSIONS")
        return (_count(fast), _count(slow))


def read_smv_header(path: str | os.PathLike[str], *, strict: bool = False) -> SmvHeader:
    """The header of an SMV image. Raises InputError, naming the file, where there is none or its sizes are absurd.

    `strict` gives an empty header for a missing file and for one that does not begin like an SMV image, which
    the reference ignores; a file of less than 512 bytes is an error for it, too.
    """
    name = printable(path)
    if not strict:
        file_size(path)
    try:
        with open(path, "rb") as file:
            block = file.read(BLOCK)
            header_bytes = _count(_value(block.partition(b"\0")[0], "HEADER_BYTES"))
            rest = file.read(header_bytes - BLOCK) if BLOCK < header_bytes <= MAX_HEADER else b""
    except (OSError, ValueError) as error:
        if strict:
            return SmvHeader(b"", 0)
        raise unreadable(path, error) from error
    if len(block) < BLOCK:
        raise InputError(f"{name}: expected an SMV header of at least {BLOCK} bytes, found {len(block)} bytes")
    if not block.startswith(MAGIC):
        if strict:
            return SmvHeader(b"", 0)
        raise InputError(f"{name}: expected an SMV image, found no HEADER_BYTES at its start")
    if not 0 < header_bytes <= MAX_HEADER or len(block + rest) < header_bytes:
        raise InputError(f"{name}: expected an SMV header as long as its HEADER_BYTES={header_bytes} say")
    header = SmvHeader((block + rest)[:header_bytes].partition(b"\0")[0], header_bytes)
    if min(header.size) < 1:
        raise InputError(f"{name}: expected an SMV header with positive SIZE1 and SIZE2, found {header.size}")
    return header


def read_smv_pixels(path: str | os.PathLike[str], header: SmvHeader) -> np.ndarray:
    """Pixels (slow, fast) uint16, little-endian whatever BYTE_ORDER says, as in the reference.

    Raises InputError where the file is too short for the size in its header.
    """
    fast, slow = header.size
    offset = header.header_bytes // 2 * 2
    try:
        with open(path, "rb") as file:
            available = os.fstat(file.fileno()).st_size - offset
            if available < 2 * fast * slow:
                raise InputError(
                    f"{printable(path)}: expected {2 * fast * slow} bytes of pixels for {fast} x {slow} (fast x slow),"
                    f" found {max(available, 0)}"
                )
            return np.fromfile(file, "<u2", fast * slow, offset=offset).reshape(slow, fast)
    except OSError as error:
        raise unreadable(path, error) from error


def read_smv_layout(path: str | os.PathLike[str]) -> tuple[tuple[int, int], np.dtype, int]:
    """Pixels (slow, fast), their type in the byte order of the file, and the byte where they begin.

    TYPE and BYTE_ORDER are believed, and HEADER_BYTES unless the text runs over it and the size of the file says so,
    as in the reference's files. Raises InputError, naming the file.
    """
    header, name = read_smv_header(path), printable(path)
    fast, slow = header.size
    kind, order = (_word(header.text, key) for key in ("TYPE", "BYTE_ORDER"))
    if (kind or "unsigned_short") not in TYPES:
        raise InputError(f"{name}: expected a TYPE such as unsigned_short or float, found {kind}")
    if (order or "little_endian") not in ORDERS:
        raise InputError(f"{name}: expected BYTE_ORDER little_endian or big_endian, found {order}")
    dtype = np.dtype(ORDERS[order or "little_endian"] + TYPES[kind or "unsigned_short"])
    begin = header.header_bytes
    try:
        surplus = os.stat(path).st_size - begin - fast * slow * dtype.itemsize
        if 0 < surplus <= BLOCK:
            with open(path, "rb") as file:
                start = file.read(begin + surplus)
            text = re.search(rb"}\s*\f", start)
            begin = len(start) if text and text.end() == len(start) else begin
    except OSError as error:
        raise unreadable(path, error) from error
    check_rest(path, begin + fast * slow * dtype.itemsize)
    return (slow, fast), dtype, begin


def smv_marks(path: str | os.PathLike[str], dtype: np.dtype) -> Marks:
    """Numbers of pixels without a value: where dark pixels are above 0, 0 is one. The largest is an overload."""
    if dtype.kind != "u":
        return usual_marks(dtype)
    header = read_smv_header(path)
    dark = [header.value(key) for key in ("ADC_OFFSET", "IMAGE_PEDESTAL")]
    return Marks(blank=0 if any(one is not None and one > 0 for one in dark) else None)


def smv_experiment(header: SmvHeader, shape: tuple[int, int]) -> Experiment:
    """Beam, detector and spindle of a header with nanoBragg's keys. Raises InputError where it does not state them.

    Other keys leave open in which convention a beam centre is meant.
    """
    names = ("PIXEL_SIZE", "DISTANCE", "WAVELENGTH", "DENZO_X_BEAM", "DENZO_Y_BEAM")
    values = {name: header.item(name) for name in names}
    missing = [name for name, value in values.items() if value is None]
    if missing:
        raise InputError(f"its header does not state {missing[0]}, and leaves open what its beam centre means")
    for name in ("TWOTHETA", "CLOSE_DISTANCE", "OSC_START", "OSC_RANGE"):
        if header.item(name) is None and (word := _word(header.text, name)):
            raise InputError(f"its header states {name} {word[:20]!r}; expected a number")
    if header.item("TWOTHETA"):
        raise InputError("its header states a two-theta swing, and a beam centre as it was before")
    nearest, along = header.item("CLOSE_DISTANCE"), values["DISTANCE"]
    if nearest is not None and along is not None and abs(nearest - along) > TILTED * along:
        raise InputError(
            f"its header states a tilted detector, {nearest:g} mm away and {along:g} mm along the beam, but not how it "
            "is tilted"
        )
    pixel, distance, wavelength, slow, fast = (float(value or 0.0) for value in values.values())
    if not pixel > 0.0:
        raise InputError(f"its header states pixels of {pixel:g} mm; expected more than 0")
    start, width = header.item("OSC_START") or 0.0, header.item("OSC_RANGE") or 0.0
    centre = (slow / pixel, fast / pixel)
    return facing_experiment(shape, pixel * 1e-3, distance * 1e-3, centre, wavelength * 1e-10, start, width)


def write_smv(
    path: str | os.PathLike[str], image: Bands, offset: float, scale: float, experiment: Experiment, about: Facing
) -> None:
    """Write an image of 16-bit pixels, which are photons x `scale` + `offset`, all or nothing. Raises StoreError."""
    text = packed(experiment)
    items = (*smv_items(experiment, about), *_scaling(offset, scale), *(((KEY, text),) if text else ()))
    write_banded(path, header_block(items), (band for _, band in image.bands()))


def write_plain_smv(path: str | os.PathLike[str], image: Bands, offset: float, scale: float) -> None:
    """Write the same without a geometry in the header."""
    items = (*_layout(image.shape), *_scaling(offset, scale))
    write_banded(path, header_block(items), (band for _, band in image.bands()))


def stacked_header(experiment: Experiment, offset: float, scale: float) -> bytes:
    """The header of an image of all panels below each other; its geometry is that of the first. Raises InputError."""
    items = dict(smv_items(experiment, facing(experiment, 0, "the header of an SMV image")))
    return header_block((items | dict(_layout(experiment.shape)) | dict(_scaling(offset, scale))).items())


def smv_items(experiment: Experiment, about: Facing) -> Items:
    """Keys and values that readers place the detector by, each in its own convention (docs/export.md).

    BEAM_CENTER_X and Y are as ADSC's are read: along slow and fast, mm from the outer corner of pixel (0, 0). What
    nanoBragg reads stands behind them. A beam centre is where the beam arrives, also where a two-theta swing led the
    reference's own astray.
    """
    panel = about.panel
    slow, fast = panel.shape
    pixel = panel.pixel_size * 1000.0
    sbeam, fbeam = (centre * pixel for centre in about.centre)
    origin = 1000.0 * rotation_to(Axes.IMGCIF, experiment) @ np.array(panel.origin) + 0.0
    half = 0.5 * pixel
    near_fast, near_slow = -dot(panel.origin, panel.fast), -dot(panel.origin, panel.slow)
    tilt = np.degrees(np.arccos(np.clip(dot(panel.normal, experiment.beam.direction), -1.0, 1.0)))
    swapped = (slow, fast) == SWAPPED
    numbers = {
        "PIXEL_SIZE": pixel,
        "DISTANCE": about.distance * 1000.0,
        "WAVELENGTH": about.wavelength * 1e10,
        "BEAM_CENTER_X": fbeam - pixel if swapped else sbeam,
        "BEAM_CENTER_Y": slow * pixel - sbeam + pixel if swapped else fbeam,
        "NANOBRAGG_BEAM_CENTER_X": sbeam - half,
        "NANOBRAGG_BEAM_CENTER_Y": fbeam - half,
        "ADXV_CENTER_X": fbeam,
        "ADXV_CENTER_Y": slow * pixel - sbeam,
        "MOSFLM_CENTER_X": sbeam - half,
        "MOSFLM_CENTER_Y": fbeam - half,
        "DENZO_X_BEAM": sbeam,
        "DENZO_Y_BEAM": fbeam,
        "DIALS_ORIGIN": ",".join(_digits(x) for x in origin),
        "XDS_ORGX": near_fast / panel.pixel_size + 0.5,
        "XDS_ORGY": near_slow / panel.pixel_size + 0.5,
        "CLOSE_DISTANCE": panel.distance * 1000.0,
        "PHI": about.start,
        "OSC_START": about.start,
        "OSC_RANGE": about.oscillation,
        "TWOTHETA": tilt if tilt > 1e-6 else 0.0,
    }
    values = ((key, value if isinstance(value, str) else _digits(value)) for key, value in numbers.items())
    return (*_layout((slow, fast)), *values, ("DETECTOR_SN", "000"), *((("BEAMLINE", "fake"),) if swapped else ()))


def _digits(value: float) -> str:
    """As many digits as a series of fine slices needs to be one, and no noise of the last ones."""
    return f"{value:.12g}"


def described_items(shape: tuple[int, int], described: Mapping[str, float | str]) -> Items:
    """The items of an image of nanoBragg's own (slow, fast), in the reference's order, without HEADER_BYTES.

    described  what stands between the layout of the pixels and the detector's name; numbers as %g
    """
    values = ((key, value if isinstance(value, str) else f"{value:g}") for key, value in described.items())
    return (*_layout(shape), *values, ("DETECTOR_SN", "000"), ("BEAMLINE", "fake"))


def _layout(shape: tuple[int, int]) -> Items:
    return (
        ("DIM", "2"),
        ("BYTE_ORDER", "little_endian"),
        ("TYPE", "unsigned_short"),
        ("SIZE1", str(shape[1])),
        ("SIZE2", str(shape[0])),
    )


def _scaling(offset: float, scale: float) -> Items:
    """Offset and detector units of a photon, under the names of nanoBragg's world and of ADSC's."""
    dark, units = _digits(offset), _digits(scale)
    return (("ADC_OFFSET", dark), ("IMAGE_PEDESTAL", dark), ("PHOTON_SCALE", units), ("GAIN", units))


def header_block(items: Iterable[tuple[str, str]], size: int = BLOCK) -> bytes:
    """The text of `items`, padded to a multiple of 512 bytes (at least `size`) that its HEADER_BYTES states."""
    items = tuple(items)
    while len(text := header_text(items, size)) > size:
        size += BLOCK
    return text.ljust(size)


def header_text(items: Iterable[tuple[str, str]], size: int, bare: tuple[str, ...] = ()) -> bytes:
    """The header without padding; items named in `bare` end without a semicolon."""
    lines = [f"{key}={value}" + ("" if key in bare else ";") for key, value in (("HEADER_BYTES", str(size)), *items)]
    return "\n".join(("{", *lines, "}\f")).encode("ascii")


def _word(text: bytes, key: str) -> str | None:
    """The text of the item `key`, in small letters; the last one counts."""
    found = re.findall(rb"(?m)^[ \t]*" + key.encode() + rb"[ \t]*=[ \t]*([^;\r\n]*)", text)
    return found[-1].decode("latin-1").strip().lower().replace(" ", "_") if found else None


def _value(text: bytes, key: str) -> float | None:
    found = text.rfind(key.encode())
    if found < 0:
        return None
    equals = text.find(b"=", found + len(key))
    number = atof(text, equals + 1) if equals >= 0 else 0.0
    return None if math.isnan(number) else number


def _count(number: float | None) -> int:
    """Truncated to an integer; 0 for what cannot be a size."""
    return int(number) if number is not None and abs(number) <= MAX_SIDE else 0
