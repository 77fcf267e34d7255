"""Resolution rings on a panel: which spacings, the lines, and where their labels go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tilesim.frozen import frozen
from tilesim.geometry.resolution import beam_centre, d_spacings
from tilesim.model import Beam, Panel
from tilesim.model.sampling import Region

RING_GRID = 257
"""Points along the longer edge of the grid on which rings are drawn."""
RING_STEPS = ((1.0, 2.0, 5.0), (3.0, 4.0), (1.5, 2.5), (1.2, 1.8, 6.0, 8.0), (1.4, 1.6))
"""Round d-spacings, times any power of ten; the roundest first."""
RING_GAP = 1 / 12
"""Rings are at least this share of the largest 1/d apart."""
LABEL_MARGIN = 0.05
"""Labels of rings keep this share of the picture's longer edge from its border and from each other."""
CROSS_MARGIN = 0.025
"""They keep this share of it from the cross at the beam centre, or a ring has none."""
MOST_LABELLED = 8
"""Rings of a stack of more panels are not labelled."""


@frozen
class Ring:
    """One resolution ring on a part of a panel."""

    spacing: float
    """Angstrom."""
    lines: tuple[np.ndarray, ...]
    """Points (n, 2) of each piece, (fast, slow) pixels."""
    label: tuple[float, float] | None
    """(fast, slow) pixels."""

    @property
    def text(self) -> str:
        return f"{self.spacing:.3g} Å"

    def lower(self, rows: int) -> Ring:
        """The same `rows` pixels further down, as on a panel that is stacked under others."""
        lines = tuple(line + np.array([0.0, rows]) for line in self.lines)
        return Ring(self.spacing, lines, self.label and (self.label[0], self.label[1] + rows))


def rings_on(panel: Panel, beam: Beam, region: Region) -> tuple[Ring, ...]:
    """The rings on a region of a panel, of growing spacing; none where the geometry has no resolution."""
    from contourpy import contour_generator

    shape = (region.slow_stop - region.slow_start, region.fast_stop - region.fast_start)
    starts = (region.slow_start, region.fast_start)
    slow, fast = (
        np.linspace(start, start + n, max(33, round(RING_GRID * n / max(shape))))
        for start, n in zip(starts, shape, strict=True)
    )
    # 1/d and not d: it is smooth through the direct beam.
    stars = 1e-10 / d_spacings(panel, beam, *np.meshgrid(slow, fast, indexing="ij"))
    if not np.isfinite(stars).all() or stars.max() == stars.min():
        return ()
    smallest = stars.min()
    spacings = round_spacings(1 / stars.max(), 1 / smallest if smallest > 0 else np.inf)
    drawn = contour_generator(fast, slow, stars)
    lines = [tuple(drawn.lines(1 / d)) for d in spacings]
    corner = np.array([region.fast_start, region.slow_start])
    points = [np.concatenate([np.empty((0, 2)), *pieces]) - corner for pieces in lines]
    centre = beam_centre(panel, beam)
    cross = [] if centre is None else [(centre[1] - corner[0], centre[0] - corner[1])]
    labels = [None if place is None else tuple(place + corner) for place in label_places(points, shape, cross)]
    return tuple(Ring(*ring) for ring in zip(spacings, lines, labels, strict=True))


def stacked_rings(panels: Sequence[Panel], beam: Beam) -> tuple[Ring, ...]:
    """The rings on the image of all panels, stacked along the slow axis."""
    found: list[Ring] = []
    top = 0
    for panel in panels:
        rings = [ring.lower(top) for ring in rings_on(panel, beam, Region(0, panel.shape[0], 0, panel.shape[1]))]
        # Among many panels labels would hide the image.
        found += rings if len(panels) <= MOST_LABELLED else [replace(ring, label=None) for ring in rings]
        top += panel.shape[0]
    return tuple(found)


def stacked_centre(panels: Sequence[Panel], beam: Beam) -> tuple[float, float] | None:
    """Where the beam meets the image of stacked panels, (slow, fast) pixels; of one panel, also outside of it."""
    for number, panel in enumerate(panels):
        centre = beam_centre(panel, beam)
        rows, columns = panel.shape
        if len(panels) == 1:
            return centre
        if centre is not None and 0 <= centre[0] < rows and 0 <= centre[1] < columns:
            return (centre[0] + number * rows, centre[1])
    return None


def round_spacings(smallest: float, largest: float) -> list[float]:
    """Round d-spacings between two, in their unit, that make rings of well separated radius."""
    if not 0 < smallest < largest:
        return []
    widest = 1 / smallest - (0.0 if np.isinf(largest) else 1 / largest)
    decades = range(int(np.floor(np.log10(smallest))), int(np.ceil(np.log10(smallest))) + 2)
    chosen: list[float] = []
    for d in (step * 10.0**decade for steps in RING_STEPS for decade in decades for step in steps):
        apart = all(abs(1 / other - 1 / d) >= widest * RING_GAP for other in chosen)
        # A ring that only touches the corner says nothing.
        if smallest * 1.02 <= d <= largest and apart:
            chosen.append(round(d, 10))
    return sorted(chosen)


def label_places(
    rings: list[np.ndarray], shape: tuple[int, int], taken: Sequence[tuple[float, float]] = ()
) -> list[tuple[float, float] | None]:
    """Where to label each ring, (fast, slow) pixels: high on the image, off its border and off other labels.

    rings  points (n, 2) of each ring, (fast, slow)
    taken  places (fast, slow) that no label lies on

    A ring without points, or with none off the places that are taken, gets None.
    """
    extent = np.array([shape[1], shape[0]], float)
    margin = LABEL_MARGIN * extent.max()
    places: list[tuple[float, float] | None] = []
    for points in rings:
        if taken and len(points):
            points = points[np.min([np.hypot(*(points - at).T) for at in taken], axis=0) >= CROSS_MARGIN * extent.max()]
        if len(points) == 0:
            places.append(None)
            continue
        room = np.minimum(points, extent - points).min(axis=1)
        for other in filter(None, places):
            room = np.minimum(room, np.hypot(*(points - other).T))
        # Of the places with room enough the highest, and otherwise the one with most room.
        best = np.lexsort((points[:, 1], -np.minimum(room, margin)))[0]
        places.append((float(points[best, 0]), float(points[best, 1])))
    return places
