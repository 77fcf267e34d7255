"""The fused GPU kernel through Triton's interpreter, against the definition: no GPU is needed."""

import dataclasses
import importlib

import numpy as np
import pytest
import torch
from experiments import ALL

from tilesim.kernels import tensors
from tilesim.model.shape import Shape

triton = pytest.importorskip("triton")
SOME = np.arange(0, 23 * 31, 7)


@pytest.fixture(scope="module")
def gpu():
    """The module with its kernels interpreted, on tensors of the host."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        import tilesim.kernels.gpu as module

        yield importlib.reload(module)
    importlib.reload(module)


def metric(image, reference):
    return (np.abs(image - reference) / np.maximum(np.abs(reference), 1e-6 * np.abs(reference).max())).max()


@pytest.mark.parametrize("precision, tolerance", [("mixed", 1e-5), ("double", 1e-9)])
@pytest.mark.parametrize("name", ALL)
def test_it_agrees_with_the_definition(gpu, name, precision, tolerance):
    values, solid_angle = gpu.lower(ALL[name], precision, "cpu").photons(SOME)
    wanted, angles = tensors.lower(ALL[name], "double").photons(SOME)
    assert wanted.max() > 0 and metric(values, wanted) < tolerance
    assert solid_angle == pytest.approx(angles)


@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize("precision, tolerance", [("mixed", 1e-5), ("double", 1e-9)])
def test_every_shape_agrees(gpu, shape, precision, tolerance):
    off = (1.1, -0.5, 0.4) if shape.in_hkl else (0.0, 0.0, 0.0)
    crystal = dataclasses.replace(
        ALL["plain"].crystal, shape=shape, cells=(5.5, 6, 7.2), fudge=0.05, cells_off_diagonal=off
    )
    experiment = ALL["plain"].replace(crystal=crystal)
    values, _ = gpu.lower(experiment, precision, "cpu").photons(SOME)
    wanted, _ = tensors.lower(experiment, "double").photons(SOME)
    assert wanted.max() > 0 and metric(values, wanted) < tolerance


@pytest.mark.parametrize("latch", [0, 1, 3 * 31 + 5, 10**6])
def test_interpolation_ends_where_the_reference_gives_it_up(gpu, latch):
    strict = ALL["strict interpolated"]
    values, _ = gpu.lower(strict, "double", "cpu", latch=latch).photons(SOME)
    wanted, _ = tensors.lower(strict, "double", latch=latch).photons(SOME)
    assert metric(values, wanted) < 1e-9


def test_orientations_come_in_bounded_parts_that_add_up(gpu, monkeypatch):
    [grain] = tensors.lower(ALL["rich"], "double").setup.grains
    [whole] = gpu._cells(grain, False)
    monkeypatch.setattr(gpu, "ORIENTATIONS", 2)
    parts = list(gpu._cells(grain, False))
    assert len(parts) > 1 and max(map(len, parts)) <= 3
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=0)
