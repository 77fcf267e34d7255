"""A picture of a refinement: what was measured, and the residuals before and after, in standard deviations."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tilesim.engine.lazy import simulate_now
from tilesim.files.replace import replacing
from tilesim.model import Experiment
from tilesim.pictures.grey import grey_of
from tilesim.pictures.picture import MISSING_COLOUR
from tilesim.pictures.style import own_style
from tilesim.pictures.view import block_maxima
from tilesim.refinement.measured import Measured
from tilesim.refinement.residuals import Weighting
from tilesim.tiling.tile import Tile

Array = npt.NDArray[np.float64]
DOTS_PER_INCH = 110
LONG_EDGE = 600
"""Images are reduced until their longer edge has at most so many blocks."""
MOST_DEVIATIONS = 10.0
"""Standard deviations that have the deepest colour."""


def draw_residuals(
    path: str, measured: Measured, frame: int, before: Experiment, after: Experiment, weighting: Weighting
) -> None:
    """Draw one frame, its panels one below the other, as a PNG. Raises StoreError."""
    height, width = before.panel_shape
    tiles = [Tile(0, panel, 0, height, 0, width) for panel in range(len(before.detector.panels))]
    counts = np.concatenate([measured.photons(tile, frame) for tile in tiles])
    if before.mask is not None:
        counts = np.where(before.mask.active, counts, np.nan)
    over = np.concatenate([np.broadcast_to(measured.background(tile, frame), tile.shape) for tile in tiles])
    residuals = [_residuals(counts - over, one, weighting, over) for one in (before, after)]
    factor = -(-max(counts.shape) // LONG_EDGE)
    _draw(path, _blocks(counts, factor), [_extremes(one, factor) for one in residuals], factor, counts.shape)


def _residuals(counts: Array, experiment: Experiment, weighting: Weighting, background: Array) -> Array:
    expected = np.asarray(simulate_now(experiment), np.float64).reshape(counts.shape)
    found: Array = (counts - expected) / np.sqrt(expected + background + weighting.constant)
    return found


def _blocks(image: Array, factor: int) -> Array:
    """The largest pixel of every block."""
    found: Array = block_maxima(iter([(0, image)]), image.shape, factor)
    return found


def _extremes(image: Array, factor: int) -> Array:
    """The pixel of every block that is farthest from 0."""
    high, low = _blocks(image, factor), -_blocks(-image, factor)
    return np.where(np.abs(low) > np.abs(high), low, high)


@own_style()
def _draw(path: str, counts: Array, residuals: list[Array], factor: int, shape: tuple[int, ...]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    slow, fast = shape
    ratio = min(max(slow / fast, 0.4), 2.5)
    figure = Figure(figsize=(15.0, 4.4 * ratio + 0.7), layout="constrained")
    FigureCanvasAgg(figure)
    colours = {"cmap": "RdBu_r", "norm": Normalize(-MOST_DEVIATIONS, MOST_DEVIATIONS)}
    norm = grey_of(counts).norm()
    grey = {"cmap": "gray_r", "norm": norm}
    panels = [
        (np.clip(counts, norm.vmin, norm.vmax), grey, "measured", "photons / pixel", "max"),
        (residuals[0], colours, "residuals before", "standard deviations", "both"),
        (residuals[1], colours, "residuals after", "standard deviations", "both"),
    ]
    for axes, (image, scale, title, label, extend) in zip(figure.subplots(1, 3), panels, strict=True):
        axes.set_facecolor(MISSING_COLOUR)
        extent = (0, image.shape[1] * factor, image.shape[0] * factor, 0)
        drawn = axes.imshow(np.ma.masked_invalid(image), extent=extent, interpolation="nearest", **scale)
        axes.set_xlim(0, fast)
        axes.set_ylim(slow, 0)
        axes.set_xlabel("fast (pixels)")
        axes.set_ylabel("slow (pixels)")
        axes.set_title(title, fontsize=10)
        figure.colorbar(drawn, ax=axes, shrink=0.8, pad=0.02, extend=extend).set_label(label)
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=DOTS_PER_INCH)
