"""Scenes of the frames of a page: frames of one geometry share theirs."""

from __future__ import annotations

from typing import Any

from tilesim.model import Panel
from tilesim.pictures.page import Scene
from tilesim.pictures.view import View
from tilesim.tools.look import Overlay, Subject, overlay
from tilesim.tools.previewchoices import PreviewChoices, rendered_border


class Scenes:
    """What is drawn over frames, as they come."""

    def __init__(self, choices: PreviewChoices, several: bool) -> None:
        self.all: list[Scene] = []
        self._choices, self._several = choices, several
        self._numbers: dict[Any, int] = {}

    def take(self, subject: Subject, view: View) -> tuple[int, Overlay]:
        """Number of the scene of a frame, and all that is drawn over it."""
        choices, key = self._choices, _key(subject, view)
        known = key in self._numbers
        # Of a series some shots may be blank.
        blank = self._several and subject.experiment is not None and subject.experiment.crystal is None
        over = overlay(
            subject,
            view,
            rings=False if known else choices.rings,
            spots=0 if blank else choices.spots,
            profile=choices.profile,
            histogram=choices.histogram,
        )
        if not known:
            self._numbers[key] = len(self.all)
            self.all.append(_scene(subject, view, over))
        return self._numbers[key], over

    def shared(self, view: View) -> int:
        """Number of the scene of what is made of all frames: theirs where they have one, otherwise what they share."""
        if len(self.all) > 1:
            self.all.append(_shared(self.all, view))
        return len(self.all) - 1


def _shared(scenes: list[Scene], view: View) -> Scene:
    """Panels alone, where these are the same in all."""
    first = scenes[0]
    planes = [(one.geometry and one.geometry[0], tuple(one.assembled), tuple(one.stacked)) for one in scenes]
    if any(plane != planes[0] for plane in planes):
        return Scene(view.region)
    geometry = first.geometry and (first.geometry[0], None)
    return Scene(view.region, geometry=geometry, assembled=first.assembled, stacked=first.stacked)


def _key(subject: Subject, view: View) -> Any:
    """What rings and places follow from."""
    if subject.experiment is None:
        return view.region
    beam = subject.experiment.beam
    panels = subject.experiment.detector.panels
    return view.region, panels, beam.direction, beam.wavelength, rendered_border(subject)


def _scene(subject: Subject, view: View, over: Overlay) -> Scene:
    assembled: tuple[Panel, ...] = () if subject.assembly is None else subject.assembly.panels
    stacked = subject.data.panels if subject.panel_number is None and not assembled else 0
    return Scene(
        view.region,
        over.rings,
        over.centre,
        rendered_border(subject),
        subject.geometry,
        assembled,
        (subject.data.shape[0],) * stacked,
    )
