"""A picture of an image for the eyes of a crystallographer: dark spots on white, with resolution rings."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import field

import numpy as np

from tilesim.errors import InputError
from tilesim.files.reading import encodable
from tilesim.files.replace import replacing
from tilesim.frozen import frozen
from tilesim.geometry.assembly import Assembly
from tilesim.geometry.resolution import beam_centre
from tilesim.model import Beam, Experiment, Panel
from tilesim.model.sampling import Region
from tilesim.model.scan import Scan
from tilesim.model.vectors import dot
from tilesim.pictures.curves import Curves
from tilesim.pictures.grey import Grey, bar_ticks, grey_of, tick_text
from tilesim.pictures.labels import Label, apart, placed, reach
from tilesim.pictures.rings import Ring, rings_on, stacked_centre, stacked_rings
from tilesim.pictures.style import own_style
from tilesim.pictures.view import View, assembled_maxima, block_maxima

LONG_EDGE = 1000
"""Longer edge of a picture, pixels, about: images are reduced or enlarged to it by whole numbers."""
SHORT_EDGE = 120
"""A picture is at least so wide and high, in its own pixels: a strip a few pixels wide is stretched."""
DOTS_PER_INCH = 100
LEFT, RIGHT, TOP, BOTTOM = 90, 190, 40, 56
"""Margins around the image, in pixels of the picture."""
BAR_GAP, BAR_WIDTH = 22, 18
LEGEND_BESIDE, LEGEND_BELOW = 320, 66
"""Beside a bar so high there is room for its legend; below the image it takes so many pixels."""
CURVE_HEIGHT, CURVE_GAP = 170, 66
PARALLEL = 1e-6
"""A detector is parallel to the beam where the cosine between its normal and the beam is below this."""
RING_COLOUR, CENTRE_COLOUR, REGION_COLOUR, MISSING_COLOUR = "#1f77b4", "#d62728", "#2ca02c", "#f3e3c3"
SPOT_COLOUR = "#b3470b"


@frozen
class Drawing:
    """Everything that a picture shows."""

    view: View
    grey: Grey
    title: str = ""
    rings: Sequence[Ring] = ()
    centre: tuple[float, float] | None = None
    """Centre of the beam, (slow, fast) pixels."""
    labels: Sequence[Label] = ()
    border: Region | None = None
    """Outline of what was rendered, where that is not the whole image."""
    curves: Curves = field(default_factory=Curves)
    enlarged: int = 1
    """Pixels of the picture for each block."""


def draw_preview(
    path_png: str | os.PathLike,
    bands: Iterable[tuple[int, np.ndarray]],
    experiment: Experiment,
    *,
    title: str | None = None,
) -> None:
    """Write a PNG of an image, panels assembled where they lie near one plane, in memory that does not grow with it.

    bands   pairs of (first slow index, photons (rows, fast)) of stacked panels from top to bottom; what they leave out
            is missing
    title   one line above the image; None says wavelength, distance and oscillation

    Raises StoreError where the file cannot be written; the file appears whole or not at all.
    """
    panels, beam = experiment.detector.panels, experiment.beam
    assembly = _assembly(panels)
    shape = assembly.plane.shape if assembly else experiment.shape
    factor = max(1, round(max(shape) / LONG_EDGE))
    blocks = assembled_maxima(bands, assembly, factor) if assembly else block_maxima(bands, shape, factor)
    view = View(blocks, Region(0, shape[0], 0, shape[1]), factor)
    drawing = Drawing(
        view,
        grey_of(view.blocks),
        default_title(panels[0], beam, experiment.scan) if title is None else title,
        rings_on(assembly.plane, beam, view.region) if assembly else stacked_rings(panels, beam),
        beam_centre(assembly.plane, beam) if assembly else stacked_centre(panels, beam),
        border=None if assembly else border_of(experiment.region, shape),
        enlarged=max(1, LONG_EDGE // max(view.blocks.shape)),
    )
    save_picture(path_png, drawing)


def _assembly(panels: Sequence[Panel]) -> Assembly | None:
    """Several panels on a common plane; None of a single one, and of those that do not lie near one."""
    if len(panels) == 1:
        return None
    try:
        return Assembly.of(panels)
    except InputError:
        return None


@own_style()
def save_picture(path_png: str | os.PathLike, drawing: Drawing) -> None:
    """Write a drawing as a PNG, whole or not at all. Raises StoreError."""
    figure = draw(drawing)
    with replacing(path_png) as file:
        figure.savefig(file, format="png", dpi=DOTS_PER_INCH)


def default_title(panel: Panel, beam: Beam, scan: Scan) -> str:
    """Wavelength, distance along the beam (of a detector that the beam meets), and oscillation in a few words."""
    turned = math.degrees(scan.step * scan.steps) if scan.steps > 1 else 0.0
    parts = [f"{beam.wavelength * 1e10:.5g} Å"]
    facing = dot(panel.normal, beam.direction)
    if abs(facing) > PARALLEL:
        parts.append(f"{panel.distance / facing * 1e3:.5g} mm")
    return ", ".join([*parts, f"oscillation {turned:.4g}°" if turned else "still"])


def border_of(region: Region, shape: tuple[int, int]) -> Region | None:
    """The region of interest, where it is not the whole image and not empty."""
    rows, columns = region.slow_stop - region.slow_start, region.fast_stop - region.fast_start
    return None if (rows, columns) == shape or min(rows, columns) < 1 else region


@own_style()
def draw(drawing: Drawing):
    """A matplotlib Figure in which every block is a whole number of pixels; it touches nothing of pyplot's state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    view = drawing.view
    height, width = (max(SHORT_EDGE, n * drawing.enlarged) for n in view.blocks.shape)
    curves = [name for name in CURVES if getattr(drawing.curves, name) is not None]
    beside = height >= LEGEND_BESIDE
    head = TOP + height + BOTTOM + (0 if beside else LEGEND_BELOW)
    page = (LEFT + max(width, 260) + RIGHT, head + len(curves) * (CURVE_HEIGHT + CURVE_GAP))
    figure = Figure(figsize=(page[0] / DOTS_PER_INCH, page[1] / DOTS_PER_INCH), dpi=DOTS_PER_INCH, facecolor="white")
    FigureCanvasAgg(figure)

    def place(left: float, top: float, wide: float, high: float):
        return figure.add_axes((left / page[0], 1 - (top + high) / page[1], wide / page[0], high / page[1]))

    axes = place(LEFT, TOP, width, height)
    shown = _draw_image(axes, drawing)
    bar = draw_bar(shown, place(LEFT + width + BAR_GAP, TOP, BAR_WIDTH, height))
    if beside:
        bar.set_label(bar_text(drawing), fontsize=9)
    else:
        above = 1 - (TOP + height + BOTTOM) / page[1]
        figure.text(LEFT / page[0], above, bar_text(drawing), fontsize=9, va="top", gid="legend")
    for number, curve in enumerate(curves):
        top = head + number * (CURVE_HEIGHT + CURVE_GAP)
        CURVES[curve](place(LEFT, top, max(width, 260), CURVE_HEIGHT), drawing.curves, view.units)
    return figure


def draw_bar(shown, axes):
    """The bar of grey of an image on axes of its own, with ticks at even steps of grey."""
    bar = axes.figure.colorbar(shown, cax=axes, extend="max")
    bar.set_ticks(ticks := bar_ticks(shown.norm), labels=list(map(tick_text, ticks)))
    bar.minorticks_off()
    return bar


def bar_text(drawing: Drawing) -> str:
    """The legend of the bar: units and scale, which values are white and black, and the largest one that there is."""
    view, grey = drawing.view, drawing.grey
    scale = f" ({grey.described})" if grey.described else ""
    lines = [f"{view.units}{scale}", f"white to {_short(grey.low)}, black from {_short(grey.high)}"]
    finite = view.blocks[np.isfinite(view.blocks)]
    lines += [f"largest {_short(float(finite.max()), 6)}" if finite.size else "no value"]
    return "\n".join(lines) + (f"; {view.described}" if view.described else "")


def _short(value: float, digits: int = 3) -> str:
    """A number in so many digits, without an exponent up to ten."""
    return f"{float(f'{value:.{digits}g}'):.10g}"


@own_style()
def draw_curves(curves: Curves, units: str):
    """A Figure of the curves alone; None where there are none."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    wanted = [draw for name, draw in CURVES.items() if getattr(curves, name) is not None]
    if not wanted:
        return None
    figure = Figure(figsize=(6.4, 2.4 * len(wanted)), dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    for draw, axes in zip(wanted, figure.subplots(len(wanted), squeeze=False)[:, 0], strict=True):
        draw(axes, curves, units)
    return figure


def _draw_image(axes, drawing: Drawing):
    view, grey = drawing.view, drawing.grey
    region = view.region
    axes.set_facecolor(MISSING_COLOUR)
    bottom, right = (
        start + n * view.factor
        for start, n in zip((region.slow_start, region.fast_start), view.blocks.shape, strict=True)
    )
    shown = axes.imshow(
        np.ma.masked_invalid(np.clip(view.blocks, grey.low, grey.high)),
        extent=(region.fast_start, right, bottom, region.slow_start),
        cmap="gray_r",
        norm=grey.norm(),
        interpolation="nearest",
        aspect="auto",  # the axes have the image's own
    )
    axes.set_xlim(region.fast_start, right)
    axes.set_ylim(bottom, region.slow_start)
    axes.set_xlabel("fast (pixels)")
    axes.set_ylabel("slow (pixels)")
    if drawing.title:
        axes.set_title(encodable(drawing.title), fontsize=10, loc="left", parse_math=False)
    _draw_border(axes, drawing.border)
    _draw_rings(axes, drawing)
    if drawing.centre is not None:
        slow, fast = drawing.centre
        axes.plot(fast, slow, "+", color=CENTRE_COLOUR, markersize=14, markeredgewidth=1.4, clip_on=True)
    _draw_labels(axes, drawing)
    return shown


def _draw_rings(axes, drawing: Drawing) -> None:
    from matplotlib.patheffects import withStroke

    style = {"color": RING_COLOUR, "fontsize": 9, "ha": "center", "va": "center", "clip_on": True, "gid": "ring"}
    style["path_effects"] = [withStroke(linewidth=2.5, foreground="white")]
    for ring in drawing.rings:
        for line in ring.lines:
            axes.plot(line[:, 0], line[:, 1], color=RING_COLOUR, linewidth=0.7, alpha=0.6, gid="ring")
    for (fast, slow), text in _ring_labels(drawing):
        axes.text(fast, slow, text, **style)


def _ring_labels(drawing: Drawing) -> list[tuple[tuple[float, float], str]]:
    """Middles (fast, slow) and texts of the labels of rings that there is room for."""
    wanted = [(ring.label, ring.text) for ring in drawing.rings if ring.label is not None]
    cross = drawing.centre and (drawing.centre[1], drawing.centre[0])
    return apart(wanted, drawing.view, drawing.enlarged, cross)


def _draw_border(axes, region: Region | None) -> None:
    """The border of the region of interest."""
    from matplotlib.patches import Rectangle

    if region is None:
        return
    rows, columns = region.slow_stop - region.slow_start, region.fast_stop - region.fast_start
    corner = (region.fast_start, region.slow_start)
    axes.add_patch(Rectangle(corner, columns, rows, fill=False, edgecolor=REGION_COLOUR, linewidth=0.8))


def _draw_labels(axes, drawing: Drawing) -> None:
    """A small circle around each labelled spot, and its indices where no other label is."""
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=2.5, foreground="white")]
    size = 2 * reach(drawing.view, drawing.enlarged) * 72 / DOTS_PER_INCH
    for label, (fast, slow), where in placed(drawing.labels, drawing.view, drawing.enlarged, _ring_labels(drawing)):
        axes.plot(label.fast, label.slow, "o", ms=size, mfc="none", mec=SPOT_COLOUR, mew=0.9, alpha=0.8, gid="spot")
        if where is not None:
            axes.text(
                fast,
                slow,
                label.text,
                color=SPOT_COLOUR,
                fontsize=8,
                ha="center",
                va="center",
                gid="spot",
                path_effects=halo,
            )


def _draw_profile(axes, curves: Curves, units: str) -> None:
    stars, means = curves.profile
    axes.plot(stars, means, color="black", linewidth=1)
    if np.nanmin(np.where(means > 0, means, np.nan), initial=np.inf) < np.inf:
        axes.set_yscale("log", nonpositive="mask")
    axes.set_xlim(stars[0], stars[-1])
    ticks = [t for t in axes.get_xticks() if stars[0] <= t <= stars[-1]]
    axes.set_xticks(ticks, [f"{1 / t:.3g}" if t > 0 else "∞" for t in ticks])
    axes.set_xlabel("resolution (Å)")
    axes.set_ylabel(f"mean {units}")
    axes.grid(alpha=0.25)


def _draw_histogram(axes, curves: Curves, units: str) -> None:
    edges, counts = curves.histogram
    axes.stairs(counts, edges, fill=True, color="0.45")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.7)
    dark = f"; {curves.dark} pixels are zero or less" if curves.dark else ""
    axes.set_xlabel(f"{units}{dark}")
    axes.set_ylabel("pixels")
    axes.grid(alpha=0.25)


CURVES = {"profile": _draw_profile, "histogram": _draw_histogram}
"""What draws a field of `Curves` on axes."""
