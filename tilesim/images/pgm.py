"""The 8-bit preview image in PGM format (spec files 8)."""

from __future__ import annotations

import numpy as np


def pgm_header(shape: tuple[int, int], scale: float) -> bytes:
    """Header of an image of `shape` pixels (slow, fast)."""
    return f"P5\n{shape[1]} {shape[0]}\n# pixels scaled by {scale:g}\n255\n".encode()


def pgm_pixels(values: np.ndarray, scale: float) -> np.ndarray:
    """Float image to uint8: clamped at 255 only, truncated; negative values wrap modulo 256 as in the reference."""
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = np.minimum(values.astype(np.float64) * scale, 255.0)
    # What a 32-bit integer cannot hold, and NaN, become 0 on the reference's machine.
    held = np.where(scaled > -(2.0**31) - 1, scaled, 0.0)
    return np.trunc(held).astype(np.int64).astype(np.uint8)
