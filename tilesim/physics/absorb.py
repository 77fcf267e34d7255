"""The fraction of photons that a layer of the sensor absorbs."""

from __future__ import annotations

from tilesim.physics.geometry import Array, library


def capture_fraction(layer: int, layer_thickness: float, attenuation: float, parallax: Array) -> Array:
    """Photons absorbed in one layer of those that reach the sensor (spec geometry 8).

    layer            number of the layer, 0 at the front
    layer_thickness  metres
    attenuation      1/m
    parallax         (n,) cosine between ray and sensor normal
    returns          (n,)
    """
    front, back = -layer * layer_thickness * attenuation, -(layer + 1) * layer_thickness * attenuation
    exp = library(parallax).exp
    share: Array = exp(front / parallax) - exp(back / parallax)
    return share
