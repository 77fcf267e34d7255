"""The orientations of the crystal: spindle steps, and the mosaic domains of each."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def rotation_matrix(axis: Sequence[float], angle: float | Tensor) -> Tensor:
    """Right-handed rotation (3, 3) float64 by `angle` radians about the unit vector `axis` (spec geometry 6)."""
    # Angles that are varied carry derivatives, which functions of numbers would lose.
    cos, sin = (torch.cos(angle), torch.sin(angle)) if isinstance(angle, Tensor) else (math.cos(angle), math.sin(angle))
    x, y, z = axis
    cross = torch.tensor([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]], dtype=torch.float64)
    n = torch.tensor([[x], [y], [z]], dtype=torch.float64)
    eye = torch.eye(3, dtype=torch.float64)
    rotation: Tensor = cos * eye + (1.0 - cos) * (n @ n.T) + sin * cross
    return rotation


def spindle_cells(cell: Tensor, axis: Sequence[float], angles: Sequence[float] | Tensor) -> Tensor:
    """Cell vectors (angles, 3, 3), rows a, b, c, at every spindle angle.

    cell    (3, 3) rows a, b, c, unrotated
    axis    unit vector
    angles  radians; exactly 0 leaves the cell as it is
    """
    numbers = not isinstance(angles, Tensor)
    return torch.stack([cell if numbers and a == 0.0 else cell @ rotation_matrix(axis, a).T for a in angles])


def mosaic_cells(cell: Tensor, mosaic: Tensor) -> Tensor:
    """Cell vectors (m, 3, 3) of every mosaic domain; cell (3, 3) after the spindle, mosaic (m, 3, 3) rotations."""
    return cell @ mosaic.transpose(1, 2)
