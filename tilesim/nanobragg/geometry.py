"""Where the detector is: conventions, beam-centre defaults, vectors, pivots, origin (spec geometry 3 to 7)."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.model.vectors import Vector, cross, dot, norm, rotate_about, rotate_xyz, scale, unit
from tilesim.nanobragg.settings import Settings
from tilesim.physics.watch import Watch, unwatched


@frozen
class Convention:
    """Initial vectors and pivot of a named convention (spec geometry 5); pivot None leaves the user's."""

    beam: Vector
    fdet: Vector
    sdet: Vector
    odet: Vector
    twotheta: Vector
    polar: Vector
    spindle: Vector
    pivot: str | None


_X, _Y, _Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
_DOWN_X, _DOWN_Y, _DOWN_Z = (-1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, -1.0)

CONVENTIONS: Mapping[str, Convention] = MappingProxyType(
    {
        #                     beam  fdet  sdet  odet  twotheta  polar spindle pivot
        "mosflm": Convention(_X, _Z, _DOWN_Y, _X, _DOWN_Z, _Z, _Z, "beam"),
        "denzo": Convention(_X, _Z, _DOWN_Y, _X, _DOWN_Z, _Z, _Z, "beam"),
        "adxv": Convention(_Z, _X, _DOWN_Y, _Z, _DOWN_X, _X, _X, "beam"),
        "xds": Convention(_Z, _X, _Y, _Z, _X, _X, _X, "sample"),
        "dials": Convention(_Z, _X, _Y, _Z, _Y, _Y, _Y, "sample"),
        "custom": Convention(_X, _Z, _DOWN_Y, _X, _Y, _Z, _Z, None),
    }
)


@frozen
class Geometry:
    """The detector as it ends up; metres and radians unless a field says otherwise.

    Vectors are final: f, s, o after all rotations, the others unit vectors (the two-theta axis as given).
    """

    convention: str
    pivot: str
    beam: Vector
    fdet: Vector
    sdet: Vector
    odet: Vector
    polar: Vector
    vert: Vector
    spindle: Vector
    twotheta_axis: Vector
    twotheta: float
    pix0: Vector
    """Outer corner of pixel (0, 0)."""
    Xbeam: float
    """As given or by default, in the convention's own axes; never recomputed."""
    Ybeam: float
    Fbeam: float
    """Recomputed without the two-theta swing, hence off after one (spec geometry 7)."""
    Sbeam: float
    Xclose: float
    Yclose: float
    Fclose: float
    Sclose: float
    ORGX: float
    """Pixels."""
    ORGY: float
    distance: float
    """Recomputed; the curved detector and automatic oversampling use it."""
    close_distance: float
    ratio: float
    """b . o before the two-theta swing."""
    dials_origin_mm: Vector
    detsize_fast: float
    detsize_slow: float
    pixels_fast: int
    pixels_slow: int
    pixel_size: float
    odet_replaced: bool
    """The given normal was not exactly of length one, so it is unit(f x s)."""


def pixel_counts(settings: Settings) -> tuple[float, float, int, int]:
    """Detector size fast and slow (metres), then the pixel counts (spec geometry 3). Raises InputError."""
    pixel = settings.pixel_size
    if not (pixel > 0 and math.isfinite(pixel)):
        raise InputError(f"-pixel is {pixel * 1000:g} mm; expected a positive finite size")
    fast = pixel * settings.pixels_fast if settings.pixels_fast else settings.detsize_fast
    slow = pixel * settings.pixels_slow if settings.pixels_slow else settings.detsize_slow
    if not (math.isfinite(fast) and math.isfinite(slow)):
        raise InputError(f"the detector is {fast:g} x {slow:g} m; expected finite sizes")
    return fast, slow, math.ceil(fast / pixel - 0.5), math.ceil(slow / pixel - 0.5)


def detector_geometry(settings: Settings, watch: Watch = unwatched) -> Geometry:
    """Everything about the detector's place that the flags and headers imply (spec geometry 3 to 7).

    `watch` sees every stage, by name.
    """
    fast_size, slow_size, pixels_fast, pixels_slow = pixel_counts(settings)
    pixel = settings.pixel_size
    initial = CONVENTIONS[settings.convention]
    given = settings.vectors if settings.convention == "custom" else {}

    f, s, b, p, u = (
        unit(given.get(name, getattr(initial, name))) for name in ("fdet", "sdet", "beam", "polar", "spindle")
    )
    o = given.get("odet", initial.odet)
    # Anything but exactly one is discarded, not scaled.
    odet_replaced = norm(o) != 1.0
    o = unit(cross(f, s)) if odet_replaced else unit(o)
    w = given.get("twotheta", initial.twotheta)
    pivot = initial.pivot or settings.pivot

    fclose = fast_size / 2.0 if settings.orgx is None else (settings.orgx - 0.5) * pixel
    sclose = slow_size / 2.0 if settings.orgy is None else (settings.orgy - 0.5) * pixel
    xclose = fclose if settings.xclose is None else settings.xclose
    yclose = sclose if settings.yclose is None else settings.yclose
    xbeam, ybeam, fbeam, sbeam = _beam_centre(settings, fast_size, slow_size, xclose, yclose)
    if settings.convention == "custom":
        fclose, sclose = xbeam, ybeam

    angles = settings.detector_rotation
    # The two-theta swing is left out of the ratio, as in the reference.
    ratio = dot(b, rotate_xyz(o, *angles)) or sys.float_info.min
    close = settings.close_distance
    if close is None:
        close = abs(ratio * settings.distance)
    distance = close / ratio

    _watch_given(watch, settings, pivot, xbeam, ybeam, {"beam_vec": b, "fdet": f, "sdet": s, "odet": o})
    watch("twotheta_axis", *w)
    watch("ratio", ratio)

    def turned(name: str, v: Vector) -> Vector:
        return _turned(name, v, angles, w, settings.twotheta, watch)

    corner = None
    if pivot == "sample":
        _watch_numbers(watch, Fclose_m=fclose, Sclose_m=sclose, close_distance_m=close)
        corner = turned("pix0", _origin(fclose, f, sclose, s, close, o, "close", watch))
    f, s, o = turned("fdet", f), turned("sdet", s), turned("odet", o)
    if corner is None:
        _watch_numbers(watch, Fbeam_m=fbeam, Sbeam_m=sbeam, distance_m=distance)
        corner = _origin(fbeam, f, sbeam, s, distance, b, "beam", watch)
    pix0 = corner
    watch("pix0_vector", *pix0)

    near_fast, near_slow, close = -dot(pix0, f), -dot(pix0, s), dot(pix0, o)
    distance = close / ratio
    hit = tuple(distance * x - y for x, y in zip(b, pix0, strict=True))
    _watch_numbers(
        watch,
        Fbeam_final_m=dot(f, hit),
        Sbeam_final_m=dot(s, hit),
        Fclose_final_m=near_fast,
        Sclose_final_m=near_slow,
        close_distance_final_m=close,
        distance_final_m=distance,
    )
    return Geometry(
        convention=settings.convention,
        pivot=pivot,
        beam=b,
        fdet=f,
        sdet=s,
        odet=o,
        polar=p,
        vert=unit(cross(b, p)),
        spindle=u,
        twotheta_axis=w,
        twotheta=settings.twotheta,
        pix0=pix0,
        Xbeam=xbeam,
        Ybeam=ybeam,
        Fbeam=dot(f, hit),
        Sbeam=dot(s, hit),
        Xclose=xclose,
        Yclose=yclose,
        Fclose=near_fast,
        Sclose=near_slow,
        ORGX=near_fast / pixel + 0.5,
        ORGY=near_slow / pixel + 0.5,
        distance=distance,
        close_distance=close,
        ratio=ratio,
        # Through dot products because they decide the sign of a zero.
        dials_origin_mm=tuple(1000.0 * dot(pix0, axis) for axis in (_Z, _Y, _DOWN_X)),
        detsize_fast=fast_size,
        detsize_slow=slow_size,
        pixels_fast=pixels_fast,
        pixels_slow=pixels_slow,
        pixel_size=pixel,
        odet_replaced=odet_replaced,
    )


def _beam_centre(
    settings: Settings, fast_size: float, slow_size: float, xclose: float, yclose: float
) -> tuple[float, float, float, float]:
    """Xbeam, Ybeam, Fbeam, Sbeam in metres (spec geometry 4, step 4)."""
    pixel, convention = settings.pixel_size, settings.convention
    if convention in ("mosflm", "denzo"):
        default_x, default_y = (slow_size + pixel) / 2.0, (fast_size + pixel) / 2.0
    elif convention == "adxv":
        default_x, default_y = (fast_size + pixel) / 2.0, (slow_size - pixel) / 2.0
    else:
        default_x, default_y = xclose, yclose
    x = default_x if settings.xbeam is None else settings.xbeam
    y = default_y if settings.ybeam is None else settings.ybeam
    if convention == "mosflm":
        return x, y, y + 0.5 * pixel, x + 0.5 * pixel
    if convention == "denzo":
        return x, y, y, x
    if convention == "adxv":
        return x, y, x, slow_size - y
    return x, y, x, y


def _origin(
    fast: float, f: Vector, slow: float, s: Vector, along: float, axis: Vector, name: str, watch: Watch
) -> Vector:
    """-fast f - slow s + along axis; `name` is the axis's."""
    terms = {"term_fast": scale(f, -fast), "term_slow": scale(s, -slow), f"term_{name}": scale(axis, along)}
    for term, v in terms.items():
        watch(term, *v)
    return tuple(x + y + z for x, y, z in zip(*terms.values(), strict=True))


def _turned(name: str, v: Vector, angles: Sequence[float], axis: Vector, twotheta: float, watch: Watch) -> Vector:
    """v after -detector_rotx, _roty, _rotz and -twotheta; `watch` sees each step."""
    for letter, about in zip("xyz", _one_by_one(angles), strict=True):
        v = rotate_xyz(v, *about)
        watch(f"{name}_after_rot{letter}", *v)
    v = rotate_about(v, axis, twotheta)
    watch(f"{name}_after_twotheta", *v)
    return v


def _one_by_one(angles: Sequence[float]) -> tuple[Vector, ...]:
    """The same rotations about x, y, z as three."""
    x, y, z = angles
    return (x, 0.0, 0.0), (0.0, y, 0.0), (0.0, 0.0, z)


def _watch_given(
    watch: Watch, settings: Settings, pivot: str, xbeam: float, ybeam: float, initial: Mapping[str, Vector]
) -> None:
    """Show what the rotations start from."""
    watch("detector_convention", settings.convention.upper())
    watch("pivot", pivot.upper())
    _watch_numbers(watch, Xbeam_m=xbeam, Ybeam_m=ybeam, pixel_mm=settings.pixel_size * 1000.0)
    for name, v in initial.items():
        watch(name if name == "beam_vec" else f"initial_{name}", *v)
    angles = settings.detector_rotation
    for name, about in zip(("Rx", "Ry", "Rz", "R_total"), (*_one_by_one(angles), angles), strict=True):
        columns = [rotate_xyz(v, *about) for v in (_X, _Y, _Z)]
        watch(name, *(x for row in zip(*columns, strict=True) for x in row))
    about_x, about_y, about_z = angles
    _watch_numbers(
        watch,
        detector_rotx_rad=about_x,
        detector_roty_rad=about_y,
        detector_rotz_rad=about_z,
        twotheta_rad=settings.twotheta,
    )


def _watch_numbers(watch: Watch, **numbers: float) -> None:
    for name, number in numbers.items():
        watch(name, number)
