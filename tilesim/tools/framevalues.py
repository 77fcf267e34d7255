"""What is known of every frame of a dataset beside its pixels: values that vary, spectra, whether it is complete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tilesim.images.dataset import Dataset
from tilesim.pictures.page import FrameColumn
from tilesim.series.coordinates import series_coordinates, spectrum_coordinates
from tilesim.store.layout import FrameCoordinate

SPECTRA = ("spectrum_wavelength", "spectrum_weight")
MOST_CHANNELS = 200_000
"""Channels of all frames together; spectra of more are not shown."""
SPECTRUM_DIGITS = 6
COMPONENTS = {
    "unit_cell": (
        ("a", "b", "c", "alpha", "beta", "gamma"),
        ("angstrom", "angstrom", "angstrom", "degree", "degree", "degree"),
    ),
    "cells": (("along a", "along b", "along c"), ("",) * 3),
    "beam_centre": (("slow", "fast"), ("pixel",) * 2),
    "orientation": (tuple(f"U{row}{column}" for row in (1, 2, 3) for column in (1, 2, 3)), ("",) * 9),
}
"""Names and units of the numbers of what has several for a frame."""
MOST_COMPONENTS = 12
"""Numbers of a frame that are listed one by one."""
LAST = ("max_I", "mean", "total", "orientation")
"""What comes behind the parameters that people look for first."""


def columns_of(data: Dataset, places: Sequence[int]) -> list[FrameColumn]:
    """The values that vary between frames of a store or series, a column for each number."""
    found = [one for one in _coordinates(data) if one.name not in ("frame", *SPECTRA)]
    found.sort(key=lambda one: LAST.index(one.name) if one.name in LAST else -1)
    return [column for one in found for column in _columns(one, places)]


def spectra_of(data: Dataset, places: Sequence[int]) -> tuple[list[Any], list[Any]] | None:
    """Wavelengths, angstrom, and photons of the channels of every frame, where these vary and are not too many."""
    known = {one.name: one.values for one in _coordinates(data)}
    if not all(name in known and _is_row(known[name][0]) for name in SPECTRA):
        return None
    if len(places) * len(known[SPECTRA[0]][0]) > MOST_CHANNELS:
        return None
    shown = (
        [[float(f"{value:.{SPECTRUM_DIGITS}g}") for value in known[name][place]] for place in places]
        for name in SPECTRA
    )
    wavelengths, weights = shown
    return wavelengths, weights


def incomplete_frames(data: Dataset) -> set[int]:
    """Frames, counted from 0, of which tiles are missing in the store."""
    if data.store is None or data.store.complete:
        return set()
    tiles = (tile for tile in data.store.plan if not data.store.has(tile))
    return {frame for tile in tiles for frame in tile.places}


def blank_frames(data: Dataset) -> set[int]:
    """Frames, counted from 0, that hit no crystal, of a series in which others do."""
    return {
        place
        for one in _coordinates(data)
        if one.name == "blank"
        for place, value in enumerate(one.values)
        if value == 1
    }


def labels_of(data: Dataset, places: Sequence[int]) -> list[str]:
    """What each frame is called: its number, and its name or else where the spindle stands."""
    names = () if data.unknown else data.series.names
    turned = next((one.values for one in _coordinates(data) if one.name == "phi"), ())
    said = list(names) if any(names) else [f"phi {phi:.6g}°" for phi in turned]
    said += [""] * (len(data) - len(said))
    return [f"frame {data.frames[place]}" + (f", {said[place]}" if said[place] else "") for place in places]


def _coordinates(data: Dataset) -> tuple[FrameCoordinate, ...]:
    """What varies, of a store with figures of the images, too."""
    if data.store is not None:
        return (*data.store.coordinates, *data.store.figures)
    return () if data.unknown else (*series_coordinates(data.series), *spectrum_coordinates(data.series))


def _columns(one: FrameCoordinate, places: Sequence[int]) -> list[FrameColumn]:
    values = [one.values[place] for place in places]
    meaning = one.long_name or ""
    if not isinstance(values[0], tuple):
        return [FrameColumn(one.name, values, one.units or "", meaning)]
    count = len(values[0])
    if count > MOST_COMPONENTS or not _is_row(values[0]):
        return []
    names, units = COMPONENTS.get(one.name, ((), ()))
    if len(names) != count:
        names, units = tuple(map(str, range(count))), (one.units or "",) * count
    columns = [
        FrameColumn(f"{one.name} {name}", [value[k] for value in values], unit, meaning)
        for k, (name, unit) in enumerate(zip(names, units, strict=True))
    ]
    # An angle that is 90 degrees in every shot is no news.
    return [column for column in columns if len({v for v in column.values if v == v}) > 1]


def _is_row(value: Any) -> bool:
    """Whether a value is one of several numbers; a store that was not made by a run may hold anything."""
    return isinstance(value, tuple) and all(isinstance(number, int | float) for number in value)
