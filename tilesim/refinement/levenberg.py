"""Steps of Gauss and Newton, damped as by Levenberg and Marquardt, for frames that share some of their parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import numpy as np
import numpy.typing as npt

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.gradients.parametrization import Point
from tilesim.refinement.residuals import FitSums

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
DAMPING = 1e-3
"""Damping of the first step."""
GIVEN_UP = 1e8
"""Damping at which no step helps any more."""
NEAR = 1e-4
"""Distance from the minimum, as a change of the deviance, that is near enough: 1 % of the standard errors."""
NEGLIGIBLE = 1e-10
"""Curvature, relative to the largest, that is none."""
APART = 0.05
"""Component of a number along a direction that has none, below which it is determined all the same."""


@frozen
class Fit:
    """Frames that are fitted together, at their present parameters."""

    frames: tuple[int, ...]
    points: tuple[Point, ...]
    sums: tuple[FitSums, ...]
    """Sums of each frame, at its point"""
    shared: tuple[int, ...] = ()
    """Places of the free numbers that all frames have in common"""
    damping: float = DAMPING
    steps: int = 0
    """Steps that were tried"""

    @property
    def deviance(self) -> float:
        """What is minimised: that of the pixels, and of the priors."""
        return sum(one.deviance for one in self.sums) + _prior_deviance(self.points, self.shared)

    @property
    def equations(self) -> tuple[list[Array], list[Array]]:
        """Matrix (free, free) and vector of each frame in coordinates, with its priors; of shared ones in the first."""
        matrices, vectors = [], []
        for number, (point, sums) in enumerate(zip(self.points, self.sums, strict=True)):
            slopes = point.slopes
            residuals, along = point.prior
            if number:
                along[list(self.shared)] = 0.0
            matrices.append(slopes.T @ sums.matrix @ slopes + np.diag(along * along))
            vectors.append(slopes.T @ sums.vector + along * residuals)
        for held, matrix, vector in zip(self._held(vectors), matrices, vectors, strict=True):
            matrix[held], matrix[:, held], vector[held] = 0.0, 0.0, 0.0
        return matrices, vectors

    def _held(self, vectors: Sequence[Array]) -> list[Flags]:
        """Which numbers of each frame stand at a bound that they would go beyond."""
        common = list(self.shared)
        together = sum(vector[common] for vector in vectors)
        found = []
        for point, vector in zip(self.points, vectors, strict=True):
            pull = vector.copy()
            pull[common] = together
            found.append(point.edges * pull > 0)
        return found

    @property
    def distance(self) -> float:
        """Estimated distance from the minimum, as a change of the deviance."""
        matrices, vectors = self.equations
        steps = solve(matrices, vectors, self.shared, 0.0)
        return float(sum(vector @ step for vector, step in zip(vectors, steps, strict=True)))

    @property
    def converged(self) -> bool:
        """Whether the minimum is near."""
        return self.distance < NEAR

    @property
    def stalled(self) -> bool:
        """Whether no step helped."""
        return self.damping > GIVEN_UP

    def trial(self) -> Self | None:
        """The same after the next step, its sums still those from before it; None where no such experiment exists."""
        steps = solve(*self.equations, self.shared, self.damping)
        try:
            moved = tuple(point.moved(step) for point, step in zip(self.points, steps, strict=True))
        except InputError:
            return None
        return replace(self, points=moved, steps=self.steps + 1)

    def judged(self, trial: Self | None) -> Self:
        """What to go on from: a trial with its sums where it is better, else this one with more damping."""
        if trial is not None and trial.deviance <= self.deviance:
            return replace(trial, damping=max(self.damping / 10.0, 1e-12))
        return replace(self, damping=max(self.damping, 1e-6) * 10.0, steps=self.steps + 1)


def solve(matrices: Sequence[Array], vectors: Sequence[Array], shared: tuple[int, ...], damping: float) -> list[Array]:
    """The step of each frame, by elimination of what is its own.

    Damping is relative to the diagonal, so that units do not matter; directions without curvature are left alone.
    """
    count = len(vectors[0])
    common = list(shared)
    own = [place for place in range(count) if place not in shared]
    diagonal = sum(matrix.diagonal()[common] for matrix in matrices)
    matrix = np.diag(damping * np.asarray(diagonal)) if common else np.zeros((0, 0))
    vector = np.zeros(len(common))
    eliminated = []
    for one, right in zip(matrices, vectors, strict=True):
        inner = one[np.ix_(own, own)] + damping * np.diag(one.diagonal()[own])
        inverse, across = invert(inner)[0], one[np.ix_(own, common)]
        matrix = matrix + one[np.ix_(common, common)] - across.T @ inverse @ across
        vector = vector + right[common] - across.T @ inverse @ right[own]
        eliminated.append((inverse, across, right[own]))
    together = invert(matrix)[0] @ vector if common else vector
    steps = []
    for inverse, across, right in eliminated:
        step = np.zeros(count)
        step[common], step[own] = together, inverse @ (right - across @ together)
        steps.append(step)
    return steps


def covariances(fit: Fit) -> list[tuple[Array, Flags]]:
    """Covariance (free, free) of the coordinates of each frame, all others being free too, and which are determined."""
    matrices, _ = fit.equations
    count, common = len(matrices[0]), list(fit.shared)
    own = [place for place in range(count) if place not in fit.shared]
    reduced, parts = np.zeros((len(common), len(common))), []
    for one in matrices:
        inverse, known = invert(one[np.ix_(own, own)])
        across = one[np.ix_(own, common)]
        reduced = reduced + one[np.ix_(common, common)] - across.T @ inverse @ across
        parts.append((inverse, across, known))
    shared, all_known = invert(reduced)
    found = []
    for inverse, across, known in parts:
        covariance, lever = np.zeros((count, count)), -inverse @ across
        covariance[np.ix_(common, common)] = shared
        covariance[np.ix_(own, common)] = lever @ shared
        covariance[np.ix_(common, own)] = (lever @ shared).T
        covariance[np.ix_(own, own)] = inverse + lever @ shared @ lever.T
        determined = np.ones(count, bool)
        determined[common], determined[own] = all_known, known
        found.append((covariance, determined))
    return found


def invert(matrix: Array) -> tuple[Array, Flags]:
    """The inverse of a symmetric matrix but for directions without curvature, and what has no part in those."""
    if not matrix.size:
        return matrix, np.ones(0, bool)
    sizes = np.sqrt(np.maximum(matrix.diagonal(), 0.0))
    units = np.where(sizes > 0, 1.0 / np.where(sizes > 0, sizes, 1.0), 0.0)
    values, vectors = np.linalg.eigh(matrix * np.outer(units, units))
    kept = values > NEGLIGIBLE * max(float(values[-1]), 0.0)
    inverse: Array = (vectors[:, kept] / values[kept]) @ vectors[:, kept].T * np.outer(units, units)
    determined: Flags = (np.abs(vectors[:, ~kept]) < APART).all(axis=1) & (sizes > 0)
    return inverse, determined


def _prior_deviance(points: Sequence[Point], shared: tuple[int, ...]) -> float:
    total = 0.0
    for number, point in enumerate(points):
        residuals, _ = point.prior
        if number:
            residuals[list(shared)] = 0.0
        total += float(residuals @ residuals)
    return total
