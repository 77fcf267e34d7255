"""One term on a GPU with its derivatives: squared lattice factors of all shapes, interpolated amplitudes.

Formulas and their series are those of cpp/slopes.h.
"""

from __future__ import annotations

import triton
import triton.language as tl

from tilesim.kernels.gpu import _lagrange, _limits, _mixed_squared, _nearest_whole, _neighbours, _sin_pi


@triton.jit
def _cos_pi(x, pi, SINGLE: tl.constexpr):
    """cos(pi x) for |x| <= 1/2; the polynomial of cpp/numbers.h in float32."""
    if SINGLE:
        u = x * x
        p = 4.0587113691 + u * (-1.33523906012 + u * (0.235068651459 - u * 0.0246157442666))
        return 1.0 + u * (-4.93480219662 + u * p)
    return tl.cos(x * pi)


@triton.jit
def _psi_over(u):
    """psi(y) / y with psi the logarithmic derivative of sin(y) / y, from y^2 below 0.16."""
    # Whole numbers alone: others are float32 to Triton.
    return -(1 + u * (1 + u * (2 + u * (1 + u * (10 + u * 1382 / 1365) / 99) / 5) / 21) / 15) / 3


@triton.jit
def _grating_slope(ratio, over, above, below, cells, x, pi):
    """Derivative of sin(pi N x) / sin(pi x); by a series where it cancels next to the node."""
    y = x * pi
    ny = y * cells
    series = ratio * y * (cells * cells * _psi_over(tl.minimum(ny * ny, 1)) - _psi_over(tl.minimum(y * y, 1)))
    closed = (cells * above - ratio * below) * over
    return pi * tl.where(tl.maximum(x, cells * x) * 8 < 1, series, closed)


@triton.jit
def _square_slopes(dh, dk, dl, constants, SINGLE: tl.constexpr):
    """The squared lattice factor, its slopes with h, k, l and with Na, Nb, Nc."""
    kind = tl.float32 if SINGLE else tl.float64
    na, nb, nc, pi = tl.load(constants), tl.load(constants + 1), tl.load(constants + 2), tl.load(constants + 7)
    next_to_node = tl.load(constants + 26)
    xh = tl.maximum(tl.abs(dh), next_to_node)
    xk = tl.maximum(tl.abs(dk), next_to_node)
    xl = tl.maximum(tl.abs(dl), next_to_node)
    uh, uk, ul = xh * na, xk * nb, xl * nc
    uh = (uh - _nearest_whole(uh)).to(kind)
    uk = (uk - _nearest_whole(uk)).to(kind)
    ul = (ul - _nearest_whole(ul)).to(kind)
    xh, xk, xl = xh.to(kind), xk.to(kind), xl.to(kind)
    na, nb, nc, pi = na.to(kind), nb.to(kind), nc.to(kind), pi.to(kind)
    ih = 1 / _sin_pi(xh, pi, SINGLE)
    ik = 1 / _sin_pi(xk, pi, SINGLE)
    il = 1 / _sin_pi(xl, pi, SINGLE)
    h, k, l = _sin_pi(uh, pi, SINGLE) * ih, _sin_pi(uk, pi, SINGLE) * ik, _sin_pi(ul, pi, SINGLE) * il
    ch, ck, cl = _cos_pi(uh, pi, SINGLE), _cos_pi(uk, pi, SINGLE), _cos_pi(ul, pi, SINGLE)
    sh = _grating_slope(h, ih, ch, _cos_pi(xh, pi, SINGLE), na, xh, pi)
    sk = _grating_slope(k, ik, ck, _cos_pi(xk, pi, SINGLE), nb, xk, pi)
    sl = _grating_slope(l, il, cl, _cos_pi(xl, pi, SINGLE), nc, xl, pi)
    kl, hl, hk = k * l, h * l, h * k
    along_h, along_k, along_l = 2 * h * kl * kl, 2 * k * hl * hl, 2 * l * hk * hk
    gh = tl.where(dh < 0, -along_h * sh, along_h * sh)
    gk = tl.where(dk < 0, -along_k * sk, along_k * sk)
    gl = tl.where(dl < 0, -along_l * sl, along_l * sl)
    nh, nk, nl = along_h * pi * xh * ch * ih, along_k * pi * xk * ck * ik, along_l * pi * xl * cl * il
    return (h * kl) * (h * kl), gh, gk, gl, nh, nk, nl


@triton.jit
def _round_slopes(dh, dk, dl, constants):
    """As `_square_slopes`; the height of a node is left to the host, here and below."""
    na, nb, nc, spot = tl.load(constants), tl.load(constants + 1), tl.load(constants + 2), tl.load(constants + 3)
    tall_squared, pi = tl.load(constants + 5), tl.load(constants + 7)
    ph, pk, pl = dh * na, dk * nb, dl * nc
    radius = tl.sqrt((ph * ph + pk * pk + pl * pl) * spot)
    turn = (radius - _nearest_whole(radius)) * pi
    x = radius * pi
    z = x * x
    near = x * 2 < 1
    safe = tl.where(near, 1, x)
    sine = tl.sin(turn) / safe
    series = 1 - z / 10 * (1 - z / 28 * (1 - z / 54 * (1 - z / 88)))
    closed = 3 * (sine - tl.cos(turn)) / (safe * safe)
    # Of the amplitude with the square of x.
    below = (z * (2 - z * (3 - z * (4 - z / 26) / 88) / 54) / 28 - 1) / 10
    beyond = (sine - closed) * 3 / (safe * safe * 2)
    amplitude = tl.where(near, series, closed)
    part = amplitude * tl.where(near, below, beyond) * pi * pi * tall_squared * spot * 4
    h, k, l = part * ph, part * pk, part * pl
    return amplitude * amplitude * tall_squared, h * na, k * nb, l * nc, h * dh, k * dk, l * dl


@triton.jit
def _gauss_slopes(dh, dk, dl, constants):
    """As `_square_slopes`; and the vector from the node, the slope with it over it."""
    na, nb, nc, spot = tl.load(constants), tl.load(constants + 1), tl.load(constants + 2), tl.load(constants + 3)
    volume_squared = tl.load(constants + 4)
    ax, ay, az = tl.load(constants + 8), tl.load(constants + 9), tl.load(constants + 10)
    bx, by, bz = tl.load(constants + 11), tl.load(constants + 12), tl.load(constants + 13)
    cx, cy, cz = tl.load(constants + 14), tl.load(constants + 15), tl.load(constants + 16)
    x = dh * ax + dk * bx + dl * cx
    y = dh * ay + dk * by + dl * cy
    z = dh * az + dk * bz + dl * cz
    distance = x * x + y * y + z * z
    value = tl.exp(distance * volume_squared * spot) * volume_squared
    steep = value * spot * volume_squared * 2
    gh = steep * (ax * x + ay * y + az * z)
    gk = steep * (bx * x + by * y + bz * z)
    gl = steep * (cx * x + cy * y + cz * z)
    sized = steep * distance
    return value, gh, gk, gl, sized / na, sized / nb, sized / nc, x, y, z, steep


@triton.jit
def _gauss_hkl_slopes(dh, dk, dl, constants):
    """The squared lattice factor, its slopes with h, k, l and with the distance from the node in cells."""
    spot, volume_squared, reach = tl.load(constants + 3), tl.load(constants + 4), tl.load(constants + 6)
    xx, xy, xz = tl.load(constants + 27), tl.load(constants + 28), tl.load(constants + 29)
    yx, yy, yz = tl.load(constants + 30), tl.load(constants + 31), tl.load(constants + 32)
    zx, zy, zz = tl.load(constants + 33), tl.load(constants + 34), tl.load(constants + 35)
    steep = tl.load(constants + 36)
    u = dh * xx + dk * xy + dl * xz
    v = dh * yx + dk * yy + dl * yz
    w = dh * zx + dk * zy + dl * zz
    distance = (u * u + v * v + w * w) * spot
    value = tl.where(distance < reach, tl.exp(distance * steep) * volume_squared, 0.0)
    fall = value * spot * steep * 2
    u, v, w = u * fall, v * fall, w * fall
    return value, xx * u + yx * v + zx * w, xy * u + yy * v + zy * w, xz * u + yz * v + zz * w, u, v, w


@triton.jit
def _lagrange_slope(x, node):
    """Derivative of `_lagrange`."""
    outer = tl.where(node == 0, -(3 * x * x - 6 * x + 2) / 6, (3 * x * x - 1) / 6)
    inner = tl.where(node == 1, (3 * x * x - 4 * x - 1) / 2, -(3 * x * x - 2 * x - 2) / 2)
    return tl.where((node == 1) | (node == 2), inner, outer)


@triton.jit
def _interpolated(
    h, k, l, nearest, limits, values, parts, mixture, used,
    SINGLE: tl.constexpr, PARTS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Squared amplitude and its slopes with h, k, l; the nearest and none where the neighbours are not in the table."""
    low_h, low_k, low_l, high_h, high_k, high_l, rows, length, origin = _limits(limits)
    inside, corner_h, corner_k, corner_l = _neighbours(h, k, l, low_h, low_k, low_l, high_h, high_k, high_l, used)
    among = tl.full([BLOCK], 0.0, tl.float64)
    sh = tl.full([BLOCK], 0.0, tl.float64)
    sk = tl.full([BLOCK], 0.0, tl.float64)
    sl = tl.full([BLOCK], 0.0, tl.float64)
    for i in tl.range(4, loop_unroll_factor=1):
        for j in tl.range(4, loop_unroll_factor=1):
            start = ((corner_h + (i - 1)) * rows + corner_k + (j - 1)) * length + corner_l - 1 + origin
            along = tl.full([BLOCK], 0.0, tl.float64)
            across = tl.full([BLOCK], 0.0, tl.float64)
            for m in tl.static_range(4):
                if PARTS > 0:
                    square = _mixed_squared(parts, mixture, start.to(tl.int32) + m, inside, SINGLE, PARTS, BLOCK)
                    amplitude = tl.sqrt(square.to(tl.float64))
                else:
                    amplitude = tl.load(values + start.to(tl.int32) + m, mask=inside, other=0.0)
                along += _lagrange(l - corner_l, m) * amplitude
                across += _lagrange_slope(l - corner_l, m) * amplitude
            on_h, on_k = _lagrange(h - corner_h, i), _lagrange(k - corner_k, j)
            among += on_h * on_k * along
            sh += _lagrange_slope(h - corner_h, i) * on_k * along
            sk += on_h * _lagrange_slope(k - corner_k, j) * along
            sl += on_h * on_k * across
    twice = tl.where(inside, among * 2, 0.0)
    return tl.where(inside, among * among, nearest), sh * twice, sk * twice, sl * twice
