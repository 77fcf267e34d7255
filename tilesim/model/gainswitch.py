"""Detectors whose pixels switch their gain: stages, where they are left, and the bits that say which one was read."""

from __future__ import annotations

from itertools import pairwise

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.model import checks
from tilesim.model.noun import Noun

WORD = 16
"""Bits of what a pixel gives."""


@frozen(repr=False)
class GainStage(Noun):
    """One gain of a pixel."""

    gain: float
    """Detector units per photon; negative where the output falls with the signal."""
    offset: float
    """Detector units of a dark pixel in this stage."""
    readout: float
    """Rms of the read-out noise, detector units."""
    code: int
    """Number in the bits above the data."""

    def __post_init__(self) -> None:
        gain = checks.finite("gain of a stage", self.gain)
        if gain == 0.0:
            raise InputError("the gain of a stage is 0; expected units per photon")
        checks.coerce(
            self,
            gain=gain,
            offset=checks.finite("offset of a stage", self.offset),
            readout=checks.not_negative("read-out noise of a stage", self.readout),
            code=checks.whole_number("code of a stage", self.code, at_least=0),
        )

    def summary(self) -> dict[str, str]:
        return {"gain": f"1 photon is {self.gain:g}", "offset": f"dark is {self.offset:g}", "code": f"code {self.code}"}


@frozen(repr=False)
class GainSwitching(Noun):
    """Stages of falling gain, each read where the one before has as much as it takes.

    Raises InputError where there is no threshold between two stages, thresholds do not rise, or a code needs more bits
    than there are.
    """

    stages: tuple[GainStage, ...]
    """From the highest gain to the lowest."""
    thresholds: tuple[float, ...]
    """Photons at which a pixel leaves each stage but the last."""
    bits: int = 14
    """Bits of the data; the code of the stage stands above them."""
    forced: int | None = None
    """Stage that every pixel is read in, counted from 0, as for dark frames; None: by its photons."""

    def __post_init__(self) -> None:
        stages = checks.instances("stages of a gain", self.stages, GainStage)
        thresholds = tuple(checks.positive("threshold of a gain stage", value) for value in self.thresholds)
        if len(stages) < 1 or len(thresholds) != len(stages) - 1:
            raise InputError(f"{len(thresholds)} thresholds for {len(stages)} gain stages; expected one between two")
        if any(b <= a for a, b in pairwise(thresholds)):
            raise InputError(f"the thresholds {thresholds} do not rise; expected photons, more for each stage")
        bits = checks.whole_number("bits of the data", self.bits, at_least=1)
        if bits > WORD or any(stage.code >> (WORD - bits) for stage in stages):
            raise InputError(f"{bits} bits of data and these codes of stages; expected {WORD} bits together")
        forced = self.forced
        if forced is not None:
            forced = checks.whole_number("forced stage", forced, at_least=0)
            if forced >= len(stages):
                raise InputError(f"stage {forced} of {len(stages)} is forced; expected one that is there, from 0")
        checks.coerce(self, stages=stages, thresholds=thresholds, bits=bits, forced=forced)

    @property
    def top(self) -> int:
        """Largest number of the data."""
        return int((1 << self.bits) - 1)

    def summary(self) -> dict[str, str]:
        forced = "" if self.forced is None else f", stage {self.forced} is forced"
        limits = ", ".join(f"{value:.6g}" for value in self.thresholds)
        return {"stages": f"{len(self.stages)} gain stages, left at {limits} photons{forced}"}


def jungfrau(energy: float) -> GainSwitching:
    """Typical numbers of a Jungfrau at a photon energy in keV: three stages, codes 0, 1 and 3 in the two upper bits.

    The numbers are assumptions (docs/noise.md): set those of a detector with `GainSwitching`.
    """
    stages = ((41.5, 2800.0, 12.0, 0), (-1.39, 14300.0, 5.0, 1), (-0.11, 13800.0, 4.0, 3))
    return _typical(stages, (300.0, 9500.0), energy)


def epix10k(energy: float) -> GainSwitching:
    """Typical numbers of an ePix10ka, medium gain and low, at a photon energy in keV; code 1 in bit 14 is low.

    One switch, as Blaj et al. 2019 (arXiv:1903.06805) describe; the numbers are assumptions, as for the Jungfrau.
    """
    stages = ((5.466, 2800.0, 4.0, 0), (0.164, 2800.0, 3.0, 1))
    return _typical(stages, (2200.0,), energy)


NAMED = {"jungfrau": jungfrau, "epix10k": epix10k}
"""Detectors by name."""


def _typical(
    stages: tuple[tuple[float, float, float, int], ...], limits: tuple[float, ...], energy: float
) -> GainSwitching:
    """Stages of units per keV and limits in keV as those of photons."""
    made = tuple(GainStage(gain * energy, offset, readout, code) for gain, offset, readout, code in stages)
    return GainSwitching(made, tuple(limit / energy for limit in limits))
