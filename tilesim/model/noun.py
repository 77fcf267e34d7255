"""What all nouns share: a changed copy."""

from __future__ import annotations

import dataclasses
from typing import Self


class Noun:
    """Base class of the frozen dataclasses of the model."""

    def replace(self, **changes) -> Self:
        """A copy with some fields changed, checked as a new one is. Raises InputError."""
        return dataclasses.replace(self, **changes)
