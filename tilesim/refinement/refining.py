"""A refinement that is ready to begin: parameters, pixels and stages, checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from tilesim.engine.derivatives import masked_to
from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.gradients.constraints import Constraint
from tilesim.gradients.parametrization import Parameters
from tilesim.model import Experiment, PixelMask
from tilesim.refinement.common import check_alike, from_one_start, shared_names
from tilesim.refinement.fitjob import evaluate
from tilesim.refinement.loop import Progress, Watch, refine_frames
from tilesim.refinement.measured import Measured
from tilesim.refinement.residuals import Weighting, check_counts
from tilesim.refinement.result import Refinement, refinement_of
from tilesim.refinement.sampling import undersampled
from tilesim.refinement.shoeboxes import beside_the_beam, in_shoeboxes
from tilesim.refinement.stages import Stage, stages_of
from tilesim.tiling.plan import default_tile

if TYPE_CHECKING:
    from tilesim.engine.work import Engine

MOST_STEPS = 50


@frozen
class Refining:
    """A refinement that is ready to begin."""

    parameters: tuple[Parameters, ...]
    """Parameters of each frame, whose experiments are masked to the pixels that count"""
    masks: tuple[PixelMask | None, ...]
    """Their own masks"""
    shared: tuple[str, ...]
    measured: Measured
    weighting: Weighting
    stages: tuple[Stage, ...]
    most_steps: int
    tile: tuple[int, int]
    precision: str

    @property
    def digest(self) -> str:
        """SHA-256 that names the path that the refinement takes."""
        varied = [[one.parameter.name, repr(one.constraint), one.labels] for one in self.parameters[0].varied]
        experiments = [one.experiment.digest for one in self.parameters]
        weighting = [self.weighting.readout, self.weighting.robust, [one.width for one in self.stages]]
        about = [
            self.measured.digest,
            experiments,
            varied,
            self.shared,
            weighting,
            self.tile,
            self.precision,
        ]
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to be wary of in the images that are simulated."""
        found = [undersampled(one.experiment) for one in self.parameters]
        return tuple(dict.fromkeys(line for line in found if line))

    def run(self, engine: Engine, watch: Watch = lambda progress: None, progress: Progress | None = None) -> Refinement:
        """Refine; `watch` is called after every pass over the tiles. Raises InputError, TileError, ClusterError."""
        checked: list[bool] = []

        def sums(experiments: Sequence[Experiment], frames: Sequence[int], names: Sequence[str]) -> list[Any]:
            found = evaluate(
                experiments, frames, names, self.measured, self.weighting, engine, self.tile, self.precision
            )
            if not checked:
                checked.append(True)
                check_counts(self.measured.name, min(one.lowest for one in found), self.weighting)
                if not any(one.pixels for one in found):
                    raise InputError(f"{self.measured.name} has no pixel with a value in what is simulated")
            return found

        done = refine_frames(self.parameters, self.shared, self.stages, sums, self.most_steps, watch, progress)
        return refinement_of(done, self.masks, self.remarks)


def refining(
    experiments: Sequence[Experiment],
    measured: Measured,
    vary: str | Iterable[str] | Mapping[str, Constraint | None],
    *,
    shared: str | Sequence[str] = (),
    lattice: str | None = None,
    groups: Sequence[Sequence[int]] = (),
    readout: float | None = None,
    robust: float | None = None,
    where: Any = None,
    shoebox: int | None = None,
    widths: Sequence[float] | None = None,
    steps: int = MOST_STEPS,
    precision: str = "mixed",
) -> Refining:
    """A refinement, checked. Raises InputError."""
    weighting = Weighting(measured.readout if readout is None else readout, robust)
    masks = tuple(one.mask for one in experiments)
    experiments = [masked_to(masked_to(one, where), beside_the_beam(one)) for one in experiments]
    if shoebox is not None:
        experiments = [masked_to(one, in_shoeboxes(one, shoebox)) for one in experiments]
    varied = partial(Parameters, varied=vary, lattice=lattice, groups=groups)
    parameters = tuple(varied(one) for one in experiments)
    names = shared_names(shared, parameters[0])
    if names:
        parameters = tuple(varied(one) for one in from_one_start(parameters, names))
        check_alike(parameters)
    panels = len(experiments[0].detector.panels)
    tile = default_tile(experiments[0].panel_shape, panels, len(experiments))
    stages = stages_of(widths, experiments)
    return Refining(parameters, masks, names, measured, weighting, stages, steps, tile, precision)
