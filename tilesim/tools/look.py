"""What a preview looks at: an image with its geometry, reduced to blocks from the coarsest level that is enough."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tilesim.errors import InputError, StoreError
from tilesim.formats.image import Image, format_of, open_image
from tilesim.formats.pixels import Banded, check_number
from tilesim.io.reading import printable
from tilesim.model import Beam, Experiment, Panel
from tilesim.model.prediction import predict_spots
from tilesim.model.resolution import beam_centre
from tilesim.model.sampling import Region
from tilesim.preview.curves import Curves, measure
from tilesim.preview.rings import Ring, rings_on
from tilesim.preview.spots import Label, brightest
from tilesim.preview.view import MAXIMUM, MEAN, View, block_maxima
from tilesim.store.levels import Level, levels_there, open_level
from tilesim.store.place import normal_place, store_errors
from tilesim.store.write import UNREADABLE

BAND_PIXELS = 2**21
"""Pixels that are in memory at a time."""


@dataclass(frozen=True)
class Subject:
    """One frame of one panel of anything, and what is known of it."""

    path: str
    image: Image
    frame: int = 0
    panel_number: int = 0
    experiment: Experiment | None = None
    """None where nobody told the geometry."""
    unknown: str = ""
    """Why nobody did."""
    oriented: bool = True
    """Whether the experiment's crystal was told, too."""
    place: str | None = None
    """Of a store."""
    levels: tuple[Level, ...] = ()
    """Coarser ones of it."""
    units: str = "pixel value"

    @property
    def panel(self) -> Panel | None:
        return self.experiment and self.experiment.detector.panels[self.panel_number]

    @property
    def geometry(self) -> tuple[Panel, Beam] | None:
        """What resolution follows from."""
        return (self.panel, self.experiment.beam) if self.experiment else None

    @property
    def whole(self) -> Region:
        return Region(0, self.image.shape[0], 0, self.image.shape[1])


def open_subject(
    path: str,
    *,
    frame: int = 0,
    panel: int = 0,
    shape: tuple[int, int] | None = None,
    flags: Sequence[str] = (),
    strict_c: bool = False,
) -> Subject:
    """A frame of a panel of a store or image file, with the geometry of the store or of nanoBragg `flags`.

    shape  pixels (slow, fast) of a float file; else those of the flags, else it is square

    Raises InputError.
    """
    kind = format_of(path)
    experiment, oriented, unknown = (
        None,
        True,
        "nanoBragg flags behind -- tell it, such as: -- -distance 100 -pixel 0.1 -lambda 1",
    )
    if flags:
        experiment, oriented = _told(flags, strict_c)
        if kind == "float" and shape is None:
            shape = experiment.shape
    count = len(experiment.detector.panels) if experiment else 1
    if kind == "float" and count > 1 and shape == experiment.shape:
        check_number(path, "panel", panel, count)
        image: Image = _StackedPanel(open_image(path, shape=shape, frame=frame), panel, count)
    else:
        image = open_image(path, shape=shape, frame=frame, panel=panel)
    place, levels, units = None, (), "pixel value"
    if kind == "store":
        place = normal_place(path)
        levels = levels_there(place)[1:]
        units = str(open_level(place, levels_there(place)[0]).attrs.get("units") or units).replace("/", " / ")
        if experiment is None:
            from tilesim.tools.source import open_source

            try:
                experiment = open_source(path).experiment(frame)
            except InputError as error:
                unknown = str(error)
    elif kind == "float":
        units = "photons / pixel"
    if experiment is not None:
        panels = experiment.detector.panels
        if panel >= len(panels) or panels[panel].shape != image.shape:
            made = f"{len(panels)} panels of {panels[0].shape[0]} x {panels[0].shape[1]}"
            raise InputError(
                f"{printable(path)}: its panel {panel} has {image.shape[0]} x {image.shape[1]} pixels (slow x fast),"
                f" but the geometry is that of {made}"
            )
    return Subject(os.fspath(path), image, frame, panel, experiment, unknown, oriented, place, levels, units)


class _StackedPanel(Banded):
    """One panel of an image in which panels are stacked along the slow axis."""

    def __init__(self, image: Image, panel: int, panels: int) -> None:
        self.shape = (image.shape[0] // panels, image.shape[1])
        self.dtype, self.panels = image.dtype, panels
        self._image, self._top = image, panel * self.shape[0]

    def block(self, rows: slice, columns: slice) -> np.ndarray:
        first, last, _ = rows.indices(self.shape[0])
        return self._image.block(slice(self._top + first, self._top + last), columns)


def _told(flags: Sequence[str], strict_c: bool) -> tuple[Experiment, bool]:
    """The experiment of nanoBragg flags, and whether they name a crystal; neither that nor amplitudes are needed."""
    from tilesim.nanobragg.argv import read_settings
    from tilesim.nanobragg.resolve import read_command

    settings = read_settings(flags, strict_c=strict_c)
    oriented = settings.cell is not None or settings.matrix_file is not None
    crystal = () if oriented else ("-cell", "100", "100", "100", "90", "90", "90")
    return read_command(("-default_F", "1", *crystal, *flags), strict_c).experiment, oriented


def look(subject: Subject, region: Region, blocks: float) -> View:
    """A region in about `blocks` blocks along its longer edge: of 1, 2, 4, ... pixels, and rounded to whole ones.

    From a store with coarser levels they are means, from the coarsest that is enough. Otherwise they are maxima, and
    the region is read whole, a band at a time. Raises InputError or StoreError where it cannot be read.
    """
    edge = max(region.slow_stop - region.slow_start, region.fast_stop - region.fast_start)
    return reduced(subject, region, 2 ** max(0, round(math.log2(max(edge / blocks, 1)))))


def reduced(subject: Subject, region: Region, factor: int) -> View:
    """A region in blocks of `factor` pixels, a power of two. Raises InputError or StoreError."""
    region = widened(region, factor, subject.image.shape)
    level = next((level for level in subject.levels if level.factor == factor), None)
    if level is None and subject.levels and factor > subject.levels[-1].factor:
        level = subject.levels[-1]
        # Nobody needs fewer blocks than the coarsest level has.
        return reduced(subject, region, level.factor)
    if level is not None:
        return View(_level_blocks(subject, level, region), region, factor, MEAN, subject.units)
    shape = (region.slow_stop - region.slow_start, region.fast_stop - region.fast_start)
    bands = ((top - region.slow_start, band) for top, _, band in region_bands(subject, region, factor))
    return View(block_maxima(bands, shape, factor), region, factor, MAXIMUM, subject.units)


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
    with store_errors(subject.place, "read"):
        array = open_level(subject.place, level)
        where = (subject.frame, subject.panel_number)[: array.ndim - 2]
        try:
            return np.asarray(array[(*where, rows, columns)], dtype=np.float64)
        except UNREADABLE as error:
            raise StoreError(
                f"cannot read {subject.path}: its {level.path} is damaged ({error}); "
                "`tilesim pyramid --overwrite` mends it"
            ) from error


@dataclass(frozen=True)
class Overlay:
    """What is drawn over and beside an image."""

    rings: tuple[Ring, ...]
    centre: tuple[float, float] | None
    labels: list[Label]
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
            raise InputError(f"{what} needs the geometry of {printable(subject.path)}: {subject.unknown}")
    if spots and not subject.oriented:
        raise InputError("--spots needs a crystal; expected -mat FILE or -cell among the flags behind --")
    remarks, labels, drawn, centre = [], [], (), None
    if subject.experiment is not None:
        centre = beam_centre(*subject.geometry)
        drawn = rings_on(*subject.geometry, view.region) if rings is not False else ()
    if spots:
        experiment = subject.experiment
        found = predict_spots(experiment.crystal, experiment.beam, experiment.scan, subject.panel)
        labels = brightest(found, view, spots)
        if not labels:
            remarks.append("no predicted spot in view is brighter than the background")
    curves = Curves()
    if profile or histogram:
        geometry = subject.geometry if profile else None
        bands = region_bands(subject, view.region)
        curves = measure(bands, view.region, geometry=geometry, histogram=histogram)
    return Overlay(drawn, centre, labels, curves, remarks)
