"""Stages of a refinement: broad reflections first, so that those that are off overlap with the measured ones.

The reflections of N cells are 1 / N wide in h, k, l, and a step of Gauss and Newton sees no farther. So positions are
refined with fewer cells and Gaussian reflections first, then with more, and all parameters with the crystal as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.gradients.constraints import Free
from tilesim.gradients.parametrization import Parameters, Point
from tilesim.model import Crystal, Experiment, Shape
from tilesim.model.checks import positive

POSITIONS = {
    "crystal": ("rotation", "cell", "strain"),
    "detector": ("distance", "translation", "rotation", "origin", "fast", "slow", "normal", "pixel_size"),
    "beam": ("wavelength", "rotation"),
}
"""Parameters by which reflections move, by their part."""
SCALE = "beam.fluence"
FEWEST = 4.0
"""Cells along the shortest edge of the broadest crystal."""
FEWEST_LEFT = 1.5
"""Cells along any edge at least."""


@frozen
class Stage:
    """One stage: how much broader reflections are, and what is varied."""

    width: float
    """How many times; 1: the crystal as it is"""
    scale_alone: bool = False
    """Whether only the scale of the broadened image is looked for"""


def stages_of(widths: Sequence[float] | None, experiments: Sequence[Experiment]) -> tuple[Stage, ...]:
    """The stages of these widths, of which 1 is the last; by default as broad as the crystals' size asks for.

    Raises InputError.
    """
    if widths is None:
        fewest = min(min(map(float, crystal.cells)) for one in experiments for crystal in one.crystals)
        widths, width = [], 2.0
        while fewest / width >= FEWEST:
            widths.insert(0, width)
            width *= 2.0
        widths = [*widths, 1.0]
    found = [positive("width", width) for width in widths]
    if not found or found[-1] != 1.0 or sorted(found, reverse=True) != found:
        raise InputError(f"widths {', '.join(f'{x:g}' for x in found)}; expected falling numbers, the last of them 1")
    return tuple(Stage(width, alone) for width in found for alone in ((True, False) if width != 1.0 else (False,)))


def parameters_of(stage: Stage, parameters: Parameters) -> Parameters | None:
    """What a stage varies of these parameters; None where that is nothing that it is for."""
    if stage.width == 1.0:
        return parameters
    positions = [one for one in parameters.varied if one.parameter.field in POSITIONS.get(one.parameter.part, ())]
    if not positions:
        return None
    scale = Parameters(broadened(parameters.experiment, stage.width), {SCALE: Free()}).varied
    return parameters.only((() if stage.scale_alone else tuple(positions)) + scale)


def broadened(experiment: Experiment, width: float) -> Experiment:
    """The experiment with crystals of fewer cells and Gaussian reflections, of about the same photons."""
    if width == 1.0:
        return experiment
    first, *others = (_broadened(crystal, width) for crystal in experiment.crystals)
    beam = experiment.beam.replace(fluence=experiment.beam.fluence * width**3)
    return experiment.replace(crystal=first, other_crystals=tuple(others), beam=beam)


def carried(positions: Experiment, onto: Experiment) -> Experiment:
    """An experiment with the cells, orientations, panels and beam of another one."""
    crystals = [
        one.replace(a=other.a, b=other.b, c=other.c, reciprocal=other.reciprocal)
        for one, other in zip(onto.crystals, positions.crystals, strict=True)
    ]
    beam = positions.beam.replace(fluence=onto.beam.fluence)
    first, *others = crystals
    return onto.replace(crystal=first, other_crystals=tuple(others), detector=positions.detector, beam=beam)


def positions_of(point: Point) -> dict[str, float]:
    """Coordinates of positions by name."""
    labels = point.parameters.labels
    return {name: x for name, x in zip(labels, point.coordinates, strict=True) if not name.startswith(SCALE)}


def starting_point(parameters: Parameters, experiment: Experiment, known: Mapping[str, float]) -> Point:
    """Where a stage begins: at the coordinates that earlier ones have found, and so at this experiment."""
    start = dict(zip(parameters.labels, parameters.start.coordinates, strict=True))
    for one in parameters.varied:
        if one.parameter.name == SCALE and isinstance(one.constraint, Free):  # of a broader stage
            start[SCALE] = experiment.beam.fluence / one.starts[0] - 1.0
    return Point(parameters, experiment, tuple(known.get(name, x) for name, x in start.items()))


def _broadened(crystal: Crystal, width: float) -> Crystal:
    cells = tuple(max(min(FEWEST_LEFT, float(n)), n / width) for n in crystal.cells)
    return crystal.replace(shape=Shape.GAUSS_HKL, cells=cells, cells_off_diagonal=(0.0,) * 3, fudge=1.0, diffuse=None)
