"""The detector: flat (or curved) panels of square pixels, each with an optional absorbing sensor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.model import checks
from tilesim.model.materials import MATERIALS, attenuation
from tilesim.model.noun import Noun, counted, quantity, vector
from tilesim.model.outlines import outlines
from tilesim.model.vectors import Vector, cross, dot

MAX_PIXELS = 2**40
"""More pixels than this on one panel is taken for a mistake."""
PIXEL_SIZES = (1e-12, 10.0)
"""Metres: wide enough for any use and for nanoBragg's flags, narrow enough to show micrometres."""
FACING_PIXELS, FACING_DISTANCES = (1e-12, 5e-3), (1e-9, 50.0)
"""Metres of a panel that faces the beam; more are millimetres, or micrometres."""


@frozen(repr=False)
class Sensor(Noun):
    """A stack of equal absorbing layers behind the front surface (spec geometry 8).

    Raises
    ------
    InputError
        Where there is no layer, a thickness is not above 0, the material is unknown, or neither attenuation nor
        material are stated.

    Examples
    --------
    >>> from tilesim import Sensor
    >>> sensor = Sensor(layers=2, layer_thickness=160e-6, material="Si")
    >>> sensor
    Sensor
      thickness    320 µm in 2 layers
      material     Si
      attenuation  its own
    >>> round(sensor.attenuation_at(1e-10))
    4206
    """

    layers: int
    """Number of layers, at least one."""
    layer_thickness: float
    """Metres; layer j starts at depth j times this."""
    attenuation: float | None = None
    """Linear attenuation coefficient mu, 1/m; None: that of the material at the wavelength of the beam."""
    material: str | None = None
    """One of `materials.MATERIALS`; None: unknown, and files say silicon."""

    def __post_init__(self) -> None:
        checks.coerce(
            self,
            layers=checks.whole_number("layers of the sensor", self.layers, at_least=1),
            layer_thickness=checks.positive("layer thickness of the sensor", self.layer_thickness),
        )
        if self.attenuation is not None:
            checks.coerce(self, attenuation=checks.not_negative("attenuation of the sensor", self.attenuation))
        elif self.material is None:
            raise InputError("the sensor has neither attenuation nor material; expected one of them")
        if self.material is not None and self.material not in MATERIALS:
            raise InputError(f"sensor material {self.material!r}; expected one of {', '.join(MATERIALS)}")

    @property
    def thickness(self) -> float:
        """Metres."""
        return self.layers * self.layer_thickness

    def attenuation_at(self, wavelength: float) -> float:
        """Linear attenuation coefficient, 1/m, at a wavelength in metres. Raises InputError beyond the tables."""
        if self.attenuation is None and self.material is not None:
            return attenuation(self.material, wavelength)
        return self.attenuation or 0.0

    def summary(self) -> dict[str, str]:
        return {
            "thickness": f"{quantity(self.thickness, 1e6, 'µm')} in {counted(self.layers, 'layer')}",
            "material": self.material or "unknown material",
            "attenuation": "its own" if self.attenuation is None else quantity(self.attenuation, 1e-3, "1/mm"),
        }


@frozen(repr=False)
class Panel(Noun):
    """One plane of pixels; vectors in the laboratory frame, metres.

    `Panel.facing` makes the usual one, at right angles to the beam.

    Raises
    ------
    InputError
        Where an axis is zero, the pixel size is not in metres, the shape is not 1 to 2^40 pixels, or the normal points
        to the sample.

    Examples
    --------
    >>> from tilesim import Panel
    >>> Panel(
    ...     origin=(-0.0128, -0.0256, 0.1),
    ...     fast=(1.0, 0.0, 0.0),
    ...     slow=(0.0, 1.0, 0.0),
    ...     normal=(0.0, 0.0, 1.0),
    ...     pixel_size=1e-4,
    ...     shape=(512, 256),
    ... )
    Panel
      pixels    512 x 256 pixels (slow x fast) of 0.1 mm
      distance  at 100 mm
      axes      fast (1 0 0), slow (0 1 0)
    """

    origin: Vector
    """Outer corner of pixel (0, 0), seen from the sample."""
    fast: Vector
    """Step along the fast axis per metre; a unit vector, but for the reference's non-unit swing axes."""
    slow: Vector
    """Step along the slow axis per metre, as `fast`."""
    normal: Vector
    """Outward normal (odet)."""
    pixel_size: float
    """Edge of the square pixels, metres, 1e-12 to 10."""
    shape: tuple[int, int]
    """Pixels along (slow, fast)."""
    close_distance: float | None = None
    """Distance from the sample to the panel's plane, metres, as given; see `distance`. A new origin discards it."""
    sensor: Sensor | None = None
    """None: every photon that arrives is counted."""
    curved_radius: float | None = None
    """Metres from the sample to every pixel (spec geometry 8, curved detector); None: the panel is flat."""

    def __post_init__(self) -> None:
        checks.coerce(
            self,
            origin=checks.three_vector("origin of a panel", self.origin),
            fast=checks.direction("fast axis of a panel", self.fast),
            slow=checks.direction("slow axis of a panel", self.slow),
            normal=checks.direction("normal of a panel", self.normal),
            pixel_size=checks.length("pixel size", self.pixel_size, *PIXEL_SIZES, checks.MICROMETRE),
            shape=checks.whole_numbers("pixels (slow, fast) of a panel", self.shape, 2),
            sensor=None if self.sensor is None else checks.instance("sensor", self.sensor, Sensor),
        )
        slow, fast = self.shape
        if slow < 1 or fast < 1 or slow * fast > MAX_PIXELS:
            raise InputError(f"a panel of {slow} x {fast} pixels; expected 1 to 2^40 pixels")
        if self.curved_radius is not None:
            radius = checks.finite("curved radius of a panel", self.curved_radius)
            if radius == 0.0:
                raise InputError("curved radius of a panel is 0; expected metres, or None for a flat one")
            checks.coerce(self, curved_radius=radius)
        if self.close_distance is not None:
            # The reference's can be negative, for a detector behind the sample.
            checks.coerce(self, close_distance=checks.finite("close distance of a panel", self.close_distance))
        elif not self.distance > 0.0:
            raise InputError(
                f"the plane of a panel is {self.distance:g} m from the sample along its normal; "
                "expected the normal to point away from the sample"
            )

    @property
    def distance(self) -> float:
        """From the sample to the panel's plane, metres: the one given, else origin . normal.

        The obliquity of the solid angle is measured with it.
        """
        return dot(self.origin, self.normal) if self.close_distance is None else self.close_distance

    def _following(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        return {"close_distance": None} if changes.keys() & {"origin", "normal"} else {}

    def summary(self) -> dict[str, str]:
        slow, fast = self.shape
        rows = {
            "pixels": f"{slow} x {fast} pixels (slow x fast) of {quantity(self.pixel_size, 1e3, 'mm')}",
            "distance": f"at {quantity(self.distance, 1e3, 'mm')}",
            "axes": f"fast {vector(self.fast)}, slow {vector(self.slow)}",
        }
        if self.sensor is not None:
            rows["sensor"] = self.sensor.text
        if self.curved_radius is not None:
            rows["curved"] = f"curved, radius {quantity(self.curved_radius, 1e3, 'mm')}"
        return rows

    def _picture(self) -> str:
        return outlines([self])

    @classmethod
    def facing(
        cls,
        distance: float,
        pixel_size: float,
        shape: tuple[int, int],
        beam_centre: tuple[float, float] | None = None,
        beam: Sequence[float] = (0.0, 0.0, 1.0),
        fast: Sequence[float] = (1.0, 0.0, 0.0),
        **fields: Any,
    ) -> Self:
        """The panel at right angles to the beam.

        Parameters
        ----------
        distance
            From the sample, metres.
        pixel_size
            Edge of a pixel, metres.
        shape
            Pixels (slow, fast).
        beam_centre
            Where the beam arrives, pixels (slow, fast) from the outer corner of pixel (0, 0); None is the middle of the
            panel.
        beam, fast
            Unit vectors at right angles; the slow axis is beam x fast.
        fields
            The other fields of a panel.

        Raises
        ------
        InputError
            Where a length is not in metres or the axes are not at right angles.

        Examples
        --------
        >>> from tilesim import Panel
        >>> Panel.facing(distance=0.1, pixel_size=1e-4, shape=(512, 256), beam_centre=(256.0, 100.0)).origin
        (-0.01, -0.0256, 0.1)
        """
        distance = checks.length("distance of a panel", distance, *FACING_DISTANCES, checks.MILLIMETRE)
        pixel_size = checks.length("pixel size", pixel_size, *FACING_PIXELS, checks.MILLIMETRE, checks.MICROMETRE)
        tall, wide = checks.whole_numbers("pixels (slow, fast) of a panel", shape, 2)
        beam, fast = checks.unit_vector("beam direction", beam), checks.unit_vector("fast axis of a panel", fast)
        if abs(dot(beam, fast)) > checks.UNIT_TOLERANCE:
            raise InputError("the fast axis of a panel is not at right angles to the beam it is to face")
        slow = cross(beam, fast)
        rows, columns = checks.numbers("beam centre", (tall / 2, wide / 2) if beam_centre is None else beam_centre, 2)
        along = zip(beam, slow, fast, strict=True)
        x, y, z = (distance * b - pixel_size * (rows * s + columns * f) for b, s, f in along)
        return cls((x, y, z), fast, slow, beam, pixel_size, (tall, wide), **fields)


@frozen(repr=False)
class Detector(Noun):
    """One or more panels; a nanoBragg command line makes one.

    Raises
    ------
    InputError
        Where there is no panel.

    Examples
    --------
    >>> from tilesim import Detector, Panel
    >>> upper = Panel.facing(0.1, 1e-4, (100, 200), beam_centre=(105.0, 100.0))
    >>> lower = Panel.facing(0.1, 1e-4, (100, 200), beam_centre=(-5.0, 100.0))
    >>> Detector([upper, lower], name="two halves")
    Detector
      name      two halves
      panels    2 panels
      pixels    100 x 200 pixels (slow x fast) of 0.1 mm
      distance  at 100 mm
      axes      fast (1 0 0), slow (0 1 0)
    """

    panels: tuple[Panel, ...]
    """A single panel or any iterable of them will do."""
    name: str = ""
    """What files call it."""

    if TYPE_CHECKING:

        def __init__(self, panels: Panel | Iterable[Panel], name: str = "") -> None: ...

    def __post_init__(self) -> None:
        checks.coerce(
            self,
            panels=checks.instances("panels of the detector", self.panels, Panel),
            name=checks.text("name of the detector", self.name),
        )
        if not self.panels:
            raise InputError("the detector has no panel; expected at least one")

    def summary(self) -> dict[str, str]:
        first = self.panels[0]
        rows = {"name": self.name} if self.name else {}
        if len(self.panels) > 1:
            rows["panels"] = f"{len(self.panels)} panels"
        return rows | first.summary()

    def _picture(self) -> str:
        return outlines(self.panels)
