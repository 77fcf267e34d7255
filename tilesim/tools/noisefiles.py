"""The files of images with noise: which kind a name stands for, what numbers it holds, and how it is written."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from tilesim.errors import InputError
from tilesim.files.reading import printable
from tilesim.files.templates import check_template, fill
from tilesim.images.banded import Bands
from tilesim.images.cbf import write_cbf
from tilesim.images.dataset import Dataset
from tilesim.images.edf import write_edf
from tilesim.images.facing import facing
from tilesim.images.flat import write_banded
from tilesim.images.nxmx import write_nxmx
from tilesim.images.packed import packed
from tilesim.images.registry import Format, format_named
from tilesim.images.smv import header_block
from tilesim.images.smvwriter import write_smv
from tilesim.images.tiff import write_tiff
from tilesim.tools.expected import measurement_of
from tilesim.tools.measure import NoisyImage
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
    return format_named(path, NOISY)


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
    check_template("OUT", template, ("frame", "image", "panel"))
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
    data: Dataset,
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
    numbers = [data.frames[frame] for frame in frames]
    names = file_names(template, numbers, panels)

    def image(frame: int, panel: int) -> NoisyImage:
        read, how = data.pixels(frame, panel).block, measurement_of(measurement, data, frame, panel)
        return NoisyImage(how, read, frame=data.frames[frame], panel=panel, tile=tile, threads=threads)

    if noisy_format(template) == Format.NXMX:
        yield from _write_nxmx(template, data, frames, panels, image, notes)
        return
    for frame in frames:
        for panel in panels:
            number = data.frames[frame]
            path, one = names[number, panel], image(frame, panel)
            _write_one(path, data, frame, panel, one)
            yield Recorded(number, path, one.tally, panel=panel)


def _write_one(path: str, data: Dataset, frame: int, panel: int, image: NoisyImage) -> None:
    form, bands, noise = noisy_format(path), Bands(image), image.measurement.noise
    title = f"frame {data.frames[frame]}"
    if form == Format.FLOAT:
        write_banded(path, b"", (band for _, band in bands.bands()))
        return
    if form == Format.SMV and data.unknown:
        write_banded(path, _plain_header(image), (band for _, band in bands.bands()))
        return
    if form in (Format.TIFF, Format.EDF):
        write = write_tiff if form == Format.TIFF else write_edf
        write(path, bands, title, None if data.unknown else packed(data.experiment(frame).of_panel(panel)))
        return
    experiment = data.experiment(frame).of_panel(panel)
    about = facing(experiment, 0, f"the header of {form}", panel)
    if form == Format.CBF:
        write_cbf(path, bands, about, experiment)
    else:
        write_smv(path, bands, experiment, about, noise.offset, noise.gain)


def _plain_header(image: NoisyImage) -> bytes:
    """An SMV header without a geometry."""
    noise = image.measurement.noise
    items = {
        "DIM": 2,
        "BYTE_ORDER": "little_endian",
        "TYPE": "unsigned_short",
        "SIZE1": image.shape[1],
        "SIZE2": image.shape[0],
        "ADC_OFFSET": f"{noise.offset:g}",
        "PHOTON_SCALE": f"{noise.gain:g}",
    }
    return header_block((key, str(value)) for key, value in items.items())


def _write_nxmx(
    path: str, data: Dataset, frames: Sequence[int], panels: Sequence[int], image, notes: dict
) -> Iterator[Recorded]:
    if len(panels) < data.panels:
        raise InputError(f"{printable(path)} holds the whole detector; expected no --panel")
    measured: dict[tuple[int, int], NoisyImage] = {}

    def bands(index: int, panel: int) -> Bands:
        measured[index, panel] = image(frames[index], panel)
        return Bands(measured[index, panel])

    write_nxmx(path, data.series.take(frames), bands, notes=notes)
    for (index, panel), one in measured.items():
        yield Recorded(data.frames[frames[index]], path, one.tally, panel=panel)
