"""Structure factors at fractional Miller indices: the nearest entry of a table, or tricubic interpolation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Axes = tuple[Tensor, Tensor, Tensor]
"""One (n,) tensor per axis: x, y, z or h, k, l."""


@dataclass(frozen=True)
class FactorTable:
    """A grid of amplitudes with a border of the default, so that any index can be clamped and looked up."""

    values: Tensor
    """Amplitudes, float64, flat, l fastest, one border cell on every side."""
    squares: Tensor
    """Their squares in the working dtype."""
    lowest: tuple[float, float, float]
    """Miller indices of the first border cell."""
    highest: tuple[float, float, float]
    """Those of the last border cell."""
    rows: float
    """Entries along k."""
    length: float
    """Entries along l."""
    origin: float
    """Entry of (0, 0, 0), were it in the table."""


def make_table(
    grid: Tensor, minimum: tuple[int, int, int], default: float, dtype: torch.dtype, device: torch.device
) -> FactorTable:
    """Table on `device` from grid (h, k, l) float64 whose first entry is at `minimum`; `dtype` is for the squares."""
    bordered = torch.nn.functional.pad(grid.to(torch.float64), (1, 1, 1, 1, 1, 1), value=default).to(device)
    h, k, l = (float(m - 1) for m in minimum)
    layers, rows, length = map(float, bordered.shape)
    highest = (h + layers - 1.0, k + rows - 1.0, l + length - 1.0)
    origin = -((h * rows + k) * length + l)
    flat = bordered.reshape(-1)
    return FactorTable(flat, (flat * flat).to(dtype), (h, k, l), highest, rows, length, origin)


def _entry(node: Sequence[Tensor], table: FactorTable) -> Tensor:
    """Flat table index (n,), exact in float64, of whole indices between lowest and highest."""
    return (node[0] * table.rows).add_(node[1]).mul_(table.length).add_(node[2]).add_(table.origin)


def nearest_squared(node: Axes, table: FactorTable) -> Tensor:
    """Squared amplitude (n,) at whole indices; the default outside the table (spec intensity 5.2)."""
    return table.squares.index_select(0, _nearest_entry(node, table))


def nearest(node: Axes, table: FactorTable) -> Tensor:
    """Amplitude (n,) float64 at whole indices, with its sign; as `nearest_squared`."""
    return table.values.index_select(0, _nearest_entry(node, table))


def _nearest_entry(node: Axes, table: FactorTable) -> Tensor:
    inside = [torch.clamp(x, lo, hi) for x, lo, hi in zip(node, table.lowest, table.highest, strict=True)]
    return _entry(inside, table).to(torch.int32)


def interpolable(hkl: Axes, table: FactorTable) -> Tensor:
    """True (n,) where all neighbours of hkl are in the table, by the reference's range test (spec intensity 5.4)."""
    inside = torch.ones_like(hkl[0], dtype=torch.bool)
    for x, lo, hi in zip(hkl, table.lowest, table.highest, strict=True):
        minimum, size = lo + 1, hi - lo - 1
        inside = inside & ~((x - minimum + 3 > size) | (x - 2 < minimum))
    return inside


def tricubic(hkl: Axes, table: FactorTable) -> Tensor:
    """Amplitude (n,) by four-point Lagrange interpolation along each axis, float64 (spec intensity 5.4).

    Only meaningful where `interpolable`, elsewhere some finite number. The table has at least four entries
    along each axis.
    """
    corner = [
        torch.clamp(torch.floor(x), lo + 2, hi - 3) for x, lo, hi in zip(hkl, table.lowest, table.highest, strict=True)
    ]
    first = _entry([x - 1 for x in corner], table)
    on_h, on_k, on_l = (_lagrange(x - x0) for x, x0 in zip(hkl, corner, strict=True))
    total = torch.zeros_like(hkl[0])
    for i in range(4):
        for j in range(4):
            start = (first + (i * table.rows + j) * table.length).to(torch.int32)
            along_l = torch.zeros_like(total)
            for k in range(4):
                along_l = along_l + on_l[k] * table.values.index_select(0, start + k)
            total = total + on_h[i] * on_k[j] * along_l
    return total


def _lagrange(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weights of the nodes -1, 0, 1, 2 at x."""
    below, above, far = x + 1, x - 1, x - 2
    return (-x * above * far / 6, below * above * far / 2, -below * x * far / 2, below * x * above / 6)
