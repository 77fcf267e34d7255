"""The intermediate results between settings and experiment, kept for the report and the notes."""

from __future__ import annotations

from enum import StrEnum

from tilesim.frozen import frozen
from tilesim.model import Background, Panel, PixelMask, StructureFactors
from tilesim.nanobragg.cell import Cell
from tilesim.nanobragg.geometry import Geometry
from tilesim.nanobragg.sample import Sample
from tilesim.nanobragg.settings import Settings
from tilesim.nanobragg.sources import SourceList
from tilesim.nanobragg.steps import Mosaic, Sweep
from tilesim.reflections.tables import Table


class FactorsFrom(StrEnum):
    """Where the structure factors came from."""

    HKL = "hkl"
    """Lines of h k l F."""
    OTHER = "other"
    """A file that nanoBragg does not read."""
    DUMP = "dump"
    DEFAULT = "default"


@frozen
class Setup:
    """Every quantity that the reference prints before rendering; SI units unless a field's type says otherwise."""

    settings: Settings
    strict_c: bool
    images_read: tuple[str, ...]
    """Mask and image file, where their headers were taken."""
    geometry: Geometry
    clipped: tuple[str, ...]
    """The reference's lines about clipping the sample."""
    fluence: float
    phi: Sweep
    hdiv: Sweep
    vdiv: Sweep
    dispersion: Sweep
    sensor: Sweep
    attenuation: float
    """mu in 1/m; negative where nobody set it and there is no sensor."""
    attenuation_assumed: bool
    """mu is one over the thickness because nobody set it."""
    attenuation_known: bool
    """mu is that of the sensor's material at the wavelength."""
    material: str | None
    """Material of the sensor, where the detector was described by a file or by name."""
    detector_name: str
    detector_notes: tuple[str, ...]
    """What the user should know of a detector that a file describes"""
    mosaic: Mosaic
    interpolate: bool
    """As chosen before the table was read; without a table there is no interpolation."""
    cell: Cell
    sample: Sample
    table: Table
    """Structure factors, and what else their file states."""
    factors_from: FactorsFrom
    cell_from_table: bool
    """Neither -cell nor -mat, but the file of structure factors."""
    sources: SourceList
    roi: tuple[int, int, int, int]
    """Fast min, fast max, slow min, slow max, inclusive, not clipped."""
    mask: PixelMask | None
    panels: tuple[Panel, ...]
    """Without sensor"""
    flagged: bool
    """Flags have placed the detector, and no file."""
    background: Background | None
    seed: int
    """Seed of the noise, internal sign."""
    read_differently: bool
    """The reference would have read a file of this run differently (K10)."""

    @property
    def factors(self) -> StructureFactors:
        return self.table.factors

    @property
    def reflections(self) -> int:
        """What the reference calls initialized hkls: lines of a text file, grid points of a cache."""
        return self.factors.grid.size if self.factors_from is FactorsFrom.DUMP else self.factors.reflections
