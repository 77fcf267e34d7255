"""Structure factors: a dense grid of amplitudes over a box of Miller indices."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tilesim.errors import InputError


@dataclass(frozen=True, eq=False)
class StructureFactors:
    """Amplitudes F(h,k,l) in electrons; equal when their digests are equal."""

    grid: np.ndarray
    """(h, k, l) float64; empty (0, 0, 0) where only `default` is used."""
    minimum: tuple[int, int, int] = (0, 0, 0)
    """Miller indices of grid[0, 0, 0]."""
    default: float = 0.0
    """Amplitude of every reflection outside the grid."""
    reflections: int = 0
    """Reflections read, duplicates counted; for reports."""
    source: str = ""
    """Name of the file it came from; for reports."""

    def __post_init__(self) -> None:
        grid = np.ascontiguousarray(self.grid, dtype=np.float64)
        if grid.flags.writeable:
            grid = grid.copy()  # the caller's array stays his own
        if grid.ndim != 3:
            raise InputError(f"structure factors have {grid.ndim} dimensions; expected a grid over h, k, l")
        grid.setflags(write=False)
        object.__setattr__(self, "grid", grid)

    @classmethod
    def constant(cls, amplitude: float) -> StructureFactors:
        """Every reflection has the same amplitude, in electrons."""
        return cls(np.zeros((0, 0, 0)), default=amplitude)

    @property
    def maximum(self) -> tuple[int, int, int]:
        """Largest Miller indices of the grid, inclusive."""
        return tuple(lo + n - 1 for lo, n in zip(self.minimum, self.grid.shape, strict=True))

    @property
    def empty(self) -> bool:
        return self.grid.size == 0

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything that changes a pixel: grid, position, default."""
        sha = hashlib.sha256(self.grid.tobytes())
        sha.update(repr((self.grid.shape, self.minimum, self.default)).encode())
        return sha.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StructureFactors) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def to_dict(self) -> dict:
        """What describes the table without its values."""
        return {
            "digest": self.digest,
            "minimum": list(self.minimum),
            "maximum": list(self.maximum),
            "default": self.default,
            "reflections": self.reflections,
            "source": self.source,
        }
