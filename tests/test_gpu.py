"""The same kernels on a CUDA device; skipped where there is none."""

import numpy as np
import pytest
from experiments import ALL

from tilesim.engine.backend import resolve_device
from tilesim.engine.lazy import simulate_now
from tilesim.errors import PlanError


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


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "cuda:x", "cpu:1", ""])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(PlanError, match="device"):
        resolve_device(name)
