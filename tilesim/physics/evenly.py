"""Elementwise functions whose results do not depend on how an image is cut, to the bit."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_EVEN = 1024  # elements


def evenly(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """function(x) elementwise, each result independent of the length of x and of the place in it.

    On the CPU, torch evaluates whole vector registers by one routine and what is left over by another, and
    long tensors by several threads; the last bit can differ. Here every call has the same length, a multiple
    of any register and too short to be shared among threads.
    """
    if x.device.type != "cpu":
        return function(x)
    n = x.numel()
    padded = torch.ones(-(-n // _EVEN) * _EVEN, dtype=x.dtype)
    padded[:n] = x
    return torch.cat([function(part) for part in torch.split(padded, _EVEN)])[:n]
