"""--spectrum among nanoBragg's flags: whose wavelengths count, and what contradicts it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tilesim.errors import InputError
from tilesim.nanobragg.options import Options
from tilesim.nanobragg.settings import Settings

if TYPE_CHECKING:
    from tilesim.spectra.choice import SpectrumChoice, SpectrumRequest


def spectrum_request(options: Options) -> SpectrumRequest | None:
    """The spectrum that the options ask for; None where they ask for none. Raises InputError."""
    if options.spectrum is None:
        return None
    from tilesim.spectra.choice import Channelling, SpectrumRequest

    number, width = options.channels, options.channel_width
    channelling = Channelling(None if number is None else int(number), None if width is None else width * 1e-3)
    request = SpectrumRequest(options.spectrum, channelling)
    _ = request.states_wavelength  # what cannot be read of a generator shows at once
    return request


def presets_for(request: SpectrumRequest | None, presets: Mapping[str, Any]) -> Mapping[str, Any]:
    """The values that count unless a flag says otherwise: beside a spectrum NaN for a wavelength that none has said."""
    return presets if request is None else {**presets, "wavelength": math.nan}


def spectrum_choice(request: SpectrumRequest, settings: Settings, presets: Mapping[str, Any]) -> SpectrumChoice:
    """The spectra of a run whose `settings` were read with `presets_for`.

    A generator that states no energy lies at the wavelength of the flags, or of `presets`, those of a geometry file.
    Raises InputError.
    """
    if settings.dispersion or settings.dispersion_steps is not None:
        raise InputError("-dispersion and --spectrum; expected one of them")
    if settings.source_file is not None:
        raise InputError("-sourcefile and --spectrum; expected one of them")
    said = settings.wavelength
    if not math.isnan(said) and request.states_wavelength:
        raise InputError(
            "--spectrum states the wavelengths; expected no -lambda or -energy (nor an image header's) beside it"
        )
    return request.choice(presets.get("wavelength", math.nan) if math.isnan(said) else said)
