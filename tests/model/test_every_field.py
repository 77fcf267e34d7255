"""Every field of every noun: changing it changes the image or a file's header, or is refused."""

import dataclasses
import hashlib
import math
from functools import cache

import numpy as np
import pytest
from experiments import TILTED, TURN, assembled, diffuse, interpolated, plain, rich, veiled

import tilesim
from tilesim.errors import TilesimError
from tilesim.model import (
    Background,
    Beam,
    Crystal,
    Detector,
    Diffuse,
    Experiment,
    MosaicSpread,
    Panel,
    PixelMask,
    Region,
    Sampling,
    Scan,
    ScatteringCurve,
    Sensor,
    Shape,
    SizeSpread,
    Source,
    StructureFactors,
)
from tilesim.model.vectors import scale

IMAGE, HEADER, LABEL = "image", "header", "label"
"""What changes: pixels; what NXmx says beside the same pixels; only the description that a store and `repr` give."""
SILICON = Sensor(2, 2e-4, material="Si")


@dataclasses.dataclass(frozen=True)
class Change:
    """A changed value of one field, in the first experiment where it can matter, and what it does."""

    base: str
    value: object
    effect: str
    """IMAGE, HEADER, LABEL, or a part of the message that refuses the change."""


BASES = {
    "plain": plain(),
    "rich": rich(),
    "veiled": veiled(),
    "interpolated": interpolated(),
    "sensor": plain(detector=Detector((Panel.facing(0.06, 4e-4, (23, 31), sensor=SILICON),), "small")),
    "dry": rich(water_size=0.0),
    "gauss": plain(crystal=plain().crystal.replace(shape=Shape.GAUSS)),
    "in hkl": plain(crystal=plain().crystal.replace(shape=Shape.GAUSS_HKL)),
    "even": plain(factors=StructureFactors.constant(50.0)),
    "assembled": assembled(),
    "diffuse": diffuse(),
    "curved": plain(detector=Detector((Panel.facing(0.06, 4e-4, (23, 31), curved_radius=0.06),), "small")),
}
CURVE = ScatteringCurve((0.0, 2e8, 9e8), (4.0, 7.0, 1.0), "another")
MASK = np.ones((23, 31), bool)
MASK[12:20, 5:9] = False
CHANGES = {
    (Experiment, "beam"): Change("plain", plain().beam.replace(wavelength=1.05e-10), IMAGE),
    (Experiment, "crystal"): Change("plain", plain().crystal.rotated((1.0, 2.0, 0.0), 0.01), IMAGE),
    (Experiment, "detector"): Change("plain", Detector((Panel.facing(0.07, 4e-4, (23, 31)),)), IMAGE),
    (Experiment, "factors"): Change("plain", StructureFactors.constant(50.0), IMAGE),
    (Experiment, "scan"): Change("plain", Scan((1.0, 0.0, 0.0), 0.2), IMAGE),
    (Experiment, "sampling"): Change("plain", Sampling(oversample=2), IMAGE),
    (Experiment, "water_size"): Change("plain", 3e-5, IMAGE),
    (Experiment, "mask"): Change("plain", PixelMask(MASK), IMAGE),
    (Experiment, "background"): Change("veiled", None, IMAGE),
    (Experiment, "other_crystals"): Change("assembled", (), IMAGE),
    (Beam, "direction"): Change("plain", TILTED, IMAGE),
    (Beam, "wavelength"): Change("rich", 1.1e-10, IMAGE),
    (Beam, "fluence"): Change("plain", 2e24, IMAGE),
    (Beam, "polarization_axis"): Change("plain", (0.0, 1.0, 0.0), IMAGE),
    (Beam, "kahn_factor"): Change("plain", -0.9, IMAGE),
    (Beam, "sources"): Change("plain", rich().beam.sources, IMAGE),
    (Beam, "exposure"): Change("plain", 0.5, HEADER),
    (Beam, "size"): Change("veiled", 2e-4, IMAGE),
    (Source, "direction"): Change("dry", (0.0, *TILTED[::2]), IMAGE),
    (Source, "wavelength"): Change("dry", 1.03e-10, IMAGE),
    (Source, "weight"): Change("dry", 0.1, IMAGE),
    (Source, "polarization_axis"): Change("dry", (0.0, 1.0, 0.0), IMAGE),
    (Source, "kahn_factor"): Change("dry", -0.9, IMAGE),
    (Crystal, "a"): Change("plain", (3.0e-9, 0.2e-9, 0.1e-9), IMAGE),
    (Crystal, "b"): Change("plain", (-0.3e-9, 3.4e-9, 0.4e-9), IMAGE),
    (Crystal, "c"): Change("plain", (0.2e-9, -0.1e-9, 3.9e-9), IMAGE),
    (Crystal, "cells"): Change("plain", (7, 6.3, 5), IMAGE),
    (Crystal, "cells_off_diagonal"): Change("in hkl", (1.1, -0.5, 0.4), IMAGE),
    (Crystal, "unit_height"): Change("in hkl", True, IMAGE),
    (Crystal, "mosaic_spread"): Change("plain", MosaicSpread(0.01, 4), IMAGE),
    (Crystal, "mosaic_frame"): Change("assembled", "lab", IMAGE),
    (Crystal, "sizes"): Change("plain", SizeSpread((0.5, 1.0), (1, 1)), IMAGE),
    (Crystal, "share"): Change("plain", 0.5, IMAGE),
    (Crystal, "blocks"): Change("plain", 2.5, IMAGE),
    (Crystal, "diffuse"): Change("plain", Diffuse(30e-10, 0.5e-10), IMAGE),
    (Diffuse, "gamma"): Change("diffuse", 30e-10, IMAGE),
    (Diffuse, "sigma"): Change("diffuse", 0.6e-10, IMAGE),
    (Diffuse, "symmetry"): Change("diffuse", "1", IMAGE),
    (Diffuse, "stencil"): Change("diffuse", 0, IMAGE),
    (Diffuse, "frame"): Change("diffuse", "lab", IMAGE),
    (MosaicSpread, "sigma"): Change("assembled", 0.02, IMAGE),
    (MosaicSpread, "domains"): Change("assembled", 6, IMAGE),
    (MosaicSpread, "axes"): Change("assembled", "random", IMAGE),
    (MosaicSpread, "seed"): Change("assembled", 1, IMAGE),
    (SizeSpread, "factors"): Change("assembled", (0.7, 1.1), IMAGE),
    (SizeSpread, "numbers"): Change("assembled", (1, 3), IMAGE),
    (Crystal, "shape"): Change("plain", Shape.GAUSS, IMAGE),
    (Crystal, "fudge"): Change("dry", 0.7, IMAGE),
    (Crystal, "mosaic_rotations"): Change("plain", (TURN,), IMAGE),
    (Crystal, "reciprocal"): Change("gauss", tuple(scale(v, 1.05) for v in plain().crystal.star), IMAGE),
    (Sensor, "layers"): Change("sensor", 5, IMAGE),
    (Sensor, "layer_thickness"): Change("sensor", 1e-4, IMAGE),
    (Sensor, "attenuation"): Change("sensor", 3e3, IMAGE),
    (Sensor, "material"): Change("sensor", "CdTe", IMAGE),
    (Panel, "origin"): Change("plain", (-0.006, -0.0048, 0.06), IMAGE),
    (Panel, "fast"): Change("plain", (math.cos(0.01), math.sin(0.01), 0.0), IMAGE),
    (Panel, "slow"): Change("plain", (math.sin(0.01), math.cos(0.01), 0.0), IMAGE),
    (Panel, "normal"): Change("plain", (0.0, math.sin(0.2), math.cos(0.2)), IMAGE),
    (Panel, "pixel_size"): Change("plain", 3e-4, IMAGE),
    (Panel, "shape"): Change("plain", (22, 31), IMAGE),
    (Panel, "close_distance"): Change("plain", 0.05, IMAGE),
    (Panel, "sensor"): Change("plain", SILICON, IMAGE),
    (Panel, "curved_radius"): Change("curved", 0.08, IMAGE),
    (Detector, "panels"): Change("plain", (Panel.facing(0.05, 4e-4, (23, 31)),), IMAGE),
    (Detector, "name"): Change("plain", "another", HEADER),
    (StructureFactors, "grid"): Change("plain", 2.0 * plain().factors.grid, IMAGE),
    (StructureFactors, "minimum"): Change("plain", (-5, -7, -8), IMAGE),
    (StructureFactors, "default"): Change("even", 40.0, IMAGE),
    (StructureFactors, "reflections"): Change("plain", 7, LABEL),
    (StructureFactors, "source"): Change("plain", "another.hkl", LABEL),
    (PixelMask, "active"): Change("rich", MASK, IMAGE),
    (Region, "slow_start"): Change("rich", 3, IMAGE),
    (Region, "slow_stop"): Change("rich", 20, IMAGE),
    (Region, "fast_start"): Change("rich", 4, IMAGE),
    (Region, "fast_stop"): Change("rich", 28, IMAGE),
    (Sampling, "oversample"): Change("plain", 3, IMAGE),
    (Sampling, "dmin"): Change("plain", 9e-10, IMAGE),
    (Sampling, "interpolate"): Change("interpolated", False, IMAGE),
    (Sampling, "oversample_thick"): Change("dry", False, IMAGE),
    (Sampling, "oversample_polar"): Change("dry", False, IMAGE),
    (Sampling, "oversample_omega"): Change("dry", False, IMAGE),
    (Sampling, "point_pixel"): Change("plain", True, IMAGE),
    (Sampling, "roi"): Change("plain", Region(2, 20, 3, 25), IMAGE),
    (Sampling, "strict_c"): Change("rich", True, IMAGE),
    (Scan, "axis"): Change("plain", (0.0, 1.0, 0.0), IMAGE),
    (Scan, "start"): Change("plain", 0.15, IMAGE),
    (Scan, "step"): Change("dry", 0.02, IMAGE),
    (Scan, "steps"): Change("dry", 5, IMAGE),
    (Background, "curve"): Change("veiled", CURVE, IMAGE),
    (Background, "thickness"): Change("veiled", 3e-4, IMAGE),
    (Background, "density"): Change("veiled", 900.0, IMAGE),
    (Background, "molar_mass"): Change("veiled", 0.02, IMAGE),
    (ScatteringCurve, "stol"): Change("veiled", (0.0, 1e8, 3e8, 5e8, 7e8, 9e8), IMAGE),
    (ScatteringCurve, "amplitude"): Change("veiled", (4.0, 6.0, 9.0, 8.0, 0.0, 2.0), IMAGE),
    (ScatteringCurve, "source"): Change("veiled", "another.stol", LABEL),
}
PLACES = {
    Experiment: lambda e: e,
    Beam: lambda e: e.beam,
    Source: lambda e: e.beam.sources[1],
    Crystal: lambda e: e.crystal,
    MosaicSpread: lambda e: e.crystal.mosaic_spread,
    SizeSpread: lambda e: e.crystal.sizes,
    Diffuse: lambda e: e.crystal.diffuse,
    Detector: lambda e: e.detector,
    Panel: lambda e: e.detector.panels[0],
    Sensor: lambda e: e.detector.panels[0].sensor,
    StructureFactors: lambda e: e.factors,
    PixelMask: lambda e: e.mask,
    Sampling: lambda e: e.sampling,
    Region: lambda e: e.sampling.roi,
    Scan: lambda e: e.scan,
    Background: lambda e: e.background,
    ScatteringCurve: lambda e: e.background.curve,
}
"""Where an experiment has each noun."""


def changed(experiment, noun, new):
    """The experiment with another noun of one kind; what holds it is replaced as a user would."""
    beam, detector, sampling = experiment.beam, experiment.detector, experiment.sampling
    match noun:
        case _ if noun is Experiment:
            return new
        case _ if noun is Source:
            return experiment.replace(beam=beam.replace(sources=(beam.sources[0], new)))
        case _ if noun is Panel:
            return experiment.replace(detector=detector.replace(panels=(new,)))
        case _ if noun is Sensor:
            return changed(experiment, Panel, detector.panels[0].replace(sensor=new))
        case _ if noun is MosaicSpread:
            return experiment.replace(crystal=experiment.crystal.replace(mosaic_spread=new))
        case _ if noun is Diffuse:
            return experiment.replace(crystal=experiment.crystal.replace(diffuse=new))
        case _ if noun is SizeSpread:
            return experiment.replace(crystal=experiment.crystal.replace(sizes=new))
        case _ if noun is Region:
            return experiment.replace(sampling=sampling.replace(roi=new))
        case _ if noun is ScatteringCurve:
            return experiment.replace(background=experiment.background.replace(curve=new))
    names = {StructureFactors: "factors", PixelMask: "mask"}
    return experiment.replace(**{names.get(noun, noun.__name__.lower()): new})


@cache
def pixels(experiment):
    return tilesim.simulate_now(experiment, precision="double", device="cpu", backend="eager")


def header(experiment, folder):
    """The digest of an NXmx file of the experiment's image; files with the same content are the same to the byte."""
    tilesim.run(experiment, store=folder / "a.zarr", backend="eager", overwrite=True)
    tilesim.export(tilesim.open(folder / "a.zarr"), folder / "a.h5")
    return hashlib.sha256((folder / "a.h5").read_bytes()).hexdigest()


def test_the_table_names_every_field_of_every_noun():
    named = {(noun, field.name) for noun in PLACES for field in dataclasses.fields(noun)}
    assert named == set(CHANGES)


@pytest.mark.parametrize("noun, field", CHANGES, ids=[f"{noun.__name__}.{field}" for noun, field in CHANGES])
def test_a_changed_field_changes_the_image_or_a_header_or_is_refused(noun, field, tmp_path):
    change = CHANGES[noun, field]
    base = BASES[change.base]
    assert pixels(base).max() > 0
    try:
        other = changed(base, noun, PLACES[noun](base).replace(**{field: change.value}))
        image = pixels(other)
    except TilesimError as error:
        assert change.effect in str(error)
        return
    same = image.shape == pixels(base).shape and np.array_equal(image, pixels(base))
    if change.effect == IMAGE:
        assert not same and image.max() > 0 and other.digest != base.digest
    elif change.effect == HEADER:
        assert same and header(other, tmp_path) != header(base, tmp_path)
    else:
        assert change.effect == LABEL and same and repr(PLACES[noun](other)) != repr(PLACES[noun](base))
        assert str(change.value) in repr(PLACES[noun](other))
