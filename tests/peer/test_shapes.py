"""Shapes of crystals against images of simtbx."""

import numpy as np
import pytest
from peer import cases

import tilesim
from tilesim.engine.lazy import simulate_now
from tilesim.kernels import library
from tilesim.model.vectors import IDENTITY

compiler = pytest.mark.skipif(library.compiler() is None, reason="no C++ compiler")
BACKENDS = ["eager", pytest.param("fused", marks=compiler)]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["a_mono_square", "a_mono_round"])
def test_shapes_of_nanobragg(name, backend):
    found = simulate_now(cases.experiment(name), "double", "cpu", backend)
    assert cases.difference(found, name) < cases.LIMIT


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["b_mono_gauss", "c_spectrum10_gauss", "d_mosaic40_gauss"])
def test_the_gaussian_of_simtbx(name, backend):
    """Its polarisation is that of the last source: sources of one direction share it."""
    found = simulate_now(cases.experiment(name), "double", "cpu", backend)
    assert cases.difference(found, name) < cases.LIMIT


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["j1_nmatrix", "j1_detector_nopolar", "j2_eta_iso"])
def test_the_oriented_gaussian_of_diffbragg(name, backend):
    """Its polarisation is that of the pixel's centre, which is all there is of a pixel that is not oversampled."""
    experiment = cases.experiment(name)
    assert any(experiment.crystal.cells_off_diagonal) and experiment.crystal.cells == (9.5, 7.2, 6.4)
    assert cases.difference(simulate_now(experiment, "double", "cpu", backend), name) < cases.LIMIT


def test_the_gaussian_of_nanobragg_is_another_one():
    experiment = cases.experiment("b_mono_gauss")
    star = experiment.replace(crystal=experiment.crystal.replace(shape="gauss"))
    assert cases.difference(simulate_now(star, "double", "cpu", "eager"), "b_mono_gauss") > 0.1


@pytest.mark.parametrize("backend", BACKENDS)
def test_explicit_matrices_of_a_mosaic_square_crystal(backend):
    found = simulate_now(cases.experiment("e_mosaic60_aniso_lab"), "double", "cpu", backend)
    assert cases.difference(found, "e_mosaic60_aniso_lab") < cases.LIMIT


@pytest.mark.parametrize("name, degrees", [("e_mosaic60_aniso_lab", (0.15, 0.5, 1.0)), ("j2_eta_iso", 0.5)])
def test_mosaic_spread_makes_the_matrices_of_simtbx(name, degrees):
    wanted = cases.experiment(name)
    spread = tilesim.MosaicSpread(np.radians(degrees), wanted.crystal.domains)
    crystal = wanted.crystal.replace(mosaic_rotations=(IDENTITY,), mosaic_spread=spread)
    np.testing.assert_allclose(crystal.mosaic_matrices, wanted.crystal.mosaic_matrices, rtol=0, atol=1e-14)
    found = simulate_now(wanted.replace(crystal=crystal), "double", "cpu", "eager")
    assert cases.difference(found, name) < cases.LIMIT
