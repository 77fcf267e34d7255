"""The bandwidth that a geometry file states: every source of the beam becomes channels of a gaussian spectrum."""

from __future__ import annotations

from dataclasses import replace

from tilesim.model import Spectrum
from tilesim.nanobragg.instrument import ChosenDetector
from tilesim.nanobragg.settings import Settings
from tilesim.nanobragg.sources import Origin, SourceList

CHANNELS = 15
REACH = 3.0
"""Standard deviations on either side that the channels cover; 0.3 % of the photons are beyond and count within."""

ANY = 1e-10
"""A wavelength, metres, to which channels are relative."""


def with_bandwidth(
    sources: SourceList, chosen: ChosenDetector | None, settings: Settings
) -> tuple[SourceList, tuple[str, ...]]:
    """The sources with the bandwidth of a geometry file, and what to say of it.

    Where flags state the wavelengths the sources stay as they are. Channels are of equal width in energy.
    """
    width = chosen.instrument.bandwidth if chosen is not None and chosen.instrument is not None else 0.0
    if not width > 0.0 or chosen is None or chosen.instrument is None:
        return sources, ()
    named = f"{chosen.instrument.name} has a bandwidth of {width:g}"
    if settings.dispersion > 0.0 or settings.dispersion_steps is not None or settings.source_file is not None:
        return sources, (f"{named}; the wavelengths of the flags are taken",)
    channels = _channels(width)
    origins = tuple(
        Origin(one.position, one.intensity * share, one.wavelength / energy)
        for one in sources.origins
        for energy, share in channels
    )
    waves = tuple(
        one.replace(wavelength=one.wavelength / energy, weight=one.weight * share * CHANNELS)
        for one in sources.sources
        for energy, share in channels
    )
    found = tuple(settings.wavelength / energy for energy, _ in channels)
    made = replace(sources, origins=origins, sources=waves, wavelengths=found, unequal_weights=True)
    return made, (f"{named}; {CHANNELS} channels of a gaussian spectrum are taken for it",)


def _channels(width: float) -> tuple[tuple[float, float], ...]:
    """Photon energy relative to the mean, and share of the photons, of each channel."""
    within = (1.0 - REACH * width, 1.0 + REACH * width)
    found = Spectrum.of_lines(ANY, [1.0], [width], [1.0], CHANNELS, within)
    return tuple(zip((ANY / found.wavelengths).tolist(), (found.weights / CHANNELS).tolist(), strict=True))
