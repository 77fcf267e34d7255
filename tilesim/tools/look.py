"""The subject of a preview: an image with its geometry, reduced to blocks from the coarsest level that is enough."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from tilesim.errors import InputError, StoreError
from tilesim.files.reading import printable
from tilesim.frozen import frozen
from tilesim.geometry.assembly import Assembly
from tilesim.geometry.prediction import predicted
from tilesim.geometry.resolution import beam_centre
from tilesim.images.assembled import AssembledImage
from tilesim.images.dataset import Dataset
from tilesim.images.pixels import BlockImage, Image
from tilesim.model import Beam, Experiment, Panel
from tilesim.model.sampling import Region
from tilesim.pictures.curves import Curves, measure
from tilesim.pictures.labels import Label, brightest, in_view
from tilesim.pictures.rings import Ring, rings_on, stacked_centre, stacked_rings
from tilesim.pictures.view import MAXIMUM, MEAN, BlockMeans, View, block_maxima
from tilesim.store.levels import Level, levels_there, open_level
from tilesim.store.metadata import UNREADABLE
from tilesim.store.place import store_errors

NO_SPOTS = "no predicted spot in view is brighter than the background"
BAND_PIXELS = 2**21
"""Pixels that are in memory at a time."""


@frozen
class Subject:
    """One frame of one panel of a dataset, and what is known of it."""

    data: Dataset
    place: int = 0
    """Number of the frame, counted from 0"""
    panel_number: int | None = 0
    """Which panel; None: all of them"""
    stack: bool = False
    """Whether all panels are one below the other; otherwise they are assembled"""

    @cached_property
    def image(self) -> Image:
        """Its pixels; NaN where they have no value."""
        if self.assembly is not None:
            images = [self.data.numbers(self.place, number) for number in range(self.data.panels)]
            return AssembledImage(images, self.assembly)
        return self.data.numbers(self.place, self.panel_number)

    @cached_property
    def assembly(self) -> Assembly | None:
        """Where all panels are on a common plane; None where one is shown, or a stack. Raises InputError."""
        if self.panel_number is not None or self.stack or self.experiment is None:
            return None
        try:
            return Assembly.of(self.experiment.detector.panels)
        except InputError as error:
            raise InputError(f"{error}; --stack draws them one below the other, --panel N one of them") from error

    @cached_property
    def experiment(self) -> Experiment | None:
        """None where it is not known."""
        return None if self.data.unknown else self.data.experiment(self.place)

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """Coarser ones, of a store; a stack has none."""
        stacked = self.panel_number is None and self.assembly is None
        return levels_there(self.data.store)[1:] if self.data.store and not stacked else ()

    @property
    def units(self) -> str:
        return self.data.units.replace("/", " / ")

    @property
    def panel(self) -> Panel | None:
        """The panel, or the plane of all; None where the geometry is not known, or of a stack."""
        if self.panel_number is None:
            return self.assembly and self.assembly.plane
        return self.experiment and self.experiment.detector.panels[self.panel_number]

    @property
    def geometry(self) -> tuple[Panel, Beam] | None:
        """What resolution follows from."""
        return (self.panel, self.experiment.beam) if self.experiment and self.panel else None

    @property
    def whole(self) -> Region:
        return Region(0, self.image.shape[0], 0, self.image.shape[1])


def look(subject: Subject, region: Region, blocks: float, means: bool = False) -> View:
    """A region in about `blocks` blocks along its longer edge: of 1, 2, 4, ... pixels, and rounded to whole ones.

    From a store with coarser levels they are means, from the coarsest that is enough. Otherwise they are maxima, and
    the region is read whole, a band at a time. Raises InputError or StoreError where it cannot be read.
    """
    edge = max(region.slow_stop - region.slow_start, region.fast_stop - region.fast_start)
    return reduced(subject, region, 2 ** max(0, round(math.log2(max(edge / blocks, 1)))), means)


def reduced(subject: Subject, region: Region, factor: int, means: bool = False) -> View:
    """A region in blocks of `factor` pixels, a power of two. Raises InputError or StoreError.

    means  whether the view has the means of its blocks, too
    """
    region = widened(region, factor, subject.image.shape)
    level = next((level for level in subject.levels if level.factor == factor), None)
    if level is None and subject.levels and factor > subject.levels[-1].factor:
        level = subject.levels[-1]
        # Nobody needs fewer blocks than the coarsest level has.
        return reduced(subject, region, level.factor, means)
    if level is not None:
        return View(_level_blocks(subject, level, region), region, factor, MEAN, subject.units)
    shape = (region.slow_stop - region.slow_start, region.fast_stop - region.fast_start)
    bands = ((top - region.slow_start, band) for top, _, band in region_bands(subject, region, factor))
    if not means or factor == 1:
        return View(block_maxima(bands, shape, factor), region, factor, MAXIMUM, subject.units)
    both = BlockMeans(factor)
    maxima = block_maxima(both.watching(bands), shape, factor)
    return View(maxima, region, factor, MAXIMUM, subject.units, both.blocks)


def widened(region: Region, factor: int, shape: tuple[int, int]) -> Region:
    """The region that begins and ends on whole blocks, or with the image."""
    starts = (region.slow_start // factor * factor, region.fast_start // factor * factor)
    stops = (-(-region.slow_stop // factor) * factor, -(-region.fast_stop // factor) * factor)
    slow, fast = (min(stop, n) for stop, n in zip(stops, shape, strict=True))
    return Region(starts[0], slow, starts[1], fast)


def region_bands(subject: Subject, region: Region, multiple: int = 1) -> Iterator[tuple[int, int, np.ndarray]]:
    """First row, first column and pixels of one band of a region after the other, of rows that `multiple` divides."""
    chunk = subject.image.chunk
    width = region.fast_stop - region.fast_start
    rows = max(1, BAND_PIXELS // width)
    if chunk is not None:
        # A row of chunks is unpacked at once anyway.
        rows = max(rows // chunk[0], 1) * chunk[0]
    rows = max(rows // multiple, 1) * multiple
    columns = slice(region.fast_start, region.fast_stop)
    for top in range(region.slow_start, region.slow_stop, rows):
        bottom = min(top + rows, region.slow_stop)
        yield top, region.fast_start, subject.image.block(slice(top, bottom), columns)


def _level_blocks(subject: Subject, level: Level, region: Region) -> np.ndarray:
    """Blocks (slow, fast) of a level of a store."""
    rows = slice(region.slow_start // level.factor, -(-region.slow_stop // level.factor))
    columns = slice(region.fast_start // level.factor, -(-region.fast_stop // level.factor))
    with store_errors(subject.data.path, "read"):
        return _level_image(subject, level).block(rows, columns)


def _level_image(subject: Subject, level: Level) -> Image:
    """A level of a store as an image, of the panel or the plane."""
    array = open_level(subject.data.store, level)
    if subject.assembly is None:
        return LevelImage(subject.data.path, level, array, subject.place, subject.panel_number)
    images = [LevelImage(subject.data.path, level, array, subject.place, n) for n in range(subject.data.panels)]
    return AssembledImage(images, subject.assembly.coarser(level.factor))


class LevelImage(BlockImage):
    """One panel of a coarser level, as floats."""

    dtype = np.dtype(np.float64)

    def __init__(self, path: str, level: Level, array: Any, place: int, panel: int | None) -> None:
        self.shape = level.shape
        self._path, self._level, self._array = path, level, array
        self._where = (place, panel)[: array.ndim - 2]

    def block(self, rows: slice, columns: slice) -> np.ndarray:
        """The blocks of a part. Raises StoreError on damage."""
        try:
            return np.asarray(self._array[(*self._where, rows, columns)], dtype=np.float64)
        except UNREADABLE as error:
            raise StoreError(
                f"cannot read {self._path}: its {self._level.path} is damaged ({error}); "
                "`tilesim pyramid --overwrite` makes it again"
            ) from error


@frozen
class Overlay:
    """What is drawn over and beside an image."""

    rings: tuple[Ring, ...]
    centre: tuple[float, float] | None
    labels: list[Label]
    reflections: int | None
    """Predicted reflections in view, where some were asked for."""
    curves: Curves
    remarks: list[str]
    """What there is to warn of."""


def overlay(subject: Subject, view: View, *, rings: bool | None, spots: int, profile: bool, histogram: bool) -> Overlay:
    """Rings, beam centre, labels and curves for a view.

    rings  None draws them where the geometry is known
    spots  how many labels at most

    Raises InputError where something was asked for whose geometry is not known.
    """
    for wanted, what in ((rings, "--rings"), (spots, "--spots"), (profile, "--profile")):
        if wanted and subject.experiment is None:
            raise InputError(f"{what} needs the geometry: {subject.data.unknown}")
    for wanted, what in ((spots, "--spots"), (profile, "--profile")):
        if wanted and subject.geometry is None:
            raise InputError(f"{what} needs the panels where they are; expected no --stack")
    if spots and subject.experiment.crystal is None:
        raise InputError(
            f"--spots needs a crystal, which {printable(subject.data.path)} does not state; expected -mat FILE or "
            "-cell among flags behind --"
        )
    drawn, centre = rings_of(subject, view.region, rings)
    labels, count = labels_of(subject, view, spots) if spots else ([], None)
    remarks = [] if labels or not spots else [NO_SPOTS]
    curves = Curves()
    if profile or histogram:
        geometry = subject.geometry if profile else None
        bands = region_bands(subject, view.region)
        curves = measure(bands, view.region, geometry=geometry, histogram=histogram)
    return Overlay(drawn, centre, labels, count, curves, remarks)


def rings_of(
    subject: Subject, region: Region, wanted: bool | None
) -> tuple[tuple[Ring, ...], tuple[float, float] | None]:
    """Resolution rings, unless they are not wanted, and the beam centre; none where the geometry is not known."""
    if subject.experiment is None:
        return (), None
    panels, beam = subject.experiment.detector.panels, subject.experiment.beam
    whole = subject.geometry is None
    centre = stacked_centre(panels, beam) if whole else beam_centre(*subject.geometry)
    if wanted is False:
        return (), centre
    return stacked_rings(panels, beam) if whole else rings_on(*subject.geometry, region), centre


def labels_of(subject: Subject, view: View, count: int) -> tuple[list[Label], int]:
    """Labels of the brightest predicted reflections in view, and how many are predicted there."""
    found = predicted(subject.experiment, subject.panel)
    return brightest(found, view, count), in_view(found, view)
