"""Spectra of self-amplified spontaneous emission: spikes that are drawn for every pulse, as CrystFEL has them."""

from __future__ import annotations

import math

from tilesim.model import checks
from tilesim.model.spectrum import CHANNELS, MOST_CHANNELS, REACH, Spectrum

STREAM = 6
"""Stream of random numbers in which no other effect draws."""
SPIKES = 15
SPIKE_WIDTH = 2e6
"""Standard deviation of a spike in 1/wavelength, 1/m."""
PER_WIDTH = 2
"""Channels of a spike's standard deviation where nobody says how many."""


def sase_spectrum(
    wavelength: float,
    bandwidth: float,
    *,
    frame: int = 0,
    seed: int = 0,
    spikes: int = SPIKES,
    spike_width: float | None = None,
    channels: int | None = None,
) -> Spectrum:
    """Draw the spectrum of one pulse of an XFEL: gaussian spikes within a band, of random place and area.

    Depends on the arguments alone, so that the pulse of any frame can be drawn by itself. Channels are the same for all
    frames.

    Parameters
    ----------
    wavelength
        Metres; its energy E is the middle of the band.
    bandwidth
        Width of the band relative to E; the centres of the spikes are uniform in it.
    frame
        Number of the pulse.
    seed
        Random seed, 64 bits.
    spikes
        How many.
    spike_width
        Standard deviation of a spike relative to E; None: 2e6 1/m in 1/wavelength, 2.48 eV.
    channels
        Channels over the band and five widths of a spike on either side; None: two for each width.

    Returns
    -------
    Spectrum
        Whose mean energy is not quite E.

    Raises
    ------
    InputError
        Where an argument is out of its range.

    Examples
    --------
    >>> import tilesim
    >>> pulse = tilesim.sase_spectrum(1.3e-10, 0.003, frame=17, seed=1)
    >>> pulse == tilesim.sase_spectrum(1.3e-10, 0.003, frame=17, seed=1)
    True
    >>> pulse == tilesim.sase_spectrum(1.3e-10, 0.003, frame=18, seed=1)
    False
    """
    import torch

    from tilesim.physics.philox import uniforms

    band = checks.positive("bandwidth of a spectrum", bandwidth)
    width = SPIKE_WIDTH * wavelength if spike_width is None else checks.positive("spike width", spike_width)
    count = checks.whole_number("number of spikes", spikes, at_least=1)
    low, high = 1.0 - band / 2.0 - REACH * width, 1.0 + band / 2.0 + REACH * width
    if channels is None:
        channels = min(MOST_CHANNELS, max(CHANNELS, math.ceil(PER_WIDTH * (high - low) / width)))
    numbers = torch.arange(count, dtype=torch.int64)
    places, areas = uniforms(numbers, seed=seed, stream=STREAM, frame=frame)
    centres = (1.0 + band * (places - 0.5)).tolist()
    return Spectrum.of_lines(wavelength, centres, [width] * count, areas.tolist(), channels, (low, high))
