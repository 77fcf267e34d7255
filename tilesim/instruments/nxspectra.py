"""The spectra of an NXmx file: one for all frames, or one for each."""

from __future__ import annotations

import os

import numpy as np

from tilesim.errors import InputError
from tilesim.files.hdf5 import opened
from tilesim.files.libraries import Hdf5
from tilesim.instruments.nexus import member, numbers, text
from tilesim.instruments.nxbeam import ENERGY, WAVELENGTH, in_metres, weights_of
from tilesim.instruments.nxmx import beams_of, entry_of
from tilesim.model.spectrum import Spectrum


def read_nxspectra(path: str | os.PathLike[str], name: str) -> tuple[Spectrum, ...]:
    """The spectra of the first beam, by frame; to be called by `read_hdf5`. Raises InputError."""
    with opened(os.fspath(path)) as file:
        entry = entry_of(file, [])
        beams = [beam for kind in ("NXinstrument", "NXsample", None) for beam in beams_of(entry, kind)]
        keys = [(beam, key) for beam in beams for key in (WAVELENGTH, ENERGY) if member(beam, key) is not None]
        if not keys:
            raise InputError(f"expected an NXbeam with {WAVELENGTH} or {ENERGY}; found none")
        return _spectra(*keys[0])


def _spectra(beam: Hdf5, key: str) -> tuple[Spectrum, ...]:
    variant = text(beam[key].attrs.get("variant", ""))
    if weights_of(beam, key) is None and variant:
        if member(beam, variant) is None or weights_of(beam, variant) is None:
            raise InputError(f"{beam[key].name} names the variant {variant[:40]!r}; expected it with its weights")
        values, weights = in_metres(beam[variant], key), weights_of(beam, variant)
        shape = beam[variant].shape
    else:
        values, weights, shape = in_metres(beam[key], key), weights_of(beam, key), beam[key].shape
    if weights is None:  # one wavelength for each frame
        return tuple(Spectrum(value, np.ones(1)) for value in values.reshape(-1, 1))
    share = numbers(weights)
    channels = shape[-1] if shape else 1
    if (weights.shape[-1] if weights.shape else 1) != channels or len(shape) > 2 or weights.ndim > 2:
        raise InputError(
            f"{weights.name} has the shape {weights.shape}, its wavelengths {shape}; expected channels, or frames"
        )
    tables = values.reshape(-1, channels), share.reshape(-1, channels)
    frames = max(map(len, tables))
    if {len(table) for table in tables} - {1, frames}:
        raise InputError(
            f"{weights.name} is of {len(tables[1])} frames, wavelengths of {len(tables[0])}; expected as many or one"
        )
    rows = [np.broadcast_to(table, (frames, channels)) for table in tables]
    try:
        return tuple(Spectrum(*row) for row in zip(*rows, strict=True))
    except InputError as error:
        raise InputError(f"{weights.name}: {error}") from None
