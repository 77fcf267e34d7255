"""Philox 4x32-10: uniform numbers as a pure function of seed, stream, frame, panel, pixel and draw.

Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11 (2011).

The layout of the words, 32 bits each:

    key[0]      seed, bits 0-31
    key[1]      seed, bits 32-63
    counter[0]  pixel, bits 0-31
    counter[1]  pixel, bits 32-47, and the panel in bits 16-31
    counter[2]  frame
    counter[3]  draw, bits 0-23, and the stream in bits 24-31

Two different sets of arguments never share a block: nothing wraps before 2^48 pixels to a panel.
Tensors of torch and int64 arrays of numpy have the same numbers; torch is not imported here.
"""

from __future__ import annotations

from typing import Any

_MASK = 0xFFFFFFFF
_MULTIPLY = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10


Integers = Any
"""An int64 tensor of torch or array of numpy."""
Words = tuple[Integers, Integers, Integers, Integers]


def philox(counter: Words, key: tuple[int, int]) -> Words:
    """One block of Philox 4x32-10.

    counter  four int64 tensors or arrays that broadcast, each value in [0, 2^32)
    key      two integers in [0, 2^32)
    returns  four of them, each value in [0, 2^32)
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        high0, low0 = _wide_product(_MULTIPLY[0], c0)
        high1, low1 = _wide_product(_MULTIPLY[1], c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return c0, c1, c2, c3


def _wide_product(factor: int, words: Integers) -> tuple[Integers, Integers]:
    """High and low 32 bits of factor x words; an int64 product keeps all 64 bits, the sign among them."""
    product = words * factor
    return (product >> 32) & _MASK, product & _MASK


def uniforms(
    pixel: Integers, *, seed: int, stream: int = 0, frame: int = 0, panel: int = 0, draw: int = 0
) -> tuple[Any, Any]:
    """Two independent uniform numbers for every pixel.

    pixel    (n,) int64 index in the panel, 0 <= pixel < 2^48
    seed     -2^63 <= seed < 2^64, taken modulo 2^64
    stream   purpose of the numbers, below 2^8
    frame    below 2^32
    panel    below 2^16
    draw     which pair of this pixel, below 2^24
    returns  two (n,) float64 tensors or arrays in the open interval (0, 1), odd multiples of 2^-53

    Raises ValueError where an integer other than `pixel` is out of range.
    """
    _check("seed", seed, -(1 << 63), 1 << 64)
    _check("stream", stream, 0, 1 << 8)
    _check("frame", frame, 0, 1 << 32)
    _check("panel", panel, 0, 1 << 16)
    _check("draw", draw, 0, 1 << 24)
    counter = (
        pixel & _MASK,
        (pixel >> 32) & 0xFFFF | panel << 16,
        pixel * 0 + frame,
        pixel * 0 + (stream << 24 | draw),
    )
    w0, w1, w2, w3 = philox(counter, key_of(seed))
    return to_unit(w0, w1), to_unit(w2, w3)


def key_of(seed: int) -> tuple[int, int]:
    """Both words of the key."""
    return seed & _MASK, (seed >> 32) & _MASK


def to_unit(high: Integers, low: Integers) -> Any:
    """(k + 1/2) 2^-52 of the leading 52 bits k, which float64 holds exactly: never 0, never 1."""
    odd = 2 * ((high << 20) | (low >> 12)) + 1
    return (odd.double() if hasattr(odd, "double") else odd.astype("float64")) * 2.0**-53


def _check(name: str, value: int, start: int, stop: int) -> None:
    if not start <= value < stop:
        raise ValueError(f"{name} is {value}; expected {start} <= {name} < {stop}")
