"""What a detector makes of the photons that are expected: calibration errors, read-out noise, gain, overload.

Every random number belongs to a pixel, module or frame (philox.py), so nothing depends on how an image is cut.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tilesim.physics.normal import normal_deviates

READOUT, CALIBRATION, MODULES, FLICKER = 2, 3, 4, 5
"""Streams of the Philox key; photon counts have 1."""


def flicker_factor(rms: float, *, seed: int, frame: int) -> float:
    """What the beam of a frame is brighter than on average: 1 + rms x normal deviate, 0 at least."""
    deviate = normal_deviates(torch.zeros(1, dtype=torch.int64), seed=seed, stream=FLICKER, frame=frame)
    return max(0.0, 1.0 + rms * float(deviate))


def pixel_factors(rms: float, pixel: Tensor, *, seed: int, panel: int) -> Tensor:
    """Sensitivity of pixels, 1 + rms x normal deviate and 0 at least: the same in every frame.

    pixel    (n,) int64 index in the panel
    returns  (n,) float64
    """
    return _factors(rms, pixel, seed=seed, stream=CALIBRATION, panel=panel)


def module_factors(
    rms: float, rows: Tensor, columns: Tensor, module: tuple[int, int], across: int, **source: int
) -> Tensor:
    """Sensitivity of the modules that pixels belong to, as `pixel_factors`.

    rows, columns  (slow,) and (fast,) int64 pixels of the panel
    module         pixels (slow, fast) of a module; they lie side by side from pixel (0, 0) on
    across         modules along the fast axis
    returns        (slow, fast) float64
    """
    down, down_of = torch.unique_consecutive(rows // module[0], return_inverse=True)
    along, along_of = torch.unique_consecutive(columns // module[1], return_inverse=True)
    number = down[:, None] * across + along
    factors = _factors(rms, number.reshape(-1), stream=MODULES, **source).reshape(number.shape)
    return factors[down_of][:, along_of]


def _factors(rms: float, index: Tensor, **source: int) -> Tensor:
    return (1.0 + rms * normal_deviates(index, **source)).clamp(min=0.0)


def read_out(
    photons: Tensor, pixel: Tensor, *, gain: float, offset: float, noise: float, seed: int, frame: int, panel: int
) -> Tensor:
    """Detector units of photons: photons x gain + offset + noise x normal deviate.

    photons, pixel   (n,) float64 and int64
    gain             units per photon
    offset, noise    units
    returns          (n,) float64
    """
    units = photons * gain + offset
    if noise > 0.0:
        units = units + noise * normal_deviates(pixel, seed=seed, stream=READOUT, frame=frame, panel=panel)
    return units


def digitised(units: Tensor, overload: float) -> Tensor:
    """Whole detector units from 0 to `overload`, the fraction dropped as a converter does; NaN stays."""
    return torch.trunc(units.clamp(0.0, overload))
