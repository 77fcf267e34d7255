"""The fused derivatives of the GPU through Triton's interpreter, against those of the CPU: no GPU is needed."""

import importlib

import dask
import numpy as np
import pytest
import torch
from differentiable import CASES, names_in
from varied import PRECISIONS, found_by

import tilesim
from tilesim.engine.derivatives import masked_to
from tilesim.errors import InputError
from tilesim.gradients.chain import coefficients
from tilesim.gradients.parameters import parse_parameters
from tilesim.kernels import fused, library, tensors
from tilesim.model import Background, Sampling, ScatteringCurve

pytest.importorskip("triton")
compiler = pytest.mark.skipif(library.compiler() is None, reason="no C++ compiler")


@pytest.fixture(scope="module")
def gpu():
    """Modules whose kernels are interpreted, on tensors of the host."""
    import tilesim.kernels.gpu as image
    import tilesim.kernels.gpuevaluation as evaluation
    import tilesim.kernels.gpurows as rows
    import tilesim.kernels.gpuslopes as slopes

    modules = (image, evaluation, slopes, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        for module in modules:
            importlib.reload(module)
        yield modules
    for module in modules:
        importlib.reload(module)


def bright(experiment, count=6):
    """Pixels of all brightnesses, the brightest among them."""
    order = np.argsort(fused.lower(experiment, "double").photons(np.arange(24 * 24))[0])
    return np.sort(order[:: -(len(order) // count)])


def derivatives(gpu, experiment, names, precision, numbers):
    image, *_, rows = gpu
    table = coefficients(experiment, 0, parse_parameters(names, experiment))
    return rows.GpuSlopesKernel(image.lower(experiment, precision, "cpu"), table).derivatives(numbers)


@compiler
@pytest.mark.parametrize("precision, allowed", PRECISIONS.items())
@pytest.mark.parametrize("case", CASES)
def test_every_derivative_is_that_of_the_cpu(gpu, case, precision, allowed):
    experiment, some = CASES[case], bright(CASES[case])
    names = names_in(experiment)
    expected_photons, expected = (one[..., 0, :] for one in found_by(experiment, names, "double", some))
    photons, found = derivatives(gpu, experiment, names, precision, some)
    np.testing.assert_allclose(photons, expected_photons, rtol=1e-5)
    varied = [one.name for one in parse_parameters(names, experiment) for _ in range(one.size)]
    for name, one, other in zip(varied, found, expected, strict=True):
        largest = np.abs(other).max()
        assert np.abs(one - other).max() <= allowed * largest, (name, np.abs(one - other).max() / largest)
    assert {"crystal.rotation"} <= {name for name, one in zip(varied, expected, strict=True) if np.abs(one).max() > 0}


@compiler
def test_a_part_asked_for_alone_is_the_same(gpu):
    experiment, some = CASES["gauss"], bright(CASES["gauss"], 3)
    every = derivatives(gpu, experiment, names_in(experiment), "double", some)[1]
    rotation = derivatives(gpu, experiment, ["crystal.rotation"], "double", some)[1]
    distance = derivatives(gpu, experiment, ["detector.distance"], "double", some)[1]
    assert np.abs(rotation).max() > 0 and np.abs(distance).max() > 0
    np.testing.assert_allclose(rotation, every[:3], rtol=1e-12)
    place = sum(one.size for one in parse_parameters(names_in(experiment)[:12], experiment))
    np.testing.assert_allclose(distance[0], every[place], rtol=1e-12)


def test_memory_of_a_block_is_what_its_waves_keep(monkeypatch):
    import tilesim.kernels.gpurows as rows

    monkeypatch.setattr(rows, "add_slopes", lambda *wave: None)
    sampling = Sampling(2, oversample_thick=True, oversample_polar=True, oversample_omega=True, dmin=4e-10)
    experiment = CASES["square"].replace(sampling=sampling)
    table = coefficients(experiment, 0, parse_parameters(names_in(experiment), experiment))
    kept, waves = {}, 2 * 4 * 2

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        rows.GpuSlopesKernel(tensors.lower(experiment, "double"), table).derivatives(np.arange(512))
    numbers = sum(one.untyped_storage().nbytes() for one in kept.values()) / 8 / 512
    assert 20 * waves < numbers < rows.NUMBERS_PER_WAVE * waves


@compiler
def test_tiles_are_computed_on_the_device_that_is_asked_for(gpu, monkeypatch):
    image, *_ = gpu
    lower, lower_table, used = image.lower, image.lower_table, []

    def on_host(experiment, precision, device, table):
        used.append(device)
        return lower(experiment, precision, "cpu", table=table)

    monkeypatch.setattr(image, "lower", on_host)
    monkeypatch.setattr(
        image, "lower_table", lambda factors, summed, _, waves: lower_table(factors, summed, "cpu", waves)
    )
    monkeypatch.setattr("tilesim.engine.backend.count_gpus", lambda: 1)
    where = np.zeros((24, 24), bool)
    where[3:5, 7:9] = where[20, 20] = True
    experiment, names = (
        masked_to(CASES["veiled"].replace(background=None), where),
        ["crystal.cells", "detector.distance"],
    )
    how = {"tile": 12, "precision": "double"}
    with dask.config.set(scheduler="synchronous"):
        expected = tilesim.gradient(experiment, names, **how).compute()
        found = tilesim.gradient(experiment, names, **how, device="cuda").compute()
        pulled = tilesim.pullback(experiment, expected[0], names, **how, device="auto")
        sums = [
            tilesim.normal_equations(experiment, expected[1], 2.0, names, **how, device=one) for one in ("cpu", "cuda")
        ]
    assert np.abs(expected).max(axis=(1, 2)).min() > 0
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10 * np.abs(expected).max())
    products = (expected * expected[0]).sum(axis=(1, 2))
    np.testing.assert_allclose(np.concatenate(list(pulled.values())), products, rtol=1e-8)
    for one in ("matrix", "vector", "chi_squared"):
        np.testing.assert_allclose(*(getattr(some, one) for some in sums), rtol=1e-8)
    assert set(used) == {"cuda:0"}


def test_structure_factors_are_refused_on_a_gpu(monkeypatch):
    monkeypatch.setattr("tilesim.engine.backend.count_gpus", lambda: 1)
    cotangent = np.ones((24, 24))
    with pytest.raises(InputError, match="derivative with factors is not computed on cuda:0; expected device='cpu'"):
        tilesim.pullback(CASES["square"], cotangent, ["crystal.rotation", "factors"], device="cuda")
    with pytest.raises(InputError, match=r"derivative with factors.f1\[E0\] is not computed on cuda:0"):
        tilesim.gradient(CASES["spectral"], "factors.f1[E0]", device="auto")
    veiled = CASES["square"].replace(
        beam=CASES["square"].beam.replace(size=1e-4),
        background=Background(ScatteringCurve((0.0, 1e9), (3.0, 3.0)), 2e-4, 1100.0, 0.02),
    )
    with pytest.raises(InputError, match=r"derivative with detector.distance is not computed on cuda:0"):
        tilesim.gradient(veiled, ["beam.fluence", "detector.distance"], device="cuda")
