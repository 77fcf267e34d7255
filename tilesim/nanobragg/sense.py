"""What flags and files say that nobody means: errors where no image makes sense, else one line of warning each."""

from __future__ import annotations

from collections.abc import Sequence

from tilesim.errors import InputError
from tilesim.files.reading import printable
from tilesim.model import Experiment
from tilesim.model.vectors import cross, dot, norm
from tilesim.nanobragg.flags import UNREAD
from tilesim.nanobragg.geometry import Geometry
from tilesim.nanobragg.setup import Setup

USUAL_WAVELENGTHS = (0.005e-10, 50e-10)
"""Metres; electrons of 1 MeV and soft X-rays are within."""
PARALLEL, OBLIQUE = 1e-3, 1e-2
"""Sine between directions that are one, cosine between some that are not at right angles."""
WAVELENGTH_MISMATCH = 1e-3
"""Relative difference of -lambda from the wavelengths of a source file."""


def check_axes(geometry: Geometry) -> None:
    """Raise InputError where the detector's axes span no plane."""
    if norm(cross(geometry.fdet, geometry.sdet)) < PARALLEL:
        raise InputError("-fdet_vector and -sdet_vector are parallel; expected axes that span the detector's plane")


def oddities(setup: Setup, experiment: Experiment, arguments: Sequence[str]) -> list[str]:
    """One line for each thing that is most likely a mistake."""
    return [
        *_unread_flags(arguments),
        *_wavelengths(setup, arguments),
        *_directions(setup),
        *_traced(setup, experiment),
    ]


def _unread_flags(arguments: Sequence[str]) -> list[str]:
    return [
        f"{flag} has no effect: nanoBragg's documentation names it, but the program reads {right}"
        for flag, right in UNREAD.items()
        if flag in arguments
    ]


def _wavelengths(setup: Setup, arguments: Sequence[str]) -> list[str]:
    settings, lines = setup.settings, []
    central = settings.wavelength
    low, high = USUAL_WAVELENGTHS
    if central < low or central > high:
        hint = ""
        if any(argument.startswith("-energy") for argument in arguments):
            hint = f"; -energy is in eV: did you mean {12398.42 / (central * 1e10) * 1000:g}?"
        lines.append(f"the wavelength is {central * 1e10:g} A{hint}")
    if settings.source_file is not None:
        waves = [origin.wavelength for origin in setup.sources.origins]
        near, far = min(waves) * (1 - WAVELENGTH_MISMATCH), max(waves) * (1 + WAVELENGTH_MISMATCH)
        if not near <= central <= far:
            span = f"{min(waves) * 1e10:.6g}" + (f" to {max(waves) * 1e10:.6g}" if max(waves) > min(waves) else "")
            lines.append(
                f"the wavelengths of {printable(settings.source_file)} are {span} A, -lambda is {central * 1e10:.6g} A:"
                " the file's are simulated, -lambda scales the matrix and stands in headers"
            )
    return lines


def _directions(setup: Setup) -> list[str]:
    g, lines = setup.geometry, []
    if abs(dot(g.fdet, g.sdet)) > OBLIQUE:
        lines.append("the detector's fast and slow axes are not at right angles (-fdet_vector, -sdet_vector)")
    elif max(abs(dot(g.odet, g.fdet)), abs(dot(g.odet, g.sdet))) > OBLIQUE:
        lines.append("the detector's normal is not at right angles to its axes; -odet_vector does not follow from them")
    if not setup.settings.nopolar and setup.settings.kahn_factor != 0.0 and norm(cross(g.polar, g.beam)) < PARALLEL:
        lines.append("the polarisation axis lies along the beam; expected it across (-polar_vector)")
    return lines


def _traced(setup: Setup, experiment: Experiment) -> list[str]:
    pixel = setup.settings.trace_pixel
    if pixel is None or on_detector(experiment, pixel):
        return []
    slow, fast = experiment.shape
    return [
        f"-trace_pixel {pixel[0]} {pixel[1]} (slow fast) is none of the detector's {slow} x {fast} pixels: no pixel is"
        " traced"
    ]


def on_detector(experiment: Experiment, pixel: tuple[int, int]) -> bool:
    """Whether the detector has a pixel (slow, fast)."""
    slow, fast = experiment.shape
    return 0 <= pixel[0] < slow and 0 <= pixel[1] < fast
