"""A picture of one frame of a dataset, or a page that shows it in a browser."""

from __future__ import annotations

import math
import os
from dataclasses import replace

from tilesim.errors import InputError
from tilesim.files.inventory import NamedFile, check_files
from tilesim.files.reading import printable
from tilesim.frozen import frozen
from tilesim.images.dataset import Dataset
from tilesim.images.pixels import check_number
from tilesim.model.noun import counted
from tilesim.model.sampling import Region
from tilesim.pictures.grey import grey_of
from tilesim.pictures.page import TILE, save_page
from tilesim.pictures.picture import Drawing, border_of, default_title, save_picture
from tilesim.pictures.view import View
from tilesim.tools.look import Subject, look, overlay, reduced

SIZE, PAGE_SIZE = 1000, 2048
"""Blocks along the longer edge of an image in a picture, and in a page: it is some MB large then."""
LARGEST_EDGE, LARGEST = 30000, 10**8
"""Pixels of a picture along an edge, and of all of it."""


@frozen
class PreviewChoices:
    """How an image is drawn."""

    region: Region | None = None
    """Pixels to draw; None: all"""
    size: int | None = None
    """Blocks along the longer edge, about"""
    zoom: float | None = None
    """Pixels of the picture for one of the image, instead of a size"""
    scale: str = "auto"
    """Grey scale: auto, log, linear or sqrt"""
    low: float | None = None
    """Value shown white"""
    high: float | None = None
    """Value shown black"""
    rings: bool | None = None
    """Whether resolution rings are drawn; None: where the geometry is known"""
    spots: int = 0
    """Brightest predicted reflections in view to label"""
    profile: bool = False
    """Whether the radial profile is drawn beside the image"""
    histogram: bool = False
    """Whether the histogram of pixel values is drawn beside the image"""
    stack: bool = False
    """Whether panels are drawn one below the other, not assembled by their geometry"""
    title: str | None = None
    """The line above; None: wavelength, distance, oscillation"""

    def __post_init__(self) -> None:
        for name, option in (("low", "--min"), ("high", "--max"), ("zoom", "--zoom")):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise InputError(f"{option} is {value}; expected a finite number")
        if self.zoom is not None and not 1e-4 <= self.zoom <= 1000:
            raise InputError(f"--zoom is {self.zoom:g}; expected 0.0001 to 1000")
        if self.zoom is not None and self.size is not None:
            raise InputError("--zoom and --size say the same thing; expected one of them")
        if self.scale not in ("auto", "log", "linear", "sqrt"):
            raise InputError(f"--scale is {self.scale!r}; expected auto, log, linear or sqrt")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise InputError(f"--min {self.low:g} --max {self.high:g}; expected a minimum below the maximum")
        if self.scale == "log":
            for option, value in (("--min", self.low), ("--max", self.high)):
                if value is not None and value <= 0:
                    raise InputError(f"{option} is {value:g}; a log scale needs a number above 0")


@frozen
class PreviewReport:
    """What there is to say of a picture that was written."""

    said: tuple[str, ...] = ()
    """What it shows that was counted, one line each"""
    remarks: tuple[str, ...] = ()
    """What could not be drawn, one line each"""


def draw_dataset(
    data: Dataset,
    out: str | os.PathLike[str],
    place: int = 0,
    panel: int | None = None,
    choices: PreviewChoices | None = None,
) -> PreviewReport:
    """Write a PNG, or a page where the name ends in .html.

    place  of the frame, counted from 0
    panel  None: all panels, assembled by their geometry

    Raises InputError, StoreError.
    """
    name, choices = os.fspath(out), choices or PreviewChoices()
    page = is_page(name)
    check_files(data.inputs, [NamedFile("OUT", name)])
    subject = subject_of(data, place, panel, choices)
    region = choices.region or subject.whole
    return (_draw_page if page else _draw_picture)(subject, region, name, choices)


def shown_shape(data: Dataset, place: int, panel: int | None, choices: PreviewChoices) -> tuple[int, int]:
    """Pixels (slow, fast) that a region is of. Raises InputError."""
    return subject_of(data, place, panel, choices).image.shape


def subject_of(data: Dataset, place: int, panel: int | None, choices: PreviewChoices) -> Subject:
    """What is drawn; panels whose geometry is not known are stacked."""
    if panel is not None:
        check_number(data.path, "panel", panel, data.panels)
    elif data.panels == 1:
        panel = 0
    return Subject(data, place, panel, choices.stack or bool(data.unknown))


def is_page(name: str) -> bool:
    """Whether a name is that of a page; a picture otherwise. Raises InputError where it is neither."""
    lower = name.lower()
    if not lower.endswith((".html", ".htm", ".png")):
        raise InputError(f"{printable(name)}: expected a name that ends in .png or .html")
    return not lower.endswith(".png")


def _draw_picture(subject: Subject, region: Region, out: str, choices: PreviewChoices) -> PreviewReport:
    size = choices.size or SIZE
    view = _view(subject, region, size, choices.zoom)
    if choices.zoom is None:
        enlarged = max(1, size // max(view.blocks.shape))
    else:
        enlarged = max(1, round(choices.zoom * view.factor))
    _check_size(view, enlarged)
    drawing, drawn = _drawing(subject, view, choices)
    save_picture(out, replace(drawing, enlarged=enlarged))
    return drawn


def _draw_page(subject: Subject, region: Region, out: str, choices: PreviewChoices) -> PreviewReport:
    view = _view(subject, region, choices.size or PAGE_SIZE, choices.zoom)
    _check_size(view, 1)
    drawing, drawn = _drawing(subject, view, choices)
    views = [view]
    while max(views[-1].blocks.shape) > 2 * TILE:
        views.append(reduced(subject, region, views[-1].factor * 2))
    save_page(out, drawing, views[1:], subject.geometry, choices.rings is not False)
    return drawn


def _view(subject: Subject, region: Region, size: int, zoom: float | None) -> View:
    if zoom is None:
        return look(subject, region, size)
    return reduced(subject, region, 2 ** max(0, round(math.log2(1 / zoom))))


def _check_size(view: View, enlarged: int) -> None:
    rows, columns = (n * enlarged for n in view.blocks.shape)
    if max(rows, columns) > LARGEST_EDGE or rows * columns > LARGEST:
        raise InputError(f"the picture would have {columns} x {rows} pixels; expected a smaller --zoom or --region")


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
        _title(subject, choices.title),
        drawn.rings,
        drawn.centre,
        drawn.labels,
        _border(subject),
        drawn.curves,
    )
    said = [] if drawn.reflections is None else [counted(drawn.reflections, "reflection") + " predicted in view"]
    said = [f"{line}, {len(drawn.labels)} of them labelled" for line in said]
    return drawing, PreviewReport(tuple(said), tuple(drawn.remarks))


def _border(subject: Subject) -> Region | None:
    """The border of what was rendered; of one panel."""
    if subject.experiment is None or subject.panel_number is None:
        return None
    return border_of(subject.experiment.of_panel(subject.panel_number).region, subject.image.shape)


def _title(subject: Subject, given: str | None) -> str:
    """The line above: what was asked for, or what is known."""
    if given is not None:
        return given
    data, experiment = subject.data, subject.experiment
    panel = subject.panel or (experiment and experiment.detector.panels[0])
    parts = [default_title(panel, experiment.beam, experiment.scan)] if experiment else []
    parts += [f"frame {data.frames[subject.place]}"] if len(data) > 1 else []
    if data.panels > 1:
        shown = "stacked" if subject.stack else "assembled"
        number = subject.panel_number
        parts.append(f"{data.panels} panels {shown}" if number is None else f"panel {number}")
    return ", ".join(parts)
