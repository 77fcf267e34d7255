"""CBF images of pixel-array detectors: a Pilatus-like text header (miniCBF) and whole numbers, byte-offset compressed.

Written band by band; read and unpacked whole.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path

import numpy as np

from tilesim.errors import InputError
from tilesim.files.libraries import need
from tilesim.files.reading import file_size, printable, read_bytes
from tilesim.files.replace import replacing
from tilesim.images.banded import Bands
from tilesim.images.counts import Counts
from tilesim.images.facing import Facing, sensor_material
from tilesim.images.packed import KEY, packed
from tilesim.images.pixels import ArrayImage
from tilesim.model import Experiment

TOP = 2**31 - 3
"""Largest count; readers take the two above it, as the negative values, for marks of pixels without a number."""
ABSENT = -1
SECTION = b"--CIF-BINARY-FORMAT-SECTION--"
MARK = b"\x0c\x1a\x04\xd5"
"""What the pixels begin after."""
CODING = "x-CBF_BYTE_OFFSET"
NAMES = {"Si": "Silicon"}
"""Names of sensor materials in headers."""
PADDING = 4095
"""Zero bytes after the pixels, as in files of the detector."""
MOST_HEADER = 2**20
"""Bytes before the pixels."""
MOST_PER_PIXEL = 15
"""Bytes of a packed pixel: 1, 2, 4 and 8 of them where every difference is large."""
TYPES = {f"{sign} {bits}-bit integer": f"{letter}{bits // 8}"
         for sign, letter in (("signed", "i"), ("unsigned", "u")) for bits in (8, 16, 32)}  # fmt: skip


def cbf_counts(scale: float | None) -> Counts:
    """Signed 32-bit numbers, none below the mark: so differences of neighbours have 32 bits, too."""
    return Counts("a CBF image", scale, "<i4", 0, TOP, ABSENT)


def write_cbf(
    path: str | os.PathLike[str], image: Bands, about: Facing, experiment: Experiment, material: str | None = None
) -> None:
    """Write an image of whole numbers, all or nothing; the compressed pixels wait in a temporary file.

    material  of the sensor, where the experiment does not state it

    Raises StoreError, InputError where fabio is missing.
    """
    compress = need("fabio.compression", "writing CBF files").compByteOffset
    with replacing(path) as file, tempfile.TemporaryFile() as pixels:
        digest, last = hashlib.md5(usedforsecurity=False), 0
        for _, band in image.bands():
            values = band.reshape(-1).astype(np.int64)
            # Differences go on across bands: each band is coded from the last value before it.
            coded = compress(values - last)
            last = values[-1]
            digest.update(coded)
            pixels.write(coded)
        size = pixels.tell()
        pixels.seek(0)
        file.write(_header(os.fspath(path), about, experiment, material))
        file.write(_binary_header(image.shape, size, base64.b64encode(digest.digest()).decode()))
        file.write(MARK)
        shutil.copyfileobj(pixels, file)
        file.write(bytes(PADDING) + b"\r\n" + SECTION + b"--\r\n;\r\n\r\n")


def _header(path: str, about: Facing, experiment: Experiment, material: str | None) -> bytes:
    panel, (slow, fast) = about.panel, about.centre
    sensor = panel.sensor and panel.sensor.thickness
    made_of = sensor_material(experiment, material)
    # Readers want a number; 0 is unknown.
    exposure, text = experiment.beam.exposure or 0.0, packed(experiment)
    contents = [
        # No name of a real detector alone: readers would mask the gaps between its modules.
        f"Detector: {_plain(experiment.detector.name) or 'GENERIC'} simulated, S/N 000-tilesim",
        f"Pixel_size {panel.pixel_size:.10g} m x {panel.pixel_size:.10g} m",
        *([f"{NAMES.get(made_of, made_of)} sensor, thickness {sensor:.9f} m"] if sensor else []),
        f"Exposure_time {exposure:.7f} s",
        f"Exposure_period {exposure:.7f} s",
        f"Count_cutoff {TOP} counts",
        f"Wavelength {about.wavelength * 1e10:.12g} A",
        f"Detector_distance {about.distance:.12g} m",
        f"Beam_xy ({fast:.6f}, {slow:.6f}) pixels",
        f"Start_angle {about.start:.8f} deg.",
        f"Angle_increment {about.oscillation:.8f} deg.",
        "Detector_2theta 0.0000 deg.",
        f"Phi {about.start:.8f} deg.",
        *([f"{KEY} {text}"] if text else []),
    ]
    name = "".join(c if c.isascii() and c.isalnum() else "_" for c in Path(path).stem) or "image"
    lines = [
        "###CBF: VERSION 1.5, tilesim",
        "",
        f"data_{name}",
        "",
        '_array_data.header_convention "GENERIC_MINI"',
        "_array_data.header_contents",
        ";",
        *(f"# {line}" for line in contents),
        ";",
        "",
        "_array_data.data",
        ";",
        "",
    ]
    return "\r\n".join(lines).encode("ascii")


def _plain(name: str) -> str:
    return "".join(c if c.isascii() and c.isprintable() and c != "," else " " for c in name).strip()


def _binary_header(shape: tuple[int, int], size: int, digest: str) -> bytes:
    lines = [
        SECTION.decode(),
        "Content-Type: application/octet-stream;",
        f'     conversions="{CODING}"',
        "Content-Transfer-Encoding: BINARY",
        f"X-Binary-Size: {size}",
        "X-Binary-ID: 1",
        'X-Binary-Element-Type: "signed 32-bit integer"',
        "X-Binary-Element-Byte-Order: LITTLE_ENDIAN",
        f"Content-MD5: {digest}",
        f"X-Binary-Number-of-Elements: {shape[0] * shape[1]}",
        f"X-Binary-Size-Fastest-Dimension: {shape[1]}",
        f"X-Binary-Size-Second-Dimension: {shape[0]}",
        f"X-Binary-Size-Padding: {PADDING}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode("ascii")


def open_cbf_image(path: str | os.PathLike[str]) -> ArrayImage:
    """The image of a CBF file, unpacked. Raises InputError, naming the file, where it is damaged or not byte-offset."""
    name, data = printable(path), read_bytes(path, 0, MOST_HEADER)
    begin = data.find(SECTION)
    mark = data.find(MARK, begin)
    if begin < 0 or mark < 0:
        raise InputError(f"{name}: expected a CBF file with a binary section, found none")
    header = data[begin:mark].decode("latin-1")
    coding = _text(header, r'conversions\s*=\s*"?([\w-]+)')
    if coding is None or coding.upper() != CODING.upper():
        raise InputError(f"{name}: expected pixels packed as {CODING}, found {coding or 'no conversion'}")
    kind = (_text(header, r'X-Binary-Element-Type:\s*"?([^"\r\n]*)') or "signed 32-bit integer").strip().lower()
    if kind not in TYPES:
        raise InputError(f"{name}: expected integers of up to 32 bits, found {kind}")
    size, fast, slow = (
        _count(name, header, key)
        for key in ("X-Binary-Size", "X-Binary-Size-Fastest-Dimension", "X-Binary-Size-Second-Dimension")
    )
    start = mark + len(MARK)
    available = file_size(path) - start
    # A packed pixel has a byte at least, so that no header can ask for more memory than that.
    if available < size or not fast * slow <= size <= MOST_PER_PIXEL * fast * slow:
        raise InputError(
            f"{name}: expected {size} bytes for {fast} x {slow} pixels (fast x slow), found {available};"
            f" a pixel takes 1 to {MOST_PER_PIXEL}"
        )
    stream = read_bytes(path, start, size)
    _check_digest(name, header, stream)
    compression = need("fabio.compression", "reading CBF files")
    with np.errstate(over="ignore"):
        pixels = np.asarray(compression.decByteOffset(stream, size=fast * slow, dtype=np.dtype(TYPES[kind])))
    if pixels.size != fast * slow:
        raise InputError(f"{name}: expected {fast * slow} pixels, found {pixels.size}")
    return ArrayImage(pixels.reshape(slow, fast).astype(TYPES[kind], copy=False))


def _check_digest(name: str, header: str, stream: bytes) -> None:
    digest = _text(header, r"Content-MD5:\s*(\S+)")
    if digest is None:
        return
    try:
        expected = base64.b64decode(digest)
    except (binascii.Error, ValueError):
        expected = b""
    if expected != hashlib.md5(stream, usedforsecurity=False).digest():
        raise InputError(f"{name}: the pixels do not match their Content-MD5: the file is damaged")


def _text(header: str, pattern: str) -> str | None:
    found = re.search(pattern, header)
    return found[1] if found else None


def _count(name: str, header: str, key: str) -> int:
    digits = _text(header, rf"(?m)^{key}:\s*(\d{{1,12}})\s*$")
    if not digits or int(digits) < 1:
        raise InputError(f"{name}: expected a positive {key} in the header of the binary section")
    return int(digits)
