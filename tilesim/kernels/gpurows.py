"""The derivatives of pixels on a GPU: rows by torch's derivatives of the definition, all but the sum over orientations.

What is the same for all pixels is given to the definition for each of them (physics/geometry.py): the derivatives of
the image with it are the rows. Where the definition sums over orientations, the image is that of gpu.py, and the way
back is gpuslopes.py: there every term has its weight in the sum, so that the rows of crystals are added up, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tilesim.compute import Numbers
from tilesim.frozen import frozen
from tilesim.kernels.amorphous import lower_background
from tilesim.kernels.gpuslopes import TurnedGrain, add_slopes, turned_grains
from tilesim.kernels.slopes import OF_CRYSTAL, SHARED, row_count, row_slice
from tilesim.kernels.tensors import GPU_BLOCK, NUMBERS_PER_PIXEL, TensorKernel, pixels_of
from tilesim.physics.geometry import column, cross
from tilesim.physics.intensity import KernelSetup, PixelList, Wave, photons

Array = npt.NDArray[np.float64]
VARIED = tuple(SHARED)[2:]
"""Rows that are derivatives with what is given to every pixel."""
NUMBERS_PER_WAVE = 80
"""Float64 numbers that torch keeps of each wave of a pixel, at the widest."""
SMALLEST_BLOCK = 2**12
SHARE = 4
"""The part of a GPU's memory that a block may take: a quarter."""
ALONE = Lock()
"""Blocks of several threads follow each other: the more pixels at a time, the fewer calls for all waves of a pixel."""


class GpuSlopesKernel:
    """A kernel of the image on a GPU, made ready for derivatives that follow from its rows: as `SlopesKernel`."""

    def __init__(self, kernel: TensorKernel, table: Array) -> None:
        """
        table  coefficients (derivatives, rows) of the rows of a pixel in every derivative
        """
        setup = kernel.setup
        self.experiment, self._kernel, self._table = kernel.experiment, kernel, table
        self._grains = tuple(turned_grains(kernel.experiment, setup))
        self._amorphous = lower_background(kernel.experiment)
        used = np.abs(table).sum(axis=0) > 0
        self._varied = tuple(name for name in VARIED if used[row_slice(name)].any())
        crystals = range(len(kernel.experiment.crystals))
        self._asked = frozenset(name for name in OF_CRYSTAL if any(used[row_slice(name, n)].any() for n in crystals))
        waves = setup.layers * setup.oversample**2 * len(setup.wavelengths)
        numbers = NUMBERS_PER_PIXEL + sum(table.shape) + NUMBERS_PER_WAVE * waves
        self.block = max(SMALLEST_BLOCK, _room(setup.origin.device) // numbers)

    def derivatives(self, numbers: Numbers, into: Array | None = None) -> tuple[Array, Array]:
        """As `SlopesKernel.derivatives`."""
        with ALONE, torch.cuda.device_of(self._kernel.setup.origin):  # type: ignore[no-untyped-call]
            photons, found = self._derivatives(numbers)
        if into is None:
            return photons, found
        into[...] = found
        return photons, into

    def normal(self, numbers: Numbers, data: Array, weights: Array, others: Array | None = None) -> Array:
        """As `SlopesKernel.normal`."""
        photons, found = self.derivatives(numbers)
        every = np.concatenate([found, *(() if others is None else (others,)), (data - photons)[None]])
        # einsum adds up in one order; a library of linear algebra may not.
        sums: Array = np.einsum("in,jn->ij", every * weights, every)
        return sums

    def pulled_back(self, numbers: Numbers, cotangent: Array) -> Array:
        """As `SlopesKernel.pulled_back`."""
        sums: Array = np.einsum("in,n->i", self.derivatives(numbers)[1], cotangent)
        return sums

    def _derivatives(self, numbers: Numbers) -> tuple[Array, Array]:
        pixels = pixels_of(numbers, self._kernel)
        rows = torch.zeros(row_count(self.experiment), len(pixels.slow), dtype=torch.float64, device=pixels.slow.device)
        self._fill(rows, pixels)
        if self._amorphous is not None:
            rows[-1, : len(numbers)] = torch.from_numpy(self._amorphous.photons(numbers))
        total, found = rows[row_slice("photons")][0] + rows[-1], rows.new_zeros(len(self._table), rows.shape[1])
        # Row by row: a product of matrices has no fixed order of sums.
        for row in np.flatnonzero(self._table.any(axis=0)):
            found += torch.tensor(self._table[:, row, None], device=rows.device) * rows[row]
        return total[: len(numbers)].cpu().numpy(), found[:, : len(numbers)].cpu().numpy()

    def _fill(self, rows: Tensor, pixels: PixelList) -> None:
        setup = self._kernel.setup
        if setup.background > 0:
            rows[row_slice("water")] = photons(setup, pixels, _nothing)[0]
        with torch.enable_grad():
            values = {name: self._given(name, len(pixels.slow)) for name in VARIED}
            varied = [values[name] for name in self._varied]
            # The way back goes through every wave, whatever is varied.
            way = torch.zeros((), dtype=torch.float64, device=rows.device, requires_grad=True)
            total, _ = photons(_given_to_pixels(setup, values), pixels, partial(self._sweep, rows, way))
            total = total + way
            found = torch.autograd.grad(total, [*varied, way], torch.ones_like(total), materialize_grads=True)
        rows[row_slice("photons")] = total.detach()
        for name, slopes in zip(self._varied, found, strict=False):
            rows[row_slice(name)] = slopes

    def _given(self, name: str, count: int) -> Tensor:
        """What a row is the derivative with: a column, of every pixel where it is varied."""
        setup = self._kernel.setup
        axes = {"fast": setup.fast_axis, "slow": setup.slow_axis}
        kahn, axis = setup.polarizations[0] if setup.polarizations else (0.0, torch.zeros(3))
        values: dict[str, Any] = {
            "origin": setup.origin, **axes, "normal": setup.normal, "depth": setup.layer_thickness,
            "absorbed": setup.layer_thickness * setup.attenuation, "wavelength": 1.0, "turn": (0.0, 0.0, 0.0),
            "kahn": kahn, "axis": axis, "radius": setup.curved_radius or 0.0, "centre": setup.beam,
            **{f"bent_{one}": vector for one, vector in axes.items()},
        }  # fmt: skip
        value = torch.as_tensor(values[name], dtype=torch.float64, device=setup.origin.device)
        if name not in self._varied:
            return value.reshape(-1, 1) if value.ndim else value
        return value.reshape(-1, 1).repeat(1, count).squeeze(0).requires_grad_()

    def _sweep(self, rows: Tensor, way: Tensor, setup: KernelSetup, pixels: PixelList, wave: Wave) -> Tensor:
        """As `intensity.sweep`, with a way back."""
        call = _Call(self._kernel, self._grains, self._asked, rows, pixels, wave)
        total: Tensor = _Swept.apply(call, way, *wave.q)  # type: ignore[no-untyped-call]
        return total


def _room(device: torch.device) -> int:
    """Float64 numbers of a block."""
    if device.type == "cpu":
        return GPU_BLOCK * NUMBERS_PER_PIXEL
    return int(torch.cuda.get_device_properties(device).total_memory) // (8 * SHARE)


def _nothing(setup: KernelSetup, pixels: PixelList, wave: Wave) -> Tensor:
    """As `intensity.sweep`, of a crystal that does not diffract."""
    return torch.zeros_like(pixels.slow)


def _given_to_pixels(setup: KernelSetup, given: dict[str, Tensor]) -> KernelSetup:
    """The setup with these values, all vectors being columns."""
    changes: dict[str, Any] = {
        "origin": given["origin"], "fast_axis": given["fast"], "slow_axis": given["slow"], "normal": given["normal"],
        "beam": given["centre"], "layer_thickness": given["depth"],
        "attenuation": given["absorbed"] / given["depth"] if setup.absorbing else setup.attenuation,
        "curved_radius": setup.curved_radius and given["radius"], "bent_axes": (given["bent_slow"], given["bent_fast"]),
        "incident": [column(one) + cross(given["turn"], column(one)) for one in setup.incident],
        "wavelengths": [one * given["wavelength"] for one in setup.wavelengths],
        # Sources with a polarisation of their own have that of the beam nowhere.
        "polarizations": ((given["kahn"], given["axis"]),)
        if len(setup.polarizations) == 1
        else tuple((kahn, column(axis)) for kahn, axis in setup.polarizations),
    }  # fmt: skip
    return replace(setup, **changes)


@frozen
class _Call:
    """One wave of some pixels, and the rows that it is added to."""

    kernel: TensorKernel
    grains: Sequence[TurnedGrain]
    asked: frozenset[str]
    rows: Tensor
    pixels: PixelList
    wave: Wave

    def photons(self, q: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        return self.kernel.sweep(self.kernel.setup, self.pixels, replace(self.wave, q=q))

    def add(self, q: tuple[Tensor, Tensor, Tensor], weight: Tensor, geometry: bool) -> Tensor | None:
        """Add to the rows; the slopes (3, n) with the scattering vectors where these are varied."""
        wave, setup = self.wave, self.kernel.setup
        weight = weight if wave.accepted is None else torch.where(wave.accepted, weight, 0.0)
        slopes = weight.new_zeros(3, len(weight)) if geometry else None
        for one in self.grains:
            lattice = setup.lattice_of(wave.source, one.grain)
            add_slopes(one, lattice, setup.interpolate, q, weight, slopes, partial(self._row, one.crystal), self.asked)
        return slopes

    def _row(self, crystal: int, name: str) -> Tensor:
        return self.rows[row_slice(name, crystal)]


class _Swept(torch.autograd.Function):
    """The sum over the orientations of a wave, as a function of its scattering vectors."""

    @staticmethod
    def forward(ctx: Any, call: _Call, way: Tensor, *q: Tensor) -> Tensor:
        ctx.call = call
        ctx.save_for_backward(*q)
        return call.photons((q[0], q[1], q[2]))

    @staticmethod
    def backward(ctx: Any, *weights: Tensor) -> tuple[Tensor | None, ...]:
        slopes = ctx.call.add(ctx.saved_tensors, weights[0], any(ctx.needs_input_grad[2:]))
        return None, None, *((None, None, None) if slopes is None else slopes)
