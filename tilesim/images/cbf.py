"""miniCBF images: a Pilatus-like text header and whole numbers under fabio's byte-offset compression, band by band."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from tilesim.files.libraries import need
from tilesim.files.replace import replacing
from tilesim.images.banded import Bands
from tilesim.images.counts import Counts
from tilesim.images.facing import Facing, sensor_material
from tilesim.images.packed import KEY, packed
from tilesim.model import Experiment

TOP = 2**31 - 3
"""Largest count; readers take the two above it, as the negative values, for marks of pixels without a number."""
ABSENT = -1
MARKER = b"\x0c\x1a\x04\xd5"
NAMES = {"Si": "Silicon"}
"""Of sensor materials in headers."""
PADDING = 4095
"""Zero bytes after the pixels, as in files of the detector."""


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
    compress = need("fabio.ext.byte_offset", "writing CBF files").comp_cbf
    with replacing(path) as file, tempfile.TemporaryFile() as pixels:
        digest, last = hashlib.md5(usedforsecurity=False), 0
        for _, band in image.bands():
            values = band.reshape(-1).astype(np.int64)
            # Differences go on across bands: each band is coded from the last value before it.
            coded = compress(values - last).tobytes()
            last = values[-1]
            digest.update(coded)
            pixels.write(coded)
        size = pixels.tell()
        pixels.seek(0)
        file.write(_header(os.fspath(path), about, experiment, material))
        file.write(_binary_header(image.shape, size, base64.b64encode(digest.digest()).decode()))
        file.write(MARKER)
        shutil.copyfileobj(pixels, file)
        file.write(bytes(PADDING) + b"\r\n--CIF-BINARY-FORMAT-SECTION----\r\n;\r\n\r\n")


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
        "--CIF-BINARY-FORMAT-SECTION--",
        "Content-Type: application/octet-stream;",
        '     conversions="x-CBF_BYTE_OFFSET"',
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
