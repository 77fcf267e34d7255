"""Derivatives with the amplitudes of reflections: a list of those that have any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.model import StructureFactors

Floats = npt.NDArray[np.float64]


@frozen(eq=False)
class FactorDerivatives:
    """Derivatives of a function with the amplitude of every reflection, each entry of the table by itself.

    Reflections that are not listed have none: nothing of them reaches a pixel that counts, or their amplitude is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from tilesim import FactorDerivatives, StructureFactors
    >>> found = FactorDerivatives(np.array([[-1, 0, 1]]), np.array([2.5]))
    >>> grid = found.grid(StructureFactors(np.ones((3, 3, 3)), minimum=(-1, -1, -1)))
    >>> float(grid[0, 1, 2]), float(grid.sum())
    (2.5, 2.5)
    """

    indices: npt.NDArray[np.int64]
    """(n, 3) h, k, l, rising."""
    values: Floats
    """(n,) per electron."""

    @classmethod
    def total(cls, parts: Sequence[Self], factors: StructureFactors) -> Self:
        """The sum of several, added up in their order."""
        indices, values = np.concatenate([one.indices for one in parts]), np.concatenate([one.values for one in parts])
        if not len(values):
            return cls(indices, values)
        places = np.ravel_multi_index(tuple((indices - factors.minimum).T), factors.grid.shape)
        listed, which = np.unique(places, return_inverse=True)
        found = np.stack(np.unravel_index(listed, factors.grid.shape), axis=1) + np.array(factors.minimum)
        sums = np.zeros(len(listed))
        np.add.at(sums, which, values)
        return cls(found, sums)

    def grid(self, factors: StructureFactors) -> Floats:
        """All (h, k, l), as `factors.grid` has the amplitudes. Raises InputError where that lacks one of these."""
        places, found = self.indices - factors.minimum, np.zeros(factors.grid.shape)
        if not ((places >= 0) & (places < found.shape)).all():
            raise InputError("structure factors without some of these reflections; expected those of the experiment")
        found[tuple(places.T)] = self.values
        return found
