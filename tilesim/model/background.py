"""What scatters besides the crystal: a slab of water, air, ice or glass in the beam, isotropic in the plane."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

import numpy as np

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.model import checks
from tilesim.model.noun import Noun, quantity

AVOGADRO = 6.02214179e23
"""Molecules per mole; the reference's (spec intensity 7)."""


@frozen(eq=False, repr=False)
class ScatteringCurve(Noun):
    """The scattering of one molecule of a material over the angle; equal when the values are equal.

    Between its points the amplitude is interpolated by a cubic (docs/background.md).

    Raises
    ------
    InputError
        Where the arrays differ in length, hold fewer than two points or a value that is not finite, where an angle does
        not rise, or where an angle or amplitude is negative.

    Examples
    --------
    >>> from tilesim import ScatteringCurve
    >>> ScatteringCurve(stol=[0.0, 2.5e9, 5e9], amplitude=[10.0, 4.0, 3.0], source="glass")
    ScatteringCurve
      source  glass
      points  3 points to 1 Å
      digest  51f95462878e
    """

    stol: np.ndarray
    """(n,) sin(theta)/lambda in 1/m, rising from 0 or more; two points or more."""
    amplitude: np.ndarray
    """(n,) electrons per molecule, none negative: the square root of the scattering relative to that of one electron.

    Held at its first and last value beyond the table.
    """
    source: str = ""
    """Name of the material or the file; for reports."""

    def __post_init__(self) -> None:
        columns = {}
        for name in ("stol", "amplitude"):
            checks.no_graph(f"{name} of a scattering curve", getattr(self, name))
            given = np.asarray(getattr(self, name))
            if given.dtype.kind not in "iuf" or given.ndim != 1:
                raise InputError(f"{name} of a scattering curve is {checks.shown(given)}; expected a list of numbers")
            columns[name] = np.array(given, dtype=np.float64)
            columns[name].setflags(write=False)
        stol, amplitude = columns.values()
        if len(stol) != len(amplitude) or len(stol) < 2:
            raise InputError(
                f"a scattering curve of {len(stol)} angles, {len(amplitude)} amplitudes; expected as many, two or more"
            )
        if not (np.isfinite(stol).all() and stol[0] >= 0 and (np.diff(stol) > 0).all()):
            raise InputError("the angles of a scattering curve do not rise; expected 1/m, from 0 or more upwards")
        if not (np.isfinite(amplitude).all() and (amplitude >= 0).all()):
            raise InputError("the amplitudes of a scattering curve hold a negative number, NaN or infinity")
        checks.coerce(self, **columns, source=checks.text("source of the scattering curve", self.source))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what changes a pixel."""
        return hashlib.sha256(self.stol.tobytes() + self.amplitude.tobytes()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ScatteringCurve) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def summary(self) -> dict[str, str]:
        finest = f"{0.5e10 / self.stol[-1]:.3g} Å" if self.stol[-1] > 0 else "0"
        points = f"{len(self.stol)} points to {finest}"
        return {"source": self.source or "a table", "points": points, "digest": self.digest[:12]}

    def to_dict(self) -> dict[str, Any]:
        """What describes the curve without its values."""
        return {
            "digest": self.digest,
            "points": len(self.stol),
            "stol": [float(self.stol[0]), float(self.stol[-1])],
            "source": self.source,
        }


@frozen(repr=False)
class Background(Noun):
    """A slab of amorphous material across the incident beam, at the sample; thin enough that it absorbs nothing.

    docs/background.md has the formula and what it was compared with.

    Raises
    ------
    InputError
        Where thickness or density are negative, or the molar mass is not above 0.

    Examples
    --------
    >>> from tilesim import Background, material_curve
    >>> Background(material_curve("water"), thickness=1e-4, density=1000.0, molar_mass=0.018)
    Background
      material    water
      thickness   0.1 mm
      density     1 g/cm³
      molar mass  18 g/mol
    """

    curve: ScatteringCurve
    """Scattering of one molecule."""
    thickness: float
    """Metres, along the beam."""
    density: float
    """Kilograms per cubic metre."""
    molar_mass: float
    """Kilograms per mole of the molecules of the curve."""

    def __post_init__(self) -> None:
        checks.instance("curve of the background", self.curve, ScatteringCurve)
        checks.coerce(
            self,
            thickness=checks.not_negative("thickness of the background", self.thickness),
            density=checks.not_negative("density of the background", self.density),
            molar_mass=checks.positive("molar mass of the background", self.molar_mass),
        )

    def molecules(self, size: float) -> float:
        """Number of molecules in a square beam with edges of `size` metres, over which its fluence is spread."""
        return self.thickness * (size * size) * self.density / self.molar_mass * AVOGADRO

    def summary(self) -> dict[str, str]:
        return {
            "material": self.curve.source or "a scattering curve",
            "thickness": quantity(self.thickness, 1e3, "mm"),
            "density": quantity(self.density, 1e-3, "g/cm³"),
            "molar mass": quantity(self.molar_mass, 1e3, "g/mol"),
        }
