"""Pictures of two images, on one scale of grey, and of their difference."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import numpy as np

from tilesim.files.reading import encodable
from tilesim.files.replace import replacing
from tilesim.images.flat import band_rows
from tilesim.images.pixels import Image
from tilesim.pictures.grey import grey_of
from tilesim.pictures.picture import MISSING_COLOUR, REGION_COLOUR
from tilesim.pictures.style import own_style
from tilesim.pictures.view import block_maxima
from tilesim.tools.compare import Rectangle
from tilesim.tools.paired import paired

DOTS_PER_INCH = 110
LONG_EDGE = 1000
"""The images are reduced until their longer edge has at most this many blocks."""
LINEAR = 0.01
"""Share of the deepest colour's difference within which the colour is linear in it."""
STRONG_PERCENTILE = 99.9
"""Quantile of the sizes of the differences: what is above has the deepest colour."""


@own_style()
def draw_comparison(folder: str, a: Image, b: Image, names: tuple[str, str], regions: Sequence[Rectangle]) -> list[str]:
    """Write a.png, b.png, difference.png and, side by side, comparison.png; gives their paths.

    Of images larger than a picture, blocks of pixels are drawn: their maxima, and their largest differences.
    Raises StoreError where a file cannot be written.
    """
    rows, factor = band_rows(a.shape), -(-max(a.shape) // LONG_EDGE)
    shown = [block_maxima(image.bands(rows), image.shape, factor) for image in (a, b)]
    gaps = _largest_gaps(a, b, factor)
    scale = {"cmap": "gray_r", "norm": grey_of(np.concatenate(shown)).norm()}
    panels = [
        (shown[0], scale, names[0], "photons / pixel", "max"),
        (shown[1], scale, names[1], "photons / pixel", "max"),
        (gaps, _two_colours(gaps), f"{names[0]} - {names[1]}", "difference", "both"),
    ]
    paths = [os.path.join(folder, f"{name}.png") for name in ("a", "b", "difference", "comparison")]
    for path, chosen in zip(paths, [*([panel] for panel in panels), panels], strict=True):
        figure = _figure(chosen, factor, a.shape, regions)
        with replacing(path) as file:
            figure.savefig(file, format="png", dpi=DOTS_PER_INCH)
    return paths


def _largest_gaps(a: Image, b: Image, factor: int) -> np.ndarray:
    """The signed difference that is farthest from 0 in every block of `factor` x `factor` pixels."""

    def gaps(sign: float) -> Iterator[tuple[int, np.ndarray]]:
        with np.errstate(invalid="ignore", over="ignore"):
            yield from ((first, sign * (one - other)) for first, one, other in paired(a, b))

    high, low = block_maxima(gaps(1.0), a.shape, factor), -block_maxima(gaps(-1.0), a.shape, factor)
    return np.where(np.abs(low) > np.abs(high), low, high)


def _two_colours(gaps: np.ndarray) -> dict:
    from matplotlib.colors import AsinhNorm

    sizes = np.abs(gaps[np.isfinite(gaps) & (gaps != 0)])
    top = float(np.percentile(sizes, STRONG_PERCENTILE)) if sizes.size else 1.0
    return {"cmap": "RdBu_r", "norm": AsinhNorm(linear_width=LINEAR * top, vmin=-top, vmax=top)}


def _figure(panels: Sequence[tuple], factor: int, shape: tuple[int, int], regions: Sequence[Rectangle]):
    """A matplotlib Figure with the panels side by side, on a canvas of its own."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle as Frame

    slow, fast = shape
    edge = 7.0 if len(panels) == 1 else 4.6
    ratio = min(max(slow / fast, 0.4), 2.5)
    figure = Figure(figsize=((edge + 1.0) * len(panels), edge * ratio + 0.7), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (blocks, scale, title, label, extend) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        axes.set_facecolor(MISSING_COLOUR)
        drawn = axes.imshow(
            np.ma.masked_invalid(np.clip(blocks, scale["norm"].vmin, scale["norm"].vmax)),
            extent=(0, blocks.shape[1] * factor, blocks.shape[0] * factor, 0),
            interpolation="nearest",
            aspect="equal" if max(shape) <= 8 * min(shape) else "auto",
            **scale,
        )
        axes.set_xlim(0, fast)
        axes.set_ylim(slow, 0)
        axes.set_xlabel("fast (pixels)")
        axes.set_ylabel("slow (pixels)")
        axes.set_title(encodable(title), fontsize=10, parse_math=False)
        of = f"\nof {factor} x {factor} pixels" if factor > 1 else ""
        bar = figure.colorbar(drawn, ax=axes, shrink=0.8, pad=0.02, extend=extend)
        bar.set_label(f"{label} (log-like scale: asinh){of}")
        for region in regions:
            rows, columns = region.slices
            size = (columns.stop - columns.start, rows.stop - rows.start)
            axes.add_patch(
                Frame((columns.start, rows.start), *size, fill=False, edgecolor=REGION_COLOUR, linewidth=0.8)
            )
    return figure
