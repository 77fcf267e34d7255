"""The fused derivatives on a CPU (cpp/gradient.cpp): what the derivatives of any pixel are made of, in one pass."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from tilesim.compute import Numbers
from tilesim.kernels.amorphous import lower_background
from tilesim.kernels.compiling import GRADIENT
from tilesim.kernels.fused import FusedKernel
from tilesim.kernels.library import load
from tilesim.model import Crystal, Experiment, MosaicFrame
from tilesim.model.vectors import rotate_about

Array = npt.NDArray[np.float64]
BLOCK = 2**14
"""Pixels per call."""
SHARED = {
    "photons": 1, "water": 1, "origin": 3, "fast": 3, "slow": 3, "normal": 3, "depth": 1, "absorbed": 1,
    "wavelength": 1, "turn": 3, "kahn": 1, "axis": 3, "radius": 1, "centre": 3, "bent_fast": 3, "bent_slow": 3,
}  # fmt: skip
"""Rows of a pixel and how many they are, as `SharedRow` of cpp/adjoint.h."""
OF_CRYSTAL = {"sum": 1, "cell": 9, "size": 6, "start": 1, "step": 1, "angles": 3}
"""Rows of each crystal, as `CrystalRow` of cpp/sweep.h; last of all comes that of the amorphous background."""
PARTS = {
    1: ("origin", "fast", "slow", "normal", "depth", "absorbed", "radius", "centre", "bent_fast", "bent_slow"),
    2: ("cell",),
    4: ("size",),
    8: ("start", "step"),
    16: ("angles",),
    32: ("wavelength", "turn"),
    64: ("kahn", "axis"),
}
"""Rows by the bit that asks for them, as `Part` of cpp/sweep.h; the others are always there."""
GIVEN_STAR = 128
"""Another of its bits: "gauss" is measured in reciprocal vectors that are not those of the cell vectors."""


def _starts(rows: dict[str, int]) -> dict[str, int]:
    return dict(zip(rows, accumulate(rows.values(), initial=0), strict=False))


SHARED_COUNT, CRYSTAL_COUNT = sum(SHARED.values()), sum(OF_CRYSTAL.values())
SHARED_START, CRYSTAL_START = _starts(SHARED), _starts(OF_CRYSTAL)


def row_count(experiment: Experiment) -> int:
    """Rows of a pixel."""
    return SHARED_COUNT + CRYSTAL_COUNT * len(experiment.crystals) + 1


def row_slice(name: str, crystal: int = 0) -> slice:
    """Where rows of this name are; those of a crystal by its number."""
    if name in SHARED:
        return slice(SHARED_START[name], SHARED_START[name] + SHARED[name])
    start = SHARED_COUNT + CRYSTAL_COUNT * crystal + CRYSTAL_START[name]
    return slice(start, start + OF_CRYSTAL[name])


class _GrainWanted(ctypes.Structure):
    """`GrainWanted` of cpp/sweep.h, field by field."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("crystal", "turning", "angles")),
        ("growth", ctypes.c_double),
        ("star", ctypes.c_double * 9),
        *((name, ctypes.c_void_p) for name in ("spindle", "rates", "slopes")),
    )


class _AmorphousStructure(ctypes.Structure):
    """`Amorphous` of cpp/amorphous.h, field by field."""

    _fields_ = (
        ("pieces", ctypes.c_int64),
        ("scale", ctypes.c_double),
        ("points", ctypes.c_void_p),
        ("coefficients", ctypes.c_void_p),
    )


class _Wanted(ctypes.Structure):
    """`Wanted` of cpp/sweep.h, field by field."""

    _fields_ = (
        ("size", ctypes.c_int64),
        ("parts", ctypes.c_int64),
        ("axis", ctypes.c_double * 3),
        ("grains", ctypes.c_void_p),
        ("amorphous", ctypes.c_void_p),
    )


class SlopesKernel:
    """A kernel of the image, made ready for derivatives that follow from its rows."""

    block = BLOCK

    def __init__(self, kernel: FusedKernel, table: Array) -> None:
        """
        table  coefficients (derivatives, rows) of the rows of a pixel in every derivative
        """
        experiment = kernel.experiment
        self.experiment, self._kernel, self._library = experiment, kernel, load(GRADIENT)
        self._amorphous = lower_background(experiment)
        # The structs hold addresses only: the arrays live as long as this does.
        self._table = _without_zeros(experiment, table)
        found = list(beside_grains(experiment))
        self._arrays = [array for _, arrays in found for array in arrays.values()]
        self._grains = (_GrainWanted * len(found))()
        for to, (fields, arrays) in zip(self._grains, found, strict=True):
            for name, value in fields.items():
                setattr(to, name, value)
            for name, array in arrays.items():
                setattr(to, name, array.ctypes.data)
        size = ctypes.sizeof(_Wanted) + ctypes.sizeof(_GrainWanted)
        axis = (ctypes.c_double * 3)(*experiment.scan.axis)
        parts = _parts(experiment, np.any(self._table, axis=0)) | (GIVEN_STAR if _has_given_star(experiment) else 0)
        self._wanted = _Wanted(size, parts, axis, ctypes.addressof(self._grains), self._background())

    def _background(self) -> int | None:
        """Where what the background is made of is."""
        if self._amorphous is None:
            return None
        curve = (self._amorphous.curve.points, self._amorphous.curve.coefficients)
        points, coefficients = (np.ascontiguousarray(one, np.float64) for one in curve)
        self._arrays += [points, coefficients]
        self._curve = _AmorphousStructure(
            len(points) - 1, self._amorphous.scale, points.ctypes.data, coefficients.ctypes.data
        )
        return ctypes.addressof(self._curve)

    def derivatives(self, numbers: Numbers, into: Array | None = None) -> tuple[Array, Array]:
        """Photons (n,) of the pixels with these numbers, and their derivatives (derivatives, n).

        into  where to put the derivatives: an array of their shape, each of them contiguous
        """
        photons = np.empty(len(numbers))
        found = np.empty((len(self._table), len(numbers))) if into is None else into
        stride = found.strides[0] // found.itemsize
        self._call(self._library.tilesim_gradient, numbers, photons.ctypes.data, found.ctypes.data, stride)
        return photons, found

    def normal(self, numbers: Numbers, data: Array, weights: Array, others: Array | None = None) -> Array:
        """Sums (k, k) over these pixels, in their order, of weighted products of every two of k values.

        They are the derivatives; `others` (m, n), which follow from no rows; last, residuals: data (n,) minus photons.
        """
        data, weights = np.ascontiguousarray(data, np.float64), np.ascontiguousarray(weights, np.float64)
        more = np.zeros((0, len(numbers))) if others is None else np.ascontiguousarray(others, np.float64)
        sums = np.empty((len(self._table) + len(more) + 1,) * 2)
        measured = (data.ctypes.data, weights.ctypes.data, len(more), more.ctypes.data)
        self._call(self._library.tilesim_normal, numbers, *measured, sums.ctypes.data)
        return sums

    def pulled_back(self, numbers: Numbers, cotangent: Array) -> Array:
        """Sums (derivatives,) over these pixels of the derivatives times a cotangent (n,)."""
        cotangent, sums = np.ascontiguousarray(cotangent, np.float64), np.empty(len(self._table))
        self._call(self._library.tilesim_pullback, numbers, cotangent.ctypes.data, sums.ctypes.data)
        return sums

    def _call(self, function: Callable[..., float], numbers: Numbers, *results: int) -> None:
        numbers = np.ascontiguousarray(numbers, dtype=np.int64)
        background = None if self._amorphous is None else self._amorphous.photons(numbers)
        structures = (self._kernel.address, ctypes.addressof(self._wanted))
        count, rows = self._table.shape
        coefficients = (rows, count, self._table.ctypes.data, None if background is None else background.ctypes.data)
        if function(*structures, len(numbers), numbers.ctypes.data, *coefficients, *results) < 0:
            raise AssertionError("the structures of slopes.py are not those of cpp/gradient.cpp")


def _without_zeros(experiment: Experiment, table: Array) -> Array:
    """The coefficients without those of rows that a flat panel does not have."""
    used = np.array(table)
    if experiment.detector.panels[0].curved_radius is None:
        for name in ("radius", "centre", "bent_fast", "bent_slow"):
            used[:, row_slice(name)] = 0.0
    return used


def weighted_products(slopes: Array, residuals: Array, weights: Array) -> Array:
    """The sums (k + 1, k + 1) of `SlopesKernel.normal` from derivatives (k, n), residuals (n,) and weights (n,)."""
    slopes = np.ascontiguousarray(slopes, np.float64)
    residuals, weights = np.ascontiguousarray(residuals, np.float64), np.ascontiguousarray(weights, np.float64)
    sums = np.empty((len(slopes) + 1,) * 2)
    arrays = (slopes.ctypes.data, residuals.ctypes.data, weights.ctypes.data, sums.ctypes.data)
    load(GRADIENT).tilesim_products(len(residuals), len(slopes), *arrays)
    return sums


def _has_given_star(experiment: Experiment) -> bool:
    """Whether a crystal was given reciprocal vectors that are not the inverse of its cell vectors, but for rounding."""
    products = (np.array(one.star) @ np.array([one.a, one.b, one.c]).T for one in experiment.crystals)
    return any(not np.allclose(product, np.eye(3), rtol=0.0, atol=1e-10) for product in products)


def _parts(experiment: Experiment, wanted: npt.NDArray[np.bool_]) -> int:
    crystals = range(len(experiment.crystals))
    return sum(
        bit
        for bit, names in PARTS.items()
        if any(wanted[row_slice(name, crystal)].any() for name in names for crystal in crystals)
    )


def beside_grains(experiment: Experiment) -> Iterator[tuple[dict[str, Any], dict[str, np.ndarray]]]:
    """Fields and arrays beside every grain, in the order of `derive`."""
    basis = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    axis, angles = experiment.scan.axis, experiment.scan.angles
    spindle = np.array([np.array([rotate_about(v, axis, angle) for v in basis]).T for angle in angles])
    for number, crystal in enumerate(experiment.crystals):
        rates, slopes = _mosaic(crystal, spindle)
        arrays = {"spindle": np.ascontiguousarray(spindle), "rates": rates, "slopes": slopes}
        turning = crystal.mosaic_frame == MosaicFrame.CRYSTAL
        star = tuple((np.linalg.inv([crystal.a, crystal.b, crystal.c]).T * 1e-10).ravel())
        for growth in (1.0,) if crystal.sizes is None else crystal.sizes.factors:
            fields = {"crystal": number, "turning": int(turning), "angles": slopes.shape[1], "growth": growth}
            yield fields | {"star": star}, arrays


def _mosaic(crystal: Crystal, spindle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives (1 or phi, domains, 3, 3) of mosaic rotations with their angles, (domains, k) of these with sigma."""
    spread, turning = crystal.mosaic_spread, crystal.mosaic_frame == MosaicFrame.CRYSTAL
    if spread is None:
        return np.zeros((1, 1, 3, 3)), np.zeros((crystal.domains, 0))
    about, slopes = spread.angles(crystal._axes if turning else None)
    rates = np.cross(about[:, None, :], crystal.mosaic_matrices.transpose(0, 2, 1)).transpose(0, 2, 1)
    if turning and (spindle != np.eye(3)).any():  # as `derive` has them for every angle
        return np.stack([turn @ rates @ turn.T for turn in spindle]), np.ascontiguousarray(slopes)
    return np.ascontiguousarray(rates[None]), np.ascontiguousarray(slopes)
