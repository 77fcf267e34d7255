"""Structure factors: a dense grid of amplitudes over a box of Miller indices."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.model import checks
from tilesim.model.noun import Noun


@frozen(eq=False, repr=False)
class StructureFactors(Noun):
    """Amplitudes F(h,k,l) in electrons; equal when their digests are equal.

    Raises
    ------
    InputError
        Where the grid does not have three dimensions or is not of real numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from tilesim import StructureFactors
    >>> grid = np.zeros((3, 3, 2))
    >>> grid[1, 1, 1] = 42.0
    >>> factors = StructureFactors(grid, minimum=(-1, -1, 0), reflections=1)
    >>> factors.maximum
    (1, 1, 1)
    >>> float(factors.grid[0 - factors.minimum[0], 0 - factors.minimum[1], 1 - factors.minimum[2]])  # F(0,0,1)
    42.0
    """

    grid: np.ndarray
    """(h, k, l) float64; empty (0, 0, 0) where only `default` is used."""
    minimum: tuple[int, int, int] = (0, 0, 0)
    """Miller indices of grid[0, 0, 0]."""
    default: float = 0.0
    """Amplitude of every reflection outside the grid."""
    reflections: int = 0
    """Reflections read, duplicates counted; for reports."""
    source: str = ""
    """Name of the file it came from; for reports."""

    def __post_init__(self) -> None:
        checks.no_graph("grid of the structure factors", self.grid)
        if np.asarray(self.grid).dtype.kind not in "iuf":
            hint = "; take the absolute values" if np.iscomplexobj(self.grid) else ""
            raise InputError(f"structure factors of type {np.asarray(self.grid).dtype}; expected real numbers{hint}")
        grid = np.ascontiguousarray(self.grid, dtype=np.float64)
        if grid.flags.writeable:
            grid = grid.copy()  # the caller's array stays his own
        if grid.ndim != 3:
            raise InputError(f"structure factors have {grid.ndim} dimensions; expected a grid over h, k, l")
        grid.setflags(write=False)
        checks.coerce(
            self,
            grid=grid,
            minimum=checks.whole_numbers("minimum of the structure factors", self.minimum, 3),
            default=checks.number("default structure factor", self.default),
            reflections=checks.whole_number("reflections", self.reflections, at_least=0),
            source=checks.text("source of the structure factors", self.source),
        )

    @classmethod
    def constant(cls, amplitude: float) -> StructureFactors:
        """The same amplitude, in electrons, for every reflection. Raises InputError where it is not finite."""
        return cls(np.zeros((0, 0, 0)), default=checks.finite("amplitude of all reflections", amplitude))

    @classmethod
    def described(cls, plain: Mapping[str, Any], where: str = "the input") -> StructureFactors:
        """The table of `to_dict` alone: a constant amplitude itself, any other as one that `where` does not hold."""
        if plain["maximum"] == [low - 1 for low in plain["minimum"]]:
            given = {name: plain[name] for name in ("default", "reflections", "source")}
            return cls(np.zeros((0, 0, 0)), tuple(plain["minimum"]), **given)
        return AbsentFactors(plain, where)

    @property
    def maximum(self) -> tuple[int, int, int]:
        """Largest Miller indices of the grid, inclusive."""
        return tuple(lo + n - 1 for lo, n in zip(self.minimum, self.grid.shape, strict=True))

    @property
    def empty(self) -> bool:
        """Whether `default` is the amplitude of all reflections."""
        return self.grid.size == 0

    @property
    def by_energy(self) -> bool:
        """Whether amplitudes follow the photon energy; `grid` is then that of one energy."""
        return False

    def at(self, wavelength: float) -> np.ndarray:
        """Amplitudes (h, k, l) at a wavelength in metres. Raises InputError where they are not known for it."""
        return self.grid

    def check_wavelengths(self, wavelengths: Sequence[float]) -> None:
        """Raise InputError where amplitudes are not known for sources of one of these wavelengths, metres."""

    @cached_property
    def highest(self) -> float:
        """The largest amplitude at any energy, or more, without its sign."""
        return max(abs(self.default), float(np.abs(self.grid).max(initial=0.0)))

    def tabulated(self, count: int) -> bool:
        """Whether kernels look amplitudes up in a table for each of so many wavelengths, and not in mixed parts."""
        return True

    def held_bytes(self, count: int) -> int:
        """Bytes in memory, as they are and as kernels look them up at so many wavelengths."""
        entries = 1
        for n in self.grid.shape:
            entries *= n + 2
        return self.grid.nbytes + entries * (8 + 8)

    @cached_property
    def finite(self) -> bool:
        """Whether there is no NaN and no infinity. The reference reads them and goes on, so the table may hold them."""
        extremes = (self.default,) if self.empty else (self.default, self.grid.min(), self.grid.max())
        return bool(np.isfinite(extremes).all())

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything that changes a pixel: grid, position, default."""
        sha = hashlib.sha256(self.grid.tobytes())
        sha.update(repr((self.grid.shape, self.minimum, self.default)).encode())
        return sha.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StructureFactors) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def summary(self) -> dict[str, str]:
        if self.empty:
            return {"amplitude": f"{self.default:g} electrons for every reflection"}
        ranges = zip("hkl", self.minimum, self.maximum, strict=True)
        return {
            "reflections": f"{self.reflections} listed" + (f" in {self.source}" if self.source else ""),
            "indices": ", ".join(f"{axis} {low} to {high}" for axis, low, high in ranges),
            "default": f"{self.default:g} electrons for all others",
            "digest": self.digest[:12],
        }

    def to_dict(self) -> dict[str, Any]:
        """What describes the table without its values."""
        return {
            "digest": self.digest,
            "minimum": list(self.minimum),
            "maximum": list(self.maximum),
            "default": self.default,
            "reflections": self.reflections,
            "source": self.source,
        }


class AbsentFactors(StructureFactors):
    """Structure factors that are known by their description only, as of an image whose table was not kept.

    They equal the table itself; whatever asks for an amplitude raises InputError, which says what is missing.
    """

    def __init__(self, about: Mapping[str, Any], where: str = "the input") -> None:
        """
        about  from `StructureFactors.to_dict`
        where  what does not hold the table
        """
        self.about: dict[str, Any]
        self.where: str
        coerce = object.__setattr__
        coerce(self, "about", dict(about))
        coerce(self, "where", where)
        coerce(self, "minimum", tuple(about["minimum"]))
        coerce(self, "default", float(about["default"]))
        coerce(self, "reflections", int(about["reflections"]))
        coerce(self, "source", str(about["source"]))

    @classmethod
    def unstated(cls, where: str) -> AbsentFactors:
        """Amplitudes of which nothing is known."""
        about = {"minimum": [0, 0, 0], "maximum": [0, 0, 0], "default": 0.0, "reflections": 0, "source": ""}
        return cls({"digest": "unstated", **about}, where)

    @property
    def grid(self) -> np.ndarray:
        name = f" of {self.source}" if self.source else ""
        raise InputError(
            f"{self.where} does not hold the structure factors{name} (digest {self.digest[:12]}); expected them beside "
            "it, as in experiment.replace(factors=...)"
        )

    @property
    def maximum(self) -> tuple[int, int, int]:
        h, k, l = map(int, self.about["maximum"])
        return h, k, l

    @property
    def empty(self) -> bool:
        return False

    @property
    def finite(self) -> bool:
        return True

    @property
    def digest(self) -> str:
        return str(self.about["digest"])

    def to_dict(self) -> dict[str, Any]:
        return dict(self.about)

    def summary(self) -> dict[str, str]:
        return {"absent": f"not here{f', of {self.source}' if self.source else ''}", "digest": self.digest[:12]}
