"""The fused CPU kernel, a C++ form of the definition (cpp/): an experiment laid out for it, and its pixels."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tilesim.compute import Numbers, Sharing
from tilesim.kernels.derived import SHAPES, derive
from tilesim.kernels.library import load
from tilesim.model import Experiment, StructureFactors
from tilesim.model.vectors import Vector, rotate_about

BLOCK = 2**15
"""Pixels per call, which cannot be interrupted; the kernel has blocks of its own."""
NUMBERS_PER_PIXEL = 2
"""Float64 numbers per pixel of a call: its number and its photons (tests/test_budget.py measures it)."""

_WHOLE = (
    "size width shape single interpolate skip layers oversample sources phi_steps mosaic_domains "
    "point_pixel curved absorbing polarized oversample_thick oversample_polar oversample_omega "
    "strict unrotated_start latch"
).split()
_REAL = (
    ("cells", 3), ("volume", 1), ("fudge", 1), ("reciprocal", 9),
    ("lowest", 3), ("highest", 3), ("rows", 1), ("length", 1), ("entry", 1),
    ("polarization_axis", 3), ("kahn_factor", 1),
    ("origin", 3), ("fast", 3), ("slow", 3), ("normal", 3), ("beam", 3),
    ("pixel_size", 1), ("close_distance", 1), ("curved_radius", 1), ("layer_thickness", 1), ("attenuation", 1),
    ("dmin", 1), ("background", 1), ("scale", 1),
)  # fmt: skip
_SHARED = (
    "width layers oversample sources point_pixel curved absorbing polarized oversample_thick oversample_polar "
    "oversample_omega polarization_axis kahn_factor origin fast slow normal beam pixel_size close_distance "
    "curved_radius layer_thickness attenuation dmin"
).split()
"""Fields that frames have in common which are rendered together."""
_ARRAYS = "incident wavelengths weights cell turned mosaic values squares".split()


class _SetupStructure(ctypes.Structure):
    """`Setup` of cpp/setup.h, field by field."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in _WHOLE),
        *((name, ctypes.c_double * n if n > 1 else ctypes.c_double) for name, n in _REAL),
        *((name, ctypes.c_void_p) for name in _ARRAYS),
    )


@dataclass(frozen=True)
class PaddedTable:
    """Amplitudes with a border of the default, and their squares in the type of the sum's terms; l fastest."""

    values: npt.NDArray[np.float64]
    squares: np.ndarray
    lowest: tuple[int, ...]
    """Miller indices of the first border cell"""


def block_of(device: str) -> int:
    """Pixels per call."""
    return BLOCK


def lower_table(factors: StructureFactors, summed: str, device: str = "cpu") -> PaddedTable:
    """The structure factors ready for look-up; `summed` is the type of their squares."""
    values = np.pad(factors.grid, 1, constant_values=factors.default)
    with np.errstate(over="ignore"):  # infinite pixels are refused
        squares = np.square(values).astype(summed)
    return PaddedTable(values, squares, tuple(m - 1 for m in factors.minimum))


class FusedKernel:
    """An experiment laid out for the kernel: a `tilesim.compute.Kernel`."""

    device = "cpu"
    block = BLOCK

    def __init__(
        self,
        experiment: Experiment,
        setup: Mapping[str, float | Sequence[float]],
        arrays: Mapping[str, np.ndarray],
        dtype: str,
        first_pixel: int | None,
        recipe: tuple[object, ...],
    ) -> None:
        self.experiment, self.dtype, self._recipe = experiment, dtype, recipe
        self._library, self._first_pixel = load(), first_pixel
        # The struct holds addresses only: the arrays live as long as this does.
        self._arrays = {name: np.ascontiguousarray(arrays[name]) for name in _ARRAYS}
        self._setup = _SetupStructure(size=ctypes.sizeof(_SetupStructure), **{n: _field(v) for n, v in setup.items()})
        for name, array in self._arrays.items():
            setattr(self._setup, name, array.ctypes.data)
        self._first_setup = _SetupStructure.from_buffer_copy(self._setup)
        self._first_setup.unrotated_start = 1
        if self.solid_angle(np.empty(0, np.int64)) < 0:
            raise AssertionError("_SetupStructure is not the Setup of cpp/setup.h")

    def __reduce__(self) -> tuple[Callable[..., FusedKernel], tuple[object, ...]]:
        return lower, self._recipe  # addresses do not travel

    def photons(self, numbers: Numbers) -> tuple[npt.NDArray[np.float64], float]:
        """As `Kernel.photons`."""
        values = np.empty(len(numbers))
        solid_angle = self._render(self._setup, numbers, values)
        if len(numbers) and numbers[0] == self._first_pixel:
            self._render(self._first_setup, numbers[:1], values)
        return values, solid_angle

    def solid_angle(self, numbers: Numbers) -> float:
        """As `Kernel.solid_angle`."""
        return self._render(self._setup, numbers, None)

    @cached_property
    def shared(self) -> Sharing | None:
        """As `Kernel.shared`: all that the way to a sub-pixel follows from, and which pixels are rendered."""
        if self.experiment.sampling.strict_c:
            return None
        fields = tuple(bytes(memoryview(_as_array(getattr(self._setup, name)))) for name in _SHARED)
        waves = self._arrays["incident"].tobytes()
        if self.experiment.sampling.dmin > 0.0:
            waves += self._arrays["wavelengths"].tobytes()
        mask = self.experiment.mask
        return Sharing((*fields, waves, self.experiment.region, None if mask is None else id(mask)), photons_together)

    def _render(self, setup: _SetupStructure, numbers: Numbers, values: npt.NDArray[np.float64] | None) -> float:
        return _render(self._library, [setup], numbers, None if values is None else values[None])


def photons_together(kernels: Sequence[FusedKernel], numbers: Numbers) -> tuple[npt.NDArray[np.float64], float]:
    """As `Sharing.photons`."""
    values = np.empty((len(kernels), len(numbers)))
    return values, _render(kernels[0]._library, [kernel._setup for kernel in kernels], numbers, values)


def _render(
    library: ctypes.CDLL, setups: Sequence[_SetupStructure], numbers: Numbers, values: npt.NDArray[np.float64] | None
) -> float:
    """Photons (frame, n) of some frames into `values`, unless that is None; the sum of their solid angles."""
    numbers = np.ascontiguousarray(numbers, dtype=np.int64)
    addresses = (ctypes.c_void_p * len(setups))(*map(ctypes.addressof, setups))
    to = None if values is None else (ctypes.c_void_p * len(setups))(*(row.ctypes.data for row in values))
    # ctypes lets other threads of Python run meanwhile.
    angles: float = library.tilesim_render(addresses, len(setups), len(numbers), numbers.ctypes.data, to)
    return angles


def _as_array(value: Any) -> ctypes.Array[Any]:
    return value if isinstance(value, ctypes.Array) else (ctypes.c_double * 1)(value)


def lower(
    experiment: Experiment,
    precision: str = "mixed",
    device: str = "cpu",
    latch: int | None = None,
    table: PaddedTable | None = None,
    skip: bool = True,
) -> FusedKernel:
    """The kernel of an experiment; arguments as for `tensors.lower`. Raises PlanError where it cannot be compiled.

    skip  leave out groups of pixels for which a gauss or top-hat reflection is exactly zero; never changes a pixel
    """
    derived = derive(experiment, precision)
    beam, crystal, scan, sampling = experiment.beam, experiment.lattice, experiment.scan, experiment.sampling
    panel, cell = experiment.detector.panels[0], (crystal.a, crystal.b, crystal.c)
    table = table or lower_table(experiment.factors, derived.summed)
    rows, length = table.values.shape[1:]
    low = table.lowest
    setup: dict[str, float | Sequence[float]] = {
        "width": experiment.shape[1],
        "shape": SHAPES.index(crystal.shape.value),
        "single": derived.summed == "float32",
        "interpolate": derived.interpolate,
        "skip": skip,
        "layers": experiment.layers,
        "oversample": sampling.oversample,
        "sources": len(beam.waves),
        "phi_steps": len(derived.angles),
        "mosaic_domains": len(crystal.mosaic_rotations),
        "point_pixel": sampling.point_pixel,
        "curved": panel.curved_radius is not None,
        "absorbing": derived.absorbing,
        "polarized": beam.kahn_factor is not None,
        "oversample_thick": sampling.oversample_thick,
        "oversample_polar": sampling.oversample_polar,
        "oversample_omega": sampling.oversample_omega,
        "strict": sampling.strict_c,
        "latch": -1 if latch is None or not sampling.strict_c else latch,
        "cells": crystal.cells,
        "volume": derived.volume,
        "fudge": crystal.fudge,
        "reciprocal": [x for vector in derived.reciprocal for x in vector],
        "lowest": low,
        "highest": [m + n - 1 for m, n in zip(low, table.values.shape, strict=True)],
        "rows": rows,
        "length": length,
        "entry": -((low[0] * rows + low[1]) * length + low[2]),
        "polarization_axis": beam.polarization_axis,
        "kahn_factor": beam.kahn_factor or 0.0,
        "origin": panel.origin,
        "fast": panel.fast,
        "slow": panel.slow,
        "normal": panel.normal,
        "beam": beam.direction,
        "pixel_size": panel.pixel_size,
        "close_distance": panel.distance,
        "curved_radius": panel.curved_radius or 0.0,
        "layer_thickness": derived.layer_thickness,
        "attenuation": derived.attenuation,
        "dmin": sampling.dmin,
        "background": derived.background,
        "scale": derived.scale,
    }
    arrays = {
        "incident": np.array([s.direction for s in beam.waves], dtype=np.float64),
        "wavelengths": np.array([s.wavelength for s in beam.waves], dtype=np.float64),
        "weights": np.array([s.weight for s in beam.waves], dtype=np.float64),
        "cell": np.array(cell, dtype=np.float64),
        "turned": np.array([[_turned(v, scan.axis, angle) for v in cell] for angle in derived.angles]),
        "mosaic": crystal.mosaic_matrices,
        "values": table.values,
        "squares": table.squares,
    }
    recipe = (experiment, precision, device, latch, None, skip)
    return FusedKernel(experiment, setup, arrays, derived.summed, derived.first_pixel, recipe)


def _turned(v: Vector, axis: Vector, angle: float) -> Vector:
    return v if angle == 0.0 else rotate_about(v, axis, angle)


def _field(value: float | Sequence[float]) -> float | ctypes.Array[ctypes.c_double]:
    """A number, or three or nine of them as C wants them."""
    if isinstance(value, Sequence):
        return (ctypes.c_double * len(value))(*map(float, value))
    return value
