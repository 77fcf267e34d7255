"""The nouns of diffraction: frozen values in SI units that know neither torch, dask nor zarr."""

from tilesim.model.anomalous import AnomalousCurve, AnomalousFactors, ChannelFactors
from tilesim.model.background import Background, ScatteringCurve
from tilesim.model.beam import Beam
from tilesim.model.crystal import Crystal
from tilesim.model.detector import Detector, Panel, Sensor
from tilesim.model.diffuse import Diffuse, Rotations
from tilesim.model.distribution import Distribution
from tilesim.model.experiment import Experiment
from tilesim.model.factors import StructureFactors
from tilesim.model.mask import PixelMask
from tilesim.model.mosaic import MosaicAxes, MosaicFrame, MosaicSpread, SizeSpread
from tilesim.model.sampling import Region, Sampling
from tilesim.model.scan import Scan
from tilesim.model.series import Series
from tilesim.model.shape import Shape
from tilesim.model.source import Source
from tilesim.model.spectrum import Spectrum

__all__ = [
    "AnomalousCurve",
    "AnomalousFactors",
    "Background",
    "Beam",
    "ChannelFactors",
    "Crystal",
    "Detector",
    "Diffuse",
    "Distribution",
    "Experiment",
    "MosaicAxes",
    "MosaicFrame",
    "MosaicSpread",
    "Panel",
    "PixelMask",
    "Region",
    "Rotations",
    "Sampling",
    "Scan",
    "ScatteringCurve",
    "Sensor",
    "Series",
    "Shape",
    "SizeSpread",
    "Source",
    "Spectrum",
    "StructureFactors",
]
