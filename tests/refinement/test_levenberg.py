"""Steps: what frames share is solved together, what is their own by elimination; singular directions are left alone."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilesim.refinement.levenberg import covariances, invert, solve


def systems(seed, frames, count):
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(frames, 2 * count, count)) * 10.0 ** rng.uniform(-3, 3, count)
    return [root.T @ root for root in roots], list(rng.normal(size=(frames, count)))


def dense(matrices, vectors, shared):
    """The same normal equations as one matrix: shared numbers first."""
    count, common = len(vectors[0]), list(shared)
    own = [n for n in range(count) if n not in shared]
    size = len(common) + len(own) * len(matrices)
    matrix, vector, places = np.zeros((size, size)), np.zeros(size), []
    for number, (one, right) in enumerate(zip(matrices, vectors, strict=True)):
        place = np.zeros(count, int)
        place[common] = range(len(common))
        place[own] = len(common) + number * len(own) + np.arange(len(own))
        matrix[np.ix_(place, place)] += one
        vector[place] += right
        places.append(place)
    return matrix, vector, places


@given(st.integers(0, 1000), st.integers(1, 4), st.integers(1, 4), st.integers(0, 3), st.sampled_from([0.0, 0.3]))
def test_elimination_solves_the_whole_system(seed, frames, count, shared, damping):
    shared = tuple(range(min(shared, count)))
    matrices, vectors = systems(seed, frames, count)
    matrix, vector, places = dense(matrices, vectors, shared)
    expected = np.linalg.solve(matrix + damping * np.diag(matrix.diagonal()), vector)
    for step, place in zip(solve(matrices, vectors, shared, damping), places, strict=True):
        np.testing.assert_allclose(step, expected[place], rtol=1e-6)


@given(st.integers(0, 1000), st.integers(1, 3), st.integers(0, 2))
def test_covariances_are_blocks_of_the_inverse(seed, frames, shared):
    shared, (matrices, vectors) = tuple(range(shared)), systems(seed, frames, 3)
    matrix, _, places = dense(matrices, vectors, shared)
    expected = np.linalg.inv(matrix)
    fit = SimpleNamespace(equations=(matrices, vectors), shared=shared)
    for (covariance, determined), place in zip(covariances(fit), places, strict=True):
        errors = np.sqrt(expected.diagonal()[place])
        np.testing.assert_allclose(
            covariance / np.outer(errors, errors), expected[np.ix_(place, place)] / np.outer(errors, errors), atol=1e-6
        )
        assert determined.all()


def test_numbers_that_only_a_combination_of_is_determined_are_named():
    matrix = np.array([[2.0, 2.0, 0.0, 0.0], [2.0, 2.0, 0.0, 0.0], [0.0, 0.0, 5.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    inverse, determined = invert(matrix)
    assert determined.tolist() == [False, False, True, False]
    assert inverse[2, 2] == pytest.approx(0.2) and (inverse[3] == 0).all()
    np.testing.assert_allclose(matrix @ inverse @ matrix, matrix, atol=1e-12)
