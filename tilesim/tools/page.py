"""A page of one frame of a dataset or of several; each is read once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tilesim.errors import InputError
from tilesim.images.dataset import Dataset
from tilesim.pictures.coding import coded
from tilesim.pictures.grey import grey_of
from tilesim.pictures.page import FRAME, THUMBNAIL, Page, Picture, save_page
from tilesim.pictures.view import View
from tilesim.tools.embedding import Embedding, with_levels
from tilesim.tools.framevalues import blank_frames, columns_of, incomplete_frames, labels_of, spectra_of
from tilesim.tools.look import NO_SPOTS, Subject
from tilesim.tools.previewchoices import (
    PreviewChoices,
    PreviewReport,
    Shown,
    check_size,
    report_of,
    series_title,
    title_of,
    view_of,
)
from tilesim.tools.projections import Projections
from tilesim.tools.scenes import Scenes

PAGE_SIZE = 2048
"""Blocks along the longer edge of an image in a page, about: it is some MB large then."""
MOST = 1000
"""Frames of a page."""
SAMPLE = 2**21
"""Blocks of all frames by which their scale of grey is chosen, about."""


def draw_page(shown: Shown, out: str, on_frame: Callable[[], None]) -> PreviewReport:
    """Write a page of some frames. Raises InputError, StoreError."""
    if len(shown.places) == 1:
        return _draw_frame(shown.subject(shown.places[0]), out, shown.choices)
    shown.check_several("a page", MOST, ("profile", "histogram"), f"such as --frame 0:{MOST}")
    _check_spots(shown.data, shown.places, shown.choices)
    frames = _PageFrames(shown)
    for place in shown.places:
        frames.take(place)
        on_frame()
    save_page(out, frames.page())
    unlabelled = shown.choices.spots and not any(picture.labels for picture in frames.pictures)
    return PreviewReport(remarks=(NO_SPOTS,) if unlabelled else ())


def _check_spots(data: Dataset, places: Sequence[int], choices: PreviewChoices) -> None:
    """Raise InputError where reflections are asked for and no frame has a crystal."""
    if choices.spots and not data.unknown and all(data.experiment(place).crystal is None for place in places):
        raise InputError("--spots needs a crystal, which no frame has; expected frames with one")


class _PageFrames:
    """The frames of a page, as they are read: what is embedded of each, and what is made of all."""

    def __init__(self, shown: Shown) -> None:
        self.pictures: list[Picture] = []
        data, places, choices = shown.data, shown.places, shown.choices
        self._shown, self._data, self._places, self._choices = shown, data, places, choices
        self._incomplete, self._blank = incomplete_frames(data), blank_frames(data)
        self._labels = dict(zip(places, labels_of(data, places), strict=True))
        self._scenes, self._projections = Scenes(choices, several=True), Projections()
        self._samples: dict[str, list[np.ndarray]] = {FRAME: [], THUMBNAIL: []}

    def take(self, place: int) -> None:
        """Read one more frame."""
        subject = self._shown.subject(place)
        view = _view(subject, self._choices, means=True)
        if not self.pictures:
            self._subject, self._view = subject, view
            self._embedding = Embedding.of(view.blocks.shape, len(self._places))
        scene, over = self._scenes.take(subject, view)
        views = self._embedding.views(len(self.pictures), view)
        self._projections.add(view)
        for kind, one in ((FRAME, views[0]), (THUMBNAIL, views[-1])):
            self._samples[kind].append(_sample(one.blocks, len(self._places)))
        state, number = self._state(place, view), self._data.frames[place]
        self.pictures.append(
            Picture(self._labels[place], coded(views, thumbnail=True), scene, FRAME, number, state, over.labels)
        )

    def page(self) -> Page:
        """The page of all that were read."""
        choices, view = self._choices, self._view
        greys = {
            kind: grey_of(np.concatenate(samples)[None], choices.scale, choices.low, choices.high)
            for kind, samples in self._samples.items()
        }
        pictures = [*self.pictures]
        scene = self._scenes.shared(view)
        for kind, (label, projected) in self._projections.views.items():
            greys[kind] = grey_of(projected.blocks, choices.scale)
            pictures.append(Picture(label, coded(self._embedding.projected(projected)), scene, kind))
        return Page(
            series_title(self._subject, len(self._places), choices.title),
            pictures,
            self._scenes.all,
            greys,
            columns_of(self._data, self._places),
            spectra_of(self._data, self._places),
            " ".join([self._embedding.described(view), self._projections.described]),
            choices.rings is not False,
        )

    def _state(self, place: int, view: View) -> str:
        if not np.isfinite(view.blocks).any():
            return "missing"
        said = {"blank": self._blank, "incomplete": self._incomplete}
        return ", ".join(state for state, frames in said.items() if place in frames)


def _view(subject: Subject, choices: PreviewChoices, means: bool = False) -> View:
    """What is read of a frame."""
    region = choices.region or subject.whole
    view = view_of(subject, region, choices.size or PAGE_SIZE, choices.zoom, means)
    check_size(view, 1)
    return view


def _sample(blocks: np.ndarray, frames: int) -> np.ndarray:
    """Blocks of one of so many frames, at odd steps: no column is taken alone."""
    taken: np.ndarray = blocks.ravel()[:: -(-blocks.size * frames // SAMPLE) | 1]
    return taken


def _draw_frame(subject: Subject, out: str, choices: PreviewChoices) -> PreviewReport:
    """Write a page of one frame."""
    view = _view(subject, choices)
    scenes = Scenes(choices, several=False)
    scene, over = scenes.take(subject, view)
    picture = Picture("", coded(with_levels(view)), scene, labels=over.labels)
    page = Page(
        title_of(subject, choices.title),
        [picture],
        scenes.all,
        {FRAME: grey_of(view.blocks, choices.scale, choices.low, choices.high)},
        show_rings=choices.rings is not False,
        curves=over.curves,
        units=view.units,
    )
    save_page(out, page)
    return report_of(over)
