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
    parts: Tensor | None = None
    """(entries, parts, 2) real and imaginary, in the working dtype, of which amplitudes are mixed; None: they are
    `values`, which are empty otherwise."""
    mixture: Tensor | None = None
    """(parts, 2) factors of the parts at one photon energy."""


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


def make_parts(parts: Tensor, minimum: tuple[int, int, int], dtype: torch.dtype, device: torch.device) -> FactorTable:
    """Table on `device` without a mixture, from bordered parts (h, k, l, parts) complex128 of a grid at `minimum`."""
    h, k, l = (float(m - 1) for m in minimum)
    layers, rows, length, count = map(float, parts.shape)
    highest = (h + layers - 1.0, k + rows - 1.0, l + length - 1.0)
    origin = -((h * rows + k) * length + l)
    flat = torch.view_as_real(parts).reshape(-1, int(count), 2).to(dtype).to(device)
    nothing = torch.zeros(0, dtype=torch.float64, device=device)
    return FactorTable(nothing, nothing.to(dtype), (h, k, l), highest, rows, length, origin, flat)


def _mixed_squared(entry: Tensor, parts: Tensor, mixture: Tensor) -> Tensor:
    """|sum of factor x part|^2 (n,) at flat table indices (n,)."""
    real, imaginary = torch.zeros_like(entry, dtype=parts.dtype), torch.zeros_like(entry, dtype=parts.dtype)
    for number, (c, d) in enumerate(mixture.tolist()):
        x, y = parts[:, number, 0].index_select(0, entry), parts[:, number, 1].index_select(0, entry)
        real.add_(x, alpha=c).sub_(y, alpha=d)
        imaginary.add_(y, alpha=c).add_(x, alpha=d)
    return real.square_().add_(imaginary.square_())


def all_squares(table: FactorTable) -> Tensor:
    """Squared amplitudes (entries,) of the whole table, mixed where they follow the photon energy."""
    if table.parts is None or table.mixture is None:
        return table.squares
    return _mixed_squared(torch.arange(len(table.parts), device=table.parts.device), table.parts, table.mixture)


def _amplitudes(entry: Tensor, table: FactorTable) -> Tensor:
    """Amplitudes (n,) float64 at flat table indices (n,)."""
    if table.parts is None or table.mixture is None:
        return table.values.index_select(0, entry)
    return _mixed_squared(entry, table.parts, table.mixture).to(torch.float64).sqrt_()


def _entry(node: Sequence[Tensor], table: FactorTable) -> Tensor:
    """Flat table index (n,), exact in float64, of whole indices between lowest and highest."""
    return (node[0] * table.rows).add_(node[1]).mul_(table.length).add_(node[2]).add_(table.origin)


def nearest_squared(node: Axes, table: FactorTable) -> Tensor:
    """Squared amplitude (n,) at whole indices; the default outside the table (spec intensity 5.2)."""
    entry = _nearest_entry(node, table)
    if table.parts is not None and table.mixture is not None:
        return _mixed_squared(entry, table.parts, table.mixture)
    return table.squares.index_select(0, entry)


def nearest(node: Axes, table: FactorTable) -> Tensor:
    """Amplitude (n,) float64 at whole indices, with its sign; as `nearest_squared`."""
    return _amplitudes(_nearest_entry(node, table), table)


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
                along_l = along_l + on_l[k] * _amplitudes(start + k, table)
            total = total + on_h[i] * on_k[j] * along_l
    return total


def _lagrange(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weights of the nodes -1, 0, 1, 2 at x."""
    below, above, far = x + 1, x - 1, x - 2
    return (-x * above * far / 6, below * above * far / 2, -below * x * far / 2, below * x * above / 6)
