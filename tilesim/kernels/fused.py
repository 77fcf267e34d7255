"""The fused CPU kernel, a C++ form of the definition (cpp/): an experiment laid out for it, and its pixels."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tilesim.compute import MOMENTS, FloatArray, Numbers, Pixels, PixelSums, Sharing
from tilesim.frozen import frozen
from tilesim.kernels.derived import SHAPES, DerivedGrain, derive
from tilesim.kernels.library import load
from tilesim.kernels.outermost import TALLEST, edge_of, outermost
from tilesim.kernels.tables import amplitudes, bordered_parts, channels_of
from tilesim.model import AnomalousFactors, Experiment, StructureFactors
from tilesim.model.vectors import Vector, rotate_about

BLOCK = 2**15
"""Pixels per call, which cannot be interrupted; the kernel has blocks of its own."""
NUMBERS_PER_PIXEL = 2
"""Float64 numbers per pixel of a call: its number and its photons (tests/test_budget.py measures it)."""

_WHOLE = (
    "size width shape single interpolate skip layers oversample sources phi_steps grain_count "
    "point_pixel curved absorbing polarizations oversample_thick oversample_polar oversample_omega "
    "strict unrotated_start latch entries parts_mixed"
).split()
_REAL = (
    ("lowest", 3), ("highest", 3), ("rows", 1), ("length", 1), ("entry", 1),
    ("origin", 3), ("fast", 3), ("slow", 3), ("normal", 3), ("beam", 3),
    ("pixel_size", 1), ("close_distance", 1), ("curved_radius", 1), ("layer_thickness", 1), ("attenuation", 1),
    ("dmin", 1), ("background", 1), ("scale", 1),
)  # fmt: skip
_SHARED = (
    "width layers oversample sources point_pixel curved absorbing polarizations oversample_thick oversample_polar "
    "oversample_omega origin fast slow normal beam pixel_size close_distance curved_radius layer_thickness "
    "attenuation dmin"
).split()
"""Fields that frames have in common which are rendered together."""
_ARRAYS = "incident wavelengths weights polarization channel_of values squares parts mixture grains".split()
_GRAIN_REAL = (
    ("cells", 3), ("matrix", 9), ("volume", 1), ("fudge", 1), ("reach", 1), ("reciprocal", 9), ("weight", 1),
)  # fmt: skip


class _GrainStructure(ctypes.Structure):
    """`Grain` of cpp/setup.h, field by field."""

    _fields_ = (
        ("domains", ctypes.c_int64),
        ("next_step", ctypes.c_int64),
        ("rotation_count", ctypes.c_int64),
        ("stencil", ctypes.c_int64),
        *((name, ctypes.c_double * 3) for name in ("gamma", "sigma")),
        *((name, ctypes.c_double) for name in ("diffuse_height", "outermost")),
        *((name, ctypes.c_double * n if n > 1 else ctypes.c_double) for name, n in _GRAIN_REAL),
        *((name, ctypes.c_void_p) for name in ("cell", "turned", "mosaic", "rotations", "star")),
    )


class _SetupStructure(ctypes.Structure):
    """`Setup` of cpp/setup.h, field by field."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in _WHOLE),
        *((name, ctypes.c_double * n if n > 1 else ctypes.c_double) for name, n in _REAL),
        *((name, ctypes.c_void_p) for name in _ARRAYS),
    )


class _SumsStructure(ctypes.Structure):
    """`PixelSums` of cpp/sums.h, field by field."""

    _fields_ = (
        *((name, ctypes.c_double) for name in ("mean", "deviation", "squares", "maximum")),
        *((name, ctypes.c_int64) for name in ("brightest", "not_finite", "negative")),
    )


@frozen
class PaddedTable:
    """Amplitudes with a border of the default, and their squares in the type of the sum's terms; l fastest."""

    values: npt.NDArray[np.float64]
    """(channel, h, k, l); no channel where there are parts"""
    squares: np.ndarray
    parts: np.ndarray
    """(h, k, l, part, 2) real and imaginary, of which amplitudes are mixed, in the type of squares; else empty"""
    lowest: tuple[int, ...]
    """Miller indices of the first border cell"""

    @property
    def shape(self) -> tuple[int, ...]:
        """Entries along h, k, l, border included."""
        return self.values.shape[1:]

    @cached_property
    def edge(self) -> npt.NDArray[np.float64] | None:
        """The outermost entries that are not zero, as `outermost.edge_of` has them."""
        filled = (self.values != 0).any(axis=0) if len(self.values) else (self.parts != 0).any(axis=(3, 4))
        return edge_of(np.asarray(filled), self.lowest)


def block_of(device: str) -> int:
    """Pixels per call."""
    return BLOCK


def lower_table(factors: StructureFactors, summed: str, device: str, wavelengths: Sequence[float]) -> PaddedTable:
    """The structure factors ready for look-up by sources of `wavelengths`; `summed` is the type of their squares."""
    channels, lowest = channels_of(factors, wavelengths), tuple(m - 1 for m in factors.minimum)
    if channels.mixture is not None and isinstance(factors, AnomalousFactors):
        mixed = bordered_parts(factors)
        parts = mixed.view(np.float64).reshape(*mixed.shape, 2).astype(summed)
        nothing = np.empty((0, *mixed.shape[:3]))
        return PaddedTable(nothing, nothing.astype(summed), parts, lowest)
    values = amplitudes(factors, channels)
    with np.errstate(over="ignore"):  # infinite pixels are refused
        squares = np.square(values).astype(summed)
    return PaddedTable(values, squares, np.empty(0, summed), lowest)


def sum_pixels(values: Pixels) -> PixelSums:
    """As `KernelModule.sum_pixels`."""
    found, values = _SumsStructure(), np.ascontiguousarray(values)
    load().tilesim_sums(values.ctypes.data, len(values), ctypes.addressof(found))
    return PixelSums(*(getattr(found, field.name) for field in fields(PixelSums)))


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
        grains: Sequence[DerivedGrain],
        turned: Sequence[np.ndarray],
        dark: Sequence[float],
        first_pixel: int | None,
        recipe: tuple[object, ...],
    ) -> None:
        self.experiment, self.dtype, self._recipe = experiment, dtype, recipe
        self._library, self._first_pixel = load(), first_pixel
        # The struct holds addresses only: the arrays live as long as this does.
        self._arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        self._grains, self._grain_arrays = _laid_out(grains, turned, dark)
        self._setup = _SetupStructure(size=ctypes.sizeof(_SetupStructure), **{n: _field(v) for n, v in setup.items()})
        for name, array in self._arrays.items():
            setattr(self._setup, name, array.ctypes.data)
        self._setup.grains = ctypes.addressof(self._grains)
        self._first_setup = _SetupStructure.from_buffer_copy(self._setup)
        self._first_setup.unrotated_start = 1
        if self.solid_angle(np.empty(0, np.int64)) < 0:
            raise AssertionError("_SetupStructure is not the Setup of cpp/setup.h")

    def __reduce__(self) -> tuple[Callable[..., FusedKernel], tuple[object, ...]]:
        return lower, self._recipe  # addresses do not travel

    @property
    def address(self) -> int:
        """Where the setup is, as long as this kernel lives."""
        return ctypes.addressof(self._setup)

    def photons(self, numbers: Numbers) -> tuple[npt.NDArray[np.float64], float]:
        """As `Kernel.photons`."""
        values = np.empty(len(numbers))
        solid_angle = self._render(self._setup, numbers, values)
        if len(numbers) and numbers[0] == self._first_pixel:
            self._render(self._first_setup, numbers[:1], values)
        return values, solid_angle

    def truth(self, numbers: Numbers) -> npt.NDArray[np.float64]:
        """As `Kernel.truth`."""
        numbers, found = np.ascontiguousarray(numbers, dtype=np.int64), np.empty((MOMENTS, len(numbers)))
        self._library.tilesim_truth(ctypes.addressof(self._setup), len(numbers), numbers.ctypes.data, found.ctypes.data)
        return found

    def solid_angle(self, numbers: Numbers) -> float:
        """As `Kernel.solid_angle`."""
        return self._render(self._setup, numbers, None)

    @cached_property
    def shared(self) -> Sharing | None:
        """As `Kernel.shared`: all that the way to a sub-pixel follows from, and which pixels are rendered."""
        if self.experiment.sampling.strict_c:
            return None
        common = tuple(bytes(memoryview(_as_array(getattr(self._setup, name)))) for name in _SHARED)
        waves = self._arrays["incident"].tobytes() + self._arrays["polarization"].tobytes()
        if self._setup.polarizations > 1:  # their mean is that of the water
            waves += self._arrays["weights"].tobytes()
        if self.experiment.sampling.dmin > 0.0:
            waves += self._arrays["wavelengths"].tobytes()
        mask = self.experiment.mask
        return Sharing((*common, waves, self.experiment.region, None if mask is None else id(mask)), photons_together)

    def _render(self, setup: _SetupStructure, numbers: Numbers, values: npt.NDArray[np.float64] | None) -> float:
        return _render(self._library, [setup], numbers, None if values is None else values[None])


def photons_together(kernels: Sequence[FusedKernel], numbers: Numbers, photons: FloatArray) -> float:
    """As `Sharing.photons`."""
    return _render(kernels[0]._library, [kernel._setup for kernel in kernels], numbers, photons)


def _render(
    library: ctypes.CDLL, setups: Sequence[_SetupStructure], numbers: Numbers, values: FloatArray | None
) -> float:
    """Photons (frame, n) of some frames into `values`, unless that is None; the sum of their solid angles."""
    numbers = np.ascontiguousarray(numbers, dtype=np.int64)
    addresses, to, narrow = (ctypes.c_void_p * len(setups))(*map(ctypes.addressof, setups)), None, False
    if values is not None:
        first, step = values.ctypes.data, values.strides[0]
        to = (ctypes.c_void_p * len(setups))(*(first + n * step for n in range(len(setups))))
        narrow = values.dtype == np.float32
    # ctypes lets other threads of Python run meanwhile.
    angles: float = library.tilesim_render(addresses, len(setups), len(numbers), numbers.ctypes.data, to, narrow)
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

    skip  leave out pixels for which a gauss or top-hat reflection is exactly zero, and those beyond all structure
          factors; never changes a pixel
    """
    derived = derive(experiment, precision)
    beam, crystal, scan, sampling = experiment.beam, experiment.lattice, experiment.scan, experiment.sampling
    panel = experiment.detector.panels[0]
    waves = [source.wavelength for source in beam.waves]
    channels = channels_of(experiment.factors, waves)
    table = table or lower_table(experiment.factors, derived.summed, device, waves)
    rows, length = table.shape[1:]
    mixture = np.zeros((0, 0), np.complex128) if channels.mixture is None else channels.mixture
    low = table.lowest
    # A blank shot has amplitudes of zero: nothing is summed.
    grains = derived.grains if sampling.strict_c or experiment.factors.highest != 0.0 else ()
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
        "grain_count": len(grains),
        "point_pixel": sampling.point_pixel,
        "curved": panel.curved_radius is not None,
        "absorbing": derived.absorbing,
        "polarizations": len(beam.polarizations),
        "oversample_thick": sampling.oversample_thick,
        "oversample_polar": derived.oversample_polar,
        "oversample_omega": sampling.oversample_omega,
        "strict": sampling.strict_c,
        "latch": -1 if latch is None or not sampling.strict_c else latch,
        "entries": math.prod(table.shape),
        "parts_mixed": mixture.shape[1],
        "lowest": low,
        "highest": [m + n - 1 for m, n in zip(low, table.shape, strict=True)],
        "rows": rows,
        "length": length,
        "entry": -((low[0] * rows + low[1]) * length + low[2]),
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
        "wavelengths": np.array(waves, dtype=np.float64),
        "weights": np.array([s.weight for s in beam.waves], dtype=np.float64),
        "polarization": np.array([(factor, *axis) for factor, axis in beam.polarizations], dtype=np.float64),
        "channel_of": np.array(channels.of_source, dtype=np.int64),
        "values": table.values,
        "squares": table.squares,
        "parts": table.parts,
        "mixture": mixture.view(np.float64),
    }
    turned = [
        np.array([[_turned(v, scan.axis, angle) for v in grain.cell] for angle in derived.angles]) for grain in grains
    ]
    finite = skip and bool((np.abs(mixture) < TALLEST).all())
    # Interpolation has two nodes on either side of a position along each axis.
    margin = 2.0 if derived.interpolate else 0.5
    dark = [_dark_from(*one, table, margin) if finite else math.inf for one in zip(grains, turned, strict=True)]
    recipe = (experiment, precision, device, latch, None, skip)
    return FusedKernel(experiment, setup, arrays, derived.summed, grains, turned, dark, derived.first_pixel, recipe)


def _dark_from(grain: DerivedGrain, turned: np.ndarray, table: PaddedTable, margin: float) -> float:
    """Squared length of scattering vectors in 1/m^2 from which all terms of a grain are zero."""
    if not grain.volume < TALLEST:
        return math.inf
    margin += grain.diffuse.stencil if grain.diffuse is not None else 0.0
    return outermost(table.edge, np.array(grain.cell), turned, grain.mosaic, margin)


def _laid_out(
    grains: Sequence[DerivedGrain], turned: Sequence[np.ndarray], dark: Sequence[float]
) -> tuple[Any, list[np.ndarray]]:
    """The grains as C wants them, and the arrays whose addresses these hold."""
    found, arrays = (_GrainStructure * len(grains))(), []
    for to, grain, cells, limit in zip(found, grains, turned, dark, strict=True):
        steps, to.domains = grain.mosaic.shape[:2]
        to.outermost = limit
        to.next_step = to.domains if steps > 1 else 0
        for name, n in _GRAIN_REAL:
            value = getattr(grain, name)
            setattr(to, name, value if n == 1 else _field(np.ravel(value).tolist()))
        pointed = {"cell": np.array(grain.cell), "turned": cells, "mosaic": grain.mosaic}
        if (diffuse := grain.diffuse) is not None:
            pointed["rotations"] = diffuse.symmetry.matrices
            to.rotation_count, to.stencil = len(pointed["rotations"]), diffuse.stencil
            to.gamma, to.sigma = _field(diffuse.gamma), _field(diffuse.sigma)
            to.diffuse_height = diffuse.height
        if grain.star is not None:
            pointed["star"] = grain.star
        for name, array in pointed.items():
            arrays.append(np.ascontiguousarray(array, dtype=np.float64))
            setattr(to, name, arrays[-1].ctypes.data)
    return found, arrays


def _turned(v: Vector, axis: Vector, angle: float) -> Vector:
    return v if angle == 0.0 else rotate_about(v, axis, angle)


def _field(value: float | Sequence[float]) -> float | ctypes.Array[ctypes.c_double]:
    """A number, or three or nine of them as C wants them."""
    if isinstance(value, Sequence):
        return (ctypes.c_double * len(value))(*map(float, value))
    return value
