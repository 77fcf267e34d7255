"""Coordinates of a store: what varies between frames, by names and in units that people use."""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tilesim.frozen import frozen
from tilesim.geometry.resolution import beam_centre
from tilesim.model import Experiment, Series
from tilesim.model.changes import FURTHER_LATTICES, PARTS_CHANGED, lattice_counts
from tilesim.series.frames import Frames
from tilesim.store.layout import FrameCoordinate

CHANNEL = "channel"
"""Dimension of what a spectrum has for each of its channels."""
DIGITS = 12
"""Significant digits of a converted number: 10.1 degrees are not 10.100000000000001, nor does a cell vary by 1e-16."""


@frozen
class Quantity:
    """Something that may vary between frames."""

    units: str | None
    long_name: str
    parts: tuple[str, ...]
    """Parts of the experiment that it follows from."""
    value: Callable[[Experiment], Any]

    @property
    def of_crystal(self) -> bool:
        """Whether a blank shot has no value, which then is no different one."""
        return self.parts in (("crystal",), ("factors",))


def _of_crystal(value: Callable[[Any], Any], nothing: Any) -> Callable[[Experiment], Any]:
    return lambda experiment: nothing if experiment.crystal is None else value(experiment.crystal)


def _number(value: float | None) -> float:
    return NAN if value is None else value


def _centre(experiment: Experiment) -> tuple[float, float]:
    return beam_centre(experiment.detector.panels[0], experiment.beam) or (NAN, NAN)


def _shifted(series: Series, shifts: np.ndarray) -> np.ndarray:
    """Where the beam meets the first panel: a change of the distance, along the beam, leaves it where it is."""
    shown: np.ndarray = np.array(_centre(series.base)) + shifts / series.base.detector.panels[0].pixel_size
    return shown


NAN = math.nan
QUANTITIES: dict[str, Quantity] = {
    "phi": Quantity("degree", "spindle angle at the start", ("scan",), lambda e: math.degrees(e.scan.start)),
    "oscillation": Quantity(
        "degree", "spindle range of the image", ("scan",), lambda e: math.degrees(e.scan.oscillation)
    ),
    "wavelength": Quantity("angstrom", "central wavelength", ("beam",), lambda e: e.beam.wavelength * 1e10),
    "fluence": Quantity("1/m^2", "photons per area", ("beam",), lambda e: e.beam.fluence),
    "exposure": Quantity("s", "exposure time", ("beam",), lambda e: _number(e.beam.exposure)),
    "sources": Quantity(None, "plane waves of the beam", ("beam",), lambda e: len(e.beam.waves)),
    "distance": Quantity(
        "mm", "distance of the first panel's plane", ("detector",), lambda e: e.detector.panels[0].distance * 1e3
    ),
    "beam_centre": Quantity("pixel", "where the beam meets the first panel, slow and fast", ("detector",), _centre),
    "unit_cell": Quantity(
        "angstrom, degree",
        "a b c alpha beta gamma",
        ("crystal",),
        _of_crystal(lambda c: (*(x * 1e10 for x in c.cell[:3]), *map(math.degrees, c.cell[3:])), (NAN,) * 6),
    ),
    "orientation": Quantity(
        None,
        "U of Busing and Levy, row by row",
        ("crystal",),
        _of_crystal(lambda c: tuple(c.orientation.ravel().tolist()), (NAN,) * 9),
    ),
    "cells": Quantity(
        None, "unit cells along a, b, c", ("crystal",), _of_crystal(lambda c: tuple(map(float, c.cells)), (NAN,) * 3)
    ),
    "blocks": Quantity(None, "mosaic blocks in the beam", ("crystal",), _of_crystal(lambda c: c.blocks, NAN)),
    "crystal_shape": Quantity(None, "shape of the crystal", ("crystal",), _of_crystal(lambda c: str(c.shape), "")),
    "mosaic_spread": Quantity(
        "degree", "largest angle of a mosaic domain", ("crystal",), _of_crystal(lambda c: math.degrees(c.spread), NAN)
    ),
    "mosaic_domains": Quantity(None, "mosaic domains", ("crystal",), _of_crystal(lambda c: c.domains, NAN)),
    "lattices": Quantity(None, "lattices in the shot", ("crystal", "other_crystals"), lambda e: len(e.crystals)),
    "oversample": Quantity(None, "sub-pixels along an edge", ("sampling",), lambda e: e.sampling.oversample),
    "structure_factors": Quantity(
        None, "digest of the table", ("factors",), lambda e: "" if e.crystal is None else e.factors.digest[:16]
    ),
    "blank": Quantity(None, "1 where a shot hits no crystal", ("crystal", "factors"), lambda e: int(e.crystal is None)),
    "water_size": Quantity("um", "edge of the water cube", ("water_size",), lambda e: e.water_size * 1e6),
}
"""What is listed where it varies."""
COVERED = {
    **{"phi": "phi", "osc": "oscillation", "phistep": "oscillation", "phisteps": "oscillation"},
    **{"lambda": "wavelength", "wave": "wavelength", "wavelength": "wavelength", "energy": "wavelength"},
    **{"fluence": "fluence", "flux": "fluence", "exposure": "exposure", "distance": "distance"},
    **{"N": "cells", "Na": "cells", "Nb": "cells", "Nc": "cells", "cell": "unit_cell", "misset": "orientation"},
    **{"ncells": "cells", "crystal_shape": "crystal_shape"},
    **{
        "mosaic_spread": "mosaic_spread",
        "mosaic": "mosaic_spread",
        "mat": "orientation",
        "matrix": "orientation",
        "mosaic_domains": "mosaic_domains",
        "water": "water_size",
    },
}
"""Keys of a batch file, and the coordinate that says the same."""


def coordinates(frames: Frames) -> tuple[FrameCoordinate, ...]:
    """Numbers, names and all that varies between the frames of a series; none for a single image without a name."""
    series = frames.series
    found = [*series_coordinates(series), *spectrum_coordinates(series)]
    names = {one.name for one in found}
    for key in dict.fromkeys(key for labels in frames.labels for key in labels):
        values = [labels.get(key) for labels in frames.labels]
        if COVERED.get(key) not in names and any(value != values[0] for value in values):
            found.append(FrameCoordinate(typeable(key), alike(values)))
    if not found and len(series) == 1 and not series.names:
        return ()
    named = [FrameCoordinate("name", list(series.names))] if any(series.names) else []
    return (FrameCoordinate("frame", series.numbers.tolist(), long_name="frame number"), *named, *found)


def series_coordinates(series: Series) -> tuple[FrameCoordinate, ...]:
    """Quantities that vary between the experiments of a series."""
    if all(name in STATED for name in series.columns):
        return tuple(_stated(series))
    changed = {part for name in series.columns for part in PARTS_CHANGED.get(name, (name.partition(".")[0],))}
    wanted = {name: q for name, q in QUANTITIES.items() if changed & set(q.parts)}
    if not wanted:
        return ()
    rows: list[dict[str, Any]] = []
    hit: list[dict[str, Any]] = []
    for experiment in series:
        rows.append({name: _rounded(q.value(experiment)) for name, q in wanted.items()})
        hit += [] if experiment.crystal is None else rows[-1:]
    return tuple(
        FrameCoordinate(name, [row[name] for row in rows], q.units, q.long_name)
        for name, q in wanted.items()
        if _varies([row[name] for row in (hit if q.of_crystal else rows)])
    )


def spectrum_coordinates(series: Series) -> tuple[FrameCoordinate, ...]:
    """Wavelengths and photons of the channels, (frame, channel), where spectra vary; NaN beyond the last channel."""
    if len(series.base.beam.waves) == 1 and not series.columns.keys() & {"spectrum", "beam", "beam.sources"}:
        return ()  # as of a hundred thousand shots
    spectra = [experiment.beam.spectrum for experiment in series]
    channels = max(len(spectrum.wavelengths) for spectrum in spectra)
    if channels == 1 or all(spectrum == spectra[0] for spectrum in spectra):
        return ()
    table = np.full((2, len(spectra), channels), NAN)
    for frame, spectrum in enumerate(spectra):
        count = len(spectrum.wavelengths)
        table[:, frame, :count] = spectrum.wavelengths * 1e10, spectrum.weights
    wavelengths, weights = (list(map(tuple, values)) for values in table.tolist())
    return (
        FrameCoordinate("spectrum_wavelength", wavelengths, "angstrom", "wavelengths of the channels", CHANNEL),
        FrameCoordinate("spectrum_weight", weights, None, "photons of the channels, 1 on average", CHANNEL),
    )


def _stated(series: Series) -> Iterator[FrameCoordinate]:
    """What columns state themselves: of a hundred thousand shots no experiment need be made for it."""
    blank = np.asarray(series.columns.get("blank", np.zeros(len(series)))).astype(bool)
    for column, (name, value) in STATED.items():
        if column not in series.columns:
            continue
        quantity, values = QUANTITIES[name], np.asarray(value(series, np.asarray(series.columns[column])), np.float64)
        values = values.reshape(len(series), -1)
        if quantity.of_crystal:
            values = np.where(blank[:, None], NAN, values)
        rows = _rounded_rows(values)
        there = rows[~blank] if quantity.of_crystal else rows
        if not (np.isnan(there) & np.isnan(there[:1]) | (there == there[:1])).all():
            if name in ("oversample", "blank", "lattices"):
                rows = rows.astype(np.int64)
            plain = rows[:, 0].tolist() if rows.shape[1] == 1 else list(map(tuple, rows.tolist()))
            yield FrameCoordinate(name, plain, quantity.units, quantity.long_name)


def _lattices(series: Series, further: np.ndarray) -> np.ndarray:
    """Lattices (frame,), none of a blank shot."""
    blank = np.asarray(series.columns.get("blank", np.zeros(len(series))))
    counts: np.ndarray = np.where(blank > 0, 0, lattice_counts(further))
    return counts


STATED: dict[str, tuple[str, Callable[[Series, np.ndarray], Any]]] = {
    "scan_start": ("phi", lambda series, values: np.degrees(values)),
    "scan.start": ("phi", lambda series, values: np.degrees(values)),
    "wavelength": ("wavelength", lambda series, values: values * 1e10),
    "fluence": ("fluence", lambda series, values: values),
    "exposure": ("exposure", lambda series, values: values),
    "distance": ("distance", lambda series, values: values * 1e3),
    "beam_shift": ("beam_centre", _shifted),
    "unit_cell": ("unit_cell", lambda series, values: np.hstack([values[:, :3] * 1e10, np.degrees(values[:, 3:])])),
    "orientation": ("orientation", lambda series, values: values),
    "cells": ("cells", lambda series, values: values),
    "mosaic_scale": ("mosaic_spread", lambda series, values: values * math.degrees(series.base.lattice.spread)),
    FURTHER_LATTICES: ("lattices", _lattices),
    "sampling.oversample": ("oversample", lambda series, values: values),
    "blank": ("blank", lambda series, values: values),
}
"""Columns that say a quantity themselves: its name, and its values by those of the column."""


def _rounded(value: Any) -> Any:
    """A value without the rounding of its conversion: so many significant digits, of a tuple of its largest number."""
    if isinstance(value, tuple):
        scale = max((abs(x) for x in value if math.isfinite(x)), default=0.0)
        places = DIGITS - 1 - math.floor(math.log10(scale)) if scale else 0
        return tuple(round(x, places) + 0.0 for x in value)
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def _rounded_rows(values: np.ndarray) -> np.ndarray:
    """The same of many values (n, components), those of a row by its largest number."""
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.nanmax(np.where(np.isfinite(values), np.abs(values), 0.0), axis=1, keepdims=True)
        places = DIGITS - 1 - np.where(scale > 0, np.floor(np.log10(scale)), DIGITS - 1)
        places = np.clip(places, -300, 300)  # no further are there powers of ten
        # Powers of ten with positive exponents are exact.
        above, below = 10.0 ** np.maximum(places, 0), 10.0 ** np.maximum(-places, 0)
        rounded: np.ndarray = np.round(values * above / below) / above * below + 0.0
    return rounded


def _varies(values: list[Any]) -> bool:
    return any(_differs(value, values[0]) for value in values)


def _differs(a: Any, b: Any) -> bool:
    """Whether two values differ; NaN is NaN's equal."""
    if isinstance(a, tuple):
        return any(map(_differs, a, b))
    return bool(a != b and not (a != a and b != b))


def typeable(key: str) -> str:
    """A key as a name that Python takes: `data.name` reads it."""
    name = re.sub(r"\W", "_", key)
    return f"flag_{name}" if keyword.iskeyword(name) or not name.isidentifier() else name


def alike(values: list[Any]) -> list[Any]:
    """Values of one kind: numbers with NaN where there is none, tuples of one length, or else text."""
    given = [value for value in values if value is not None]
    lengths = {len(value) if isinstance(value, tuple) else 0 for value in given}
    if len(lengths) == 1 and not any(isinstance(value, str | bool) for value in given):
        [length] = lengths
        if all(not isinstance(x, str) for value in given for x in (value if length else (value,))):
            nothing = (math.nan,) * length if length else math.nan
            return [nothing if value is None else value for value in values]
    return ["" if value is None else _text(value) for value in values]


def _text(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
