"""The fused derivatives on a GPU: all orientations of one wave in a Triton kernel, with the rows of a crystal.

The slopes g of a term with h, k, l hold everything: g s^T is added up for the cell, C^T g for the scattering vector,
from which torch goes on to all geometry (gpurows.py). One term is in gpuevaluation.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from tilesim.frozen import frozen
from tilesim.kernels.derived import SHAPES
from tilesim.kernels.gpu import BLOCK, _clamp, _constants, _lanes, _limits, _mixed_squared
from tilesim.kernels.gpuevaluation import (
    _gauss_hkl_slopes,
    _gauss_slopes,
    _interpolated,
    _round_slopes,
    _square_slopes,
)
from tilesim.kernels.slopes import OF_CRYSTAL, beside_grains
from tilesim.model import Experiment
from tilesim.physics.factors import Axes
from tilesim.physics.intensity import Grain, KernelSetup
from tilesim.physics.lattice import Lattice

TURN = 40
"""Numbers of an orientation: four matrices, the number of its spindle step, the slopes of its mosaic angle."""


@frozen
class TurnedGrain:
    """A grain with what the derivatives of its orientations are made of."""

    grain: Grain
    crystal: int
    """Its number"""
    angles: int
    """Derivatives of a mosaic angle"""
    own: tuple[float, ...]
    """What the kernel has of it beside the constants of the image: growth, and a*, b*, c* of its cell vectors in 1/m"""
    turns: Tensor
    """(orientations, TURN) float64, spindle outermost, on the device"""


def turned_grains(experiment: Experiment, setup: KernelSetup) -> Iterator[TurnedGrain]:
    """The grains of an experiment, in their order."""
    for grain, (fields, arrays) in zip(setup.grains, beside_grains(experiment), strict=True):
        spindle, rates, slopes = (torch.from_numpy(arrays[name]) for name in ("spindle", "rates", "slopes"))
        turns = _turns(
            grain,
            torch.tensor(experiment.scan.axis, dtype=torch.float64),
            bool(fields["turning"]),
            spindle,
            rates,
            slopes,
        )
        own = (fields["growth"], *(1e10 * x for x in fields["star"]))
        yield TurnedGrain(grain, fields["crystal"], fields["angles"], own, turns.to(setup.origin.device))


def _turns(grain: Grain, axis: Tensor, turning: bool, spindle: Tensor, rates: Tensor, slopes: Tensor) -> Tensor:
    """The numbers of every orientation (orientations, TURN).

    C = B R^T, whose rows are the cell vectors; R = R_mosaic R_spindle; the derivatives of C with the angles of spindle
    and mosaic domain; the number of the spindle step; the slopes of the mosaic angle with its parameters.
    """
    steps, domains = len(grain.turned), grain.mosaic.shape[1]
    turned, mosaic = grain.turned[:, None], grain.mosaic.expand(steps, -1, -1, -1)
    cells = turned @ mosaic.transpose(2, 3)
    # Domains that turn with the crystal turn after its mosaic rotations, the others before.
    ahead = torch.linalg.cross(axis.expand(cells.shape), cells if turning else turned.expand(cells.shape))
    onward = ahead if turning else ahead @ mosaic.transpose(2, 3)
    inward = turned @ rates.expand(steps, domains, 3, 3).transpose(2, 3)
    found = torch.zeros(steps, domains, TURN, dtype=torch.float64)
    for place, matrices in enumerate((cells, mosaic @ spindle[:, None], onward, inward)):
        found[..., 9 * place : 9 * place + 9] = matrices.reshape(steps, domains, 9)
    found[..., 36] = torch.arange(steps)[:, None]
    found[..., 37 : 37 + slopes.shape[1]] = slopes
    return found.reshape(-1, TURN)


def add_slopes(
    one: TurnedGrain,
    lattice: Lattice,
    interpolate: bool,
    q: Axes,
    weight: Tensor,
    slopes: Tensor | None,
    row: Callable[[str], Tensor],
    asked: frozenset[str],
) -> None:
    """Add one wave of one grain to the rows of a pixel, and to its slopes with the scattering vector.

    weight  (n,) float64 of a term in the sum
    slopes  (3, n) float64; None where they are not asked for
    row     the rows (k, n) of the crystal of this name, one pixel after the other
    asked   names of the rows that are asked for
    """
    q, weight = (q[0].contiguous(), q[1].contiguous(), q[2].contiguous()), (weight * one.grain.weight).contiguous()
    parts, mixture = lattice.table.parts, lattice.table.mixture
    constants = torch.cat([_constants(lattice), torch.tensor(one.own, dtype=torch.float64)]).to(weight.device)
    _add_slopes[(triton.cdiv(len(weight), BLOCK),)](
        *q,
        weight,
        weight if slopes is None else slopes,
        *(row(name) for name in OF_CRYSTAL),
        one.turns,
        constants,
        lattice.table.squares,
        lattice.table.values,
        lattice.table.squares if parts is None else parts,
        constants if mixture is None else mixture.contiguous().to(weight.device),
        len(weight),
        len(one.turns),
        SHAPE=SHAPES.index(lattice.shape),
        SINGLE=lattice.dtype == torch.float32,
        INTERPOLATE=interpolate,
        PARTS=0 if mixture is None else len(mixture),
        GEOMETRY=slopes is not None,
        CELL="cell" in asked,
        SIZE="size" in asked,
        SPINDLE="start" in asked or "step" in asked,
        ANGLES=one.angles if "angles" in asked else 0,
        BLOCK=BLOCK,
    )


@triton.jit
def _apply(matrix, x, y, z):
    """A matrix, row by row, times a vector."""
    u = x * tl.load(matrix) + y * tl.load(matrix + 1) + z * tl.load(matrix + 2)
    v = x * tl.load(matrix + 3) + y * tl.load(matrix + 4) + z * tl.load(matrix + 5)
    w = x * tl.load(matrix + 6) + y * tl.load(matrix + 7) + z * tl.load(matrix + 8)
    return u, v, w


@triton.jit
def _apply_transposed(matrix, x, y, z):
    u = x * tl.load(matrix) + y * tl.load(matrix + 3) + z * tl.load(matrix + 6)
    v = x * tl.load(matrix + 1) + y * tl.load(matrix + 4) + z * tl.load(matrix + 7)
    w = x * tl.load(matrix + 2) + y * tl.load(matrix + 5) + z * tl.load(matrix + 8)
    return u, v, w


@triton.jit
def _add(rows, number, value, pixels, lane, used):
    """Add to one of the rows of some pixels."""
    at = rows + number * pixels + lane
    tl.store(at, tl.load(at, mask=used, other=0.0) + value, mask=used)


@triton.jit(do_not_specialize=["orientations"])  # compiling it takes seconds
def _add_slopes(
    x_of, y_of, z_of, weight_of, slopes_of, sum_of, cell_of, size_of, start_of, step_of, angles_of,
    turns, constants, squares, values, parts, mixture, pixels, orientations,
    SHAPE: tl.constexpr, SINGLE: tl.constexpr, INTERPOLATE: tl.constexpr, PARTS: tl.constexpr,
    GEOMETRY: tl.constexpr, CELL: tl.constexpr, SIZE: tl.constexpr, SPINDLE: tl.constexpr, ANGLES: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Add some orientations to the rows of every pixel, and to its slopes with x, y, z."""
    lane, used, x, y, z = _lanes(x_of, y_of, z_of, pixels, BLOCK)
    weight = tl.load(weight_of + lane, mask=used, other=0.0)
    low_h, low_k, low_l, high_h, high_k, high_l, rows, length, origin = _limits(constants + 17)
    zero = tl.full([BLOCK], 0.0, tl.float64)
    total, start, step, a0, a1, a2, y0, y1, y2 = zero, zero, zero, zero, zero, zero, zero, zero, zero
    e0, e1, e2, e3, e4, e5, e6, e7, e8 = zero, zero, zero, zero, zero, zero, zero, zero, zero
    n0, n1, n2, n3, n4, n5 = zero, zero, zero, zero, zero, zero
    for number in range(orientations):
        turn = turns + 40 * number
        h, k, l = _apply(turn, x, y, z)
        h0, k0, l0 = tl.ceil(h - 0.5), tl.ceil(k - 0.5), tl.ceil(l - 0.5)
        dh, dk, dl = h - h0, k - k0, l - l0
        row = _clamp(h0, low_h, high_h) * rows + _clamp(k0, low_k, high_k)
        entry = (row * length + _clamp(l0, low_l, high_l) + origin).to(tl.int32)
        if PARTS > 0:
            factor = _mixed_squared(parts, mixture, entry, used, SINGLE, PARTS, BLOCK).to(tl.float64)
        else:
            factor = tl.load(squares + entry, mask=used, other=0.0).to(tl.float64)
        if INTERPOLATE:
            factor, sh, sk, sl = _interpolated(
                h, k, l, factor, constants + 17, values, parts, mixture, used, SINGLE, PARTS, BLOCK
            )
        due = factor * weight
        if SHAPE == 0:
            value, gh, gk, gl, nh, nk, nl = _square_slopes(dh, dk, dl, constants, SINGLE)
        elif SHAPE == 1:
            value, gh, gk, gl, nh, nk, nl = _round_slopes(dh, dk, dl, constants)
        elif SHAPE == 2:
            value, gh, gk, gl, nh, nk, nl, u, v, w, steep = _gauss_slopes(dh, dk, dl, constants)
        else:
            value, gh, gk, gl, u, v, w = _gauss_hkl_slopes(dh, dk, dl, constants)
            nh, nk, nl = u * dh, v * dk, w * dl
        total += value.to(tl.float64) * due
        gh, gk, gl = gh.to(tl.float64) * due, gk.to(tl.float64) * due, gl.to(tl.float64) * due
        if SIZE:
            n0 += nh.to(tl.float64) * due
            n1 += nk.to(tl.float64) * due
            n2 += nl.to(tl.float64) * due
            if SHAPE == 4:
                n3 += (u * dk + v * dh) * due
                n4 += (v * dl + w * dk) * due
                n5 += (u * dl + w * dh) * due
        if INTERPOLATE:
            height = value.to(tl.float64) * weight
            gh += sh * height
            gk += sk * height
            gl += sl * height
        if CELL:
            sx, sy, sz = _apply_transposed(turn + 9, x, y, z)
            e0 += gh * sx
            e1 += gh * sy
            e2 += gh * sz
            e3 += gk * sx
            e4 += gk * sy
            e5 += gk * sz
            e6 += gl * sx
            e7 += gl * sy
            e8 += gl * sz
            if SHAPE == 2:
                # Reciprocal vectors follow the inverse of the cell: the slope w with r, from the node, is -(star w) r.
                wh, wk, wl = _apply(constants + 38, u * steep * due, v * steep * due, w * steep * due)
                e0 -= wh * u
                e1 -= wh * v
                e2 -= wh * w
                e3 -= wk * u
                e4 -= wk * v
                e5 -= wk * w
                e6 -= wl * u
                e7 -= wl * v
                e8 -= wl * w
        if GEOMETRY:
            qx, qy, qz = _apply_transposed(turn, gh, gk, gl)
            y0 += qx
            y1 += qy
            y2 += qz
        if SPINDLE:
            uh, uk, ul = _apply(turn + 18, x, y, z)
            rate = gh * uh + gk * uk + gl * ul
            start += rate
            step += rate * tl.load(turn + 36)
        if ANGLES > 0:
            uh, uk, ul = _apply(turn + 27, x, y, z)
            fall = gh * uh + gk * uk + gl * ul
            a0 += fall * tl.load(turn + 37)
            if ANGLES > 1:
                a1 += fall * tl.load(turn + 38)
            if ANGLES > 2:
                a2 += fall * tl.load(turn + 39)
    _add(sum_of, 0, total, pixels, lane, used)
    if CELL:
        _add(cell_of, 0, e0, pixels, lane, used)
        _add(cell_of, 1, e1, pixels, lane, used)
        _add(cell_of, 2, e2, pixels, lane, used)
        _add(cell_of, 3, e3, pixels, lane, used)
        _add(cell_of, 4, e4, pixels, lane, used)
        _add(cell_of, 5, e5, pixels, lane, used)
        _add(cell_of, 6, e6, pixels, lane, used)
        _add(cell_of, 7, e7, pixels, lane, used)
        _add(cell_of, 8, e8, pixels, lane, used)
    if SIZE:
        growth = tl.load(constants + 37)
        _add(size_of, 0, n0 * growth, pixels, lane, used)
        _add(size_of, 1, n1 * growth, pixels, lane, used)
        _add(size_of, 2, n2 * growth, pixels, lane, used)
        if SHAPE == 4:
            _add(size_of, 3, n3 * growth, pixels, lane, used)
            _add(size_of, 4, n4 * growth, pixels, lane, used)
            _add(size_of, 5, n5 * growth, pixels, lane, used)
    if GEOMETRY:
        _add(slopes_of, 0, y0, pixels, lane, used)
        _add(slopes_of, 1, y1, pixels, lane, used)
        _add(slopes_of, 2, y2, pixels, lane, used)
    if SPINDLE:
        _add(start_of, 0, start, pixels, lane, used)
        _add(step_of, 0, step, pixels, lane, used)
    if ANGLES > 0:
        _add(angles_of, 0, a0, pixels, lane, used)
        if ANGLES > 1:
            _add(angles_of, 1, a1, pixels, lane, used)
        if ANGLES > 2:
            _add(angles_of, 2, a2, pixels, lane, used)
