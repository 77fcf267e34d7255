"""The incident plane waves: a divergence x dispersion grid, or a source file (spec geometry 12)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tilesim.errors import InputError
from tilesim.files.columns import read_columns
from tilesim.files.reading import printable
from tilesim.frozen import frozen
from tilesim.model.source import Source
from tilesim.model.spectrum import Spectrum
from tilesim.model.vectors import Vector, rotate_about, scale, unit
from tilesim.nanobragg.geometry import Geometry
from tilesim.nanobragg.settings import Settings
from tilesim.nanobragg.steps import Sweep, check_count

WAVELENGTHS = (1e-14, 1e-5)
"""Metres: those of a source file."""
SOURCE_DISTANCE = 10.0
"""Metres; only the direction matters."""

_ROUND_LIMIT = 1.1
"""A grid point is dropped where four times its squared relative radius exceeds this."""


@frozen
class Origin:
    """Where one source of the beam lies, as the report prints it."""

    position: Vector
    """Metres, from the sample."""
    intensity: float
    wavelength: float
    """Metres."""


@frozen
class SourceList:
    """The sources of a run, and what the report says of them."""

    origins: tuple[Origin, ...]
    sources: tuple[Source, ...]
    deviations: tuple[tuple[float, float], ...] = ()
    """Horizontal and vertical divergence (radians) of every direction; empty for a file."""
    wavelengths: tuple[float, ...] = ()
    """Metres; empty for a file."""
    unequal_weights: bool = False
    read_differently: bool = False
    """The reference would have read another list from the file (K10)."""
    central: float | None = None
    """Metres: the wavelength of the mean energy of a spectrum; None: that of the flags."""

    @property
    def directions(self) -> int:
        """Divergence steps; -1, as in the report, for a file."""
        return len(self.deviations) if self.wavelengths else -1


def resolve_sources(
    settings: Settings,
    geometry: Geometry,
    hdiv: Sweep,
    vdiv: Sweep,
    dispersion: Sweep,
    *,
    strict_c: bool = False,
    spectrum: Spectrum | None = None,
) -> SourceList:
    """Source file if there is one, else the grid, over a spectrum where there is one in place of the dispersion.

    Raises InputError where no usable source comes out.
    """
    if spectrum is not None:
        return _from_grid(settings, geometry, hdiv, vdiv, spectrum)
    if settings.source_file is not None:
        return _from_file(settings, geometry, strict_c)
    return _from_grid(settings, geometry, hdiv, vdiv, _dispersed(settings, dispersion))


def round_grid(hdiv: Sweep, vdiv: Sweep, *, cull: bool) -> tuple[tuple[float, float], ...]:
    """(horizontal, vertical) deviations in radians, horizontal outermost (spec geometry 12.1)."""
    points = []
    for i in range(hdiv.count):
        h = hdiv.step * i - hdiv.range / 2.0
        for j in range(vdiv.count):
            v = vdiv.step * j - vdiv.range / 2.0
            if not (cull and (_radius(h, hdiv) + _radius(v, vdiv)) * 4.0 > _ROUND_LIMIT):
                points.append((h, v))
    return tuple(points)


def _radius(deviation: float, sweep: Sweep) -> float:
    """Squared radius relative to the range; NaN for a range of zero, so that nothing is culled."""
    if sweep.range == 0.0:
        return math.nan
    even = 1 - sweep.count % 2
    return (deviation * deviation - sweep.step * sweep.step / 4.0 * even) / sweep.range / sweep.range


def _dispersed(settings: Settings, dispersion: Sweep) -> tuple[float, ...]:
    """Wavelengths of equal weight around the central one (spec geometry 12.1)."""
    wavelengths = tuple(
        settings.wavelength * (1.0 + dispersion.step * k - dispersion.range / 2.0) for k in range(dispersion.count)
    )
    if not min(wavelengths) > 0.0:
        raise InputError(
            f"-dispersion is {dispersion.range * 100:g} percent; expected less than 200: no wavelength is 0"
        )
    return wavelengths


def _from_grid(
    settings: Settings, geometry: Geometry, hdiv: Sweep, vdiv: Sweep, channels: Spectrum | tuple[float, ...]
) -> SourceList:
    """Every direction of the divergence at every wavelength."""
    spectrum = channels if isinstance(channels, Spectrum) else None
    wavelengths = channels if isinstance(channels, tuple) else tuple(channels.wavelengths.tolist())
    check_count(hdiv.count * vdiv.count * len(wavelengths), "sources of divergence and dispersion")
    deviations = round_grid(hdiv, vdiv, cull=settings.round_div)
    if not deviations:
        raise InputError("-round_div leaves no source of the divergence grid; expected -square_div or more steps")
    factors = [1.0] * len(wavelengths) if spectrum is None else spectrum.weights.tolist()
    weight = 1.0 / (len(deviations) * len(wavelengths))
    towards = scale(geometry.beam, -SOURCE_DISTANCE)
    origins, sources = [], []
    for h, v in deviations:
        # "Horizontal" is along the electric field of the incident beam.
        position = rotate_about(rotate_about(towards, geometry.polar, v), geometry.vert, h)
        for wavelength, factor in zip(wavelengths, factors, strict=True):
            origins.append(Origin(position, weight * factor, wavelength))
            sources.append(_source(origins[-1], factor))
    central = None if spectrum is None else spectrum.wavelength
    return SourceList(tuple(origins), tuple(sources), deviations, wavelengths, central=central)


def _from_file(settings: Settings, geometry: Geometry, strict_c: bool) -> SourceList:
    """X Y Z weight wavelength, the last ones optional (spec geometry 12.2); K7 unless strict."""
    path = settings.source_file
    rows, differently = read_columns(path, 5, strict=strict_c)
    default = (*scale(geometry.beam, -SOURCE_DISTANCE), 1.0, settings.wavelength)
    filled = [tuple(d if math.isnan(x) else x for x, d in zip(row, default, strict=True)) for row in rows]
    origins = tuple(Origin(row[:3], row[3], row[4]) for row in filled)
    weights = [o.intensity for o in origins]
    unequal = any(w != weights[0] for w in weights)
    total = sum(weights)
    if not strict_c:
        _check_rows(printable(path), filled, total)
    factors = [w * len(weights) / total for w in weights] if unequal and not strict_c else [1.0] * len(weights)  # K7
    try:
        sources = tuple(_source(o, w) for o, w in zip(origins, factors, strict=True))
    except InputError as error:
        raise InputError(f"{printable(path)}: {error}") from None
    return SourceList(origins, sources, (), (), unequal, differently)


def _check_rows(name: str, rows: Sequence[Sequence[float]], total: float) -> None:
    """Raise InputError where weights or wavelengths, the last two of a row, make no beam."""
    for number, (*_, weight, wavelength) in enumerate(rows, 1):
        if weight < 0.0:
            raise InputError(f"{name}: the weight of source {number} is {weight:g}; expected zero or more")
        if not WAVELENGTHS[0] <= wavelength <= WAVELENGTHS[1]:
            meant = wavelength * 1e-10
            hint = f"; did you mean {meant:g}?" if WAVELENGTHS[0] <= meant <= WAVELENGTHS[1] else ""
            raise InputError(f"{name}: the wavelength of source {number} is {wavelength:g} m; expected metres{hint}")
    if not 0.0 < total < math.inf:
        raise InputError(f"{name}: weights sum to {total:g}; expected weights of zero or more, not all zero")


def _source(origin: Origin, weight: float) -> Source:
    direction = tuple(-x for x in unit(origin.position))
    return Source(direction, origin.wavelength, weight)
