"""Laboratory frames by name: one rotation of beam, crystal, spindle and detector together.

lab     as simulated
imgcif  the incident beam runs along -z, the spindle is x as near as it can be: the frame of imgCIF and DIALS
mcstas  imgcif turned by 180 degrees about y, so that the incident beam runs along +z: the frame of NeXus
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from tilesim.model import Beam, Crystal, Detector, Experiment, Panel, Scan, Source
from tilesim.model.vectors import Vector

PARALLEL = 1e-9
"""A spindle whose part across the beam is shorter says nothing about x."""
ALONG = 1e-9
"""How far a beam along +z may be from it."""
MCSTAS_TO_IMGCIF = np.diag([-1.0, 1.0, -1.0])


class Axes(StrEnum):
    """A laboratory frame."""

    LAB = "lab"
    IMGCIF = "imgcif"
    MCSTAS = "mcstas"


def rotation_to(axes: Axes, experiment: Experiment) -> np.ndarray:
    """The rotation (3, 3) from the frame of the simulation to `axes`.

    A spindle along the beam leaves x to the fast axis of the first panel.
    """
    if axes == Axes.LAB:
        return np.eye(3)
    beam = experiment.beam.direction
    # Of the three at least one is not along the beam.
    for candidate in (experiment.scan.axis, experiment.detector.panels[0].fast, experiment.detector.panels[0].slow):
        if np.linalg.norm(np.cross(candidate, beam)) > PARALLEL * np.linalg.norm(beam):
            break
    imgcif = facing_frame(beam, candidate)
    return MCSTAS_TO_IMGCIF @ imgcif if axes == Axes.MCSTAS else imgcif


def crystfel_rotation(experiment: Experiment) -> np.ndarray:
    """The rotation (3, 3) to CrystFEL's frame, beam along +z: none where that is so, else that to McStas axes."""
    along = np.abs(np.array(experiment.beam.direction) - (0.0, 0.0, 1.0)).max() <= ALONG
    return np.eye(3) if along else rotation_to(Axes.MCSTAS, experiment)


def facing_frame(beam: Vector, axis: Vector) -> np.ndarray:
    """The rotation (3, 3) to a frame in which the beam runs along -z, and x is `axis` as near as it can be."""
    z = -np.array(beam) / np.linalg.norm(beam)
    x = np.array(axis) - np.dot(axis, z) * z
    x /= np.linalg.norm(x)
    return np.array([x, np.cross(z, x), z])


def turned(experiment: Experiment, rotation: np.ndarray, detector: Detector | None = None) -> Experiment:
    """The same experiment seen in another frame: everything is rotated (3, 3), so no pixel changes.

    detector  that of the experiment, where it has been rotated already

    But for the curved detector, whose definition names laboratory axes.
    """

    def turn(v: Vector) -> Vector:
        return tuple((rotation @ np.array(v)).tolist())

    def turn_panel(panel: Panel) -> Panel:
        vectors = {name: turn(getattr(panel, name)) for name in ("origin", "fast", "slow", "normal")}
        return panel.replace(**vectors, close_distance=panel.close_distance)

    beam, crystal, scan = experiment.beam, experiment.crystal, experiment.scan

    def turn_source(source: Source) -> Source:
        axis = source.polarization_axis
        return source.replace(direction=turn(source.direction), polarization_axis=None if axis is None else turn(axis))

    turned_beam: Beam = beam.replace(
        direction=turn(beam.direction),
        polarization_axis=turn(beam.polarization_axis),
        sources=tuple(map(turn_source, beam.sources)),
    )

    def turn_crystal(crystal: Crystal) -> Crystal:
        domains = rotation @ crystal.mosaic_matrices @ rotation.T
        return crystal.transformed(turn).with_domains(domains)

    turned_crystal = None if crystal is None else turn_crystal(crystal)
    turned_scan: Scan = scan.replace(axis=turn(scan.axis))
    if detector is None:
        detector = experiment.detector.replace(panels=tuple(map(turn_panel, experiment.detector.panels)))
    return experiment.replace(
        beam=turned_beam,
        crystal=turned_crystal,
        other_crystals=tuple(map(turn_crystal, experiment.other_crystals)),
        scan=turned_scan,
        detector=detector,
    )
