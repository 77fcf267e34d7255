"""A picture of detectors side by side: the outlines of their modules, all at one scale."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping

import numpy as np

from tilesim.files.replace import replacing
from tilesim.pictures.style import own_style

COLUMNS = 4
CELL_INCHES = 2.6
MARGIN = 1.06
MODULE_COLOUR, EDGE_COLOUR, BEAM_COLOUR = "#c6d8ea", "#1f4e79", "#d62728"


@own_style()
def draw_outlines(path_png: str | os.PathLike[str], detectors: Mapping[str, np.ndarray]) -> None:
    """Draw detectors as seen along the incident beam, a cross where it arrives.

    detectors  by title: corners of every module, (module, corner, xy), metres from the incident beam
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(detectors))
    rows = math.ceil(len(detectors) / columns)
    reach = MARGIN * 1e3 * max(float(np.abs(outlines).max()) for outlines in detectors.values())
    figure = Figure((columns * CELL_INCHES, rows * CELL_INCHES), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    for number, (title, outlines) in enumerate(detectors.items()):
        axes = figure.add_subplot(rows, columns, number + 1, aspect="equal")
        axes.add_collection(PolyCollection(1e3 * outlines, facecolor=MODULE_COLOUR, edgecolor=EDGE_COLOUR, lw=0.5))
        axes.plot([0], [0], "+", color=BEAM_COLOUR)
        # The slow axis runs down, as in every picture of an image.
        axes.set(xlim=(-reach, reach), ylim=(reach, -reach))
        axes.set_title(title, fontsize=10)
        axes.tick_params(labelsize=7)
        if number >= len(detectors) - columns:
            axes.set_xlabel("mm", fontsize=8)
    with replacing(path_png) as file:
        figure.savefig(file, format="png")
