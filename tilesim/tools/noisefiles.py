"""The files of images with noise: which kind a name stands for, what numbers it holds, and how it is written."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from tilesim.errors import InputError
from tilesim.formats.banded import Bands
from tilesim.formats.cbf import write_cbf
from tilesim.formats.edf import write_edf
from tilesim.formats.header import facing
from tilesim.formats.nxmx import write_nxmx
from tilesim.formats.smv import write_smv
from tilesim.formats.tiff import write_tiff
from tilesim.io.flat import write_banded
from tilesim.io.reading import printable
from tilesim.io.smv import header_block
from tilesim.tools.expected import Expected
from tilesim.tools.measure import NoisyImage
from tilesim.tools.names import FIELD, Format, fill, format_of
from tilesim.tools.noise import NUMBERS, Measurement, Numbers
from tilesim.tools.noisestore import Recorded

NOISY = (Format.STORE, Format.FLOAT, Format.SMV, Format.CBF, Format.TIFF, Format.EDF, Format.NXMX)
MARKED = 2.0**31 - 3
"""Largest count of formats whose readers take larger ones for marks of pixels without a value."""
FIXED = {
    Format.FLOAT: NUMBERS["float32"],
    Format.SMV: NUMBERS["uint16"],
    Format.CBF: Numbers("int32", MARKED, -1.0),
    Format.NXMX: Numbers("uint32", MARKED, 2.0**32 - 1),
}
"""Formats that hold one kind of numbers; the others hold 32-bit whole numbers or what was asked for."""


def noisy_format(path: str) -> Format:
    """What a name stands for. Raises InputError."""
    return format_of(path, NOISY)


def numbers_of(path: str, dtype: str | None) -> Numbers:
    """The numbers that an output holds. Raises InputError where it cannot hold those of `dtype`."""
    kind = noisy_format(path)
    if kind not in FIXED:
        return NUMBERS[dtype or "int32"]
    if dtype not in (None, FIXED[kind].dtype):
        raise InputError(
            f"--dtype {dtype}: {printable(path)} holds {FIXED[kind].dtype}; expected a .zarr, .tif or .edf"
        )
    return FIXED[kind]


def file_names(template: str, frames: Sequence[int], panels: Sequence[int]) -> dict[tuple[int, int], str]:
    """The file of each frame (its number) and panel. Raises InputError where two would have one name."""
    rest = FIELD.sub("", template)
    if "{" in rest or "}" in rest:
        raise InputError(f"{printable(template)}: expected {{frame}} or {{panel}} in braces, such as {{frame:05d}}")
    names = {(frame, panel): fill(template, frame, panel) for frame in frames for panel in panels}
    if noisy_format(template) == Format.NXMX:
        if len(set(names.values())) > 1:
            raise InputError(f"{printable(template)}: one such file holds all frames; expected no braces")
    elif len(set(names.values())) < len(names):
        stem, suffix = os.path.splitext(template)
        parts = [f"{{{what}}}" for what, all_of in (("frame", frames), ("panel", panels)) if len(all_of) > 1]
        raise InputError(
            f"{printable(template)} is one file for {len(names)} images; expected a name with {' and '.join(parts)}, "
            f"such as {stem}_{'_'.join(parts)}{suffix}, or one of them"
        )
    return names


def write_files(
    template: str,
    expected: Expected,
    measurement: Measurement,
    frames: Sequence[int],
    panels: Sequence[int],
    *,
    tile: tuple[int, int],
    threads: int | None = None,
    notes: dict,
) -> Iterator[Recorded]:
    """Measure and write frames and panels (counted from 0), and tell of each when it is written; each file whole.

    notes  what was done, kept where a format has room for it

    Raises InputError where a format needs a geometry that is not known, StoreError.
    """
    numbers = [expected.frames[frame] for frame in frames]
    names = file_names(template, numbers, panels)

    def image(frame: int, panel: int) -> NoisyImage:
        read, how = expected.read(frame, panel), expected.measurement(measurement, panel)
        return NoisyImage(how, read, frame=expected.frames[frame], panel=panel, tile=tile, threads=threads)

    if noisy_format(template) == Format.NXMX:
        yield from _write_nxmx(template, expected, frames, panels, image, notes)
        return
    for frame in frames:
        for panel in panels:
            number = expected.frames[frame]
            path, one = names[number, panel], image(frame, panel)
            _write_one(path, expected, frame, panel, one)
            yield Recorded(number, path, one.tally, panel=panel)


def _write_one(path: str, expected: Expected, frame: int, panel: int, image: NoisyImage) -> None:
    kind, bands, noise = noisy_format(path), Bands(image), image.measurement.noise
    if kind == Format.FLOAT:
        write_banded(path, b"", (band for _, band in bands.bands()))
    elif kind == Format.TIFF:
        write_tiff(path, bands, f"frame {frame}")
    elif kind == Format.EDF:
        write_edf(path, bands, f"frame {frame}")
    elif kind == Format.SMV and expected.experiment is None:
        items = {
            "DIM": 2,
            "BYTE_ORDER": "little_endian",
            "TYPE": "unsigned_short",
            "SIZE1": image.shape[1],
            "SIZE2": image.shape[0],
            "ADC_OFFSET": f"{noise.offset:g}",
            "PHOTON_SCALE": f"{noise.gain:g}",
        }
        header = header_block((key, str(value)) for key, value in items.items())
        write_banded(path, header, (band for _, band in bands.bands()))
    else:
        experiment = expected.source.experiment(frame)
        about = facing(experiment, panel, f"the header of {kind}")
        if kind == Format.CBF:
            write_cbf(path, bands, about, expected.source.exposure.seconds)
        else:
            write_smv(path, bands, experiment, about, noise.offset, noise.gain)


def _write_nxmx(
    path: str, expected: Expected, frames: Sequence[int], panels: Sequence[int], image, notes: dict
) -> Iterator[Recorded]:
    if len(panels) < expected.source.panels:
        raise InputError(f"{printable(path)} holds the whole detector; expected no --panel")
    measured: dict[tuple[int, int], NoisyImage] = {}

    def bands(index: int, panel: int) -> Bands:
        measured[index, panel] = image(frames[index], panel)
        return Bands(measured[index, panel])

    experiments = [expected.source.experiment(frame) for frame in frames]
    write_nxmx(path, experiments, bands, exposure=expected.source.exposure, notes=notes)
    for (index, panel), one in measured.items():
        yield Recorded(expected.frames[frames[index]], path, one.tally, panel=panel)
