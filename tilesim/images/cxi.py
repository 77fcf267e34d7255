"""CXI files (cxidb.org): stills of one or many panels in HDF5, with photon energy and distance of every frame."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tilesim.files.deferred import replacing_deferred
from tilesim.files.libraries import Hdf5, need
from tilesim.images.absent import outside
from tilesim.images.banded import Bands
from tilesim.images.counts import Counts
from tilesim.images.geom import DataPlaces
from tilesim.images.nxmx import write_mask, write_notes, write_pixels
from tilesim.images.stills import Stills, stars
from tilesim.model import Series

VERSION = 160
JOULE = 1.602176634e-19
"""Joule in an electronvolt"""
DETECTOR = "/entry_1/instrument_1/detector_1"
PLACES = DataPlaces(
    "/entry_1/data_1/data",
    "photon_energy = /entry_1/instrument_1/beam/photon_energy",
    f"{DETECTOR}/distance",
    f"{DETECTOR}/shift_{{axis}}",
    f"{DETECTOR}/mask",
)
TOP = 2**31 - 1
PACKED = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
"""What every HDF5 library unpacks"""


def cxi_counts(scale: float | None) -> Counts:
    """Signed 32-bit numbers, -1 where there is none."""
    return Counts("an integer CXI file", scale, "<i4", -TOP - 1, TOP, -1)


def write_cxi(
    path: str | os.PathLike[str],
    series: Series,
    stills: Stills,
    image: Callable[[int, int], Bands],
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Write a series, all or nothing, a chunk of it in memory at a time.

    image  pixels of (frame, panel)
    notes  plain values that are kept beside the data

    Raises InputError where libraries are missing; StoreError.
    """
    h5py = need("h5py", "writing CXI files")
    first, pixels = stills.frames[0], image(0, 0)
    with replacing_deferred(path) as target, h5py.File(target, "w") as file:
        file["cxi_version"] = VERSION
        entry = file.create_group("entry_1")
        instrument = entry.create_group("instrument_1")
        _write_beam(instrument, stills)
        detector = instrument.create_group("detector_1")
        _write_detector(detector, stills)
        _write_crystals(entry, stills)
        write_notes(entry, series, series[0], notes or {})
        data = entry.create_group("data_1")
        write_pixels(data, first, len(stills.frames), image, pixels, PACKED)
        detector["data"] = h5py.SoftLink(PLACES.data)
        write_mask(detector, first, PACKED, "mask")


def has_mask(stills: Stills) -> bool:
    """Whether a file of them has a mask."""
    return outside(stills.frames[0]) is not None


def _write_beam(instrument: Hdf5, stills: Stills) -> None:
    energies = stills.energies
    _number(instrument.create_group("beam"), "photon_energy", energies, "eV")
    _number(instrument.create_group("source_1"), "energy", energies * JOULE, "J")


def _write_detector(detector: Hdf5, stills: Stills) -> None:
    panel = stills.panels[0]
    for name, axis in (("x_pixel_size", panel.fast), ("y_pixel_size", panel.slow)):
        _number(detector, name, panel.pixel_size * float(np.linalg.norm(axis)), "m")
    _number(detector, "distance", stills.distances, "m")
    for letter, moved in zip("xy", stills.shifts.T[:2], strict=True):
        _number(detector, f"shift_{letter}", moved, "m")
    known = stills.frames[0].detector.name
    detector["description"] = f"{known}, simulated by tilesim" if known else "simulated by tilesim"


def _write_crystals(entry: Hdf5, stills: Stills) -> None:
    """a*, b*, c* of the first crystal of every frame, NaN where there is none."""
    found = [stars(one.crystal, one.scan) if one.crystal else None for one in stills.frames]
    if any(one is not None for one in found):
        known = np.stack([np.full((3, 3), np.nan) if one is None else one for one in found])
        _number(entry.create_group("sample_1"), "reciprocal_axes", known * 1e-10, "1/angstrom")


def _number(group: Hdf5, name: str, value: float | np.ndarray, units: str) -> None:
    group[name] = value
    group[name].attrs["units"] = units
