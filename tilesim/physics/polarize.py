"""The Kahn polarisation factor."""

from __future__ import annotations

import torch
from torch import Tensor

from tilesim.physics.geometry import dot, norm


def polarization_factor(kahn: float, incident: Tensor, diffracted: Tensor, axis: Tensor) -> Tensor:
    """Attenuation by polarisation (spec geometry 13; Kahn et al., J. Appl. Cryst. 15, 1982).

    kahn        -1 to 1; 0 is an unpolarised beam
    incident    (3,) direction of the beam
    diffracted  (3, n) unit vectors
    axis        (3,) direction of the electric field
    returns     (n,) factor

    cos 2 psi follows from the two components without an arc tangent: tan psi = -B/E.
    """
    incident = incident / torch.linalg.vector_norm(incident)
    cos_2theta = dot(incident[:, None], diffracted) / norm(diffracted)
    square = cos_2theta * cos_2theta
    if kahn == 0.0:
        return 0.5 * (1.0 + square)
    b_axis = _unit(torch.linalg.cross(axis, incident))
    e_axis = _unit(torch.linalg.cross(incident, b_axis))
    b, e = dot(b_axis[:, None], diffracted), dot(e_axis[:, None], diffracted)
    both = b * b + e * e
    cos_2psi = torch.where(both > 0, (e * e - b * b) / torch.where(both > 0, both, 1.0), 1.0)
    return 0.5 * (1.0 + square - kahn * cos_2psi * (1.0 - square))


def _unit(v: Tensor) -> Tensor:
    length = torch.linalg.vector_norm(v)
    return v / length if length > 0 else v
