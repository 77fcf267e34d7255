"""A contact sheet: thumbnails of several frames in one picture, each labelled, on one scale of grey."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from tilesim.files.reading import encodable
from tilesim.files.replace import replacing
from tilesim.images.dataset import Dataset
from tilesim.pictures.grey import grey_of
from tilesim.pictures.picture import BAR_WIDTH, DOTS_PER_INCH, MISSING_COLOUR, Drawing, bar_text, draw_bar
from tilesim.pictures.style import own_style
from tilesim.pictures.view import View
from tilesim.tools.framevalues import blank_frames, labels_of
from tilesim.tools.look import look
from tilesim.tools.previewchoices import PreviewChoices, PreviewReport, Shown, series_title

THUMBNAIL = 220
"""Longer edge of a thumbnail, pixels of the picture, about."""
MOST = 400
"""Thumbnails on a sheet."""
HEAD, GAP, SIDE, LETTER = 26, 10, 190, 7
"""Room above a thumbnail for its label, beside it, for the bar, and for a letter, pixels."""


def draw_sheet(frames: Shown, out: str, on_frame: Callable[[], None]) -> PreviewReport:
    """Write a PNG of thumbnails of some frames. Raises InputError, StoreError."""
    frames.check_several("a contact sheet", MOST, ("spots", "profile", "histogram"), "{frame} in the name")
    choices, places, views = frames.choices, frames.places, []
    for place in places:
        subject = frames.subject(place)
        views.append(look(subject, choices.region or subject.whole, THUMBNAIL))
        on_frame()
    title = series_title(frames.subject(places[0]), len(places), choices.title)
    _save(out, views, _labels(frames.data, places), title, choices)
    return PreviewReport()


def _labels(data: Dataset, places: Sequence[int]) -> list[str]:
    """What stands above each thumbnail."""
    blank = blank_frames(data)
    named = zip(places, labels_of(data, places), strict=True)
    return [label + (", blank" if place in blank else "") for place, label in named]


@own_style()
def _save(path: str, views: Sequence[View], labels: Sequence[str], title: str, choices: PreviewChoices) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    everything = np.concatenate([view.blocks.ravel() for view in views])[None]
    grey = grey_of(everything, choices.scale, choices.low, choices.high)
    columns = math.ceil(math.sqrt(len(views)))
    rows = -(-len(views) // columns)
    shape = views[0].blocks.shape
    enlarged = max(1, THUMBNAIL // max(shape))
    high, wide = (max(60, n * enlarged) for n in shape)
    top = HEAD if title else 0
    sheet = max(rows * (HEAD + high) + GAP, 340)
    page = (GAP + columns * (wide + GAP) + SIDE, top + sheet + GAP)
    figure = Figure(figsize=(page[0] / DOTS_PER_INCH, page[1] / DOTS_PER_INCH), dpi=DOTS_PER_INCH, facecolor="white")
    FigureCanvasAgg(figure)

    def place(left: float, above: float, width: float, height: float):
        return figure.add_axes((left / page[0], 1 - (above + height) / page[1], width / page[0], height / page[1]))

    if title:
        figure.text(GAP / page[0], 1 - 16 / page[1], encodable(title), fontsize=10, parse_math=False)
    for number, (view, label) in enumerate(zip(views, labels, strict=True)):
        row, column = divmod(number, columns)
        axes = place(GAP + column * (wide + GAP), top + row * (HEAD + high) + HEAD, wide, high)
        axes.set_facecolor(MISSING_COLOUR)
        shown = axes.imshow(
            np.ma.masked_invalid(np.clip(view.blocks, grey.low, grey.high)),
            cmap="gray_r",
            norm=grey.norm(),
            interpolation="nearest",
            aspect="auto",
        )
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(_fitting(label, wide), fontsize=9, loc="left", pad=3, parse_math=False)
    bar = draw_bar(shown, place(GAP + columns * (wide + GAP) + GAP, top + HEAD, BAR_WIDTH, sheet - HEAD - GAP))
    bar.set_label(bar_text(Drawing(replace(views[0], blocks=everything), grey)), fontsize=9)
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=DOTS_PER_INCH)


def _fitting(label: str, wide: int) -> str:
    """A label, or as much of it as fits in so many pixels."""
    most = wide // LETTER
    return encodable(label if len(label) <= most else label[: most - 1] + "…")
