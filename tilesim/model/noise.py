"""The noise of beam and detector: what a measurement adds to the photons that are expected."""

from __future__ import annotations

import math
from enum import StrEnum

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.model import checks
from tilesim.model.gainswitch import GainSwitching
from tilesim.model.noun import Noun

MAX_RADIUS = 2048
"""Pixels; the memory for a tile grows with the square."""
GAUSS_REACH = 2.6
"""Widths from the centre of a Gaussian, beyond which 1e-8 of its photons lie."""
FIBER_REACH = 66
"""The same of the fibre-coupled shape, beyond which 1 % of its photons lie."""
ROUNDING = 1e-9
"""Pixels: a width that was divided by a pixel size may be a little more than it was meant to be."""
SEEDS = (-(2**63), 2**64 - 1)


class SpreadShape(StrEnum):
    """Shapes of a point spread."""

    GAUSS = "gauss"
    FIBER = "fiber"


@frozen(repr=False)
class PointSpread(Noun):
    """How the photons of a pixel spread over its neighbours; scaled so that none is lost but at the image's edges.

    Raises
    ------
    InputError
        Where the shape is unknown, the width is not above 0, or width or radius exceed 2048 pixels.

    Examples
    --------
    >>> from tilesim import PointSpread
    >>> PointSpread("gauss", fwhm=1.5).text
    'gauss, 1.5 pixels wide, to 4 pixels'
    """

    shape: SpreadShape
    """A `SpreadShape` or its value: gauss, or fiber (of a fibre-coupled phosphor, with long tails)."""
    fwhm: float
    """Full width at half maximum, pixels."""
    radius: int | None = None
    """Pixels from the centre where it is cut off; None chooses by shape and width."""

    def __post_init__(self) -> None:
        fwhm = checks.positive("width of the point spread", self.fwhm)
        shape = checks.choice("point spread", self.shape, SpreadShape)
        radius = self.radius
        if radius is None:
            reach = GAUSS_REACH if shape == SpreadShape.GAUSS else FIBER_REACH
            radius = min(MAX_RADIUS, math.ceil(reach * fwhm - ROUNDING))
        radius = checks.whole_number("radius of the point spread", radius, at_least=1)
        if max(radius, fwhm) > MAX_RADIUS:
            raise InputError(
                f"the point spread is {fwhm:g} pixels wide and reaches {radius}; expected at most {MAX_RADIUS}"
            )
        checks.coerce(self, shape=shape, fwhm=fwhm, radius=radius)

    def summary(self) -> dict[str, str]:
        return {"shape": str(self.shape), "fwhm": f"{self.fwhm:g} pixels wide", "radius": f"to {self.radius} pixels"}


@frozen(repr=False)
class Noise(Noun):
    """What happens to an image of expected photons, in the order of the fields (docs/noise.md).

    Raises
    ------
    InputError
        Where an rms, the scale or the overload is negative, the gain is not above 0, or a seed exceeds 64 bits.

    Examples
    --------
    >>> from tilesim import Noise, PointSpread
    >>> Noise(flicker=0.01, point_spread=PointSpread("gauss", 1.5), gain=2.0, readout=3.0, seed=7)
    Noise
      photons       counted
      flicker       flicker 0.01
      readout       readout 3
      point spread  gauss, 1.5 pixels wide, to 4 pixels
      units         1 photon is 2, dark is 40
      seeds         seeds 7, 123456789
    """

    scale: float = 1.0
    """Multiplies every pixel: more or less flux, exposure or crystal than the image was made for."""
    flicker: float = 0.0
    """Relative rms of the beam's intensity from frame to frame."""
    calibration: float = 0.0
    """Relative rms of the sensitivity from pixel to pixel, the same in all frames."""
    module_calibration: float = 0.0
    """Relative rms of the sensitivity from module to module, the same in all frames."""
    module: tuple[int, int] | None = None
    """Pixels (slow, fast) of a module; None: the whole panel is one."""
    photon_noise: bool = True
    """Whether photons are counted one by one."""
    point_spread: PointSpread | None = None
    """How photons spread over neighbouring pixels; None: not at all."""
    gain: float = 1.0
    """Detector units per photon."""
    offset: float = 40.0
    """Detector units of a dark pixel."""
    readout: float = 0.0
    """Rms of the read-out noise, detector units."""
    overload: float | None = None
    """Largest value of a pixel, detector units; None: that of the numbers that are written."""
    seed: int = 1
    """Random seed of the effects that differ between frames."""
    calibration_seed: int = 123456789
    """Random seed of the sensitivities: another number is another detector."""
    switching: GainSwitching | None = None
    """Stages of gain, in place of gain, offset and read-out noise; None: one gain."""

    def __post_init__(self) -> None:
        checks.coerce(
            self,
            scale=checks.not_negative("scale of the image", self.scale),
            flicker=checks.not_negative("flicker", self.flicker),
            calibration=checks.not_negative("calibration error", self.calibration),
            module_calibration=checks.not_negative("calibration error of modules", self.module_calibration),
            module=None
            if self.module is None
            else checks.whole_numbers("pixels (slow, fast) of a module", self.module, 2, at_least=1),
            photon_noise=checks.flag("photon noise", self.photon_noise),
            point_spread=None
            if self.point_spread is None
            else checks.instance("point spread", self.point_spread, PointSpread),
            gain=checks.positive("gain", self.gain),
            offset=checks.finite("offset", self.offset),
            readout=checks.not_negative("read-out noise", self.readout),
            overload=None if self.overload is None else checks.positive("overload", self.overload),
        )
        if self.switching is not None:
            checks.instance("gain switching", self.switching, GainSwitching)
            if self.overload is not None:
                raise InputError("an overload with gain switching; expected none: the last stage ends at its bits")
        for name, seed in (("seed", self.seed), ("calibration_seed", self.calibration_seed)):
            value = checks.whole_number(name, seed)
            if not SEEDS[0] <= value <= SEEDS[1]:
                raise InputError(f"{name} is {value}; expected -2^63 to 2^64 - 1")
            checks.coerce(self, **{name: value})

    def summary(self) -> dict[str, str]:
        rows = {"photons": "counted" if self.photon_noise else "not counted"}
        for name in ("scale", "flicker", "calibration", "module_calibration", "readout"):
            value = getattr(self, name)
            if value != (1.0 if name == "scale" else 0.0):
                rows[name.replace("_", " ")] = f"{name.replace('_', ' ')} {value:g}"
        if self.point_spread is not None:
            rows["point spread"] = self.point_spread.text
        if self.switching is not None:
            return rows | {"units": self.switching.text, "seeds": f"seeds {self.seed}, {self.calibration_seed}"}
        rows["units"] = f"1 photon is {self.gain:g}, dark is {self.offset:g}"
        if self.overload is not None:
            rows["overload"] = f"overload at {self.overload:g}"
        return rows | {"seeds": f"seeds {self.seed}, {self.calibration_seed}"}
