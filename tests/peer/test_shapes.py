"""Shapes of crystals against images of simtbx."""

import pytest
from peer import cases

from tilesim.engine.lazy import simulate_now
from tilesim.kernels import library

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
