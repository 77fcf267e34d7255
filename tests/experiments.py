"""Small experiments that tests share; every option is off its default in one of them."""

import math

import numpy as np

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

RNG = np.random.default_rng(11)
TABLE = StructureFactors(RNG.uniform(5, 120, (13, 15, 17)), (-6, -7, -8), default=3.0)
TURN = (0.9998, -0.02, 0.0, 0.02, 0.9998, 0.0, 0.0, 0.0, 1.0)

TILTED = (0.002, 0.0, math.sqrt(1.0 - 0.002**2))


def panel(shape=(23, 31), sensor=None, **options):
    return Panel(
        origin=(-0.0061, -0.0048, 0.06),
        fast=(1.0, 0.0, 0.0),
        slow=(0.0, 1.0, 0.0),
        normal=(0.0, 0.0, 1.0),
        pixel_size=4e-4,
        shape=shape,
        close_distance=0.06,
        sensor=sensor,
        **options,
    )


def plain(**changes):
    """One source, one orientation, one sub-pixel."""
    fields = {
        "beam": Beam((0.0, 0.0, 1.0), 1e-10, 1e24, (1.0, 0.0, 0.0), 0.3),
        "crystal": Crystal((2.9e-9, 0.2e-9, 0.1e-9), (-0.3e-9, 3.3e-9, 0.4e-9), (0.2e-9, -0.1e-9, 3.8e-9), (7, 6, 5)),
        "detector": Detector((panel(),)),
        "factors": TABLE,
        "scan": Scan((1.0, 0.0, 0.0), 0.1),
    }
    return Experiment(**{**fields, **changes})


def rich(**changes):
    """Sources, sweep, mosaic domains, layers, sub-pixels, water, dmin, region and mask at once."""
    mask = np.ones((23, 31), bool)
    mask[4:7, 10:20] = False
    mask[:, 17] = False
    sources = (Source((0.0, 0.0, 1.0), 1e-10, 1.5), Source(TILTED, 1.01e-10, 0.5))
    return plain(
        **{
            "beam": Beam((0.0, 0.0, 1.0), 1e-10, 1e24, (1.0, 0.0, 0.0), 0.3, sources),
            "crystal": Crystal(
                (2.9e-9, 0.2e-9, 0.1e-9),
                (-0.3e-9, 3.3e-9, 0.4e-9),
                (0.2e-9, -0.1e-9, 3.8e-9),
                (7, 6, 5),
                Shape.ROUND,
                1.2,
                ((1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0), TURN),
            ),
            "detector": Detector((panel(sensor=Sensor(2, 2e-4, 3e3)),)),
            "scan": Scan((1.0, 0.0, 0.0), 0.0, 0.01, 3),
            "sampling": Sampling(
                oversample=2,
                dmin=4e-10,
                oversample_thick=True,
                oversample_polar=True,
                oversample_omega=True,
                roi=Region(1, 22, 2, 30),
            ),
            "water_size": 2e-5,
            "mask": PixelMask(mask),
            **changes,
        }
    )


def interpolated(**changes):
    """Few cells, tricubic interpolation with both answers of the range test."""
    crystal = Crystal((2.9e-9, 0.0, 0.0), (0.0, 3.3e-9, 0.0), (0.0, 0.0, 3.8e-9), (2, 3, 2), Shape.GAUSS, 0.001)
    return plain(**{"crystal": crystal, "sampling": Sampling(interpolate=True), **changes})


def strict(experiment):
    """The same experiment with the reference's defects."""
    return experiment.replace(sampling=experiment.sampling.replace(strict_c=True))


def veiled(**changes):
    """Everything at once behind a background whose curve ends on the panel."""
    curve = ScatteringCurve((0.0, 2e8, 3e8, 5e8, 7e8, 9e8), (4.0, 5.0, 9.0, 8.0, 0.0, 2.0))
    beam = rich().beam.replace(size=1e-4)
    return rich(**{"beam": beam, "background": Background(curve, 1e-4, 1000.0, 0.018), **changes})


def assembled(**changes):
    """Two lattices with shares, real oriented cells, sizes, and a spread that turns with the crystal."""
    first = plain().crystal.replace(
        cells=(5.5, 6, 4.2),
        shape=Shape.GAUSS_HKL,
        fudge=0.2,
        cells_off_diagonal=(0.6, -0.5, 0.4),
        mosaic_spread=MosaicSpread((0.01, 0.03, 0.005), domains=4),
        mosaic_frame="crystal",
        sizes=SizeSpread((0.7, 1.2), (1, 2)),
        share=0.7,
        diffuse=Diffuse((30e-10, 20e-10, 25e-10), (0.5e-10, 0.3e-10, 0.4e-10), stencil=0),
    )
    second = (
        plain()
        .crystal.rotated((0.0, 1.0, 1.0), 0.7)
        .replace(
            cells=(4, 4, 5),
            shape=Shape.GAUSS_HKL,
            fudge=0.1,
            mosaic_rotations=(TURN,) * 3,
            share=0.3,
            diffuse=Diffuse((30e-10, 20e-10, 25e-10), 0.4e-10, stencil=0, frame="lab"),
        )
    )
    scan = Scan((0.6, 0.8, 0.0), 0.4, 0.02, 3)
    return plain(**{"crystal": first, "other_crystals": (second,), "scan": scan, **changes})


def diffuse(**changes):
    """A crystal with anisotropic diffuse scattering, of one orientation."""
    motion = Diffuse((30e-10, 20e-10, 25e-10), (0.5e-10, 0.3e-10, 0.4e-10), "2")
    return plain(**{"crystal": plain().crystal.replace(diffuse=motion), **changes})


def polarized(**changes):
    """Sources of unlike polarisation behind a background, water, layers and sub-pixels; one has that of the beam."""
    sources = (
        Source((0.0, 0.0, 1.0), 1e-10, 1.5, kahn_factor=0.9),
        Source(TILTED, 1.01e-10, 0.5, polarization_axis=(0.6, 0.8, 0.0)),
        Source(TILTED, 1.01e-10, 1.0),
    )
    return veiled(**{"beam": veiled().beam.replace(sources=sources), "sampling": Sampling(oversample=2), **changes})


ALL = {
    "plain": plain(),
    "rich": rich(),
    "polarized": polarized(),
    "veiled": veiled(),
    "interpolated": interpolated(),
    "assembled": assembled(),
    "diffuse": diffuse(),
    "strict plain": strict(plain(scan=Scan((1.0, 0.0, 0.0), 0.0, 0.01, 3))),
    "strict rich": strict(rich()),
    "strict interpolated": strict(interpolated()),
}
