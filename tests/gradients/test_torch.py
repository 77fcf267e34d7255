"""`tilesim.torch.simulate`, and derivatives at values off those of the experiment, against the differentiable twin."""

import re
import subprocess
import sys
from pathlib import Path

import dask
import numpy as np
import pytest
import torch
from experiments import plain
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from varied import PRECISIONS, SHAPES, TABLE, elsewhere, experiments, found_by, names_of, tilted, with_star

import tilesim
from tilesim import (
    AnomalousCurve,
    AnomalousFactors,
    Beam,
    Crystal,
    Detector,
    InputError,
    MosaicSpread,
    Sensor,
    Source,
    StructureFactors,
)
from tilesim.gradients.changed import with_values
from tilesim.gradients.shifted import left_jacobian, tangent
from tilesim.gradients.twin import jacobian, twin_image
from tilesim.kernels import library

pytestmark = pytest.mark.skipif(library.compiler() is None, reason="no C++ compiler")


@pytest.fixture(autouse=True)
def here():
    with dask.config.set(scheduler="synchronous"):
        yield


def tensor(values, **options):
    return torch.tensor(values, dtype=torch.float64, **options)


def inputs(values):
    return {name: tensor(value, requires_grad=True) for name, value in values.items()}


@pytest.mark.parametrize("shape", SHAPES)
def test_derivatives_off_the_experiment_are_those_of_the_twin(shape):
    seen = set()

    @settings(
        max_examples=2, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate)
    )
    @given(experiments(shape), st.integers(0, 99), st.booleans())
    def check(experiment, seed, given_star):
        experiment = with_star(experiment) if given_star else experiment
        values = elsewhere(experiment, names_of(experiment), seed)
        _, expected = jacobian(experiment, {name: tensor(value) for name, value in values.items()})
        there = tangent(experiment, values, values)
        sizes = {name: terms[0][1].shape[0] for name, terms in there.terms.items()}
        assert sizes == {name: len(value) for name, value in values.items()}
        for precision, allowed in PRECISIONS.items():
            rows = np.split(*rows_of(there, precision))
            found = there.derivatives(dict(zip(there.names, rows, strict=True)))
            for name, slopes in expected.items():
                for number, slope in enumerate(slopes.numpy()):
                    largest = np.abs(slope).max()
                    off = np.abs(found[name][number] - slope.ravel()).max()
                    assert off <= allowed * largest, f"{name} {number} {precision}: {off / largest:.1e}"
                    seen.update({name} if largest else set())

    check()
    assert {"crystal.rotation", "crystal.cell", "crystal.strain", "beam.rotation", "detector.rotation"} <= seen


def rows_of(there, precision):
    """Derivatives (numbers, pixels) with the parameters of a tangent, and where to split them by parameter."""
    from tilesim.gradients.parameters import parse_parameters

    sizes = [one.size for one in parse_parameters(there.names, there.experiment)]
    _, slopes = found_by(there.experiment, there.names, precision)
    return slopes.reshape(len(slopes), -1), np.cumsum(sizes)[:-1]


def test_panels_that_moved_unlike_each_other_turn_together():
    experiment = plain(detector=Detector([tilted(), tilted(across=0.011)]), factors=TABLE)
    values = {
        "detector.rotation": (0.02, -0.03, 0.05),
        "detector[1].rotation": (0.01, 0.0, 0.0),
        "detector[0].translation": (1e-3, -1e-3, 2e-3),
        "detector.distance": [1e-3],
        "detector[1].normal": (0.1, 0.0, 1.0),
        "beam.rotation": (0.0, 0.02, 0.01),
    }
    leaves, cotangent = inputs(values), np.random.default_rng(2).uniform(0.5, 1.5, (2, 24, 24))
    image = tilesim.torch.simulate(leaves, experiment, precision="double")
    image.backward(tensor(cotangent))
    expected, slopes = jacobian(experiment, leaves)
    np.testing.assert_allclose(image.detach().numpy(), expected.numpy(), rtol=1e-6, atol=1e-6 * float(expected.max()))
    for name, leaf in leaves.items():
        weighted = slopes[name].numpy() * cotangent
        largest = np.abs(weighted).sum(axis=(1, 2, 3)).max()
        assert largest > 0
        np.testing.assert_allclose(leaf.grad.numpy(), weighted.sum(axis=(1, 2, 3)), rtol=1e-8, atol=1e-8 * largest)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-4, 0.3, 3.0])
def test_a_rotation_turns_further_by_the_left_jacobian(angle):
    from tilesim.gradients.changed import rotation_of

    vector, step = angle * np.array([0.6, -0.48, 0.64]), 1e-5
    for column, axis in zip(left_jacobian(vector).T, np.eye(3), strict=True):
        turn = (rotation_of(vector + step * axis) - rotation_of(vector - step * axis)) / (2.0 * step)
        cross = turn @ rotation_of(vector).T
        np.testing.assert_allclose([cross[2, 1], cross[0, 2], cross[1, 0]], column, atol=1e-9)


def agree(values, experiment):
    """Whether image and derivatives of a sum over pixels are those of the twin, none of which is zero."""
    cotangent = np.random.default_rng(4).uniform(0.5, 1.5, experiment.panel_shape)
    own = inputs(values)
    expected = twin_image(experiment, own)
    expected.backward(tensor(cotangent))
    image = expected.detach().numpy()
    assert image.max() > 0
    for precision, allowed in PRECISIONS.items():
        leaves = inputs(values)
        found = tilesim.torch.simulate(leaves, experiment, precision=precision)
        np.testing.assert_allclose(found.detach().numpy(), image, rtol=1e-4, atol=1e-6 * image.max())
        found.backward(tensor(cotangent))
        for name, leaf in leaves.items():
            slope = own[name].grad.numpy()
            largest = np.abs(slope).max()
            assert largest > 0 and leaf.grad.shape == leaf.shape
            np.testing.assert_allclose(leaf.grad.numpy(), slope, rtol=0, atol=allowed * largest, err_msg=name)


@pytest.mark.parametrize("interpolate", [False, True])
def test_derivatives_with_amplitudes_are_a_grid(interpolate):
    experiment = plain(factors=TABLE)
    experiment = experiment.replace(sampling=experiment.sampling.replace(interpolate=interpolate))
    grid = TABLE.grid * np.random.default_rng(8).uniform(0.8, 1.2, TABLE.grid.shape)
    agree({"crystal.rotation": (0.01, -0.02, 0.03), "factors": grid}, experiment)
    agree({"factors": grid}, experiment)


def test_derivatives_at_other_f_prime_and_f_double_prime():
    waves = (Source((0.0, 0.0, 1.0), 1.0e-10, 1.2), Source((0.0, 0.0, 1.0), 1.01e-10, 0.8))
    curve = AnomalousCurve("Se", [12.0, 12.3, 12.6], [-7.0, -9.0, -5.5], [0.5, 3.5, 3.8])
    parts = np.stack([TABLE.grid, 5.0 * np.exp(1j * np.arange(TABLE.grid.size)).reshape(TABLE.grid.shape)])
    experiment = plain(
        beam=plain().beam.replace(sources=waves), factors=AnomalousFactors(parts, [curve], 1e-10, TABLE.minimum)
    )
    values = {"factors.f1[Se]": (-6.0, -3.0), "factors.f2[Se]": (2.0, 1.0), "crystal.cells": (7.2, 6.1, 5.0)}
    agree(values, experiment)
    with pytest.raises(InputError, match=r"factors.f1\[Se\] with beam.wavelength"):
        with_values(experiment, values | {"beam.wavelength": 1.02e-10})


VALUES = {"crystal.rotation": (0.01, -0.02, 0.03), "beam.wavelength": 1.01e-10, "crystal.cells": (7.2, 6.1, 5.0)}


def test_every_way_to_differentiate_gives_the_same():
    def loss(rotation, wavelength):
        values = {"crystal.rotation": rotation, "beam.wavelength": wavelength, "crystal.cells": (7.2, 6.1, 5.0)}
        return tilesim.torch.simulate(values, plain()).square().sum()

    leaves = [tensor(VALUES["crystal.rotation"], requires_grad=True), tensor(1.01e-10, requires_grad=True)]
    loss(*leaves).backward()
    assert leaves[0].grad.abs().min() > 0 and leaves[1].grad.shape == ()
    values = [leaf.detach() for leaf in leaves]
    _, pull = torch.func.vjp(loss, *values)
    for found in (torch.func.grad(loss, (0, 1))(*values), pull(tensor(1.0))):
        assert [one.tolist() for one in found] == [leaf.grad.tolist() for leaf in leaves]
    single = values[0].float().requires_grad_()
    loss(single, values[1]).backward()
    assert single.grad.dtype == torch.float32
    np.testing.assert_allclose(single.grad.numpy(), leaves[0].grad.numpy(), rtol=1e-4)


def test_the_image_is_that_of_the_nouns_and_its_derivative_the_difference():
    values = {name: np.atleast_1d(value) for name, value in VALUES.items()}
    image = tilesim.torch.simulate(inputs(values), plain(), tile=10, precision="double")
    assert image.dtype == torch.float64 and image.requires_grad
    expected = tilesim.simulate_now(with_values(plain(), values), "double", "cpu", "fused")
    assert expected.max() > 0 and image.detach().numpy().astype(np.float32).tobytes() == expected.tobytes()
    broad = plain(crystal=plain().crystal.replace(shape="gauss-hkl"))  # steps are large: images are float32

    def total(moved):
        return tilesim.torch.simulate(moved, broad, precision="double").sum()

    leaves = inputs(values)
    total(leaves).backward()
    for name, step in {"crystal.rotation": 1e-4, "beam.wavelength": 1e-14, "crystal.cells": 1e-3}.items():
        high, low = (total(values | {name: values[name] + by * np.eye(len(values[name]))[0]}) for by in (step, -step))
        slope = float(high - low) / (2.0 * step)
        assert slope == pytest.approx(float(leaves[name].grad[0]), rel=1e-4)


@pytest.mark.filterwarnings("ignore:.*torch.jit")  # by torch.func.jvp itself
def test_what_is_no_first_derivative_is_refused_and_no_silent_zero():
    leaf = tensor((0.0, 0.0, 0.01), requires_grad=True)

    def image(rotation):
        return tilesim.torch.simulate({"crystal.rotation": rotation}, plain())

    loss = image(leaf).sum() + leaf.square().sum()
    [first] = torch.autograd.grad(loss, leaf, create_graph=True)
    with pytest.raises(InputError, match="second derivatives of an image are not computed"):
        first.sum().backward()
    with pytest.raises(InputError, match="forward-mode derivatives"):
        torch.func.jvp(image, (leaf.detach(),), (leaf.detach(),))
    with pytest.raises(InputError, match=r"expected one at a time, or tilesim.gradient"):
        torch.func.jacrev(image)(leaf.detach())


@pytest.mark.parametrize(
    ("parameters", "experiment", "named"),
    [
        ({"crystal.colour": tensor(1.0)}, plain(), "parameter crystal.colour is not known"),
        ({"crystal.cells": tensor((1.0, 2.0))}, plain(), "expected 3 numbers"),
        ({"crystal.cells": torch.tensor((1, 2, 3))}, plain(), "a tensor of torch.int64; expected float64 or float32"),
        ({"crystal.cells": [tensor(5.0, requires_grad=True), 5, 5]}, plain(), "tilesim.torch.simulate"),
        ({"beam.wavelength": tensor(float("nan"))}, plain(), "expected 1 finite number"),
        ({"factors": tensor((1.0, 2.0))}, plain(), "of the shape of experiment.factors.grid, (13, 15, 17)"),
        ([tensor(1.0)], plain(), "expected a mapping of names to tensors"),
        ({"beam.wavelength": tensor(1e-10)}, "a.expt", "expected an Experiment"),
        (
            {"crystal.cell": tensor(plain().crystal.cell)},
            plain(crystal=plain().crystal.replace(shape="tophat")),
            "toph",
        ),
    ],
)
def test_what_makes_no_image_is_refused(parameters, experiment, named):
    with pytest.raises(InputError) as error:
        tilesim.torch.simulate(parameters, experiment)
    assert named in str(error.value) and "\n" not in str(error.value)


def test_workers_give_the_bytes_of_threads(cluster):
    distributed = pytest.importorskip("distributed")

    def both():
        leaves = inputs({name: np.atleast_1d(value) for name, value in VALUES.items()})
        image = tilesim.torch.simulate(leaves, plain(), tile=8)
        image.square().sum().backward()
        return [image.detach().numpy().tobytes(), *(leaf.grad.numpy().tobytes() for leaf in leaves.values())]

    one = both()
    with distributed.Client(cluster(2)) as client:
        assert both() == one
        assert client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.task_prefixes)) > 0  # not here


def test_the_optimiser_of_the_page_finds_the_rotation(capsys):
    page = (Path(__file__).parents[2] / "docs" / "gradients.md").read_text()
    [example] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    found = {}
    exec(example, found)
    assert capsys.readouterr().out == "tensor(True)\n"
    assert found["measured"].max() > 1000 and found["rotation"].grad.abs().max() > 0


def test_numbers_of_a_spread_that_became_equal_are_refused():
    spread = MosaicSpread((0.01, 0.02, 0.03), domains=4)
    experiment = plain(crystal=plain().crystal.replace(mosaic_spread=spread))
    image = tilesim.torch.simulate({"crystal.mosaic_spread.sigma": tensor((0.01,) * 3, requires_grad=True)}, experiment)
    assert image.max() > 0
    with pytest.raises(InputError, match=r"crystal.mosaic_spread.sigma: all its numbers are equal now"):
        image.sum().backward()


# --- nouns


CUBE = ((1e-9, 0.0, 0.0), (0.0, 1e-9, 0.0), (0.0, 0.0, 1e-9))
LEAF = tensor((0.0, 0.0, 1.0), requires_grad=True)
LOST = {
    "wavelength": lambda: Beam((0.0, 0.0, 1.0), LEAF[2]),
    "beam direction": lambda: Beam(LEAF, 1e-10),
    "cell vector a": lambda: Crystal((LEAF[2], 0.0, 0.0), *CUBE[1:]),
    "mosaic rotations": lambda: Crystal(*CUBE, mosaic_rotations=torch.eye(3, requires_grad=True)[None]),
    "mosaic spread": lambda: MosaicSpread(LEAF[2]),
    "layer thickness of the sensor": lambda: Sensor(1, LEAF[2], 1.0),
    "grid of the structure factors": lambda: StructureFactors(torch.ones(1, 1, 1, requires_grad=True)),
}


@pytest.mark.parametrize("name", LOST)
def test_nouns_refuse_tensors_whose_derivatives_they_would_lose(name):
    with pytest.raises(InputError) as error:
        LOST[name]()
    said = str(error.value)
    assert said.startswith(f"{name} is a tensor that requires_grad") and "tilesim.torch.simulate" in said


def test_nouns_take_other_tensors_as_arrays():
    crystal = Crystal(tensor(CUBE[0]), *tensor(CUBE[1:]), torch.tensor((3, 4, 5)))
    assert crystal == Crystal(*CUBE, (3, 4, 5)) and isinstance(crystal.a, tuple)
    assert MosaicSpread(tensor(0.01)) == MosaicSpread(0.01) == MosaicSpread(np.array(0.01))


def test_torch_is_imported_when_the_module_is_used():
    code = "import sys, tilesim; before = 'torch' in sys.modules; tilesim.torch.simulate; print(before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
