"""What --spectrum says: a file, or a generator with its parameters; the spectrum of any frame."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from tilesim.errors import InputError
from tilesim.files.reading import printable
from tilesim.frozen import frozen
from tilesim.model.materials import ENERGY_TIMES_WAVELENGTH
from tilesim.model.spectrum import MOST_CHANNELS, WAVELENGTHS, Spectrum

OPTION = "--spectrum"
SEPARATORS = (":", ",", "=")
KEYS = {
    "gaussian": {"bandwidth": True},
    "tophat": {"bandwidth": True},
    "sase": {"bandwidth": True, "spike": False, "spikes": False, "seed": False},
    "two-colour": {"separation": True, "bandwidth": True, "share": False},
}
"""Generators, the parameters of each beside energy or wavelength, and whether each is needed."""
SPELLINGS = {"two-color": "two-colour", "twocolour": "two-colour", "twocolor": "two-colour", "gauss": "gaussian"}
RELATIVE = ("bandwidth", "separation", "spike")
"""Parameters that are fractions of the photon energy, percent or energies."""
COUNTED = {"spikes": 1, "seed": 0}
"""Parameters that are whole numbers, and the least of each."""


@frozen
class Channelling:
    """How many channels were asked for: --channels or --channel-width."""

    number: int | None = None
    width: float | None = None
    """Kiloelectronvolts."""

    def applied(self, spectrum: Spectrum) -> Spectrum:
        """A spectrum of a file in these channels."""
        if self.number is None and self.width is None:
            return spectrum
        return spectrum.in_channels(self.number, self.width)

    def over(self, extent: float) -> int | None:
        """The number of channels that cover so many kiloelectronvolts; None where nobody has chosen."""
        if self.width is None:
            return self.number
        return max(1, math.ceil(min(extent / self.width, MOST_CHANNELS + 1.0) - 1e-9))


@frozen
class SpectrumChoice:
    """The spectra of a run."""

    text: str
    """As it was given"""
    wavelength: float
    """Metres: that of the mean energy, of drawn spectra of the band from which they are drawn"""
    spectra: tuple[Spectrum, ...] = ()
    """Those of a file by frame, or the one for all frames; empty where they are drawn"""
    draw: Callable[[int], Spectrum] | None = None

    @property
    def varies(self) -> bool:
        """Whether frames have spectra of their own."""
        return self.draw is not None or len(self.spectra) > 1

    @property
    def wavelengths(self) -> set[float]:
        """Wavelengths of the channels of all frames, metres."""
        spectra = self.spectra or (self.of_frame(0),)  # drawn ones have the same channels
        return {wavelength for spectrum in spectra for wavelength in spectrum.wavelengths.tolist()}

    def of_frame(self, frame: int) -> Spectrum:
        """The spectrum of the frame with this number. Raises InputError where the file has none for it."""
        if self.draw is not None:
            return self.draw(frame)
        from tilesim.spectra.files import of_frame

        return of_frame(self.spectra, frame, printable(self.text))


@frozen
class Drawn:
    """Spectra of one band by the number of their frame; a function that can be sent and compared."""

    wavelength: float
    parameters: tuple[tuple[str, Any], ...]

    def __call__(self, frame: int) -> Spectrum:
        from tilesim.spectra.sase import sase_spectrum

        return sase_spectrum(self.wavelength, frame=frame, **dict(self.parameters))


@frozen
class SpectrumRequest:
    """What was asked for, before the wavelength of the flags is known."""

    text: str
    channelling: Channelling = Channelling()

    @cached_property
    def generator(self) -> tuple[str, dict[str, str]] | None:
        """The name of a generator and its parameters as text; None for a file. Raises InputError."""
        kind, colon, rest = self.text.partition(":")
        kind = SPELLINGS.get(kind.lower(), kind.lower())
        if kind not in KEYS:
            return None
        known = {"energy", "wavelength", *KEYS[kind]}
        found: dict[str, str] = {}
        for part in rest.split(",") if colon and rest else ():
            key, equals, value = (field.strip() for field in part.partition("="))
            if not (equals and value) or key not in known or key in found:
                raise InputError(
                    f"{OPTION} {kind}: found {part[:40]!r}; expected {', '.join(sorted(known))} as key=value, each once"
                )
            found[key] = value
        if missing := [key for key, needed in KEYS[kind].items() if needed and key not in found]:
            raise InputError(f"{OPTION} {kind} needs {missing[0]}; expected such as {kind}:{_example(kind)}")
        if "energy" in found and "wavelength" in found:
            raise InputError(f"{OPTION} {kind}: energy and wavelength; expected one of them")
        return kind, found

    @property
    def states_wavelength(self) -> bool:
        """Whether it needs no -lambda."""
        return self.generator is None or bool({"energy", "wavelength"} & self.generator[1].keys())

    def choice(self, wavelength: float) -> SpectrumChoice:
        """The spectra, around `wavelength` (metres) where they state none. Raises InputError."""
        if self.generator is None:
            from tilesim.spectra.files import read_spectra

            spectra = tuple(map(self.channelling.applied, read_spectra(self.text)))
            return SpectrumChoice(self.text, _mean(spectra), spectra)
        kind, given = self.generator
        central = _central(kind, given, wavelength)
        numbers = {key: _parameter(kind, key, text, central) for key, text in given.items() if key in KEYS[kind]}
        try:
            return self._generated(kind, central, numbers)
        except InputError as error:
            raise InputError(f"{OPTION} {kind}: {error}") from None

    def _generated(self, kind: str, central: float, numbers: dict[str, Any]) -> SpectrumChoice:
        if kind == "sase":
            if "spike" in numbers:
                numbers["spike_width"] = numbers.pop("spike")
            first = Drawn(central, tuple(numbers.items()))
            numbers["channels"] = self.channelling.over(_extent(first(0)))
            drawn = Drawn(central, tuple(numbers.items()))
            drawn(0)  # what cannot be drawn shows at once
            return SpectrumChoice(self.text, central, draw=drawn)
        makers: dict[str, Callable[..., Spectrum]] = {
            "gaussian": Spectrum.gaussian,
            "tophat": Spectrum.tophat,
            "two-colour": Spectrum.two_colour,
        }
        make = makers[kind]
        spectrum = make(central, channels=self.channelling.over(_extent(make(central, **numbers))), **numbers)
        return SpectrumChoice(self.text, spectrum.wavelength, (spectrum,))


def _example(kind: str) -> str:
    return ",".join(["energy=9000", *(f"{key}=0.01" for key, needed in KEYS[kind].items() if needed)])


def _mean(spectra: tuple[Spectrum, ...]) -> float:
    """The wavelength of the mean energy of all frames."""
    if len(spectra) == 1:
        return spectra[0].wavelength
    return len(spectra) / math.fsum(1.0 / spectrum.wavelength for spectrum in spectra)


def _extent(spectrum: Spectrum) -> float:
    """Width of all channels of a generated spectrum, keV."""
    energies = np.sort(spectrum.energies)
    return float(np.diff(energies).min() * len(energies))


def _central(kind: str, given: dict[str, str], wavelength: float) -> float:
    """Metres."""
    if "energy" in given:
        value, unit = _number(kind, "energy", given["energy"], {"": 1e-3, "ev": 1e-3, "kev": 1.0})
        found = ENERGY_TIMES_WAVELENGTH / (value * unit) if value > 0.0 else math.nan
    elif "wavelength" in given:
        value, unit = _number(kind, "wavelength", given["wavelength"], {"": 1e-10, "a": 1e-10, "nm": 1e-9})
        found = value * unit
    else:
        found = wavelength
    if math.isnan(found) and not {"energy", "wavelength"} & given.keys():
        raise InputError(f"{OPTION} {kind} states no energy; expected energy=EV among its parameters, or -lambda")
    if not WAVELENGTHS[0] <= found <= WAVELENGTHS[1]:
        raise InputError(f"{OPTION} {kind} is at {found:g} m; expected an energy in eV or a wavelength in angstrom")
    return found


def _parameter(kind: str, key: str, text: str, central: float) -> float | int:
    """The value of a parameter, fractions relative to the energy of the wavelength `central`."""
    if key in COUNTED:
        if not (text.isascii() and text.isdecimal() and len(text) < 19 and int(text) >= COUNTED[key]):
            raise InputError(
                f"{OPTION} {kind}: {key} is {text[:40]!r}; expected a whole number of {COUNTED[key]} or more"
            )
        return int(text)
    if key not in RELATIVE:
        value, unit = _number(kind, key, text, {"": 1.0, "%": 0.01})
        return value * unit
    energy = ENERGY_TIMES_WAVELENGTH / central
    value, unit = _number(kind, key, text, {"": 1.0, "%": 0.01, "ev": 1e-3 / energy, "kev": 1.0 / energy})
    if not value > 0.0:
        raise InputError(f"{OPTION} {kind}: {key} is {text[:40]!r}; expected a number above 0")
    if value * unit >= 1.0:
        raise InputError(
            f"{OPTION} {kind}: {key} is {text[:40]!r}, {value * unit:g} of the photon energy; expected a fraction "
            "below 1, or a number with eV or %"
        )
    return value * unit


def _number(kind: str, key: str, text: str, units: dict[str, float]) -> tuple[float, float]:
    """A number, and the factor of the unit behind it. Raises InputError."""
    for unit in sorted(units, key=len, reverse=True):
        if text.lower().endswith(unit):
            try:
                value = float(text[: len(text) - len(unit)])
            except ValueError:
                break
            if math.isfinite(value):
                return value, units[unit]
            break
    known = ", ".join(unit for unit in units if unit)
    raise InputError(f"{OPTION} {kind}: {key} is {text[:40]!r}; expected a number, with a unit or not ({known})")
