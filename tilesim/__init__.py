"""tilesim: tiled, distributed simulation of X-ray diffraction images, from nanoBragg's own command lines.

Importing this package imports neither torch nor dask; its names are loaded when they are first used.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "AnomalousCurve": "tilesim.model",
    "AnomalousFactors": "tilesim.model",
    "ChannelFactors": "tilesim.model",
    "Background": "tilesim.model",
    "Beam": "tilesim.model",
    "Crystal": "tilesim.model",
    "crystal_of_size": "tilesim.geometry.blocks",
    "Detector": "tilesim.model",
    "Diffuse": "tilesim.model",
    "Distribution": "tilesim.model",
    "Experiment": "tilesim.model",
    "MosaicAxes": "tilesim.model",
    "MosaicFrame": "tilesim.model",
    "MosaicSpread": "tilesim.model",
    "Panel": "tilesim.model",
    "PixelMask": "tilesim.model",
    "Region": "tilesim.model",
    "Rotations": "tilesim.model",
    "Sampling": "tilesim.model",
    "Scan": "tilesim.model",
    "ScatteringCurve": "tilesim.model",
    "Sensor": "tilesim.model",
    "Series": "tilesim.model",
    "Shape": "tilesim.model",
    "SizeSpread": "tilesim.model",
    "Slab": "tilesim.nanobragg.background",
    "Source": "tilesim.model",
    "Spectrum": "tilesim.model",
    "StructureFactors": "tilesim.model",
    "Noise": "tilesim.model.noise",
    "PointSpread": "tilesim.model.noise",
    "InputError": "tilesim.errors",
    "PlanError": "tilesim.errors",
    "StoreError": "tilesim.errors",
    "TileError": "tilesim.errors",
    "TilesimError": "tilesim.errors",
    "Dataset": "tilesim.images.dataset",
    "Outputs": "tilesim.files.outputs",
    "ClusterError": "tilesim.errors",
    "add_noise": "tilesim.tools.addnoise",
    "export": "tilesim.tools.verbs",
    "open": "tilesim.tools.verbs",
    "preview": "tilesim.tools.verbs",
    "radial_average": "tilesim.tools.radial",
    "resolution": "tilesim.tools.radial",
    "run": "tilesim.tools.verbs",
    "truth": "tilesim.tools.verbs",
    "from_nanobragg": "tilesim.nanobragg.words",
    "NormalEquations": "tilesim.engine.derivatives",
    "Bounded": "tilesim.gradients.constraints",
    "Free": "tilesim.gradients.constraints",
    "Parameters": "tilesim.gradients.parametrization",
    "Positive": "tilesim.gradients.constraints",
    "RefinedFrame": "tilesim.refinement.result",
    "RefinedNumber": "tilesim.refinement.result",
    "Refinement": "tilesim.refinement.result",
    "FactorDerivatives": "tilesim.gradients.reflections",
    "gradient": "tilesim.engine.derivatives",
    "refine": "tilesim.tools.refine",
    "normal_equations": "tilesim.engine.derivatives",
    "pullback": "tilesim.engine.derivatives",
    "Instrument": "tilesim.model.instrument",
    "ScanPoint": "tilesim.model.instrument",
    "detector": "tilesim.instruments.library",
    "draw": "tilesim.series.draws",
    "read_detector": "tilesim.instruments.files",
    "read_command": "tilesim.nanobragg.resolve",
    "material_curve": "tilesim.reflections.curves",
    "read_curve": "tilesim.reflections.curves",
    "read_hkl": "tilesim.reflections.hkl",
    "read_spectrum": "tilesim.spectra.files",
    "sase_spectrum": "tilesim.spectra.sase",
    "simulate": "tilesim.engine.lazy",
    "simulate_now": "tilesim.engine.lazy",
}
_MODULES = ("torch",)
"""Public modules that are loaded when they are first used."""

__all__ = sorted(_HOMES)


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _MODULES:
        return import_module(f"tilesim.{name}")
    raise AttributeError(f"module 'tilesim' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
