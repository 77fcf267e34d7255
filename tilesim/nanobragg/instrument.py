"""The detector of a command line from a geometry file or the library: --geometry and --detector."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.instruments.meeting import unmet
from tilesim.model import PixelMask, Sensor
from tilesim.model.instrument import Instrument
from tilesim.model.vectors import Vector, cross, dot, reciprocal, scale, unit
from tilesim.nanobragg.geometry import Geometry
from tilesim.nanobragg.options import Options
from tilesim.nanobragg.settings import Settings

if TYPE_CHECKING:
    from tilesim.instruments.library import DetectorLayout

PLACING = {
    "distance": "-distance",
    "close_distance": "-close_distance",
    "xbeam": "-Xbeam",
    "ybeam": "-Ybeam",
    "xclose": "-Xclose",
    "yclose": "-Yclose",
    "orgx": "-ORGX",
    "orgy": "-ORGY",
    "twotheta": "-twotheta",
    "detector_rotation": "-detector_rotx, _roty, _rotz",
    "convention": "-mosflm, -xds, -dials, ... and vectors",
    "pixel_size": "-pixel",
    "detsize_fast": "-detsize",
    "detsize_slow": "-detsize",
    "pixels_fast": "-detpixels",
    "pixels_slow": "-detpixels",
    "curved": "-curved_det",
}
"""Settings that place a detector, which a geometry file has done; -img gives them too."""


@frozen
class ChosenDetector:
    """The detector that was asked for: one of the two."""

    instrument: Instrument | None = None
    """From a file, or given: in its own laboratory frame"""
    layout: DetectorLayout | None = None
    """From the library: placed by nanoBragg's flags"""

    @property
    def sensor(self) -> Sensor | None:
        return (self.instrument or self.layout).sensor

    @property
    def mask(self) -> PixelMask | None:
        return (self.instrument or self.layout).mask

    @property
    def detector_name(self) -> str:
        return self.instrument.detector_name if self.instrument else self.layout.name

    @property
    def presets(self) -> dict[str, Any]:
        """Settings that count unless the user's flags say otherwise."""
        found: dict[str, Any] = {}
        if self.sensor is not None:
            found["thickness"] = self.sensor.thickness
        if self.layout is not None:
            slow, fast = self.layout.raster
            return found | {"pixel_size": self.layout.pixel_size, "pixels_fast": fast, "pixels_slow": slow}
        # NaN is a wavelength that nobody has stated: `check_settings` asks for it.
        known = self.instrument.wavelength
        found["wavelength"] = math.nan if known is None else known
        if self.instrument.kahn_factor is not None:
            found["kahn_factor"] = self.instrument.kahn_factor
        return found

    def during(self, phi: float, osc: float) -> ChosenDetector:
        """The detector in the middle of a sweep (radians), where beam, spindle or crystal change along a scan."""
        if self.instrument is None or not self.instrument.scan_points:
            return self
        return replace(self, instrument=self.instrument.at(phi + osc / 2.0))

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of how it was read, and whether the incident beam meets it."""
        if self.instrument is None:
            return ()
        return (*self.instrument.notes, *unmet(self.instrument))


def chosen_detector(options: Options, strict_c: bool, given: Instrument | None = None) -> ChosenDetector | None:
    """The detector that options or the caller chose; None where nobody did. Raises InputError."""
    named = options.geometry or options.detector
    if given is not None:
        if named is not None:
            raise InputError("more than one detector (--geometry, --detector or an instrument); expected one of them")
        if not isinstance(given, Instrument):
            raise InputError("expected an instrument as tilesim.read_detector gives it")
        if strict_c:
            raise InputError("an instrument with --strict-c; expected one of them: nanoBragg reads none")
        return ChosenDetector(given)
    if options.geometry is not None:
        from tilesim.instruments.files import read_detector

        if options.stream is None:
            return ChosenDetector(read_detector(options.geometry, options.experiment))
        from tilesim.instruments.stream import with_crystal_of

        return ChosenDetector(with_crystal_of(read_detector(options.geometry), options.stream, options.experiment))
    if options.detector is not None:
        from tilesim.instruments.library import layout

        return ChosenDetector(layout=layout(options.detector))
    return None


def check_settings(chosen: ChosenDetector | None, settings: Settings) -> None:
    """Raise InputError where flags say otherwise what the detector has said."""
    if chosen is None:
        return
    if chosen.layout is not None:
        slow, fast = chosen.layout.raster
        stated = (settings.pixels_slow, settings.pixels_fast, settings.pixel_size)
        if stated[:2] != (slow, fast) or abs(stated[2] / chosen.layout.pixel_size - 1) > 1e-9 or settings.curved:
            raise InputError(
                f"--detector {chosen.layout.name} has {fast} x {slow} pixels (fast x slow) of "
                f"{chosen.layout.pixel_size * 1e3:g} mm on a plane; expected no -pixel, -detpixels or -curved_det"
            )
        return
    usual = Settings()
    for field, flag in PLACING.items():
        if getattr(settings, field) != getattr(usual, field):
            raise InputError(f"--geometry has placed the detector; expected no {flag} (nor -img) beside it")
    if math.isnan(settings.wavelength):
        raise InputError(f"{chosen.instrument.name} does not say the wavelength; expected -lambda or -energy")


def crystal_of(chosen: ChosenDetector | None) -> tuple[Vector, Vector, Vector] | None:
    """a*, b*, c* of the crystal in a geometry file, 1/angstrom; None where it has none. Raises InputError."""
    real = chosen and chosen.instrument and chosen.instrument.real_cell
    if real is None:
        return None
    a, b, c = (scale(real[n : n + 3], 1e10) for n in (0, 3, 6))
    if not abs(dot(a, cross(b, c))) > 0.0:
        raise InputError(f"{chosen.instrument.name}: the vectors of its crystal lie in one plane; expected a cell")
    return reciprocal(a, b, c)


def sensor_attenuation(chosen: ChosenDetector | None, settings: Settings) -> float | None:
    """What the detector's material absorbs, 1/m, unless the flags say it; None where nothing is known."""
    given = settings.attenuation is not None and settings.attenuation >= 0.0
    if chosen is None or chosen.sensor is None or given or not settings.thickness > 0.0:
        return None
    return chosen.sensor.attenuation_at(settings.wavelength)


def instrument_geometry(instrument: Instrument) -> Geometry:
    """What headers and the report say of an instrument: its first panel, with the pixels of all of them."""
    panel, b = instrument.panels[0], instrument.beam
    f, s, o = panel.fast, panel.slow, panel.normal
    # Steps of a pixel need not have length 1.
    near_fast, near_slow = (-dot(panel.origin, axis) / dot(axis, axis) for axis in (f, s))
    close, ratio = dot(panel.origin, o), dot(b, o)
    # A panel beside the sample or behind it is not met by the beam.
    distance = close / ratio if ratio > 1e-6 else close
    hit = tuple(distance * x - y for x, y in zip(b, panel.origin, strict=True))
    at_fast, at_slow = (dot(axis, hit) / dot(axis, axis) for axis in (f, s))
    slow, fast = instrument.shape
    pixel = panel.pixel_size
    return Geometry(
        convention="custom",
        pivot="sample",
        beam=b,
        fdet=f,
        sdet=s,
        odet=o,
        polar=instrument.polarization_axis,
        vert=unit(cross(b, instrument.polarization_axis)),
        spindle=instrument.spindle,
        twotheta_axis=s,
        twotheta=0.0,
        pix0=panel.origin,
        Xbeam=at_fast,
        Ybeam=at_slow,
        Fbeam=at_fast,
        Sbeam=at_slow,
        Xclose=near_fast,
        Yclose=near_slow,
        Fclose=near_fast,
        Sclose=near_slow,
        ORGX=near_fast / pixel + 0.5,
        ORGY=near_slow / pixel + 0.5,
        distance=distance,
        close_distance=close,
        ratio=ratio,
        dials_origin_mm=(1000.0 * panel.origin[2], 1000.0 * panel.origin[1], -1000.0 * panel.origin[0]),
        detsize_fast=fast * pixel,
        detsize_slow=slow * pixel,
        pixels_fast=fast,
        pixels_slow=slow,
        pixel_size=pixel,
        odet_replaced=False,
    )


def stacked(chosen: ChosenDetector | None, geometry: Geometry) -> Geometry:
    """The geometry with the pixels of the image, in which the library's panels are stacked."""
    if chosen is None or chosen.layout is None or chosen.layout.count == 1:
        return geometry
    slow, fast = chosen.layout.panel
    return replace(geometry, pixels_slow=slow * chosen.layout.count, pixels_fast=fast)


def both(mask: PixelMask | None, chosen: ChosenDetector | None) -> PixelMask | None:
    """Pixels that neither the mask of the flags nor that of the detector leaves out."""
    own = chosen and chosen.mask
    if mask is None or own is None:
        return mask or own
    return PixelMask(mask.active & own.active)
