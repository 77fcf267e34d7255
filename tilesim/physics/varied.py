"""Whether a tensor carries derivatives, so that the definition takes forms whose derivatives are right everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor


def is_varied(value: object) -> bool:
    """Whether derivatives with respect to something go through a value."""
    return isinstance(value, Tensor) and value.requires_grad


def rows_of(matrices: Tensor) -> Sequence[Sequence[Sequence[float]]]:
    """Matrices (n, 3, 3) as numbers, which are fastest in products, or as they are where they carry derivatives."""
    rows: Any = matrices if is_varied(matrices) else matrices.tolist()
    return rows  # type: ignore[no-any-return]
