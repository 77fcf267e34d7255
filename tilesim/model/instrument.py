"""The instrument as a file describes it: panels in a laboratory frame, their sensor, the light and the spindle."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tilesim.errors import InputError
from tilesim.model import checks
from tilesim.model.detector import Detector, Panel, Sensor
from tilesim.model.mask import PixelMask
from tilesim.model.materials import MATERIALS, attenuation
from tilesim.model.noun import Noun
from tilesim.model.vectors import Matrix, Vector, cross, norm, unit


@dataclass(frozen=True)
class Absorber(Noun):
    """What a sensor is made of, before a wavelength is known."""

    thickness: float
    """Metres"""
    material: str | None = None
    """One of `materials.MATERIALS`"""
    attenuation: float | None = None
    """1/m, as a file gives it; wins over the material"""

    def __post_init__(self) -> None:
        checks.coerce(self, thickness=checks.not_negative("thickness of the sensor", self.thickness))
        if self.attenuation is not None:
            checks.coerce(self, attenuation=checks.positive("attenuation of the sensor", self.attenuation))
        if self.material is not None and self.material not in MATERIALS:
            raise InputError(f"sensor material {self.material!r}; expected one of {', '.join(MATERIALS)}")

    def attenuation_at(self, wavelength: float) -> float | None:
        """1/m; None where neither is known. Raises InputError beyond the tables."""
        if self.attenuation is not None or self.material is None:
            return self.attenuation
        return attenuation(self.material, wavelength)


@dataclass(frozen=True)
class Instrument(Noun):
    """Panels, light and spindle in one laboratory frame, the file's own."""

    name: str
    """For messages"""
    panels: tuple[Panel, ...]
    """Without sensors, which depend on the wavelength"""
    beam: Vector = (0.0, 0.0, 1.0)
    """Direction of the light"""
    polarization_axis: Vector = (1.0, 0.0, 0.0)
    """Of the electric field"""
    kahn_factor: float | None = None
    """None: the file does not say"""
    spindle: Vector = (1.0, 0.0, 0.0)
    wavelength: float | None = None
    """Metres; None: the file does not say"""
    sensor: Absorber | None = None
    mask: PixelMask | None = None
    """Panels stacked along the slow axis"""
    real_cell: Matrix | None = None
    """a, b, c at spindle angle zero, metres; None: the file has no crystal"""

    def __post_init__(self) -> None:
        checks.coerce(
            self,
            panels=checks.instances("panels", self.panels, Panel),
            beam=checks.unit_vector("beam direction", self.beam),
            polarization_axis=checks.unit_vector("polarization axis", self.polarization_axis),
            spindle=checks.unit_vector("spindle axis", self.spindle),
        )
        if not self.panels:
            raise InputError("no panel; expected at least one")
        first = self.panels[0]
        for number, panel in enumerate(self.panels):
            if (panel.shape, panel.pixel_size) != (first.shape, first.pixel_size):
                raise InputError(
                    f"panel {number} has {panel.shape[0]} x {panel.shape[1]} pixels (slow x fast) of "
                    f"{panel.pixel_size * 1e3:g} mm, panel 0 has {first.shape[0]} x {first.shape[1]} of "
                    f"{first.pixel_size * 1e3:g} mm; expected panels of one kind"
                )

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (slow, fast) of the panels stacked along the slow axis."""
        slow, fast = self.panels[0].shape
        return (len(self.panels) * slow, fast)

    def detector(self, wavelength: float | None = None, layers: int = 2) -> Detector:
        """The detector with its sensor, for an `Experiment`; `wavelength` is that of the file unless given, metres."""
        wavelength = self.wavelength if wavelength is None else wavelength
        sensor = None
        if self.sensor is not None and self.sensor.thickness > 0:
            if wavelength is None:
                raise InputError(f"{self.name} does not say its wavelength; expected one, for the sensor")
            mu = self.sensor.attenuation_at(wavelength)
            if mu is not None:
                sensor = Sensor(layers, self.sensor.thickness / layers, mu)
        return Detector(tuple(panel.replace(sensor=sensor) for panel in self.panels))


def flat_panel(origin, fast, slow, pixel_size: float, shape: tuple[int, int]) -> Panel:
    """A panel from its outer corner and axes of any length, its normal away from the sample. Raises InputError."""
    fast, slow = (checks.direction(f"{name} axis of a panel", v) for name, v in (("fast", fast), ("slow", slow)))
    origin = checks.three_vector("origin of a panel", origin)
    fast, slow = unit(fast), unit(slow)
    normal = cross(fast, slow)
    if norm(normal) < 1e-6:
        raise InputError("the fast and slow axes of a panel are parallel; expected a plane")
    normal = unit(normal)
    if sum(o * n for o, n in zip(origin, normal, strict=True)) < 0.0:
        normal = tuple(-x for x in normal)
    return Panel(origin, fast, slow, normal, pixel_size, shape)


def square_pixel(fast: float, slow: float) -> float:
    """The edge of a pixel, from both. Raises InputError where it is not square."""
    if not math.isclose(fast, slow, rel_tol=1e-4):
        raise InputError(f"pixels of {fast * 1e3:g} x {slow * 1e3:g} mm; expected square ones")
    return fast
