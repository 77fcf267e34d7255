"""Experiments of 24 x 24 pixels whose derivatives are looked at, and the same with one number changed, by the nouns."""

from functools import partial

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from tilesim.gradients.chain import coefficients
from tilesim.gradients.changed import with_values
from tilesim.gradients.parameters import RELATIVE, parse_parameters
from tilesim.kernels import fused
from tilesim.kernels.slopes import SlopesKernel
from tilesim.kernels.tensors import lower, pixels_of
from tilesim.model import (
    Beam,
    Crystal,
    Detector,
    Experiment,
    MosaicSpread,
    Panel,
    Sampling,
    Scan,
    Sensor,
    SizeSpread,
    Source,
    StructureFactors,
)
from tilesim.model.source import polarized
from tilesim.model.vectors import unit
from tilesim.physics.intensity import photons, sweep
from tilesim.physics.lattice import miller_indices, nearest_node

PRECISIONS = {"double": 1e-8, "mixed": 1e-4}
"""With the error that is allowed, relative to the largest derivative."""
SHAPES = ("square", "round", "gauss", "gauss-hkl")
RNG = np.random.default_rng(5)
TABLE = StructureFactors(RNG.uniform(20, 120, (15, 17, 19)), (-7, -8, -9), default=9.0)
COMMON = (
    "crystal.rotation crystal.cell crystal.strain crystal.cells crystal.fudge crystal.share scan.start scan.step "
    "scan.oscillation beam.wavelength beam.rotation beam.fluence detector.distance detector.translation "
    "detector.rotation detector.origin detector.fast detector.slow detector.normal detector.pixel_size"
).split()


def names_of(experiment):
    """All that can be varied."""
    names = list(COMMON)
    crystal, panel = experiment.crystal, experiment.detector.panels[0]
    names += ["crystal.mosaic_spread.sigma"] if crystal.mosaic_spread else []
    names += ["crystal.cells_off_diagonal"] if crystal.shape.in_hkl else []
    if experiment.beam.kahn_factor is not None and not any(map(polarized, experiment.beam.sources)):
        names += ["beam.kahn_factor", "beam.polarization_axis"]
    names += ["detector.sensor.layer_thickness", "detector.sensor.attenuation"] if panel.sensor else []
    names += ["detector.curved_radius"] if panel.curved_radius else []
    names += ["water_size"] if experiment.water_size else []
    names += ["detector[1].translation", "detector[0:2].rotation"] if len(experiment.detector.panels) > 1 else []
    return names + (["other_crystals[0].rotation", "other_crystals[0].cell"] if experiment.other_crystals else [])


def tilted(shape=(24, 24), across=0.0, **options):
    """A panel that faces nothing exactly."""
    fast, normal = unit((1.0, 0.05, -0.08)), unit((0.09, -0.06, 1.0))
    slow = unit(np.cross(normal, fast))
    fast = tuple(map(float, np.cross(slow, normal)))
    return Panel((-0.0051 + across, -0.0048, 0.0603), fast, slow, normal, 4e-4, shape, **options)


@st.composite
def experiments(draw, shape):
    """Any option that has a derivative, on or off."""
    several = draw(st.booleans())
    crystal = Crystal(
        (2.9e-9, 0.2e-9, 0.1e-9),
        (-0.3e-9, 3.3e-9, 0.4e-9),
        (0.2e-9, -0.1e-9, 3.8e-9),
        draw(st.sampled_from([(4, 3, 5), (3.4, 4.2, 2.7)])),
        shape,
        {"square": 1.0, "round": 0.9, "gauss": 1.0, "gauss-hkl": 0.4}[shape],
        mosaic_frame=draw(st.sampled_from(["lab", "crystal"])),
        sizes=draw(st.sampled_from([None, SizeSpread((0.8, 1.3), (1, 2))])),
        share=0.7,
    )
    if shape == "gauss-hkl" and draw(st.booleans()):
        crystal = crystal.replace(cells_off_diagonal=(0.4, -0.3, 0.5), unit_height=draw(st.booleans()))
    if draw(st.booleans()):
        sigma = 0.02 if crystal.mosaic_frame == "crystal" else draw(st.sampled_from([0.02, (0.01, 0.03, 0.02)]))
        crystal = crystal.replace(mosaic_spread=MosaicSpread(sigma, domains=4))
    aside = tuple(unit((0.004, -0.003, 1.0)))
    sources = (Source((0.0, 0.0, 1.0), 1e-10, 1.5), Source(aside, 1.01e-10, 0.5)) if several else ()
    kahn = draw(st.sampled_from([None, 0.0, 0.7]))
    if several and kahn and draw(st.booleans()):
        own = {"kahn_factor": 0.4}, {"polarization_axis": unit((0.2, 1.0, 0.0))}
        sources = tuple(one.replace(**field) for one, field in zip(sources, own, strict=True))
    beam = Beam((0.0, 0.0, 1.0), 1e-10, 1e24, unit((1.0, 0.3, 0.0)), kahn, sources)
    sensor = draw(st.sampled_from([None, Sensor(2, 2e-4, 3e3), Sensor(1, 4.5e-4, material="Si")]))
    sensor = sensor if sensor is None or sensor.attenuation else sensor.replace(attenuation=2e3, material=None)
    radius = draw(st.sampled_from([None, None, 0.0613]))
    panels = [tilted(sensor=sensor, curved_radius=radius)]
    panels += [tilted(across=0.011, sensor=sensor)] if draw(st.booleans()) and radius is None else []
    flags = {name: draw(st.booleans()) for name in ("oversample_thick", "oversample_polar", "oversample_omega")}
    sampling = Sampling(
        draw(st.integers(1, 2)), interpolate=draw(st.booleans()), point_pixel=draw(st.booleans()), **flags
    )
    others = (crystal.rotated((0.2, 1.0, 0.4), 0.6).replace(share=0.3),) if draw(st.booleans()) else ()
    found = Experiment(
        beam=beam,
        crystal=crystal,
        detector=Detector(panels),
        factors=TABLE,
        scan=Scan(unit((1.0, 0.2, 0.1)), 0.1, 0.01, draw(st.integers(1, 2))),
        sampling=sampling,
        water_size=draw(st.sampled_from([0.0, 3e-8])),
        other_crystals=others,
    )
    assume(found.evaluations * len(panels) <= 16)
    return found


def changed(experiment, name, place, by):
    """The experiment with one number of a parameter changed by `by`."""
    [one] = parse_parameters([name], experiment)
    return with_values(experiment, {name: np.array(one.value) + by * (np.arange(one.size) == place)})


def rendered(experiment):
    """The image by the definition in double precision, and the nodes of every evaluation, both flat by panel."""
    images, nodes = [], []
    for place in range(len(experiment.detector.panels)):
        alone, seen = experiment.of_panel(place), []

        def watch(event, *values, seen=seen):
            if event == "evaluation":
                seen.append(np.stack([axis.numpy() for axis in nearest_node(miller_indices(values[0].q, values[2]))]))

        kernel, numbers = lower(alone, "double"), np.arange(alone.shape[0] * alone.shape[1])
        image, _ = photons(kernel.setup, pixels_of(numbers, kernel), partial(sweep, watch=watch))
        images.append(image.numpy()[: len(numbers)])
        nodes.append(np.stack(seen)[..., : len(numbers)])
    return np.stack(images), np.stack(nodes)


def central(experiment, name, place, largest):
    """The derivative by fourth-order central differences, whose largest is known, and where the nearest nodes stay.

    Both are flat by panel. The step changes the diffraction by some hundred-thousandth; by more where most of the
    image is water, which is rounded, too.
    """
    (dry, _), (wet, _) = rendered(experiment.replace(water_size=0.0)), rendered(experiment)
    step = 2e-5 * min(wet.max() / dry.max(), 50.0) * dry.max() / largest
    (one, low), (two, before), (three, after), (four, high) = (
        rendered(changed(experiment, name, place, times * step)) for times in (-2, -1, 1, 2)
    )
    slope = (8.0 * (three - two) - (four - one)) / (12.0 * step)
    stays = ((low == before) & (before == after) & (after == high)).all(axis=(1, 2))
    return slope, stays


def with_star(experiment):
    """The experiment with reciprocal vectors that are not those of its cell vectors, as a dialect may give them."""
    star = np.array(experiment.crystal.star) * (1.0 + 1e-3 * np.arange(9).reshape(3, 3))
    return experiment.replace(crystal=experiment.crystal.replace(reciprocal=star))


def elsewhere(experiment, names, seed=1):
    """Values off what the experiment has: by a thousandth or so, but what turns by some degrees."""
    rng = np.random.default_rng(seed)
    values = {}
    for one in parse_parameters(names, experiment):
        scale = 0.05 if one.field == "rotation" else 0.01 if one.field == "strain" else 1e-4
        scale = scale if one.field in RELATIVE or not any(one.value) else 0.01 * np.abs(one.value)
        values[one.name] = np.array(one.value) + scale * rng.uniform(-1.0, 1.0, one.size)
    return values


def found_by(experiment, names, precision, numbers=None):
    """The image (panel, n), and the derivatives (numbers, panel, n) of all parameters."""
    parameters, images, slopes = parse_parameters(names, experiment), [], []
    for place in range(len(experiment.detector.panels)):
        table, alone = coefficients(experiment, place, parameters), experiment.of_panel(place)
        numbers = np.arange(alone.shape[0] * alone.shape[1]) if numbers is None else numbers
        photons, found = SlopesKernel(fused.lower(alone, precision), table).derivatives(numbers)
        images.append(photons)
        slopes.append(found)
    return np.stack(images), np.stack(slopes, axis=1)
