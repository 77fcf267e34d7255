"""A picture of an image for the eyes of a crystallographer: dark spots on white, with resolution rings."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable

import numpy as np

from tilesim.io.replace import replacing
from tilesim.model import Beam, Experiment, Panel
from tilesim.model.resolution import beam_centre, d_spacings
from tilesim.model.vectors import dot

LONG_EDGE = 1000
"""The image is reduced until its longer edge has at most this many blocks."""
RING_GRID = 257
"""Points along the longer edge of the grid on which rings are drawn."""
STRONG_PERCENTILE = 99.9
"""Blocks above this are black."""
BACKGROUND_SHARE = 10
"""Black is at least this many times the range of the background above white."""
DYNAMIC_RANGE = 300
"""Black over the width of the linear part, at most: lower values of a dark image are white."""
RING_STEPS = ((1.0, 2.0, 5.0), (3.0, 4.0), (1.5, 2.5), (1.2, 1.8, 6.0, 8.0), (1.4, 1.6))
"""Round d-spacings, times any power of ten; the roundest first."""
RING_GAP = 1 / 12
"""Rings are at least this share of the largest 1/d apart."""
BAR_TICKS = 6
DOTS_PER_INCH = 130
PARALLEL = 1e-6
"""A detector is parallel to the beam where the cosine between its normal and the beam is below this."""
LABEL_MARGIN = 0.05
"""Labels of rings keep this share of the picture's longer edge from its border and from each other."""
RING_COLOUR, CENTRE_COLOUR, REGION_COLOUR, MISSING_COLOUR = "#1f77b4", "#d62728", "#2ca02c", "#f3e3c3"


def draw_preview(
    path_png: str | os.PathLike,
    bands: Iterable[tuple[int, np.ndarray]],
    experiment: Experiment,
    *,
    title: str | None = None,
) -> None:
    """Write a PNG of an image of the experiment's first panel, in memory that does not grow with the image.

    bands   pairs of (first slow index, photons (rows, fast)) from top to bottom; what they leave out is missing
    title   one line above the image; None says wavelength, distance and oscillation

    Raises StoreError where the file cannot be written; the file appears whole or not at all.
    """
    blocks, factor = block_maxima(bands, experiment.shape)
    figure = _draw(blocks, factor, experiment, default_title(experiment) if title is None else title)
    with replacing(path_png) as file:
        figure.savefig(file, format="png", dpi=DOTS_PER_INCH, bbox_inches="tight")


def default_title(experiment: Experiment) -> str:
    """Wavelength, distance along the beam (of a detector that the beam meets), and oscillation in a few words."""
    panel, beam, scan = experiment.detector.panels[0], experiment.beam, experiment.scan
    turned = math.degrees(scan.step * scan.steps) if scan.steps > 1 else 0.0
    parts = [f"{beam.wavelength * 1e10:.5g} Å"]
    facing = dot(panel.normal, beam.direction)
    if abs(facing) > PARALLEL:
        parts.append(f"{panel.distance / facing * 1e3:.5g} mm")
    return ", ".join([*parts, f"oscillation {turned:.4g}°" if turned else "still"])


def block_maxima(bands: Iterable[tuple[int, np.ndarray]], shape: tuple[int, int]) -> tuple[np.ndarray, int]:
    """The maxima of square blocks of pixels (a spot of one pixel survives), and the edge of a block in pixels.

    NaN only where a block has no number at all.
    """
    factor = -(-max(shape) // LONG_EDGE)
    blocks = np.full(tuple(-(-n // factor) for n in shape), np.nan, dtype=np.float32)
    columns = np.arange(0, shape[1], factor)
    for start, band in bands:
        rows = np.arange(start, start + len(band))
        first = np.flatnonzero(np.diff(rows // factor, prepend=-1))
        # fmax and not maximum: a NaN must not hide its neighbours.
        maxima = np.fmax.reduceat(np.fmax.reduceat(band, columns, axis=1), first, axis=0)
        where = rows[first] // factor
        blocks[where] = np.fmax(blocks[where], maxima)
    return blocks, factor


def grey_limits(blocks: np.ndarray) -> tuple[float, float, float]:
    """Values shown white and black, and the width above white within which grey is linear in photons (asinh beyond).

    The background stays light, so that spots a little above it are seen; the direct beam does not set the scale.
    """
    values = blocks[np.isfinite(blocks)]
    if values.size == 0:
        return 0.0, 1.0, 1.0
    low, high, strong, top = np.percentile(values, [2, 90, STRONG_PERCENTILE, 100]).astype(float)
    black = min(max(strong, low + BACKGROUND_SHARE * (high - low)), top)
    if black <= low:
        low, black = float(values.min()), top
    if black <= low:
        # One value everywhere: white, on a scale that starts there.
        return low, low + max(abs(low), 1.0), max(abs(low), 1.0)
    return low, black, max(high - low, (black - low) / DYNAMIC_RANGE)


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


def _draw(blocks: np.ndarray, factor: int, experiment: Experiment, title: str):
    """A matplotlib Figure; its own canvas, so that nothing of pyplot's global state is touched."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import AsinhNorm
    from matplotlib.figure import Figure

    panel, beam = experiment.detector.panels[0], experiment.beam
    slow, fast = panel.shape
    figure = Figure(figsize=_figure_size(slow, fast), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_facecolor(MISSING_COLOUR)
    low, high, width = grey_limits(blocks)
    shown = axes.imshow(
        np.ma.masked_invalid(np.clip(blocks, low, high)),
        extent=(0, blocks.shape[1] * factor, blocks.shape[0] * factor, 0),
        cmap="gray_r",
        norm=AsinhNorm(linear_width=width, vmin=low, vmax=high),
        interpolation="nearest",
        # A strip a few pixels wide would be a line on the page: stretch it.
        aspect="equal" if max(slow, fast) <= 8 * min(slow, fast) else "auto",
    )
    axes.set_xlim(0, fast)
    axes.set_ylim(slow, 0)
    axes.set_xlabel("fast (pixels)")
    axes.set_ylabel("slow (pixels)")
    if title:
        axes.set_title(title, fontsize=10)
    bar = figure.colorbar(shown, ax=axes, shrink=0.8, pad=0.02, extend="max")
    bar.set_ticks(ticks := _bar_ticks(shown.norm), labels=[f"{tick:.10g}" for tick in ticks])
    bar.minorticks_off()
    of = f"\nmaximum of {factor} x {factor} pixels" if factor > 1 else ""
    bar.set_label(f"photons / pixel (log-like scale: asinh){of}")
    _draw_region(axes, experiment)
    _draw_rings(axes, panel, beam)
    _draw_centre(axes, panel, beam)
    return figure


def _bar_ticks(norm) -> list[float]:
    """Values at even steps of grey, rounded to the first digit in which they differ."""
    values = norm.inverse(np.linspace(0, 1, BAR_TICKS))
    gaps = np.diff(values, prepend=2 * values[0] - values[1])
    rounded = (round(float(v), -math.floor(math.log10(gap))) for v, gap in zip(values, gaps, strict=True))
    return sorted({v for v in rounded if norm.vmin <= v <= norm.vmax})


def _figure_size(slow: int, fast: int) -> tuple[float, float]:
    """Inches: the longer edge of the image gets 8, and the colour bar and labels some room."""
    ratio = min(max(fast / slow, 0.4), 2.5)
    return (8.0 * min(ratio, 1.0) + 1.8, 8.0 / max(ratio, 1.0) + 0.8)


def _draw_rings(axes, panel: Panel, beam: Beam) -> None:
    from matplotlib.patheffects import withStroke

    slow, fast = (np.linspace(0, n, max(33, round(RING_GRID * n / max(panel.shape)))) for n in panel.shape)
    # 1/d and not d: it is smooth through the direct beam.
    stars = 1e-10 / d_spacings(panel, beam, *np.meshgrid(slow, fast, indexing="ij"))
    if not np.isfinite(stars).all() or stars.max() == stars.min():
        return
    smallest = stars.min()
    rings = round_spacings(1 / stars.max(), 1 / smallest if smallest > 0 else np.inf)
    if not rings:
        return
    levels = sorted(1 / d for d in rings)
    lines = axes.contour(fast, slow, stars, levels=levels, colors=RING_COLOUR, linewidths=0.7, alpha=0.6)
    style = {"color": RING_COLOUR, "fontsize": 9, "ha": "center", "va": "center", "clip_on": True}
    style["path_effects"] = [withStroke(linewidth=2.5, foreground="white")]
    # matplotlib's own labels leave out rings that are short on the image.
    for level, place in zip(
        levels, label_places([path.vertices for path in lines.get_paths()], panel.shape), strict=True
    ):
        if place is not None:
            axes.text(*place, f"{1 / level:.3g} Å", **style)


def label_places(rings: list[np.ndarray], shape: tuple[int, int]) -> list[tuple[float, float] | None]:
    """Where to label each ring, (fast, slow) pixels: high on the image, off its border and off other labels.

    rings  points (n, 2) of each ring, (fast, slow); one without points gets None
    """
    extent = np.array([shape[1], shape[0]], float)
    margin = LABEL_MARGIN * extent.max()
    places: list[tuple[float, float] | None] = []
    for points in rings:
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


def _draw_region(axes, experiment: Experiment) -> None:
    """The border of the region of interest, where it is not the whole image."""
    from matplotlib.patches import Rectangle

    region, (slow, fast) = experiment.region, experiment.shape
    rows, columns = region.slow_stop - region.slow_start, region.fast_stop - region.fast_start
    if (rows, columns) == (slow, fast) or min(rows, columns) < 1:
        return
    corner = (region.fast_start, region.slow_start)
    axes.add_patch(Rectangle(corner, columns, rows, fill=False, edgecolor=REGION_COLOUR, linewidth=0.8))


def _draw_centre(axes, panel: Panel, beam: Beam) -> None:
    centre = beam_centre(panel, beam)
    if centre is not None:
        axes.plot(centre[1], centre[0], "+", color=CENTRE_COLOUR, markersize=12, markeredgewidth=1.0, clip_on=True)
