"""From pixel indices to laboratory positions, directions, solid angles and scattering vectors.

Arrays are of torch or of numpy, so that a run on the CPU never imports torch; vectors are (3, n) or (3,). What is the
same for all pixels may also be given for each of them, a vector (3,) as (3, n), a number as (n,): torch's derivatives
with it are then those of each pixel.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Array = TypeVar("Array", np.ndarray, "Tensor")


def library(array: np.ndarray | Tensor) -> Any:
    """The module whose functions take such arrays: numpy, or torch, which whoever made them has imported."""
    return np if isinstance(array, np.ndarray) else sys.modules["torch"]


def norm(v: Array) -> Array:
    """Length (n,) of the vectors v (3, n)."""
    square = v * v
    length: Array = library(v).sqrt(square[0] + square[1] + square[2])
    return length


def dot(u: Array, v: Array) -> Array:
    """Scalar product (n,) of u (3, n) or (3, 1) with v (3, n)."""
    product = u * v
    total: Array = product[0] + product[1] + product[2]
    return total


def cross(u: Array, v: Array) -> Array:
    """Vector product (3, n) of u (3, n) or (3, 1) with v (3, n) or (3, 1); of one vector each (3,)."""
    product: Array = library(v).linalg.cross(u, v, axis=0)
    return product


def column(v: Array) -> Array:
    """A vector (3,) as a column (3, 1), for products with those of many pixels; vectors (3, n) stay as they are."""
    many: Array = v.reshape(3, -1)
    return many


def unit(v: Array) -> Array:
    """A vector (3,), or vectors (3, n), scaled to length one; a zero vector stays zero."""
    if v.ndim == 1:
        length: float = library(v).linalg.vector_norm(v)
        return v / length if length > 0 else v
    lengths = library(v).linalg.vector_norm(v, axis=0)
    directions: Array = v / library(v).where(lengths > 0, lengths, 1.0)
    return directions


def rotate_about(v: Array, axis: Array, angle: Array) -> Array:
    """v (3, n) or (3, 1) turned about `axis` (3,), taken as it is, by `angle` (n,) radians (spec geometry 6)."""
    axis = column(axis)
    cos, sin = library(angle).cos(angle), library(angle).sin(angle)
    turned: Array = v * cos + axis * (dot(axis, v) * (1.0 - cos)) + cross(axis, v) * sin
    return turned


def positions(
    slow: Array, fast: Array, depth: float, origin: Array, slow_axis: Array, fast_axis: Array, normal: Array
) -> Array:
    """Laboratory positions on a flat panel (spec geometry 8).

    slow, fast        (n,) metres from the outer corner of pixel (0, 0)
    depth             metres behind the front surface
    origin, ... normal (3,) metres and unit vectors
    returns           (3, n) metres
    """
    base = origin + depth * normal
    place: Array = fast * column(fast_axis) + slow * column(slow_axis) + column(base)
    return place


def curved_positions(flat: Array, radius: float, beam: Array, slow_axis: Array, fast_axis: Array) -> Array:
    """Positions (3, n) on the reference's curved detector from those on the flat panel (spec geometry 8).

    The laboratory y and z of the flat position are taken as arc lengths: about slow, then about fast.
    """
    centre = column(radius * beam)
    return rotate_about(rotate_about(centre, slow_axis, flat[1] / radius), fast_axis, flat[2] / radius)


def solid_angle(airpath: Array, pixel_size: float, close_distance: float, point_pixel: bool) -> Array:
    """Solid angle (n,) of whole pixels at distance `airpath` (n,) metres, steradian (spec intensity 6)."""
    omega: Array = 1.0 / airpath / airpath
    if not point_pixel:
        omega = pixel_size * pixel_size / airpath / airpath * close_distance / airpath
    return omega


def scattering_vector(diffracted: Array, incident: Array, wavelength: float) -> Array:
    """q = (d - i) / lambda (3, n) in 1/m, without 2 pi (spec intensity 3)."""
    q: Array = (diffracted - column(incident)) / wavelength
    return q


def resolved(q: Array, dmin: float) -> Array:
    """True (n,) where the d-spacing 1/|q| is not below `dmin` metres (spec intensity 3)."""
    stol = 0.5 * norm(q)
    return ~((stol > 0) & (dmin > 0.5 / stol))
