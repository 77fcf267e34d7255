"""The pixel mask: which pixels of a panel are rendered at all."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

import numpy as np

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.model import checks
from tilesim.model.noun import Noun


@frozen(eq=False, repr=False)
class PixelMask(Noun):
    """True where a pixel is rendered; equal when shape and values are equal.

    Raises
    ------
    InputError
        Where it does not have two dimensions.

    Examples
    --------
    >>> import numpy as np
    >>> from tilesim import PixelMask
    >>> active = np.ones((100, 200), bool)
    >>> active[:, 90:110] = False
    >>> PixelMask(active).summary()["pixels"]
    '2000 of 100 x 200 left out'
    """

    active: np.ndarray
    """(slow, fast) bool, panels stacked along the slow axis."""

    def __post_init__(self) -> None:
        checks.no_graph("mask", self.active)
        active = np.ascontiguousarray(self.active, dtype=bool)
        if np.ndim(self.active) != 2:
            raise InputError(f"the mask has {np.ndim(self.active)} dimensions; expected pixels (slow, fast)")
        if active.flags.writeable:
            active = active.copy()  # the caller's array stays his own
        active.setflags(write=False)
        object.__setattr__(self, "active", active)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of shape and values."""
        return hashlib.sha256(repr(self.active.shape).encode() + np.packbits(self.active).tobytes()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PixelMask) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def summary(self) -> dict[str, str]:
        slow, fast = self.active.shape
        return {"pixels": f"{int((~self.active).sum())} of {slow} x {fast} left out", "digest": self.digest[:12]}

    def to_dict(self) -> dict[str, Any]:
        """What describes the mask without its values."""
        return {"digest": self.digest, "shape": list(self.active.shape), "skipped": int((~self.active).sum())}
