"""The public names for type checkers and editors: those of `_HOMES`, which are loaded when they are first used."""

from tilesim.engine.lazy import simulate as simulate
from tilesim.engine.lazy import simulate_now as simulate_now
from tilesim.errors import ClusterError as ClusterError
from tilesim.errors import InputError as InputError
from tilesim.errors import PlanError as PlanError
from tilesim.errors import StoreError as StoreError
from tilesim.errors import TileError as TileError
from tilesim.errors import TilesimError as TilesimError
from tilesim.files.outputs import Outputs as Outputs
from tilesim.images.dataset import Dataset as Dataset
from tilesim.instruments.files import read_detector as read_detector
from tilesim.instruments.library import detector as detector
from tilesim.model import Background as Background
from tilesim.model import Beam as Beam
from tilesim.model import Crystal as Crystal
from tilesim.model import Detector as Detector
from tilesim.model import Distribution as Distribution
from tilesim.model import Experiment as Experiment
from tilesim.model import Panel as Panel
from tilesim.model import PixelMask as PixelMask
from tilesim.model import Region as Region
from tilesim.model import Sampling as Sampling
from tilesim.model import Scan as Scan
from tilesim.model import ScatteringCurve as ScatteringCurve
from tilesim.model import Sensor as Sensor
from tilesim.model import Series as Series
from tilesim.model import Shape as Shape
from tilesim.model import Source as Source
from tilesim.model import StructureFactors as StructureFactors
from tilesim.model.instrument import Instrument as Instrument
from tilesim.model.instrument import ScanPoint as ScanPoint
from tilesim.model.noise import Noise as Noise
from tilesim.model.noise import PointSpread as PointSpread
from tilesim.nanobragg.background import Slab as Slab
from tilesim.nanobragg.resolve import from_nanobragg as from_nanobragg
from tilesim.nanobragg.resolve import read_command as read_command
from tilesim.reflections.curves import material_curve as material_curve
from tilesim.reflections.curves import read_curve as read_curve
from tilesim.reflections.hkl import read_hkl as read_hkl
from tilesim.series.draws import draw as draw
from tilesim.tools.verbs import add_noise as add_noise
from tilesim.tools.verbs import export as export
from tilesim.tools.verbs import open as open
from tilesim.tools.verbs import preview as preview
from tilesim.tools.verbs import radial_average as radial_average
from tilesim.tools.verbs import resolution as resolution
from tilesim.tools.verbs import run as run

__version__: str
__all__: list[str]
