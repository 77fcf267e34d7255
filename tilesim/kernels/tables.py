"""Which table of amplitudes a source looks its structure factors up in, where they follow the photon energy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tilesim.frozen import frozen
from tilesim.model import AnomalousFactors, StructureFactors


@frozen
class Channels:
    """The sources of a beam by their wavelength."""

    wavelengths: tuple[float, ...]
    """Metres, each once; one that counts for nothing where amplitudes do not follow the energy"""
    of_source: tuple[int, ...]
    """Number of the channel of every source"""
    mixture: npt.NDArray[np.complex128] | None
    """(channels, parts) factors of the parts of `AnomalousFactors`; None: there is a table for each channel"""


def channels_of(factors: StructureFactors, wavelengths: Sequence[float]) -> Channels:
    """The channels of sources of these wavelengths. Raises InputError where amplitudes are not known for one."""
    if not factors.by_energy:
        return Channels(tuple(wavelengths[:1]), (0,) * len(wavelengths), None)
    distinct = sorted(set(wavelengths))
    number = {wavelength: n for n, wavelength in enumerate(distinct)}
    mixture = None
    if isinstance(factors, AnomalousFactors) and not factors.tabulated(len(distinct)):
        mixture = factors.mixture(distinct)
    return Channels(tuple(distinct), tuple(number[wavelength] for wavelength in wavelengths), mixture)


def table_key(factors: StructureFactors, wavelengths: Sequence[float]) -> tuple[float, ...]:
    """What of the wavelengths decides the tables: equal for sources that can share them."""
    channels = channels_of(factors, wavelengths)
    return channels.wavelengths if factors.by_energy and channels.mixture is None else ()


def amplitudes(factors: StructureFactors, channels: Channels) -> npt.NDArray[np.float64]:
    """Bordered tables (channels, h, k, l) of amplitudes, with the default all around."""
    tables = [np.pad(factors.at(wave), 1, constant_values=factors.default) for wave in channels.wavelengths]
    return tables[0][None] if len(tables) == 1 else np.stack(tables)


def bordered_parts(factors: AnomalousFactors) -> npt.NDArray[np.complex128]:
    """Bordered parts (h, k, l, parts), those of a point side by side; F0 is the default in the border."""
    parts = np.pad(factors.parts, ((0, 0), (1, 1), (1, 1), (1, 1)))
    inside = np.zeros(parts.shape[1:], bool)
    inside[1:-1, 1:-1, 1:-1] = True
    parts[0][~inside] = factors.default
    return np.ascontiguousarray(np.moveaxis(parts, 0, -1))
