"""The fused GPU kernel: all orientations of one wave in a Triton kernel, in the frame of the definition in torch.

Pixels are what runs in parallel; orientations are looped over inside, so that nothing is as large as pixels times
orientations. h, k, l and their fractions are float64, what follows has the type of the table's squares.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from tilesim.kernels import tensors
from tilesim.kernels.derived import SHAPES
from tilesim.kernels.sums import sum_pixels
from tilesim.kernels.tensors import NUMBERS_PER_PIXEL, block_of, lower_table
from tilesim.model import Experiment
from tilesim.physics.diffuse import FOUR_PI_SQUARED, LiquidMotion, wave_matrices
from tilesim.physics.factors import FactorTable, all_squares
from tilesim.physics.intensity import Grain, KernelSetup, PixelList, Wave
from tilesim.physics.lattice import ROUND_VOLUME, Lattice
from tilesim.physics.reach import GAUSS_REACH, GAUSS_WIDTH, TOPHAT_RADIUS_SQUARED
from tilesim.physics.rotate import mosaic_cells

__all__ = ["NUMBERS_PER_PIXEL", "block_of", "lower", "lower_table", "sum_pixels", "sweep"]

BLOCK = 128
"""Pixels of one program."""
ORIENTATIONS = 2**14
"""Cells that are on the device at a time."""


def lower(
    experiment: Experiment,
    precision: str = "mixed",
    device: str | torch.device = "cuda",
    latch: int | None = None,
    table: tuple[FactorTable, ...] | None = None,
) -> tensors.TensorKernel:
    """As `tensors.lower`, with the orientations summed by the fused kernel."""
    return tensors.lower(experiment, precision, device, latch, table, sweep)


def sweep(setup: KernelSetup, pixels: PixelList, wave: Wave, unrotated_start: bool = False) -> Tensor:
    """As `intensity.sweep`: the sum over all orientations for one wave (n,) float64."""
    device = wave.q[0].device
    q = [axis.contiguous() for axis in wave.q]
    total = torch.zeros_like(q[0])
    # How many of a pixel's evaluations may be interpolated; only the reference ever stops (spec intensity 8.2).
    allowed = torch.full_like(total, float("inf"))
    if setup.latch is not None:
        allowed = (setup.latch - pixels.number * setup.evaluations).to(torch.float64)
    number = wave.group * setup.orientations
    for grain in setup.grains:
        lattice = setup.lattice_of(wave.source, grain)
        parts, mixture = lattice.table.parts, lattice.table.mixture
        part, constants = torch.zeros_like(total), _constants(lattice).to(device)
        for cells in _cells(grain, unrotated_start):
            _add_orientations[(triton.cdiv(len(total), BLOCK),)](
                *q,
                allowed,
                part,
                cells.to(device),
                constants,
                lattice.table.squares,
                lattice.table.values,
                lattice.table.squares if parts is None else parts,
                constants if mixture is None else mixture.contiguous().to(device),
                len(total),
                len(cells),
                number,
                SHAPE=SHAPES.index(lattice.shape),
                SINGLE=lattice.dtype == torch.float32,
                INTERPOLATE=setup.interpolate,
                PARTS=0 if mixture is None else len(mixture),
                BLOCK=BLOCK,
            )
            number += len(cells)
            if grain.motion is not None:
                _diffuse(q, part, cells, lattice, grain.motion)
        total += part * grain.weight
    return total if wave.accepted is None else torch.where(wave.accepted, total, 0.0)


def _diffuse(q: list[Tensor], part: Tensor, cells: Tensor, lattice: Lattice, motion: LiquidMotion) -> None:
    """Add the diffuse intensity of some orientations to the sum of every pixel."""
    table, device = lattice.table, part.device
    waves = wave_matrices(cells.reshape(-1, 3, 3), motion)
    lengths = [FOUR_PI_SQUARED * x * x for x in (*motion.gamma, *motion.sigma)]
    numbers = (*lengths, motion.height, *table.lowest, *table.highest, table.rows, table.length, table.origin)
    constants = torch.tensor(numbers, dtype=torch.float64, device=device)
    _add_diffuse[(triton.cdiv(len(part), BLOCK),)](
        *q,
        part,
        cells.to(device),
        waves.reshape(-1, 9).contiguous().to(device),
        constants,
        all_squares(table),
        len(part),
        len(cells),
        waves.shape[1],
        motion.stencil,
        BLOCK=BLOCK,
    )


def _cells(grain: Grain, unrotated_start: bool) -> Iterator[Tensor]:
    """All orientations, spindle outermost, as (m, 9) with a bounded m."""
    waiting: list[Tensor] = []
    for step, turned in enumerate(grain.turned):
        start = grain.cell if step == 0 and unrotated_start else turned
        for mosaic in torch.split(grain.mosaic[step % len(grain.mosaic)], ORIENTATIONS):
            waiting.append(mosaic_cells(start, mosaic).reshape(-1, 9))
            if sum(map(len, waiting)) >= ORIENTATIONS:
                yield torch.cat(waiting)
                waiting = []
    if waiting:
        yield torch.cat(waiting)


def _constants(lattice: Lattice) -> Tensor:
    """The numbers of the kernel, float64: Triton takes plain ones as float32."""
    table = lattice.table
    spot = lattice.fudge * (-2.0 / GAUSS_WIDTH if lattice.shape == "gauss" else 1.0)
    reach = GAUSS_REACH if lattice.shape == "gauss-hkl" else TOPHAT_RADIUS_SQUARED
    tall = lattice.volume * (ROUND_VOLUME if lattice.shape == "round" else 1.0)
    numbers = (
        *lattice.cells, spot, lattice.volume**2, tall**2, reach, torch.pi,
        *(x for axis in lattice.reciprocal for x in axis),
        *table.lowest, *table.highest, table.rows, table.length, table.origin,
        1e-12 if lattice.dtype == torch.float32 else 1e-30,
        *(x for row in lattice.matrix for x in row), -2.0 / GAUSS_WIDTH,
    )  # fmt: skip
    return torch.tensor(numbers, dtype=torch.float64)


@triton.jit
def _nearest_whole(x):
    return tl.floor(x + 0.5)


@triton.jit
def _clamp(x, low, high):
    return tl.minimum(tl.maximum(x, low), high)


@triton.jit
def _sin_pi(x, pi, SINGLE: tl.constexpr):
    """sin(pi x) for |x| <= 1/2; the polynomial of cpp/numbers.h in float32."""
    if SINGLE:
        u = x * x
        p = 2.55006972641 + u * (-0.598242126841 + u * 0.0775603877265)
        return x * (3.1415926369 + u * (-5.1677096848 + u * p))
    return tl.sin(x * pi)


@triton.jit
def _neighbours(h, k, l, low_h, low_k, low_l, high_h, high_k, high_l, used):
    """Whether all neighbours of a point are in the table, and the node from whose predecessor on they stand there."""
    # The range test of the reference (spec intensity 5.4): size is high - low - 1.
    inside = used & (h - low_h + 2 <= high_h - low_h - 1) & (h - 2 >= low_h + 1)
    inside = inside & (k - low_k + 2 <= high_k - low_k - 1) & (k - 2 >= low_k + 1)
    inside = inside & (l - low_l + 2 <= high_l - low_l - 1) & (l - 2 >= low_l + 1)
    corner_h = _clamp(tl.floor(h), low_h + 2, high_h - 3)
    corner_k = _clamp(tl.floor(k), low_k + 2, high_k - 3)
    corner_l = _clamp(tl.floor(l), low_l + 2, high_l - 3)
    return inside, corner_h, corner_k, corner_l


@triton.jit
def _lagrange(x, node):
    """Weight of a node, numbered from 0, of -1, 0, 1, 2 at x."""
    below = x + 1
    above = x - 1
    far = x - 2
    inner = tl.where(node == 1, below * above * far / 2, -below * x * far / 2)
    outer = tl.where(node == 0, -x * above * far / 6, below * x * above / 6)
    return tl.where((node == 1) | (node == 2), inner, outer)


@triton.jit
def _mixed_squared(parts, mixture, entry, used, SINGLE: tl.constexpr, PARTS: tl.constexpr, BLOCK: tl.constexpr):
    """|sum of factor x part|^2 at flat table indices."""
    kind = tl.float32 if SINGLE else tl.float64
    real = tl.full([BLOCK], 0.0, kind)
    imaginary = tl.full([BLOCK], 0.0, kind)
    place = entry.to(tl.int64) * (2 * PARTS)
    for n in tl.static_range(PARTS):
        c = tl.load(mixture + 2 * n).to(kind)
        d = tl.load(mixture + 2 * n + 1).to(kind)
        x = tl.load(parts + place + 2 * n, mask=used, other=0.0)
        y = tl.load(parts + place + (2 * n + 1), mask=used, other=0.0)
        real += c * x - d * y
        imaginary += c * y + d * x
    return real * real + imaginary * imaginary


@triton.jit
def _lanes(x_of, y_of, z_of, pixels, BLOCK: tl.constexpr):
    """Numbers of the pixels of a program, which of them there are, and their scattering vectors."""
    lane = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    used = lane < pixels
    x = tl.load(x_of + lane, mask=used, other=0.0)
    y = tl.load(y_of + lane, mask=used, other=0.0)
    z = tl.load(z_of + lane, mask=used, other=0.0)
    return lane, used, x, y, z


@triton.jit
def _limits(at):
    """Lowest and highest indices of a table, and its strides, from nine constants."""
    low_h, low_k, low_l = tl.load(at), tl.load(at + 1), tl.load(at + 2)
    high_h, high_k, high_l = tl.load(at + 3), tl.load(at + 4), tl.load(at + 5)
    rows, length, origin = tl.load(at + 6), tl.load(at + 7), tl.load(at + 8)
    return low_h, low_k, low_l, high_h, high_k, high_l, rows, length, origin


@triton.jit
def _add_orientations(
    x_of, y_of, z_of, allowed_of, total_of, cells, constants, squares, values, parts, mixture,
    pixels, orientations, first_number,
    SHAPE: tl.constexpr, SINGLE: tl.constexpr, INTERPOLATE: tl.constexpr, PARTS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Add F^2 F_latt^2 over some orientations to the sum of every pixel."""
    lane, used, x, y, z = _lanes(x_of, y_of, z_of, pixels, BLOCK)
    allowed = tl.load(allowed_of + lane, mask=used, other=0.0)
    total = tl.load(total_of + lane, mask=used, other=0.0)
    na, nb, nc = tl.load(constants), tl.load(constants + 1), tl.load(constants + 2)
    spot, volume_squared, tall_squared = tl.load(constants + 3), tl.load(constants + 4), tl.load(constants + 5)
    reach, pi = tl.load(constants + 6), tl.load(constants + 7)
    ax, ay, az = tl.load(constants + 8), tl.load(constants + 9), tl.load(constants + 10)
    bx, by, bz = tl.load(constants + 11), tl.load(constants + 12), tl.load(constants + 13)
    cx, cy, cz = tl.load(constants + 14), tl.load(constants + 15), tl.load(constants + 16)
    low_h, low_k, low_l, high_h, high_k, high_l, rows, length, origin = _limits(constants + 17)
    next_to_node = tl.load(constants + 26)
    nxx, nxy, nxz = tl.load(constants + 27), tl.load(constants + 28), tl.load(constants + 29)
    nyx, nyy, nyz = tl.load(constants + 30), tl.load(constants + 31), tl.load(constants + 32)
    nzx, nzy, nzz = tl.load(constants + 33), tl.load(constants + 34), tl.load(constants + 35)
    steep = tl.load(constants + 36)
    kind = tl.float32 if SINGLE else tl.float64
    for number in range(orientations):
        cell = cells + 9 * number
        h = x * tl.load(cell) + y * tl.load(cell + 1) + z * tl.load(cell + 2)
        k = x * tl.load(cell + 3) + y * tl.load(cell + 4) + z * tl.load(cell + 5)
        l = x * tl.load(cell + 6) + y * tl.load(cell + 7) + z * tl.load(cell + 8)
        h0, k0, l0 = tl.ceil(h - 0.5), tl.ceil(k - 0.5), tl.ceil(l - 0.5)
        dh, dk, dl = h - h0, k - k0, l - l0
        row = _clamp(h0, low_h, high_h) * rows + _clamp(k0, low_k, high_k)
        entry = (row * length + _clamp(l0, low_l, high_l) + origin).to(tl.int32)
        if PARTS > 0:
            factor = _mixed_squared(parts, mixture, entry, used, SINGLE, PARTS, BLOCK)
        else:
            factor = tl.load(squares + entry, mask=used, other=0.0)
        if INTERPOLATE:
            inside, corner_h, corner_k, corner_l = _neighbours(
                h, k, l, low_h, low_k, low_l, high_h, high_k, high_l, used & (first_number + number < allowed)
            )
            among = tl.full([BLOCK], 0.0, tl.float64)
            # Unrolled along l alone: all 64 neighbours of a mixture of parts take half a minute to compile.
            for i in tl.range(4, loop_unroll_factor=1):
                for j in tl.range(4, loop_unroll_factor=1):
                    start = ((corner_h + (i - 1)) * rows + corner_k + (j - 1)) * length + corner_l - 1 + origin
                    along = tl.full([BLOCK], 0.0, tl.float64)
                    for m in tl.static_range(4):
                        if PARTS > 0:
                            square = _mixed_squared(
                                parts, mixture, start.to(tl.int32) + m, inside, SINGLE, PARTS, BLOCK
                            )
                            amplitude = tl.sqrt(square.to(tl.float64))
                        else:
                            amplitude = tl.load(values + start.to(tl.int32) + m, mask=inside, other=0.0)
                        along += _lagrange(l - corner_l, m) * amplitude
                    among += _lagrange(h - corner_h, i) * _lagrange(k - corner_k, j) * along
            factor = tl.where(inside, (among * among).to(kind), factor)
        if SHAPE == 0:
            # The grating function is even, so signs may go; on the node itself the ratio is N too.
            dh = tl.maximum(tl.abs(dh), next_to_node)
            dk = tl.maximum(tl.abs(dk), next_to_node)
            dl = tl.maximum(tl.abs(dl), next_to_node)
            ph, pk, pl = dh * na, dk * nb, dl * nc
            above = _sin_pi((ph - _nearest_whole(ph)).to(kind), pi.to(kind), SINGLE)
            above *= _sin_pi((pk - _nearest_whole(pk)).to(kind), pi.to(kind), SINGLE)
            above *= _sin_pi((pl - _nearest_whole(pl)).to(kind), pi.to(kind), SINGLE)
            below = _sin_pi(dh.to(kind), pi.to(kind), SINGLE)
            below *= _sin_pi(dk.to(kind), pi.to(kind), SINGLE)
            below *= _sin_pi(dl.to(kind), pi.to(kind), SINGLE)
            ratio = above / below
            total += (ratio * ratio * factor).to(tl.float64)
        elif SHAPE == 1:
            ph, pk, pl = dh * na, dk * nb, dl * nc
            radius = tl.sqrt((ph * ph + pk * pk + pl * pl) * spot)
            # float64: the difference below cancels at its zeros.
            turn = (radius - _nearest_whole(radius)) * pi
            r = radius * pi
            rr = r * r
            near = r < 0.5
            series = 1.0 - rr / 10 * (1.0 - rr / 28 * (1.0 - rr / 54 * (1.0 - rr / 88)))
            safe = tl.where(near, 1.0, r)
            closed = 3.0 * (tl.sin(turn) / safe - tl.cos(turn)) / (safe * safe)
            wave = tl.where(near, series, closed)
            total += wave * wave * factor.to(tl.float64) * tall_squared
        elif SHAPE >= 4:
            u = dh * nxx + dk * nxy + dl * nxz
            v = dh * nyx + dk * nyy + dl * nyz
            w = dh * nzx + dk * nzy + dl * nzz
            distance = (u * u + v * v + w * w) * spot
            height = factor.to(tl.float64) * volume_squared
            if SHAPE == 4:
                height *= tl.exp(distance * steep)
            total += tl.where(distance < reach, height, 0.0)
        else:
            u = dh * ax + dk * bx + dl * cx
            v = dh * ay + dk * by + dl * cy
            w = dh * az + dk * bz + dl * cz
            distance = (u * u + v * v + w * w) * volume_squared * spot
            if SHAPE == 2:
                total += tl.exp(distance) * factor.to(tl.float64) * volume_squared
            else:
                total += tl.where(distance < reach, factor.to(tl.float64), 0.0) * volume_squared
    tl.store(total_of + lane, total, mask=used)


@triton.jit
def _add_diffuse(
    x_of, y_of, z_of, total_of, cells, waves, constants, squares, pixels, orientations, rotations, stencil,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Add the diffuse intensity of some orientations to the sum of every pixel (physics/diffuse.py)."""
    lane, used, x, y, z = _lanes(x_of, y_of, z_of, pixels, BLOCK)
    total = tl.load(total_of + lane, mask=used, other=0.0)
    gx, gy, gz = tl.load(constants), tl.load(constants + 1), tl.load(constants + 2)
    sx, sy, sz = tl.load(constants + 3), tl.load(constants + 4), tl.load(constants + 5)
    height = tl.load(constants + 6)
    low_h, low_k, low_l, high_h, high_k, high_l, rows, length, origin = _limits(constants + 7)
    edge = 2 * stencil + 1
    for number in range(orientations):
        cell = cells + 9 * number
        h = x * tl.load(cell) + y * tl.load(cell + 1) + z * tl.load(cell + 2)
        k = x * tl.load(cell + 3) + y * tl.load(cell + 4) + z * tl.load(cell + 5)
        l = x * tl.load(cell + 6) + y * tl.load(cell + 7) + z * tl.load(cell + 8)
        h0, k0, l0 = tl.ceil(h - 0.5), tl.ceil(k - 0.5), tl.ceil(l - 0.5)
        for rotation in range(rotations):
            m = waves + 9 * (number * rotations + rotation)
            xh, xk, xl = tl.load(m), tl.load(m + 1), tl.load(m + 2)
            yh, yk, yl = tl.load(m + 3), tl.load(m + 4), tl.load(m + 5)
            zh, zk, zl = tl.load(m + 6), tl.load(m + 7), tl.load(m + 8)
            u = h0 * xh + k0 * xk + l0 * xl
            v = h0 * yh + k0 * yk + l0 * yl
            w = h0 * zh + k0 * zk + l0 * zl
            exponent = u * u * sx + v * v * sy + w * w * sz
            strength = exponent * tl.exp(-exponent) * height
            for place in range(edge * edge * edge):
                node_h = h0 + (place // (edge * edge) - stencil)
                node_k = k0 + (place // edge % edge - stencil)
                node_l = l0 + (place % edge - stencil)
                row = _clamp(node_h, low_h, high_h) * rows + _clamp(node_k, low_k, high_k)
                entry = (row * length + _clamp(node_l, low_l, high_l) + origin).to(tl.int32)
                factor = tl.load(squares + entry, mask=used, other=0.0).to(tl.float64)
                dh, dk, dl = h - node_h, k - node_k, l - node_l
                u = dh * xh + dk * xk + dl * xl
                v = dh * yh + dk * yk + dl * yl
                w = dh * zh + dk * zk + dl * zl
                fall = 1.0 + (u * u * gx + v * v * gy + w * w * gz)
                total += factor * strength / (fall * fall)
    tl.store(total_of + lane, total, mask=used)
