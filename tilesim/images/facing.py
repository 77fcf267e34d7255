"""What a text header says of a panel: the geometry of a detector that faces the beam, from an experiment and back."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.geometry.axes import Axes, rotation_to
from tilesim.geometry.resolution import beam_centre, positions
from tilesim.model import Beam, Detector, Experiment, Panel, Scan, StructureFactors
from tilesim.model.detector import Sensor

SIMPLE = 1e-6
"""Axes that differ by less, relative to a unit vector, count as the same."""
BEAM, FAST = (0.0, 0.0, -1.0), (1.0, 0.0, 0.0)
"""The frame of imgCIF: the beam travels along -z, the spindle is the fast axis."""


@frozen
class Facing:
    """A panel as a header describes it; metres, pixels and degrees."""

    panel: Panel
    wavelength: float
    distance: float
    """From the sample to the plane of the panel, along the beam."""
    centre: tuple[float, float]
    """Where the beam arrives, pixels (slow, fast) from the outer corner of pixel (0, 0)."""
    start: float
    oscillation: float
    simple: bool
    """Whether fast is the spindle's x and slow its -y in the imgCIF frame, as readers of such headers take it."""


def facing(experiment: Experiment, number: int, what: str, shown: int | None = None) -> Facing:
    """The panel `number` for the header of `what`. Raises InputError where the beam does not meet its plane.

    shown  the number of the panel for people, where the experiment is a part of another one
    """
    panel, beam, scan = experiment.detector.panels[number], experiment.beam, experiment.scan
    if panel.curved_radius is not None:
        raise InputError(f"{what} cannot describe a curved detector; expected a flat one, or --format float")
    centre = beam_centre(panel, beam)
    if centre is None:
        name = number if shown is None else shown
        raise InputError(f"{what} needs a beam centre, but the beam does not meet the plane of panel {name}")
    rotation = rotation_to(Axes.IMGCIF, experiment)
    fast, slow = rotation @ np.array(panel.fast), rotation @ np.array(panel.slow)
    simple = np.abs(fast - [1, 0, 0]).max() < SIMPLE and np.abs(slow - [0, -1, 0]).max() < SIMPLE
    return Facing(
        panel,
        beam.wavelength,
        float(np.linalg.norm(positions(panel, beam, *map(np.array, centre)))),
        centre,
        math.degrees(scan.start),
        math.degrees(scan.oscillation),
        bool(simple),
    )


def facing_experiment(
    shape: tuple[int, int],
    pixel: float,
    distance: float,
    centre: tuple[float, float],
    wavelength: float,
    start: float,
    oscillation: float,
    *,
    sensor: Sensor | None = None,
    exposure: float | None = None,
    name: str = "",
) -> Experiment:
    """Beam, detector and spindle that a header states, in the imgCIF frame, without a crystal; units as of `Facing`."""
    panel = Panel.facing(distance, pixel, shape, centre, BEAM, FAST, sensor=sensor)
    return Experiment(
        Beam(BEAM, wavelength, polarization_axis=FAST, exposure=exposure),
        None,
        Detector((panel,), name),
        StructureFactors.constant(0.0),
        Scan(FAST, math.radians(start), math.radians(oscillation)),
    )


def sensor_material(experiment: Experiment, given: str | None, known: Sequence[str] = ()) -> str:
    """The material of the sensor for a header: that of the experiment, else the one given, else Si.

    known  those that readers of the format know; empty: any

    Raises InputError where the two differ, or readers do not know it.
    """
    sensor = experiment.detector.panels[0].sensor
    own, names = sensor.material if sensor else None, ", ".join(known)
    if given is not None and known and given not in known:
        raise InputError(f"--material {given}; expected one of {names}")
    if own is None:
        return given or "Si"
    if not known or own in known:
        if given not in (None, own):
            raise InputError(f"--material {given} contradicts the experiment, whose sensor is of {own}")
        return own
    if given is None:
        raise InputError(
            f"the sensor is of {own}, which readers of the format do not know; expected --material, one of {names}, to "
            "write instead"
        )
    return given
