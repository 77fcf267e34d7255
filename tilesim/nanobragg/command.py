"""What a nanoBragg command line amounts to: an experiment, the files to write, and the messages for the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tilesim.files.outputs import Outputs
from tilesim.frozen import frozen
from tilesim.geometry.completeness import Shell, completeness_lines
from tilesim.model import Experiment
from tilesim.nanobragg.draws import Snapshot
from tilesim.nanobragg.geometry import Geometry
from tilesim.nanobragg.settings import Settings

if TYPE_CHECKING:
    from tilesim.spectra.choice import SpectrumChoice

Stage = tuple[str, tuple[float | str, ...]]
"""An intermediate value of setting up, by name."""


@frozen
class Command:
    """A resolved command line."""

    experiment: Experiment
    outputs: Outputs
    cache_file: str | None
    """Cache of the structure factors to write (-dump)"""
    geometry: Geometry
    settings: Settings
    oscillation: float
    """Oscillation range after the step rules, radians; for image headers."""
    corrections: tuple[str, ...] = ()
    """Numbers (K1, ...) of the corrections that affect this run; empty in strict mode."""
    warnings: tuple[str, ...] = ()
    """One line each."""
    report: tuple[str, ...] = ()
    """The reference's standard output up to rendering."""
    completeness: tuple[Shell, ...] = ()
    """How much of what the detector sees is listed, where that was asked for."""
    noise_state: Snapshot = ()
    """Generator state that the noise image continues from (spec noise-and-rng 2)."""
    arguments: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()
    """How detector and cell came about, in order."""
    spectra: SpectrumChoice | None = None
    """Spectra of the frames, where each has its own; the experiment has that of frame 0."""

    @property
    def completeness_lines(self) -> tuple[str, ...]:
        """The same for people."""
        return completeness_lines(self.completeness, self.experiment.factors.default)

    @property
    def strict_c(self) -> bool:
        return self.experiment.sampling.strict_c
