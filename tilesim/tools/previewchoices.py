"""What is asked of a picture, a contact sheet or a page, and what of a dataset it is drawn of."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

from tilesim.errors import InputError
from tilesim.files.reading import printable
from tilesim.frozen import frozen
from tilesim.images.dataset import Dataset
from tilesim.images.pixels import check_number
from tilesim.model.noun import counted
from tilesim.model.sampling import Region
from tilesim.pictures.picture import border_of, default_title
from tilesim.pictures.view import View
from tilesim.tools.look import Overlay, Subject, look, reduced

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


@frozen(eq=False)
class Shown:
    """Frames of a dataset that are drawn together, and how."""

    data: Dataset
    places: Sequence[int]
    """Places of the frames, counted from 0"""
    panel: int | None
    """None: all panels, assembled by their geometry"""
    choices: PreviewChoices

    def subject(self, place: int) -> Subject:
        """One of the frames. Raises InputError."""
        return subject_of(self.data, place, self.panel, self.choices)

    def check_several(self, what: str, most: int, options: Sequence[str], expected: str) -> None:
        """Raise InputError for more frames than `most`, or a choice that is for pictures of one frame."""
        if len(self.places) > most:
            raise InputError(f"{what} of {len(self.places)} frames; expected up to {most}, {expected}")
        for name in options:
            if getattr(self.choices, name):
                raise InputError(f"--{name} is not for {what} of several frames; expected one frame, or {expected}")


@frozen
class PreviewReport:
    """What there is to say of a picture that was written."""

    said: tuple[str, ...] = ()
    """What it shows that was counted, one line each"""
    remarks: tuple[str, ...] = ()
    """What could not be drawn, one line each"""


def report_of(drawn: Overlay) -> PreviewReport:
    """What there is to say of a picture of one frame."""
    said = [] if drawn.reflections is None else [counted(drawn.reflections, "reflection") + " predicted in view"]
    return PreviewReport(tuple(f"{line}, {len(drawn.labels)} of them labelled" for line in said), tuple(drawn.remarks))


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


def view_of(subject: Subject, region: Region, size: int, zoom: float | None, means: bool = False) -> View:
    """A region in about `size` blocks, or at a zoom. Raises InputError, StoreError."""
    if zoom is None:
        return look(subject, region, size, means)
    return reduced(subject, region, 2 ** max(0, round(math.log2(1 / zoom))), means)


def check_size(view: View, enlarged: int) -> None:
    """Raise InputError where a picture would be too large."""
    rows, columns = (n * enlarged for n in view.blocks.shape)
    if max(rows, columns) > LARGEST_EDGE or rows * columns > LARGEST:
        raise InputError(f"the picture would have {columns} x {rows} pixels; expected a smaller --zoom or --region")


def rendered_border(subject: Subject) -> Region | None:
    """The border of what was rendered; of one panel."""
    if subject.experiment is None or subject.panel_number is None:
        return None
    return border_of(subject.experiment.of_panel(subject.panel_number).region, subject.image.shape)


def title_of(subject: Subject, given: str | None) -> str:
    """The line above: what was asked for, or what is known."""
    if given is not None:
        return given
    data, experiment = subject.data, subject.experiment
    panel = subject.panel or (experiment and experiment.detector.panels[0])
    parts = [default_title(panel, experiment.beam, experiment.scan)] if experiment else []
    parts += [f"frame {data.frames[subject.place]}"] if len(data) > 1 else []
    return ", ".join([*parts, *_panels(subject)])


def series_title(subject: Subject, frames: int, given: str | None) -> str:
    """The same of several frames."""
    if given is not None:
        return given
    name = os.path.basename(subject.data.path.rstrip("/"))
    return ", ".join([name, counted(frames, "frame"), *_panels(subject)])


def _panels(subject: Subject) -> list[str]:
    """Which panels are shown, and how; nothing where there is one."""
    if subject.data.panels == 1:
        return []
    number = subject.panel_number
    shown = "stacked" if subject.stack else "assembled"
    return [f"{subject.data.panels} panels {shown}" if number is None else f"panel {number}"]
