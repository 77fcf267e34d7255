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
