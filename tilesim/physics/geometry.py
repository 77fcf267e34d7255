"""From pixel indices to laboratory positions, directions, solid angles and scattering vectors."""

from __future__ import annotations

import torch
from torch import Tensor


def norm(v: Tensor) -> Tensor:
    """Length (n,) of the vectors v (3, n)."""
    square = v * v
    return torch.sqrt(square[0] + square[1] + square[2])


def dot(u: Tensor, v: Tensor) -> Tensor:
    """Scalar product (n,) of u (3, n) or (3, 1) with v (3, n)."""
    product = u * v
    return product[0] + product[1] + product[2]


def rotate_about(v: Tensor, axis: Tensor, angle: Tensor) -> Tensor:
    """v (3, n) or (3, 1) turned about `axis` (3,), taken as it is, by `angle` (n,) radians (spec geometry 6)."""
    axis = axis[:, None]
    cos, sin = torch.cos(angle), torch.sin(angle)
    side: Tensor = torch.linalg.cross(axis.expand_as(v), v, dim=0)
    return v * cos + axis * (dot(axis, v) * (1.0 - cos)) + side * sin


def positions(
    slow: Tensor, fast: Tensor, depth: float, origin: Tensor, slow_axis: Tensor, fast_axis: Tensor, normal: Tensor
) -> Tensor:
    """Laboratory positions on a flat panel (spec geometry 8).

    slow, fast        (n,) metres from the outer corner of pixel (0, 0)
    depth             metres behind the front surface
    origin, ... normal (3,) metres and unit vectors
    returns           (3, n) metres
    """
    base = origin + depth * normal
    return fast * fast_axis[:, None] + slow * slow_axis[:, None] + base[:, None]


def curved_positions(flat: Tensor, radius: float, beam: Tensor, slow_axis: Tensor, fast_axis: Tensor) -> Tensor:
    """Positions (3, n) on the reference's curved detector from those on the flat panel (spec geometry 8).

    The laboratory y and z of the flat position are taken as arc lengths: about slow, then about fast.
    """
    centre = (radius * beam)[:, None]
    return rotate_about(rotate_about(centre, slow_axis, flat[1] / radius), fast_axis, flat[2] / radius)


def solid_angle(airpath: Tensor, pixel_size: float, close_distance: float, point_pixel: bool) -> Tensor:
    """Solid angle (n,) of whole pixels at distance `airpath` (n,) metres, steradian (spec intensity 6)."""
    if point_pixel:
        return 1.0 / airpath / airpath
    return pixel_size * pixel_size / airpath / airpath * close_distance / airpath


def scattering_vector(diffracted: Tensor, incident: Tensor, wavelength: float) -> Tensor:
    """q = (d - i) / lambda (3, n) in 1/m, without 2 pi (spec intensity 3)."""
    return (diffracted - incident[:, None]) / wavelength


def resolved(q: Tensor, dmin: float) -> Tensor:
    """True (n,) where the d-spacing 1/|q| is not below `dmin` metres (spec intensity 3)."""
    stol = 0.5 * norm(q)
    return ~((stol > 0) & (dmin > 0.5 / stol))
