"""The amorphous background as the differentiable twin has it: kernels/amorphous.py with tensors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tilesim.kernels.amorphous import lower_background
from tilesim.model import Experiment
from tilesim.physics.absorb import capture_fraction
from tilesim.physics.amorphous import Pieces
from tilesim.physics.geometry import curved_positions, dot, norm, positions, solid_angle
from tilesim.physics.intensity import KernelSetup, source_polarization


def background_photons(experiment: Experiment, setup: KernelSetup) -> Tensor:
    """Photons (n,) of the background in all pixels of one panel; 0 where there is none.

    setup  of the panel with tensors; fluence and thickness are those of the experiment, whatever it has
    """
    amorphous = lower_background(experiment)
    if amorphous is None:
        return torch.zeros((), dtype=torch.float64)
    numbers = np.arange(experiment.shape[0] * experiment.shape[1])
    slow, fast = (
        torch.from_numpy(one + 0.5) * setup.pixel_size for one in np.divmod(numbers.astype(float), experiment.shape[1])
    )
    total = torch.zeros(len(numbers), dtype=torch.float64)
    for layer in range(experiment.layers):
        depth = layer * setup.layer_thickness
        r = positions(slow, fast, depth, setup.origin, setup.slow_axis, setup.fast_axis, setup.normal)
        if setup.curved_radius is not None:
            r = curved_positions(r, setup.curved_radius, setup.beam, setup.slow_axis, setup.fast_axis)
        airpath = norm(r)
        diffracted = r / airpath
        weight = solid_angle(airpath, setup.pixel_size, setup.close_distance, setup.point_pixel)
        if experiment.detector.panels[0].sensor is not None:
            parallax = dot(setup.normal[:, None], diffracted)
            weight = weight * capture_fraction(layer, setup.layer_thickness, setup.attenuation, parallax)
        for source, wavelength in enumerate(setup.wavelengths):
            sine = 0.5 * norm(diffracted - setup.incident[source][:, None])
            electrons = _amplitude(amorphous.curve, sine / wavelength)
            polar = source_polarization(setup, source, diffracted)
            total = total + weight * setup.weights[source] * electrons * electrons * polar
    return total * amorphous.scale


def _amplitude(curve: Pieces, stol: Tensor) -> Tensor:
    """As `physics.amorphous.amplitude`."""
    points, coefficients = torch.tensor(curve.points), torch.tensor(curve.coefficients)
    within = torch.clamp(stol, points[0], points[-1])
    piece = torch.searchsorted(points, within.detach(), right=True).sub(1).clamp(0, len(points) - 2)
    u = (within - points[piece]) / (points[piece + 1] - points[piece])
    constant, linear, square, cubic = coefficients[:, piece]
    return torch.clamp(((cubic * u + square) * u + linear) * u + constant, min=0.0)
