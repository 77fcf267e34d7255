"""The spectrum of an incident beam: channels of a wavelength and a number of photons each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.model import checks
from tilesim.model.materials import ENERGY_TIMES_WAVELENGTH
from tilesim.model.noun import Noun, counted, quantity

Array = npt.NDArray[np.float64]
REACH = 5.0
"""Standard deviations of a gaussian line beyond which it is cut off: 6e-7 of its photons."""
CHANNELS = 40
"""Channels of a generated spectrum where nobody says how many."""
MOST_CHANNELS = 100_000
ROUNDING = 1e-12
"""Difference of a mean from one that comes of scaling to it."""
WAVELENGTHS = (1e-18, 1e-2)
"""Metres, as those of a source."""


@frozen(eq=False, repr=False)
class Spectrum(Noun):
    """Channels of an incident beam; equal when wavelengths and weights are equal.

    Weights are relative numbers of photons in the channels, not a density; they are scaled to a mean of one.

    Raises
    ------
    InputError
        Where the lists differ in length or are empty, a wavelength is not in metres, a weight is negative or none is
        above zero.

    Examples
    --------
    >>> from tilesim import Spectrum
    >>> Spectrum([1.00e-10, 1.01e-10], [3.0, 1.0])
    Spectrum
      energy     12.3677 keV (1.00248 Å) on average
      bandwidth  0.0043 of it, from 12.2757 to 12.3984 keV
      channels   2 channels
    """

    wavelengths: Array
    """(n,) metres."""
    weights: Array
    """(n,) photons in the channel, relative to the mean of all channels."""

    def __post_init__(self) -> None:
        columns = {name: _list(name, getattr(self, name)) for name in ("wavelengths", "weights")}
        wavelengths, weights = columns.values()
        if len(wavelengths) != len(weights) or not len(wavelengths):
            raise InputError(
                f"a spectrum of {len(wavelengths)} wavelengths, {len(weights)} weights; expected as many, one or more"
            )
        if len(wavelengths) > MOST_CHANNELS:
            raise InputError(f"a spectrum of {len(wavelengths)} channels; expected at most {MOST_CHANNELS}")
        for extreme in (wavelengths.min(), wavelengths.max()):
            checks.length("wavelength of a spectrum", extreme, *WAVELENGTHS, checks.ANGSTROM)
        total = float(weights.sum())
        if not (np.isfinite(weights).all() and (weights >= 0.0).all() and 0.0 < total < math.inf):
            raise InputError("the weights of a spectrum are negative, not finite or all zero; expected photons")
        if abs(total / len(weights) - 1.0) > ROUNDING:  # else they are as they were scaled before, to the last bit
            columns["weights"] = weights * (len(weights) / total)
        for column in columns.values():
            column.setflags(write=False)
        checks.coerce(self, **columns)

    @classmethod
    def of_energies(cls, energies: Any, weights: Any) -> Spectrum:
        """The spectrum of some photon energies, keV, and the numbers of photons of each."""
        found = _list("energies", energies)
        if not (found > 0.0).all():
            raise InputError("the energies of a spectrum are not all above 0; expected kiloelectronvolts")
        return cls(ENERGY_TIMES_WAVELENGTH / found, weights)

    @classmethod
    def gaussian(cls, wavelength: float, bandwidth: float, channels: int | None = None) -> Spectrum:
        """A gaussian in energy around that of `wavelength` (metres), `bandwidth` its relative standard deviation."""
        return cls.of_lines(wavelength, [1.0], [_fraction("bandwidth", bandwidth)], [1.0], channels)

    @classmethod
    def tophat(cls, wavelength: float, bandwidth: float, channels: int | None = None) -> Spectrum:
        """Equal channels over `bandwidth` times the energy of `wavelength` (metres), half of it on either side."""
        half = _fraction("bandwidth", bandwidth) / 2.0
        if not half < 1.0:
            raise InputError(f"the bandwidth is {2 * half:g}; expected less than 2, so that no energy is 0")
        count = _count(channels)
        middles = 1.0 + half * ((2.0 * np.arange(count) + 1.0) / count - 1.0)
        return cls(_central(wavelength) / middles, np.ones(count))

    @classmethod
    def two_colour(
        cls, wavelength: float, separation: float, bandwidth: float, share: float = 0.5, channels: int | None = None
    ) -> Spectrum:
        """Two gaussians at E (1 ± separation/2), E the energy of `wavelength` (metres).

        bandwidth  standard deviation of each, relative to E
        share      photons of the higher energy among all
        """
        half, width = _fraction("separation", separation) / 2.0, _fraction("bandwidth", bandwidth)
        if not 0.0 <= checks.finite("share", share) <= 1.0:
            raise InputError(f"the share of the higher energy is {share:g}; expected 0 to 1")
        return cls.of_lines(wavelength, [1.0 - half, 1.0 + half], [width, width], [1.0 - share, share], channels)

    @classmethod
    def of_lines(
        cls,
        wavelength: float,
        centres: Sequence[float],
        widths: Sequence[float],
        areas: Sequence[float],
        channels: int | None = None,
        within: tuple[float, float] | None = None,
    ) -> Spectrum:
        """Gaussian lines in channels of equal width in energy, each channel with the photons between its edges.

        wavelength  metres, whose energy is the unit of all that follows
        centres     (n,) energies
        widths      (n,) standard deviations, above 0
        areas       (n,) relative numbers of photons
        within      limits of the channels; None: five standard deviations around every line, without gaps
        """
        middle, width, area = (np.asarray(x, dtype=np.float64) for x in (centres, widths, areas))
        if not (width > 0.0).all():
            raise InputError(f"the width of a line is {width.min():g}; expected more than 0")
        ranges = [within] if within else _joined(middle - REACH * width, middle + REACH * width)
        if not ranges[0][0] > 0.0:
            raise InputError("a spectrum reaches down to an energy of 0; expected a smaller bandwidth")
        edges = _edges(ranges, _count(channels))
        below = _normal((edges[..., None] - middle) / width) @ area
        photons = np.maximum(below[:, 1] - below[:, 0], 0.0)
        return cls(_central(wavelength) / edges.mean(axis=1), photons)

    @property
    def table(self) -> Array:
        """The channels (n, 2): wavelength, metres, and weight, as a column of a series has them."""
        return np.stack([self.wavelengths, self.weights], axis=1)

    @property
    def energies(self) -> Array:
        """Photon energies of the channels (n,), keV."""
        return ENERGY_TIMES_WAVELENGTH / self.wavelengths

    @property
    def wavelength(self) -> float:
        """Central wavelength, metres: that of the mean photon energy."""
        if len(self.wavelengths) == 1:
            return float(self.wavelengths[0])
        return float(self.weights.sum() / (self.weights / self.wavelengths).sum())

    @property
    def energy(self) -> float:
        """Mean photon energy, keV."""
        return ENERGY_TIMES_WAVELENGTH / self.wavelength

    @property
    def bandwidth(self) -> float:
        """Standard deviation of the photon energy, relative to its mean."""
        relative = self.wavelength / self.wavelengths - 1.0
        return math.sqrt(float((self.weights * relative * relative).sum() / self.weights.sum()))

    def in_channels(self, number: int | None = None, width: float | None = None) -> Spectrum:
        """The same photons in fewer channels, which are equal in energy from the lowest to the highest one.

        A photon between two channels counts for both, the more the nearer it is, so that number and mean energy of the
        photons stay.

        number  of channels
        width   energy from one channel to the next, keV, instead
        """
        energies, weights = self.energies[self.weights > 0.0], self.weights[self.weights > 0.0]
        low, high = float(energies.min()), float(energies.max())
        if number is None:
            step = checks.positive("width of the channels", width)
            number = math.ceil((high - low) / step - 1e-9) + 1
            excess = (number - 1) * step - (high - low)
            low, high = low - excess / 2.0, high + excess / 2.0
        number = checks.whole_number("number of channels", number, at_least=1)
        if number > len(energies):
            raise InputError(
                f"{counted(number, 'channel')} of a spectrum that has {len(energies)}; expected as many or fewer"
            )
        if number == 1 or low == high:
            return Spectrum(np.array([self.wavelength]), np.ones(1))
        place = (energies - low) / (high - low) * (number - 1)
        below = np.clip(np.floor(place).astype(np.int64), 0, number - 2)
        above = place - below
        photons = np.zeros(number)
        np.add.at(photons, below, weights * (1.0 - above))
        np.add.at(photons, below + 1, weights * above)
        return Spectrum.of_energies(np.linspace(low, high, number), np.maximum(photons, 0.0))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spectrum) and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in ("wavelengths", "weights")
        )

    def __hash__(self) -> int:
        return hash((self.wavelengths.tobytes(), self.weights.tobytes()))

    def summary(self) -> dict[str, str]:
        low, high = self.energies.min(), self.energies.max()
        rows = {"energy": f"{self.energy:.6g} keV ({quantity(self.wavelength, 1e10, 'Å')}) on average"}
        if low < high:
            rows["bandwidth"] = f"{self.bandwidth:.3g} of it, from {low:.6g} to {high:.6g} keV"
        return rows | {"channels": counted(len(self.wavelengths), "channel")}


def _list(name: str, values: Any) -> Array:
    """A list of real numbers as an array of its own."""
    checks.no_graph(f"{name} of a spectrum", values)
    try:
        found = np.asarray(values)
    except ValueError:
        found = np.empty((0, 0))
    if found.dtype.kind not in "iuf" or found.ndim != 1:
        raise InputError(f"{name} of a spectrum are {checks.shown(values)}; expected a list of numbers")
    return np.array(found, dtype=np.float64)


def _fraction(name: str, value: Any) -> float:
    return checks.positive(f"{name} of a spectrum", value)


def _central(wavelength: Any) -> float:
    return checks.length("wavelength of a spectrum", wavelength, *WAVELENGTHS, checks.ANGSTROM)


def _count(channels: int | None) -> int:
    count = CHANNELS if channels is None else checks.whole_number("number of channels", channels, at_least=1)
    if count > MOST_CHANNELS:
        raise InputError(f"{count} channels; expected at most {MOST_CHANNELS}")
    return count


def _joined(lows: Array, highs: Array) -> list[tuple[float, float]]:
    """Ranges, by energy, those that overlap as one."""
    ranges: list[tuple[float, float]] = []
    for low, high in sorted(zip(lows.tolist(), highs.tolist(), strict=True)):
        if ranges and low <= ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], max(high, ranges[-1][1]))
        else:
            ranges.append((low, high))
    return ranges


def _edges(ranges: list[tuple[float, float]], count: int) -> Array:
    """Lower and upper edge (n, 2) of `count` channels that are shared out among ranges of equal length, or one."""
    per = [len(part) for part in np.array_split(np.arange(max(count, len(ranges))), len(ranges))]
    parts = [np.linspace(low, high, n + 1) for (low, high), n in zip(ranges, per, strict=True)]
    return np.concatenate([np.stack([part[:-1], part[1:]], axis=1) for part in parts])


def _normal(x: Array) -> Array:
    """The cumulative normal distribution."""
    values = [0.5 * (1.0 + math.erf(value / math.sqrt(2.0))) for value in x.ravel().tolist()]
    return np.array(values).reshape(x.shape)
