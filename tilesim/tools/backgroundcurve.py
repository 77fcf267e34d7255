"""The scattering curve of what is in the beam besides the crystal, from a measured image, a band of it at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.geometry.resolution import d_spacings
from tilesim.images.dataset import Dataset
from tilesim.kernels.amorphous import Amorphous, lower_background
from tilesim.model import Background, Experiment, ScatteringCurve
from tilesim.model.beam import DEFAULT_FLUENCE

FEWEST = 100
"""Pixels of a ring; one with less is left out."""
REJECTED = 6.0
"""Median absolute deviations, then standard deviations, beyond which a pixel is no background."""
FEW_PHOTONS = 3.0
"""Photons that are never rejected from a ring in which most pixels hold the same count."""
AT_ONCE = 2**18
"""Pixels that are looked at together."""
DIGITS = ((21, 11), (10, 11), (0, 10))
"""Shift and bits of the parts of a number by which medians are found."""
Parts = Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]]
"""Gives, as often as it is called, the rings (n,) and values (n,) of all pixels that have one, part by part."""


@frozen
class Slice:
    """What lies in the beam, of which a pixel's photons are those of so many molecules."""

    thickness: float
    """Metres along the beam"""
    density: float
    """Kilograms per cubic metre"""
    molar_mass: float
    """Kilograms per mole"""


@frozen(eq=False)
class MeasuredCurve:
    """A scattering curve, and how it was found."""

    stol: np.ndarray
    """(n,) mean sin(theta)/lambda of the pixels of a ring, 1/m."""
    amplitude: np.ndarray
    """(n,) electrons per molecule."""
    pixels: np.ndarray
    """(n,) pixels whose mean it is."""
    remarks: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """The table that -stol reads."""
        yield "# sin(theta)/lambda [1/angstrom]   amplitude [electrons per molecule]   pixels"
        for row in zip(self.stol * 1e-10, self.amplitude, self.pixels, strict=True):
            yield "{:.9f} {:.9g} {}".format(*row)


def measured_curve(
    data: Dataset, frame: int, material: Slice, *, rings: int, offset: float, gain: float, beamsize: float | None = None
) -> MeasuredCurve:
    """The robust mean of the photons of every ring, over those of one electron per molecule.

    rings         of equal width in sin(theta)/lambda, from the beam to the corner of the detector
    offset, gain  value of a dark pixel, and units per photon
    beamsize      edge of the beam in metres, in place of what the experiment states

    Raises InputError where fluence or beam are not known, or hardly any ring has pixels.
    """
    panels, top = _panels(data, frame, material, beamsize)

    def ring_of(stol: np.ndarray) -> np.ndarray:
        return np.minimum((stol / top * rings).astype(np.int64), rings - 1)

    def each(column: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return ((ring_of(part[0]), part[column]) for part in _pixels(data, frame, panels, offset, gain))

    def parts() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return each(1)

    middle = medians(parts, rings)
    spread = medians(lambda: ((ring, np.abs(values - middle[ring])) for ring, values in parts()), rings)
    # Where most pixels hold the same count, usually none, median and deviation say nothing of single photons.
    near = _within(parts, middle, np.where(spread > 0.0, REJECTED * spread, np.inf))
    _, mean, deviation = _means(near, rings, middle)
    _, photon, _ = _means(lambda: each(2), rings, np.zeros(rings))
    limit = np.maximum(REJECTED * deviation, np.where(spread > 0.0, 0.0, FEW_PHOTONS * photon))
    pixels, mean, _ = _means(_within(near, mean, np.where(deviation > 0.0, limit, np.inf)), rings, mean)
    _, angle, _ = _means(lambda: each(0), rings, np.zeros(rings))
    good = pixels >= FEWEST
    if good.sum() < 2:
        raise InputError(f"{data.path}: {good.sum()} rings have {FEWEST} pixels or more; expected two or more")
    negative = int((mean[good] < 0.0).sum())
    remarks = []
    if not good.all():
        remarks.append(f"{int((~good).sum())} of {rings} rings have fewer than {FEWEST} pixels and are left out")
    if negative:
        remarks.append(f"{negative} rings have less than the offset; their amplitude is 0")
    if data.experiment(frame).beam.fluence == DEFAULT_FLUENCE:
        remarks.append(f"the fluence is nanoBragg's default, {DEFAULT_FLUENCE:.6g} photons/m^2; -flux sets another")
    return MeasuredCurve(angle[good], np.sqrt(np.maximum(mean[good], 0.0)), pixels[good], tuple(remarks))


def medians(parts: Parts, rings: int) -> np.ndarray:
    """The median (rings,) of the values of every ring, exact in single precision; 0 where a ring has none.

    Its digits are counted one after the other, so that memory does not grow with the image. Of an even number of values
    it is the lower of the two in the middle.
    """
    prefix, rank = np.zeros(rings, np.int64), np.zeros(rings, np.int64)
    empty = np.zeros(rings, bool)
    for shift, bits in DIGITS:
        size = 1 << bits
        counts = np.zeros(rings * size, np.int64)
        for ring, values in parts():
            keys = _ordered(values)
            here = (keys >> (shift + bits)) == prefix[ring]
            place = ring[here] * size + ((keys[here] >> shift) & (size - 1))
            counts += np.bincount(place, minlength=rings * size)
        running = counts.reshape(rings, size).cumsum(axis=1)
        if shift == DIGITS[0][0]:
            empty = running[:, -1] == 0
            rank = np.maximum(running[:, -1] - 1, 0) // 2
        digit = np.minimum((running <= rank[:, None]).sum(axis=1), size - 1)
        rank -= np.where(digit > 0, running[np.arange(rings), digit - 1], 0)
        prefix = prefix << bits | digit
    return np.where(empty, 0.0, _unordered(prefix))


def _ordered(values: np.ndarray) -> np.ndarray:
    """Whole numbers (n,) of 32 bits that sort as the values do."""
    bits = values.astype(np.float32).view(np.uint32).astype(np.int64)
    return np.where(bits & 0x80000000, 0xFFFFFFFF - bits, bits | 0x80000000)


def _unordered(keys: np.ndarray) -> np.ndarray:
    bits = np.where(keys & 0x80000000, keys & 0x7FFFFFFF, 0xFFFFFFFF - keys)
    return bits.astype(np.uint32).view(np.float32).astype(np.float64)


def _panels(
    data: Dataset, frame: int, material: Slice, beamsize: float | None
) -> tuple[list[tuple[Experiment, Amorphous]], float]:
    """The panels, each with what one electron per molecule scatters, and the largest sin(theta)/lambda in 1/m."""
    experiment = data.experiment(frame)
    beam = experiment.beam if beamsize is None else experiment.beam.replace(size=beamsize)
    if beam.size is None or not beam.fluence > 0.0:
        raise InputError(
            f"{data.path} does not say how large the beam is and how many photons it has; expected --beamsize MM, or "
            "-beamsize and -flux behind --"
        )
    curve = ScatteringCurve(np.array([0.0, 1e12]), np.ones(2), "one electron")
    slab = Background(curve, material.thickness, material.density, material.molar_mass)
    found, top = [], 0.0
    for number in range(data.panels):
        one = experiment.replace(beam=beam, background=slab).of_panel(number)
        amorphous = lower_background(one)
        if amorphous is None:  # which has been checked
            raise InputError(f"{data.path}: expected the size of the beam")
        found.append((one, amorphous))
        edges = np.meshgrid(*(np.linspace(0, n, 65) for n in one.detector.panels[0].shape), indexing="ij")
        top = max(top, float((0.5 / d_spacings(one.detector.panels[0], one.beam, *edges)).max()))
    return found, top


def _pixels(
    data: Dataset, frame: int, panels: list[tuple[Experiment, Amorphous]], offset: float, gain: float
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """sin(theta)/lambda in 1/m, squared amplitude, and that of one photon, (n,) each, of pixels that have a value."""
    for number, (experiment, amorphous) in enumerate(panels):
        panel = experiment.detector.panels[0]
        rows = max(1, AT_ONCE // panel.shape[1])
        for first, band in data.numbers(frame, number).bands(rows):
            index = np.flatnonzero(np.isfinite(band.reshape(-1))) + first * panel.shape[1]
            slow, fast = np.divmod(index, panel.shape[1])
            photons = (band.reshape(-1)[index - first * panel.shape[1]].astype(np.float64) - offset) / gain
            unit = amorphous.photons(index)
            stol = 0.5 / d_spacings(panel, experiment.beam, slow + 0.5, fast + 0.5)
            good = unit > 0.0
            yield stol[good], photons[good] / unit[good], 1.0 / unit[good]


def _means(parts: Parts, rings: int, near: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number, mean and standard deviation (rings,) of the values of every ring, which lie around `near`."""
    counts, total, square = np.zeros(rings, np.int64), np.zeros(rings), np.zeros(rings)
    for ring, values in parts():
        away = values - near[ring]
        counts += np.bincount(ring, minlength=rings)
        total += np.bincount(ring, away, rings)
        square += np.bincount(ring, away**2, rings)
    number = np.maximum(counts, 1)
    shift = total / number
    return counts, near + shift, np.sqrt(np.maximum(square / number - shift**2, 0.0))


def _within(parts: Parts, centre: np.ndarray, limit: np.ndarray) -> Parts:
    """The values that are within a limit of a centre."""

    def near() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for ring, values in parts():
            here = np.abs(values - centre[ring]) <= limit[ring]
            yield ring[here], values[here]

    return near
