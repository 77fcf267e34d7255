"""Normal deviates that depend on seed, stream, frame, panel and index, and on nothing else."""

from __future__ import annotations

import torch
from torch import Tensor

from tilesim.physics.evenly import evenly
from tilesim.physics.philox import uniforms


def normal_deviates(index: Tensor, *, seed: int, stream: int, frame: int = 0, panel: int = 0) -> Tensor:
    """Numbers of mean 0 and variance 1.

    index    (n,) int64, of a pixel or of whatever the stream numbers, 0 <= index < 2^48
    returns  (n,) float64, between -8.3 and 8.3: the inverse of the distribution at one uniform number

    ValueError as in `uniforms`.
    """
    u, _ = uniforms(index, seed=seed, stream=stream, frame=frame, panel=panel)
    return evenly(torch.special.ndtri, u)
