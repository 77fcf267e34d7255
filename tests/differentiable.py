"""Experiments of 24 x 24 pixels that have, between them, all whose derivatives a GPU computes."""

import numpy as np
from experiments import plain
from varied import TABLE, names_of, tilted, with_star

from tilesim.model import (
    AnomalousCurve,
    AnomalousFactors,
    Background,
    Beam,
    Crystal,
    Detector,
    MosaicSpread,
    Sampling,
    Scan,
    ScatteringCurve,
    Sensor,
    SizeSpread,
    Source,
)
from tilesim.model.vectors import unit

SOURCES = (Source((0.0, 0.0, 1.0), 1e-10, 1.5), Source(unit((0.004, -0.003, 1.0)), 1.01e-10, 0.5))
SENSOR = Sensor(2, 2e-4, 3e3)


def lattice(shape, fudge, **fields):
    cell = ((2.9e-9, 0.2e-9, 0.1e-9), (-0.3e-9, 3.3e-9, 0.4e-9), (0.2e-9, -0.1e-9, 3.8e-9))
    return Crystal(*cell, (3.4, 4.2, 2.7), shape, fudge, **fields)


def still(crystal, kahn=0.7, sources=(), **fields):
    beam = Beam((0.0, 0.0, 1.0), 1e-10, 1e24, unit((1.0, 0.3, 0.0)), kahn, sources)
    panel = {name: fields.pop(name, None) for name in ("sensor", "curved_radius")}
    scan = fields.pop("scan", Scan(unit((1.0, 0.2, 0.1)), 0.1))
    return plain(beam=beam, crystal=crystal, detector=Detector((tilted(**panel),)), factors=TABLE, scan=scan, **fields)


def oriented():
    """Two lattices, of oriented numbers of cells, an anisotropic mosaic spread in the laboratory."""
    crystal = lattice("gauss-hkl", 0.1, cells_off_diagonal=(0.4, -0.3, 0.5), share=0.7)
    other = crystal.rotated((0.2, 1.0, 0.4), 0.6).replace(share=0.3, blocks=5.0, unit_height=True)
    crystal = crystal.replace(mosaic_spread=MosaicSpread((0.01, 0.03, 0.02), domains=2))
    return still(crystal, other_crystals=(other,), water_size=3e-8)


def spectral():
    """Amplitudes that every channel mixes of parts, interpolated."""
    rng = np.random.default_rng(3)
    parts = rng.uniform(-60, 60, (2, *TABLE.grid.shape)) + 1j * rng.uniform(-60, 60, (2, *TABLE.grid.shape))
    curve = AnomalousCurve("E0", [11.0, 12.3, 13.0], [-1.0, 0.5, 0.2], [0.3, 1.0, 0.8])
    factors = AnomalousFactors(parts, [curve], 1e-10, (-7, -8, -9), default=3.0)
    return still(lattice("gauss-hkl", 0.1), sampling=Sampling(interpolate=True)).replace(factors=factors)


def veiled():
    """A background of air, whose scale is varied."""
    curve = ScatteringCurve((0.0, 2e8, 3e8, 5e8, 7e8, 9e8), (4.0, 5.0, 9.0, 8.0, 0.0, 2.0))
    beam = still(lattice("square", 1.0)).beam.replace(size=1e-4)
    return still(lattice("square", 1.0)).replace(beam=beam, background=Background(curve, 1e-4, 1000.0, 0.018))


def polarized():
    """Sources with a polarisation each, behind water."""
    sources = (SOURCES[0].replace(kahn_factor=0.9), SOURCES[1].replace(polarization_axis=(0.6, 0.8, 0.0)))
    return still(lattice("gauss", 0.1), sources=sources, sampling=Sampling(oversample_polar=True), water_size=3e-8)


FLAGS = {"oversample_thick": True, "oversample_polar": True, "oversample_omega": True}
CASES = {
    "square": still(lattice("square", 1.0), sources=SOURCES, sensor=SENSOR, sampling=Sampling(dmin=6e-10)),
    "round": still(
        lattice("round", 0.9), 0.0, sensor=SENSOR, sampling=Sampling(2, **FLAGS), curved_radius=0.0613, water_size=3e-8
    ),
    "gauss": with_star(
        still(
            lattice(
                "gauss", 0.1, mosaic_spread=MosaicSpread(0.02, domains=2), mosaic_frame="crystal",
                sizes=SizeSpread((0.8, 1.3), (1, 2)), share=0.7,
            ),
            None,
            scan=Scan(unit((1.0, 0.2, 0.1)), 0.1, 0.01, 2),
        )
    ),
    "gauss-hkl": oriented(),
    "interpolated": still(lattice("square", 1.0), sampling=Sampling(interpolate=True)),
    "spectral": spectral(),
    "polarized": polarized(),
    "veiled": veiled(),
}  # fmt: skip


def names_in(experiment):
    """All that can be varied on a GPU."""
    if experiment.background is not None:
        return ["crystal.rotation", "beam.fluence", "background.thickness"]
    return [name for name in names_of(experiment) if not (experiment.factors.by_energy and name == "beam.wavelength")]
