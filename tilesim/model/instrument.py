"""The instrument as a file describes it: panels in a laboratory frame, their sensor, incident beam and spindle."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence

import numpy as np

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.model import checks
from tilesim.model.detector import Detector, Panel, Sensor
from tilesim.model.mask import PixelMask
from tilesim.model.noun import Noun, quantity, vector
from tilesim.model.outlines import outlines
from tilesim.model.vectors import Matrix, Vector, add, cross, dot, norm, reciprocal, scale, unit

ANGLES = 1e-6
"""Radians by which a spindle angle may lie outside of a scan: more than rounding."""


@frozen(repr=False)
class ScanPoint(Noun):
    """Incident beam, spindle and crystal at one angle of a scan along which they change.

    Raises
    ------
    InputError
        Where the angle is not finite or a direction is no unit vector.

    Examples
    --------
    >>> from tilesim import ScanPoint
    >>> ScanPoint(0.1, beam=(0.0, 0.0, -1.0)).beam
    (0.0, 0.0, -1.0)
    """

    angle: float
    """Spindle angle, radians."""
    beam: Vector = (0.0, 0.0, 1.0)
    """Unit vector of the incident beam."""
    spindle: Vector = (1.0, 0.0, 0.0)
    """Unit vector of the spindle axis."""
    real_cell: Matrix | None = None
    """a, b, c at spindle angle zero, metres; None: the file has no crystal."""

    def __post_init__(self) -> None:
        checks.coerce(
            self,
            angle=checks.finite("angle of a scan point", self.angle),
            beam=checks.unit_vector("beam direction", self.beam),
            spindle=checks.unit_vector("spindle axis", self.spindle),
        )

    def summary(self) -> dict[str, str]:
        rows = {"angle": quantity(self.angle, 180.0 / math.pi, "°")}
        return rows | {"beam": f"beam along {vector(self.beam)}", "spindle": f"spindle along {vector(self.spindle)}"}


UNEQUAL = 0.1
"""How far a step of one pixel may be from the edge that is stated, relative to it."""
SKEW = 0.05
"""How far the axes of a panel may be from a right angle, as a cosine."""
EXACT = 1e-9
"""Steps that differ from the edge by less are the edge: 1e-5 pixel across ten thousand."""
MAX_MASK = 2**31
"""More pixels than this, with those that panels of unequal size are filled up with, are taken for a mistake."""


@frozen(repr=False)
class Instrument(Noun):
    """Panels, incident beam and spindle in one laboratory frame, the file's own.

    `detector` makes one by name, `read_detector` reads one (docs/detectors.md). Panels of unequal size are given the
    largest shape of all; the mask leaves out the pixels that they gain, which do not exist.

    Raises
    ------
    InputError
        Where there is no panel, a mask goes with panels of unequal size, or a direction is no unit vector.

    Examples
    --------
    >>> from tilesim import Beam, Instrument, Panel
    >>> bench = Instrument("bench", [Panel.facing(0.1, 1e-4, (512, 256))], wavelength=1e-10)
    >>> bench.detector.panels[0].shape
    (512, 256)
    >>> Beam(bench.beam, bench.wavelength, polarization_axis=bench.polarization_axis).text
    '1 Å (12.3984 keV), along (0 0 1), 1.25932e+29 photons/m², Kahn factor 0, field along (1 0 0)'
    """

    name: str
    """Name for messages."""
    panels: tuple[Panel, ...]
    """Panels without sensors: all have that of the instrument."""
    beam: Vector = (0.0, 0.0, 1.0)
    """Unit vector of the incident beam."""
    polarization_axis: Vector = (1.0, 0.0, 0.0)
    """Unit vector of the electric field."""
    kahn_factor: float | None = None
    """Kahn polarisation factor; None: the file does not say."""
    spindle: Vector = (1.0, 0.0, 0.0)
    """Unit vector of the spindle axis."""
    wavelength: float | None = None
    """Metres; None: the file does not say."""
    sensor: Sensor | None = None
    """What absorbs in all panels; None: every photon that arrives is counted."""
    mask: PixelMask | None = None
    """Pixels that exist and are good, panels stacked along the slow axis; None: all."""
    real_cell: Matrix | None = None
    """a, b, c at spindle angle zero, metres; None: the file has no crystal."""
    detector_name: str = ""
    """What its maker calls the detector."""
    bandwidth: float = 0.0
    """Standard deviation of the photon energy over its mean; 0: the file states none."""
    scan_points: tuple[ScanPoint, ...] = ()
    """What changes along the scan of the file, by increasing or decreasing angle; empty: nothing does."""
    notes: tuple[str, ...] = ()
    """Lines about what of the file was taken, guessed or left out."""

    def __post_init__(self) -> None:
        checks.coerce(
            self,
            panels=checks.instances("panels", self.panels, Panel),
            beam=checks.unit_vector("beam direction", self.beam),
            polarization_axis=checks.unit_vector("polarization axis", self.polarization_axis),
            spindle=checks.unit_vector("spindle axis", self.spindle),
            bandwidth=checks.not_negative("bandwidth", self.bandwidth),
            scan_points=checks.instances("scan points", self.scan_points, ScanPoint),
            notes=tuple(checks.text("note", note) for note in self.notes),
        )
        if not self.panels:
            raise InputError("no panel; expected at least one")
        if len({panel.shape for panel in self.panels}) > 1:
            if self.mask is not None:
                raise InputError("a mask with panels of unequal size; expected panels of one shape (slow, fast)")
            panels, mask = of_one_shape(self.panels, [None] * len(self.panels))
            checks.coerce(self, panels=panels, mask=mask)

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (slow, fast) of the panels stacked along the slow axis."""
        slow, fast = self.panels[0].shape
        return (len(self.panels) * slow, fast)

    @property
    def detector(self) -> Detector:
        """The panels with their sensor, for an `Experiment`."""
        return Detector(tuple(panel.replace(sensor=self.sensor) for panel in self.panels), self.detector_name)

    def at(self, angle: float) -> Instrument:
        """The instrument at a spindle angle (radians) of its scan: between two scan points, reciprocal axes, beam and
        spindle are interpolated linearly.

        Outside of the scan it is the one for the whole of it, and a note says so.
        """
        points = sorted(self.scan_points, key=lambda point: point.angle)
        if not points:
            return self
        asked = f"{math.degrees(angle):.6g} degrees"
        low, high = points[0].angle, points[-1].angle
        if not low - ANGLES <= angle <= high + ANGLES:
            where = f"{math.degrees(low):.6g} to {math.degrees(high):.6g} degrees"
            note = f"{self.name} changes along its scan, {where}; at {asked} what it states for the whole scan is taken"
            return self.replace(scan_points=(), notes=(*self.notes, note))
        place = min(max(bisect.bisect_right([point.angle for point in points], angle), 1), len(points) - 1)
        before, after = points[place - 1], points[place]
        share = min(max((angle - before.angle) / (after.angle - before.angle), 0.0), 1.0)
        note = f"{self.name} changes along its scan; what it is at {asked} is taken for all frames"
        return self.replace(
            beam=unit(_between(before.beam, after.beam, share)),
            spindle=unit(_between(before.spindle, after.spindle, share)),
            real_cell=_cell_between(before.real_cell, after.real_cell, share),
            scan_points=(),
            notes=(*self.notes, note),
        )

    def summary(self) -> dict[str, str]:
        rows = {"name": self.name}
        if len(self.panels) > 1:
            rows["panels"] = f"{len(self.panels)} panels"
        rows |= self.panels[0].summary()
        if self.sensor is not None:
            rows["sensor"] = self.sensor.text
        if self.wavelength is not None:
            rows["wavelength"] = quantity(self.wavelength, 1e10, "Å")
        if self.bandwidth > 0.0:
            rows["bandwidth"] = f"bandwidth {self.bandwidth:g}"
        return rows | {"beam": f"beam along {vector(self.beam)}", "spindle": f"spindle along {vector(self.spindle)}"}

    def _picture(self) -> str:
        return outlines(self.panels)


def _between(one: Vector, other: Vector, share: float) -> Vector:
    return add(scale(one, 1.0 - share), scale(other, share))


def _cell_between(one: Matrix | None, other: Matrix | None, share: float) -> Matrix | None:
    """a, b, c of the reciprocal axes between those of two cells."""
    if one is None or other is None:
        return None
    stars = (reciprocal(cell[0:3], cell[3:6], cell[6:9]) for cell in (one, other))
    a, b, c = reciprocal(*(_between(first, second, share) for first, second in zip(*stars, strict=True)))
    return (*a, *b, *c)


def sensor_of(thickness: float, material: str | None, attenuation: float | None = None) -> Sensor | None:
    """A sensor of two layers, metres and 1/m; None where it has no thickness, or nothing of it is known."""
    if not thickness > 0.0 or (material is None and attenuation is None):
        return None
    return Sensor(2, thickness / 2, attenuation, material)


def flat_panel(
    origin: Sequence[float], fast: Sequence[float], slow: Sequence[float], pixel_size: float, shape: tuple[int, int]
) -> Panel:
    """A panel from its outer corner and axes of any length, its normal away from the sample. Raises InputError."""
    along_fast = unit(checks.direction("fast axis of a panel", fast))
    along_slow = unit(checks.direction("slow axis of a panel", slow))
    corner, normal = checks.three_vector("origin of a panel", origin), cross(along_fast, along_slow)
    if norm(normal) < 1e-6:
        raise InputError("the fast and slow axes of a panel are parallel; expected a plane")
    normal = unit(normal)
    if dot(corner, normal) < 0.0:
        normal = scale(normal, -1.0)
    return Panel(corner, along_fast, along_slow, normal, pixel_size, shape)


def stepped_panel(
    origin: Sequence[float], fast: Sequence[float], slow: Sequence[float], edge: float, shape: tuple[int, int]
) -> Panel:
    """A panel from its outer corner and the steps of one pixel along its axes, in units of `edge` (metres).

    Steps count as they are: pixels that are not quite square, or axes not quite at right angles, keep corners and area.
    Raises InputError where they are no such pixels.
    """
    fast, slow = checks.direction("fast axis of a panel", fast), checks.direction("slow axis of a panel", slow)
    across, down, area = norm(fast), norm(slow), norm(cross(fast, slow))
    if not all(abs(length - 1.0) <= UNEQUAL for length in (across, down)):
        raise InputError(
            f"pixels of {across * edge * 1e3:g} x {down * edge * 1e3:g} mm (fast x slow); expected square ones of "
            f"{edge * 1e3:g} mm, within {UNEQUAL:.0%}"
        )
    panel = flat_panel(origin, fast, slow, edge, shape)
    if abs(cosine := dot(panel.fast, panel.slow)) > SKEW:
        degrees = math.degrees(math.acos(cosine))
        raise InputError(f"fast and slow axis are {degrees:.4g} degrees apart; expected a right angle, within 2.8")
    if max(abs(across - 1.0), abs(down - 1.0), abs(area - 1.0)) <= EXACT:
        return panel
    mean = math.sqrt(area)
    return panel.replace(fast=scale(fast, 1.0 / mean), slow=scale(slow, 1.0 / mean), pixel_size=edge * mean)


def of_one_shape(
    panels: Sequence[Panel], active: Sequence[np.ndarray | None]
) -> tuple[tuple[Panel, ...], PixelMask | None]:
    """The panels, all of the largest shape, and the mask of what is `active` on each, (slow, fast); None: all of it.

    Pixels that a panel gains lie beyond its last row and column and are not active. Raises InputError.
    """
    slow, fast = (max(panel.shape[axis] for panel in panels) for axis in (0, 1))
    if all(panel.shape == (slow, fast) for panel in panels) and all(one is None or one.all() for one in active):
        return tuple(panels), None
    if len(panels) * slow * fast > MAX_MASK:
        raise InputError(
            f"a mask of {len(panels)} panels of {slow} x {fast} pixels (slow x fast); expected at most 2^31 pixels"
        )
    whole = np.zeros((len(panels), slow, fast), bool)
    for part, panel, one in zip(whole, panels, active, strict=True):
        part[: panel.shape[0], : panel.shape[1]] = True if one is None else one
    return tuple(panel.replace(shape=(slow, fast)) for panel in panels), PixelMask(whole.reshape(-1, fast))
