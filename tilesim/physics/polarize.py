"""The Kahn polarisation factor."""

from __future__ import annotations

from tilesim.physics.geometry import Array, column, cross, dot, library, norm, unit


def polarization_factor(kahn: float, incident: Array, diffracted: Array, axis: Array) -> Array:
    """Attenuation by polarisation (spec geometry 13; Kahn et al., J. Appl. Cryst. 15, 1982).

    kahn        -1 to 1; 0 is an unpolarised beam
    incident    (3,) direction of the beam
    diffracted  (3, n) unit vectors
    axis        (3,) direction of the electric field
    returns     (n,) factor

    cos 2 psi follows from the two components without an arc tangent: tan psi = -B/E.
    """
    incident = unit(incident)
    cos_2theta = dot(column(incident), diffracted) / norm(diffracted)
    square = cos_2theta * cos_2theta
    factor: Array = 0.5 * (1.0 + square)
    if isinstance(kahn, float | int) and kahn == 0.0:  # one that is varied has a derivative there, too
        return factor
    b_axis = unit(cross(axis, incident))
    e_axis = unit(cross(incident, b_axis))
    b, e = dot(column(b_axis), diffracted), dot(column(e_axis), diffracted)
    both = b * b + e * e
    where = library(both).where
    cos_2psi = where(both > 0, (e * e - b * b) / where(both > 0, both, 1.0), 1.0)
    factor = 0.5 * (1.0 + square - kahn * cos_2psi * (1.0 - square))
    return factor
