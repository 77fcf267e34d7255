"""Frames of a dataset, drawn: a picture, a contact sheet, or a page for a browser."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

from tilesim.files.inventory import NamedFile, check_files
from tilesim.images.dataset import Dataset
from tilesim.pictures.grey import grey_of
from tilesim.pictures.picture import Drawing, save_picture
from tilesim.pictures.view import View
from tilesim.tools.contactsheet import draw_sheet
from tilesim.tools.look import Subject, overlay
from tilesim.tools.page import draw_page
from tilesim.tools.previewchoices import (
    PreviewChoices,
    PreviewReport,
    Shown,
    check_size,
    is_page,
    rendered_border,
    report_of,
    title_of,
    view_of,
)

SIZE = 1000
"""Blocks along the longer edge of an image in a picture."""


def draw_dataset(
    data: Dataset,
    out: str | os.PathLike[str],
    places: Sequence[int] = (0,),
    panel: int | None = None,
    choices: PreviewChoices | None = None,
    on_frame: Callable[[], None] = lambda: None,
) -> PreviewReport:
    """Write a PNG, of several frames a contact sheet, or a page of all of them where the name ends in .html.

    places    of the frames, counted from 0
    panel     None: all panels, assembled by their geometry
    on_frame  called when a frame was read

    Raises InputError, StoreError.
    """
    name, choices = os.fspath(out), choices or PreviewChoices()
    page = is_page(name)
    check_files(data.inputs, [NamedFile("OUT", name)])
    shown = Shown(data, places, panel, choices)
    if page:
        return draw_page(shown, name, on_frame)
    if len(places) > 1:
        return draw_sheet(shown, name, on_frame)
    return _draw_picture(shown.subject(places[0]), name, choices)


def _draw_picture(subject: Subject, out: str, choices: PreviewChoices) -> PreviewReport:
    size = choices.size or SIZE
    view = view_of(subject, choices.region or subject.whole, size, choices.zoom)
    if choices.zoom is None:
        enlarged = max(1, size // max(view.blocks.shape))
    else:
        enlarged = max(1, round(choices.zoom * view.factor))
    check_size(view, enlarged)
    drawing, drawn = _drawing(subject, view, choices)
    save_picture(out, replace(drawing, enlarged=enlarged))
    return drawn


def _drawing(subject: Subject, view: View, choices: PreviewChoices) -> tuple[Drawing, PreviewReport]:
    """The view with all that is drawn over and beside it, and what there is to say of it."""
    drawn = overlay(
        subject,
        view,
        rings=choices.rings,
        spots=choices.spots,
        profile=choices.profile,
        histogram=choices.histogram,
    )
    drawing = Drawing(
        view,
        grey_of(view.blocks, choices.scale, choices.low, choices.high),
        title_of(subject, choices.title),
        drawn.rings,
        drawn.centre,
        drawn.labels,
        rendered_border(subject),
        drawn.curves,
    )
    return drawing, report_of(drawn)
