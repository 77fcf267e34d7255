"""Resolution on a panel: d-spacings of pixels and where the direct beam arrives, on the host in numpy."""

from __future__ import annotations

import numpy as np

from tilesim.model.beam import Beam
from tilesim.model.detector import Panel
from tilesim.physics.geometry import curved_positions

BORDER_POINTS = 65
"""Points along each side of a panel at which its resolution is looked at."""


def positions(panel: Panel, beam: Beam, slow: np.ndarray, fast: np.ndarray) -> np.ndarray:
    """Laboratory positions (..., 3) in metres of the panel coordinates `slow`, `fast` (...) in pixels.

    Pixel (0, 0) spans 0 to 1 in both. Follows a curved detector (spec geometry 8).
    """
    origin, slow_axis, fast_axis = (np.array(v) for v in (panel.origin, panel.slow, panel.fast))
    along = (np.asarray(slow)[..., None] * slow_axis + np.asarray(fast)[..., None] * fast_axis) * panel.pixel_size
    flat = origin + along
    if panel.curved_radius is None:
        return np.asarray(flat)
    columns = np.asarray(flat).reshape(-1, 3).T
    curved = curved_positions(columns, panel.curved_radius, np.array(beam.direction), slow_axis, fast_axis)
    return np.asarray(curved.T).reshape(flat.shape)


def d_spacings(panel: Panel, beam: Beam, slow: np.ndarray, fast: np.ndarray) -> np.ndarray:
    """d-spacing (...) in metres at the panel coordinates `slow`, `fast` (...) in pixels; infinite in the beam.

    For the central wavelength and direction of the beam.
    """
    place = positions(panel, beam, slow, fast)
    with np.errstate(divide="ignore", invalid="ignore"):
        diffracted = place / np.linalg.norm(place, axis=-1, keepdims=True)
        incident = np.array(beam.direction) / np.linalg.norm(beam.direction)
        return np.asarray(beam.wavelength / np.linalg.norm(diffracted - incident, axis=-1))


def beam_centre(panel: Panel, beam: Beam) -> tuple[float, float] | None:
    """Where the direct beam meets the plane of the panel, (slow, fast) in pixels from its corner.

    None where the beam runs parallel to the plane or away from it.
    """
    axes = np.column_stack([panel.slow, panel.fast, [-x for x in beam.direction]])
    try:
        slow, fast, path = np.linalg.solve(axes, [-x for x in panel.origin])
    except np.linalg.LinAlgError:
        return None
    return (float(slow / panel.pixel_size), float(fast / panel.pixel_size)) if path > 0 else None


def nearest_distance(panel: Panel) -> float:
    """Metres from the sample to the nearest point of the panel, which may lie on its border."""
    if panel.curved_radius is not None:
        return abs(panel.curved_radius)
    origin = np.array(panel.origin)
    slow, fast = (
        np.array(axis) * panel.pixel_size * count
        for axis, count in zip((panel.slow, panel.fast), panel.shape, strict=True)
    )
    sides = [(origin, slow), (origin, fast), (origin + slow, fast), (origin + fast, slow)]
    points = [start + step * np.clip(-start @ step / (step @ step), 0.0, 1.0) for start, step in sides]
    foot = np.linalg.lstsq(np.column_stack([slow, fast]), -origin, rcond=None)[0]
    if ((foot >= 0.0) & (foot <= 1.0)).all():
        points.append(origin + foot[0] * slow + foot[1] * fast)
    return float(min(np.linalg.norm(point) for point in points))


def resolution_limits(panel: Panel, beam: Beam) -> tuple[float | None, float]:
    """d-spacing, in metres, of the last ring that is complete on the panel, and the smallest on it.

    The first is None where the direct beam misses the panel: no ring is complete then.
    """
    slow, fast = panel.shape
    along, zero = np.linspace(0.0, 1.0, BORDER_POINTS), np.zeros(BORDER_POINTS)
    sides = [(along, zero), (along, zero + 1), (zero, along), (zero + 1, along)]
    border = np.concatenate([d_spacings(panel, beam, s * slow, f * fast) for s, f in sides])
    centre = beam_centre(panel, beam)
    inside = centre is not None and 0 <= centre[0] <= slow and 0 <= centre[1] <= fast
    return (float(np.nanmax(border)) if inside else None), float(np.nanmin(border))
