"""The orientations of the crystal: spindle steps, and the mosaic domains of each."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def rotation_matrix(axis: Sequence[float], angle: float) -> Tensor:
    """Right-handed rotation (3, 3) float64 by `angle` radians about the unit vector `axis` (spec geometry 6)."""
    x, y, z = axis
    cross = torch.tensor([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]], dtype=torch.float64)
    n = torch.tensor([[x], [y], [z]], dtype=torch.float64)
    eye = torch.eye(3, dtype=torch.float64)
    return math.cos(angle) * eye + (1.0 - math.cos(angle)) * (n @ n.T) + math.sin(angle) * cross


def spindle_cells(cell: Tensor, axis: Sequence[float], angles: Sequence[float]) -> Tensor:
    """Cell vectors (angles, 3, 3), rows a, b, c, at every spindle angle.

    cell    (3, 3) rows a, b, c, unrotated
    axis    unit vector
    angles  radians; exactly 0 leaves the cell as it is
    """
    return torch.stack([cell if angle == 0.0 else cell @ rotation_matrix(axis, angle).T for angle in angles])


def mosaic_cells(cell: Tensor, mosaic: Tensor) -> Tensor:
    """Cell vectors (m, 3, 3) of every mosaic domain; cell (3, 3) after the spindle, mosaic (m, 3, 3) rotations."""
    return cell @ mosaic.transpose(1, 2)
