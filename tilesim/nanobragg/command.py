"""What a nanoBragg command line amounts to: an experiment, the files to write, and what to tell the user."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from tilesim.model import Experiment
from tilesim.model.completeness import Shell, completeness_lines
from tilesim.nanobragg.geometry import Geometry
from tilesim.nanobragg.settings import Settings


@dataclass(frozen=True)
class Outputs:
    """Files to write, each None where not wanted, and how (spec command-line 2.8)."""

    float_file: str | None
    int_file: str | None
    noise_file: str | None
    pgm_file: str | None
    scale: float
    """Of the noiseless SMV image; zero or negative is automatic."""
    pgm_scale: float
    adc: float
    """Offset of both SMV images."""
    seed: int
    """Of the noise, internal sign (negated)."""
    fdump_file: str | None = None
    """Cache of the structure factors to write."""

    @property
    def named(self) -> tuple[str, ...]:
        """The image files that will be written."""
        files = (self.float_file, self.int_file, self.noise_file, self.pgm_file)
        return tuple(name for name in files if name is not None)


Stage = tuple[str, tuple[float | str, ...]]
"""An intermediate value of setting up, by name."""


@dataclass(frozen=True)
class Command:
    """A resolved command line."""

    experiment: Experiment
    outputs: Outputs
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
    noise_state: Hashable = None
    """Generator state that the noise image continues from (spec noise-and-rng 2)."""
    arguments: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()
    """How detector and cell came about, in order."""

    @property
    def completeness_lines(self) -> tuple[str, ...]:
        """The same for people."""
        return completeness_lines(self.completeness, self.experiment.factors.default)

    @property
    def strict_c(self) -> bool:
        return self.experiment.sampling.strict_c
