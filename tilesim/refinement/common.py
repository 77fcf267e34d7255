"""What frames of one refinement have in common: shared parameters, which begin at one value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tilesim.errors import InputError
from tilesim.gradients.changed import with_values
from tilesim.gradients.parametrization import ALIASES, Parameters
from tilesim.model import Experiment


def shared_names(shared: str | Sequence[str], first: Parameters) -> tuple[str, ...]:
    """Full names of shared parameters. Raises InputError where one is not varied."""
    listed = [shared] if isinstance(shared, str) else list(shared)
    names = tuple(ALIASES.get(name, name) for name in listed)
    for name, full in zip(listed, names, strict=True):
        if not any(belongs(label, full) for label in first.labels):
            raise InputError(f"shared parameter {name} is not varied; expected one of {', '.join(first.names)}")
    return names


def belongs(label: str, name: str) -> bool:
    """Whether a free number is of a parameter, or of a part such as "detector"."""
    return label == name or label.startswith((f"{name}.", f"{name}["))


def from_one_start(parameters: Sequence[Parameters], shared: Sequence[str]) -> list[Experiment]:
    """The experiments of frames, shared parameters at their mean; those that count from 0 stay. Raises InputError."""
    means = {}
    for number, one in enumerate(parameters[0].varied):
        name = one.parameter.name
        if one.parameter.relative or not any(belongs(name, other) for other in shared):
            continue
        values = [frame.varied[number].parameter.value for frame in parameters]
        if len({len(value) for value in values}) > 1:
            raise InputError(f"shared parameter {name} has not as many numbers in all frames; expected as many")
        if len(set(values)) > 1:
            means[name] = tuple(np.mean(values, axis=0).tolist())
    return [with_values(one.experiment, means) for one in parameters]


def check_alike(parameters: Sequence[Parameters]) -> None:
    """Raise InputError where frames that are fitted together have not the same free numbers."""
    first = parameters[0].labels
    for frame, one in enumerate(parameters):
        if one.labels != first:
            extra = sorted(set(one.labels) ^ set(first))
            raise InputError(
                f"frame {frame} and frame 0 differ in what is free ({', '.join(extra)}); expected cells of one lattice "
                "system, or lattice= (--lattice) of them all"
            )
