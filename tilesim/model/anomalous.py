"""Structure factors that follow the photon energy: anomalous scattering of elements, or one table per channel."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.model import checks
from tilesim.model.factors import StructureFactors
from tilesim.model.materials import ENERGY_TIMES_WAVELENGTH
from tilesim.model.noun import Noun, counted

Array = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]
SAME = 1e-9
"""Relative difference of wavelengths that are one."""


@frozen(eq=False, repr=False)
class AnomalousCurve(Noun):
    """f' and f'' of an element over the photon energy, linear between points; equal when the values are equal.

    Raises
    ------
    InputError
        Where the lists differ in length or are empty, or the energies do not rise.

    Examples
    --------
    >>> from tilesim import AnomalousCurve
    >>> curve = AnomalousCurve("Fe", energies=[7.10, 7.12], f1=[-6.0, -8.0], f2=[0.5, 2.5])
    >>> value = curve.at(12.3984198e-10 / 7.11)
    >>> round(value.real, 6), round(value.imag, 6)
    (-7.0, 1.5)
    """

    element: str
    """Symbol."""
    energies: Array
    """(n,) keV, rising."""
    f1: Array
    """(n,) f', electrons."""
    f2: Array
    """(n,) f'', electrons; positive."""

    def __post_init__(self) -> None:
        columns = {}
        for name in ("energies", "f1", "f2"):
            checks.no_graph(f"{name} of {self.element}", getattr(self, name))
            column = np.array(getattr(self, name), dtype=np.float64)
            if column.ndim != 1 or not np.isfinite(column).all():
                raise InputError(f"{name} of {self.element} are no list of finite numbers; expected one")
            column.setflags(write=False)
            columns[name] = column
        energies = columns["energies"]
        if len({len(column) for column in columns.values()}) > 1 or not len(energies):
            raise InputError(f"energies, f' and f'' of {self.element} differ in number; expected as many, one or more")
        if not (energies[0] > 0.0 and (np.diff(energies) > 0.0).all()):
            raise InputError(f"the energies of f' and f'' of {self.element} do not rise; expected keV in order")
        checks.coerce(self, element=checks.text("element", self.element), **columns)

    def at(self, wavelength: float) -> complex:
        """f' + i f'' at a wavelength in metres. Raises InputError beyond the curve."""
        return complex(self.over([wavelength])[0])

    def over(self, wavelengths: Sequence[float]) -> Complex:
        """The same at some wavelengths (n,)."""
        energies, (low, high) = ENERGY_TIMES_WAVELENGTH / np.array(wavelengths), self.energies[[0, -1]]
        beyond = energies[(energies < low * (1.0 - SAME)) | (energies > high * (1.0 + SAME))]
        if len(beyond):
            raise InputError(
                f"f' and f'' of {self.element} are known from {low:.6g} to {high:.6g} keV; expected them at"
                f" {beyond[0]:.6g} keV"
            )
        return np.asarray(np.interp(energies, self.energies, self.f1 + 1j * self.f2), np.complex128)

    def through(self, wavelengths: Sequence[float], values: Complex) -> AnomalousCurve:
        """The curve with other values f' + i f'' (n,) at some wavelengths in metres."""
        energies = ENERGY_TIMES_WAVELENGTH / np.array(wavelengths)
        stay = ~np.isin(self.energies, energies)
        points = np.concatenate([energies, self.energies[stay]])
        found = np.concatenate([values, (self.f1 + 1j * self.f2)[stay]])
        order = np.argsort(points)
        return self.replace(energies=points[order], f1=found.real[order], f2=found.imag[order])

    @property
    def digest(self) -> str:
        """SHA-256 of what changes a pixel."""
        sha = hashlib.sha256(self.element.encode())
        for column in (self.energies, self.f1, self.f2):
            sha.update(column.tobytes())
        return sha.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnomalousCurve) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def summary(self) -> dict[str, str]:
        low, high = self.energies[[0, -1]]
        return {"element": self.element, "range": f"{low:.6g} to {high:.6g} keV in {counted(len(self.f1), 'point')}"}


class AnomalousFactors(StructureFactors):
    """Amplitudes of elements whose f' and f'' follow the photon energy of every source: F0 + Σ (f' + i f'') P.

    Parameters
    ----------
    parts
        (1 + elements, h, k, l) complex: F0, the sum over all atoms without anomalous scattering, and for each element
        P, the sum over its atoms of occupancy, Debye-Waller and phase factors. Friedel mates have conjugate values.
    curves
        f' and f'' of each element.
    wavelength
        Metres, for which `grid` has the amplitudes: for tools that know one energy alone.
    minimum, default, reflections, source
        As of `StructureFactors`.

    Raises
    ------
    InputError
        Where parts and curves do not match, or a curve does not reach the wavelength.

    Examples
    --------
    >>> import numpy as np
    >>> from tilesim import AnomalousCurve, AnomalousFactors
    >>> parts = np.ones((2, 1, 1, 1), complex)
    >>> iron = AnomalousCurve("Fe", [7.0, 9.0], [-8.0, -4.0], [0.0, 3.0])
    >>> factors = AnomalousFactors(parts, [iron], 12.3984198e-10 / 7)
    >>> factors.grid.tolist(), factors.at(12.3984198e-10 / 9).round(6).tolist()
    ([[[7.0]]], [[[4.242641]]])
    """

    parts: Complex
    """(1 + elements, h, k, l), F0 first."""
    curves: tuple[AnomalousCurve, ...]
    """f' and f'' of each element."""
    wavelength: float
    """Metres, for which `grid` has the amplitudes."""

    def __init__(
        self,
        parts: Any,
        curves: Sequence[AnomalousCurve],
        wavelength: float,
        minimum: tuple[int, int, int] = (0, 0, 0),
        default: float = 0.0,
        reflections: int = 0,
        source: str = "",
    ) -> None:
        own = np.array(parts, dtype=np.complex128)
        curves = checks.instances("curves of f' and f''", curves, AnomalousCurve)
        if own.ndim != 4 or len(own) != 1 + len(curves):
            raise InputError(
                f"parts of structure factors of the shape {own.shape} with {len(curves)} curves; expected F0 and a "
                "part for each curve, (part, h, k, l)"
            )
        own.setflags(write=False)
        checks.coerce(self, parts=own, curves=curves, wavelength=checks.positive("wavelength", wavelength))
        super().__init__(self.at(wavelength), minimum, default, reflections, source)

    @property
    def by_energy(self) -> bool:
        return True

    def at(self, wavelength: float) -> Array:
        total = self.parts[0].copy()
        for curve, part in zip(self.curves, self.parts[1:], strict=True):
            total += curve.at(wavelength) * part
        return np.asarray(np.abs(total), np.float64)

    def mixture(self, wavelengths: Sequence[float]) -> Complex:
        """Factors of the parts (wavelengths, parts) at wavelengths in metres."""
        ones = np.ones(len(wavelengths), np.complex128)
        return np.stack([ones, *(curve.over(wavelengths) for curve in self.curves)], axis=1)

    def check_wavelengths(self, wavelengths: Sequence[float]) -> None:
        for curve in self.curves:
            curve.over([min(wavelengths), max(wavelengths)])

    @cached_property
    def highest(self) -> float:
        bound = np.abs(self.parts[0])
        for curve, part in zip(self.curves, self.parts[1:], strict=True):
            bound += np.hypot(curve.f1, curve.f2).max() * np.abs(part)
        return max(abs(self.default), float(bound.max(initial=0.0)))

    @cached_property
    def finite(self) -> bool:
        return bool(np.isfinite(self.default) and np.isfinite(self.parts).all())

    @cached_property
    def digest(self) -> str:
        sha = hashlib.sha256(self.parts.tobytes())
        sha.update(repr((self.parts.shape, self.minimum, self.default)).encode())
        sha.update("".join(curve.digest for curve in self.curves).encode())
        return sha.hexdigest()

    def tabulated(self, count: int) -> bool:
        # A table of amplitudes takes three numbers of four bytes for each point, mixed parts at least two each.
        return count <= len(self.parts)

    def held_bytes(self, count: int) -> int:
        looked_up = 12 * count if self.tabulated(count) else 16 * len(self.parts)
        return self.grid.nbytes + self.parts.nbytes + looked_up * self.grid.size

    def summary(self) -> dict[str, str]:
        elements = ", ".join(curve.element for curve in self.curves)
        return super().summary() | {"anomalous": f"f' and f'' of {elements} by photon energy"}

    def to_dict(self) -> dict[str, Any]:
        return super().to_dict() | {
            "elements": [curve.element for curve in self.curves],
            "wavelength": self.wavelength,
        }


class ChannelFactors(StructureFactors):
    """A table of amplitudes for each channel of a spectrum: what was measured, or computed elsewhere.

    Parameters
    ----------
    tables
        By wavelength in metres; sources of all other wavelengths are refused. All have one default.

    Raises
    ------
    InputError
        Where there is no table, or defaults differ.

    Examples
    --------
    >>> import numpy as np
    >>> from tilesim import ChannelFactors, StructureFactors
    >>> near, far = (StructureFactors(np.full((1, 1, 1), f), (1, 2, 3)) for f in (30.0, 40.0))
    >>> ChannelFactors({0.97e-10: near, 0.98e-10: far}).at(0.98e-10).tolist()
    [[[40.0]]]
    """

    wavelengths: tuple[float, ...]
    """Metres, rising."""
    stack: Array
    """(channel, h, k, l), over the indices that any of the tables has."""

    def __init__(self, tables: Mapping[float, StructureFactors]) -> None:
        if not tables:
            raise InputError("structure factors by channel without a table; expected one or more, by wavelength")
        found = {checks.positive("wavelength of a table", wave): tables[wave] for wave in sorted(tables)}
        for table in found.values():
            checks.instance("table of a channel", table, StructureFactors)
        first, *_ = found.values()
        if len({table.default for table in found.values()}) > 1:
            raise InputError("tables of channels with different defaults; expected one default")
        lows = np.min([table.minimum for table in found.values()], axis=0)
        highs = np.max([table.maximum for table in found.values()], axis=0)
        stack = np.full((len(found), *(highs - lows + 1)), first.default)
        for layer, table in zip(stack, found.values(), strict=True):
            start = np.array(table.minimum) - lows
            layer[tuple(slice(a, a + n) for a, n in zip(start, table.grid.shape, strict=True))] = table.grid
        stack.setflags(write=False)
        checks.coerce(self, wavelengths=tuple(found), stack=stack)
        most = max(table.reflections for table in found.values())
        low = (int(lows[0]), int(lows[1]), int(lows[2]))
        super().__init__(stack[len(stack) // 2], low, first.default, most, first.source)

    @classmethod
    def stacked(
        cls,
        stack: Any,
        wavelengths: Sequence[float],
        minimum: tuple[int, int, int],
        default: float = 0.0,
        reflections: int = 0,
        source: str = "",
    ) -> ChannelFactors:
        """From one array (channel, h, k, l) over the same indices, by rising wavelength."""
        tables = (StructureFactors(table, minimum, default, reflections, source) for table in np.asarray(stack))
        return cls(dict(zip(wavelengths, tables, strict=True)))

    @property
    def by_energy(self) -> bool:
        return True

    def at(self, wavelength: float) -> Array:
        self.check_wavelengths([wavelength])
        found: Array = self.stack[self._nearest([wavelength])[0]]
        return found

    def _nearest(self, wavelengths: Sequence[float]) -> npt.NDArray[np.int64]:
        """Numbers (n,) of the tables that are nearest in wavelength."""
        known = np.array(self.wavelengths)
        middles = (known[1:] + known[:-1]) / 2.0
        return np.searchsorted(middles, wavelengths)

    def check_wavelengths(self, wavelengths: Sequence[float]) -> None:
        nearest = np.array(self.wavelengths)[self._nearest(wavelengths)]
        apart = np.abs(nearest / wavelengths - 1.0) > SAME
        if apart.any():
            number = int(np.argmax(apart))
            raise InputError(
                f"no structure factors for a source of {wavelengths[number] * 1e10:.7g} angstrom; expected one of the "
                f"{counted(len(self.wavelengths), 'wavelength')} of the tables, the nearest being "
                f"{nearest[number] * 1e10:.7g}"
            )

    @cached_property
    def highest(self) -> float:
        return max(abs(self.default), float(np.abs(self.stack).max(initial=0.0)))

    @cached_property
    def finite(self) -> bool:
        return bool(np.isfinite(self.default) and np.isfinite(self.stack).all())

    @cached_property
    def digest(self) -> str:
        sha = hashlib.sha256(self.stack.tobytes())
        sha.update(repr((self.stack.shape, self.minimum, self.default, self.wavelengths)).encode())
        return sha.hexdigest()

    def held_bytes(self, count: int) -> int:
        return self.stack.nbytes + 16 * count * self.grid.size

    def summary(self) -> dict[str, str]:
        low, high = self.wavelengths[0] * 1e10, self.wavelengths[-1] * 1e10
        return super().summary() | {
            "channels": f"{counted(len(self.wavelengths), 'table')} from {low:.6g} to {high:.6g} Å"
        }

    def to_dict(self) -> dict[str, Any]:
        return super().to_dict() | {"wavelengths": list(self.wavelengths)}
