"""The experiments of an NXmx file: exactly those that tilesim put there, or the instrument of another program's."""

from __future__ import annotations

import json
from typing import Any

from tilesim.errors import InputError
from tilesim.files.hdf5 import opened, read_hdf5
from tilesim.files.reading import printable
from tilesim.images.packed import packed_plain, unpacked_plain
from tilesim.instruments.nxmx import read_nxmx
from tilesim.model import Beam, Experiment, Scan, Series, StructureFactors
from tilesim.model.experiment import PARTS
from tilesim.model.serial import from_plain, to_plain

PLACES = ("entry/tilesim/experiments", "entry_1/tilesim/experiments")
"""JSON of the base and the columns of the frames that were written, in NXmx and in CXI files."""


def series_as_plain(series: Series) -> dict[str, Any] | None:
    """What `plain_as_series` takes; None where tables differ between frames, which no file holds."""
    columns: dict[str, Any] = {}
    for name, values in series.columns.items():
        if name in ("factors", "mask", "background"):
            return None
        columns[name] = values.tolist() if hasattr(values, "tolist") else [to_plain(value) for value in values]
    return {**packed_plain(series.base), "columns": columns, "numbers": series.numbers.tolist()}


def plain_as_series(plain: dict[str, Any], where: str) -> Series:
    """The series, its structure factors absent; raises whatever wrong values raise."""
    columns = {
        name: [from_plain(PARTS[name], value) if name in PARTS else value for value in values]
        for name, values in plain["columns"].items()
    }
    return Series(unpacked_plain(plain, where), columns, numbers=plain["numbers"])


def read_nxmx_series(path: str, frames: int) -> tuple[Series, bool, tuple[str, ...]]:
    """The experiments of the frames of a file, whether they are exactly the simulated ones, and what to say of them.

    Raises InputError where it does not state them.
    """
    text = read_hdf5(_text, path)
    if text is not None:
        try:
            return plain_as_series(json.loads(text), printable(path)), True, ()
        except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
            raise InputError(f"its experiments cannot be read ({' '.join(str(error).split())[:120]})") from None
    series, notes = _instrument_series(path, frames)
    return series, False, notes


def _text(path: str) -> Any:
    """What tilesim wrote of the experiments; None in other programs' files."""
    with opened(path) as file:
        return next((file[place][()] for place in PLACES if place in file), None)


def _instrument_series(path: str, frames: int) -> tuple[Series, tuple[str, ...]]:
    found = read_hdf5(read_nxmx, path, printable(path))
    if found.wavelength is None:
        raise InputError("it states no wavelength")
    beam = Beam(found.beam, found.wavelength, polarization_axis=found.polarization_axis, kahn_factor=found.kahn_factor)
    experiment = Experiment(
        beam, None, found.detector, StructureFactors.constant(0.0), Scan(found.spindle), mask=found.mask
    )
    return Series.of([experiment] * frames), found.notes
