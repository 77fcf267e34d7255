"""The pixel mask: which pixels of a panel are rendered at all."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class PixelMask:
    """True where a pixel is rendered; equal when shape and values are equal."""

    active: np.ndarray
    """(slow, fast) bool."""

    def __post_init__(self) -> None:
        active = np.ascontiguousarray(self.active, dtype=bool)
        if active.flags.writeable:
            active = active.copy()  # the caller's array stays his own
        active.setflags(write=False)
        object.__setattr__(self, "active", active)

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(repr(self.active.shape).encode() + np.packbits(self.active).tobytes()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PixelMask) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def to_dict(self) -> dict:
        return {"digest": self.digest, "shape": list(self.active.shape), "skipped": int((~self.active).sum())}
