"""CrystFEL geometry files (.geom) of any detector, beside the images that they describe."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tilesim.frozen import frozen
from tilesim.images.stills import Stills, bandwidth
from tilesim.model import Panel

DECIMALS = 15
"""Digits of unit vectors, in which CrystFEL reads no exponents."""
SAME = 1e-12
"""Relative difference of photon energies, and metres of distances, that counts as none."""


@frozen
class DataPlaces:
    """Where an HDF5 file has what a geometry refers to."""

    data: str
    energy: str
    """The whole line on the photon energy or wavelength of each frame"""
    distance: str
    """Distance of each frame, metres"""
    shift: str
    """Shift of each frame along x and y, metres, with {axis} for them"""
    mask: str | None = None
    """Bits of pixels without a value; None: there is no mask"""


def geom_lines(stills: Stills, places: DataPlaces, per_photon: float, marks: str | None) -> Iterator[str]:
    """The lines of the file.

    per_photon  what a photon adds to a pixel
    marks       a line on values that mark pixels without one, or None
    """
    yield "; written by tilesim; incident beam along +z, y up; the sensors have no thickness here"
    energies, distances = stills.energies, stills.distances
    if np.ptp(energies) > SAME * energies[0]:
        yield places.energy
    else:
        yield f"photon_energy = {energies[0]:.9f}"
    widths = [bandwidth(one) for one in stills.frames]
    if max(widths) > 0.0:
        yield f"bandwidth = {np.mean(widths):.6e}"
    if np.ptp(distances) > SAME:
        yield f"clen = {places.distance} m"
    else:
        yield f"clen = {_fixed(distances[0])}"
    for axis, moved in zip("xy", stills.shifts.T[:2], strict=True):
        if np.abs(moved).max() > SAME:
            yield f"detector_shift_{axis} = {places.shift.format(axis=axis)} m"
    yield f"adu_per_photon = {per_photon:.9g}"
    yield from ("", f"data = {places.data}", "dim0 = %", "dim1 = ss", "dim2 = fs")
    if places.mask is not None:
        yield from (f"mask0_data = {places.mask}", "mask0_goodbits = 0x0", "mask0_badbits = 0xffffffff")
    if marks is not None:
        yield marks
    top = 0
    for number, panel in enumerate(stills.panels):
        yield ""
        yield from _panel(f"p{number}", panel, top, stills.panels[0].origin[2])
        top += panel.shape[0]


def _panel(name: str, panel: Panel, top: int, clen: float) -> Iterator[str]:
    slow, fast = panel.shape
    edges = {"min_fs": 0, "max_fs": fast - 1, "min_ss": top, "max_ss": top + slow - 1}
    yield from (f"{name}/{key} = {value}" for key, value in edges.items())
    yield f"{name}/res = {1.0 / panel.pixel_size!r}"
    x, y, z = panel.origin
    yield f"{name}/corner_x = {_fixed(x / panel.pixel_size)}"
    yield f"{name}/corner_y = {_fixed(y / panel.pixel_size)}"
    yield f"{name}/coffset = {_fixed(z - clen)}"
    for key, axis in (("fs", panel.fast), ("ss", panel.slow)):
        terms = [f"{value:+.{DECIMALS}f}{letter}" for value, letter in zip(axis, "xyz", strict=True)]
        yield f"{name}/{key} = {' '.join(term for term in terms if term[:-1].strip('+-0.'))}"


def _fixed(value: float) -> str:
    return f"{value:.{DECIMALS}f}"
