"""The same kernels on a CUDA device; skipped where there is none."""

import dask
import numpy as np
import pytest
from differentiable import CASES, names_in
from experiments import ALL
from varied import PRECISIONS

from tilesim.compute import tile_truth
from tilesim.engine.backend import resolve_device
from tilesim.engine.derivatives import gradient, normal_equations
from tilesim.engine.job import lower_job, make_job
from tilesim.engine.lazy import simulate_now
from tilesim.errors import PlanError
from tilesim.tiling.tile import Tile
from tilesim.tools.verbs import run, truth


def cuda() -> bool:
    import torch

    return torch.cuda.is_available()


@pytest.mark.gpu
@pytest.mark.skipif(not cuda(), reason="no CUDA device")
@pytest.mark.filterwarnings("ignore:TRITON")
@pytest.mark.parametrize("backend", ["eager", "fused"])
@pytest.mark.parametrize("precision, limit", [("mixed", 1e-5), ("double", 1e-9)])
@pytest.mark.parametrize("name", ALL)
def test_the_gpu_agrees_with_the_cpu_in_double(name, precision, limit, backend):
    expected = simulate_now(ALL[name], "double", "cpu", "eager").astype(np.float64)
    image = simulate_now(ALL[name], precision, "cuda", backend)
    error = np.abs(image - expected) / np.maximum(np.abs(expected), 1e-6 * np.abs(expected).max())
    assert error.max() < max(limit, 1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not cuda(), reason="no CUDA device")
@pytest.mark.filterwarnings("ignore:TRITON")
@pytest.mark.parametrize("backend", ["eager", "fused"])
@pytest.mark.parametrize("name", [name for name, one in ALL.items() if not one.sampling.strict_c])
def test_the_truth_on_the_gpu_agrees_with_the_cpu_in_double(name, backend):
    whole = Tile(0, 0, 0, 23, 0, 31)
    kernels = (
        lower_job(make_job(ALL[name], None, *how))
        for how in (("double", "cpu", "eager"), ("mixed", "cuda", backend), ("double", "cuda", backend))
    )
    expected, *found = (tile_truth(kernel, whole) for kernel in kernels)
    assert expected[0].max() > 0
    bright = expected[0] > 1e-9 * expected[0].max()
    for one in found:
        np.testing.assert_allclose(one[0], expected[0], rtol=1e-5, atol=1e-9 * expected[0].max())
        np.testing.assert_allclose(one[1:, bright], expected[1:, bright], rtol=1e-5, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not cuda(), reason="no CUDA device")
@pytest.mark.filterwarnings("ignore:TRITON")
def test_a_store_of_the_gpu_has_its_truth(tmp_path):
    run(ALL["rich"], store=tmp_path / "x.zarr", truth=True, device="cuda", progress=False)
    assert truth(tmp_path / "x.zarr").labels["photons"][0] > 0


@pytest.mark.gpu
@pytest.mark.skipif(not cuda(), reason="no CUDA device")
@pytest.mark.filterwarnings("ignore:TRITON")
@pytest.mark.parametrize("precision, allowed", PRECISIONS.items())
@pytest.mark.parametrize("case", CASES)
def test_derivatives_on_the_gpu_agree_with_those_of_the_cpu_in_double(case, precision, allowed):
    experiment, names = CASES[case], names_in(CASES[case])
    expected = gradient(experiment, names, precision="double").compute()
    found = gradient(experiment, names, precision=precision, device="cuda").compute()
    largest = np.abs(expected).max(axis=(1, 2))
    assert largest[:3].min() > 0 and (np.abs(found - expected).max(axis=(1, 2)) <= allowed * largest).all()
    whole, cut = gradient(experiment, names[:3], device="cuda"), gradient(experiment, names[:3], 10, device="cuda")
    assert whole.compute().tobytes() == cut.compute().tobytes()


@pytest.mark.gpu
@pytest.mark.skipif(not cuda(), reason="no CUDA device")
@pytest.mark.filterwarnings("ignore:TRITON")
def test_normal_equations_of_the_gpu_are_the_same_for_any_number_of_threads():
    found = []
    for threads in (1, 4):
        with dask.config.set(scheduler="threads", num_workers=threads):
            data = np.full((24, 24), 10.0)
            found.append(normal_equations(CASES["gauss"], data, 1.0, ["crystal.cell"], None, 8, device="cuda"))
    assert np.abs(found[0].matrix).max() > 0
    assert found[0].matrix.tobytes() == found[1].matrix.tobytes()


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "cuda:x", "cpu:1", ""])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(PlanError, match="device"):
        resolve_device(name)
