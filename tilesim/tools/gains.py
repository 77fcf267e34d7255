"""Detector units of photons with gains, offsets and noise of each pixel, in one stage or several; and back."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.images.image import open_image
from tilesim.images.pixels import Image
from tilesim.model.gainswitch import GainStage, GainSwitching
from tilesim.model.noise import Noise
from tilesim.physics.normal import normal_deviates
from tilesim.physics.response import READOUT

MAPS = ("pedestal-map", "gain-map", "noise-map")
"""Names of the maps: offset, units per photon and rms of every pixel."""


@frozen(eq=False)
class PixelMap:
    """Numbers of every pixel of a panel, for each stage."""

    name: str
    images: tuple[Image, ...]
    """One for each stage, or one for all"""

    def block(self, rows: slice, columns: slice, stages: int) -> Tensor:
        """(stages, slow, fast) float64. Raises InputError where a number is none, or a gain 0, or a noise below 0."""
        parts = [np.asarray(image.block(rows, columns), np.float64) for image in self.images]
        found = np.stack(parts if len(parts) == stages else parts * stages)
        wrong = ~np.isfinite(found)
        if self.name == "gain-map":
            wrong |= found == 0.0
        elif self.name == "noise-map":
            wrong |= found < 0.0
        if wrong.any():
            _, slow, fast = (int(n[0]) for n in np.nonzero(wrong))
            raise InputError(
                f"--{self.name}: pixel slow {rows.start + slow} fast {columns.start + fast} holds "
                f"{found[wrong][0]:g}; expected a finite number"
                + {"gain-map": " that is not 0", "noise-map": ", not negative"}.get(self.name, "")
            )
        return torch.from_numpy(found)


def open_map(name: str, path: str, shape: tuple[int, int], stages: int, panel: int, panels: int) -> PixelMap:
    """The map of a panel: a file of one image, or of one for each stage, and of one panel or all. Raises InputError."""
    first = open_image(path, shape=shape)
    if first.frames not in (1, stages) or first.panels not in (1, panels):
        raise InputError(
            f"--{name} {path}: {first.frames} images of {first.panels} panels; expected one for each of {stages} gain "
            f"stages or one, of {panels} panels or one"
        )
    number = panel if first.panels > 1 else 0
    return PixelMap(
        name, tuple(open_image(path, shape=shape, frame=frame, panel=number) for frame in range(first.frames))
    )


@frozen(eq=False)
class Gains:
    """Gain, offset and noise of the pixels of a part of a panel, (stages, slow, fast) or (stages, 1, 1) each."""

    switching: GainSwitching
    gain: Tensor
    offset: Tensor
    readout: Tensor

    def stages_of(self, photons: Tensor) -> Tensor:
        """Number of the stage in which each pixel (slow, fast) is read."""
        forced = self.switching.forced
        if forced is not None:
            return torch.full(photons.shape, forced, dtype=torch.int64)
        limits = torch.tensor(self.switching.thresholds, dtype=torch.float64)
        return torch.bucketize(photons, limits, right=True)

    def units(self, photons: Tensor, pixel: Tensor, source: Mapping[str, int]) -> tuple[Tensor, Tensor]:
        """Detector units without the code of the stage (slow, fast), and the stages."""
        stage = self.stages_of(photons)
        gain, offset, readout = (_picked(values, stage) for values in (self.gain, self.offset, self.readout))
        deviates = normal_deviates(pixel, stream=READOUT, **source).reshape(photons.shape)
        return photons * gain + offset + readout * deviates, stage

    def photons(self, units: Tensor, stage: Tensor) -> Tensor:
        """What `units` makes detector units of."""
        return (units - _picked(self.offset, stage)) / _picked(self.gain, stage)


def gains_of(noise: Noise, maps: Mapping[str, PixelMap], rows: slice, columns: slice) -> Gains | None:
    """Those of a part of a panel; None where all pixels are alike and have one gain."""
    switching = noise.switching
    if switching is None and not maps:
        return None
    stages = (GainStage(noise.gain, noise.offset, noise.readout, 0),) if switching is None else switching.stages
    known = {
        "gain-map": torch.tensor([one.gain for one in stages], dtype=torch.float64)[:, None, None],
        "pedestal-map": torch.tensor([one.offset for one in stages], dtype=torch.float64)[:, None, None],
        "noise-map": torch.tensor([one.readout for one in stages], dtype=torch.float64)[:, None, None],
    }
    known |= {name: one.block(rows, columns, len(stages)) for name, one in maps.items()}
    return Gains(switching or GainSwitching(stages, ()), known["gain-map"], known["pedestal-map"], known["noise-map"])


def coded(units: Tensor, stage: Tensor, switching: GainSwitching, whole: bool) -> Tensor:
    """Detector units with the code of the stage above the bits of the data, which hold 0 to `top`."""
    codes = torch.tensor([one.code << switching.bits for one in switching.stages], dtype=torch.float64)
    held = units.clamp(0.0, float(switching.top))
    return (torch.trunc(held) if whole else held) + codes[stage]


def decoded(values: np.ndarray, switching: GainSwitching) -> tuple[Tensor, Tensor]:
    """Detector units and stages of pixels that have a value. Of codes that no stage has it is the first."""
    held = torch.from_numpy(np.asarray(values, np.float64))
    size = float(1 << switching.bits)
    code = torch.floor(held / size)
    stage = torch.zeros(held.shape, dtype=torch.int64)
    for number, one in enumerate(switching.stages):
        stage[code == one.code] = number
    return held - code * size, stage


def _picked(values: Tensor, stage: Tensor) -> Tensor:
    """The number of each pixel (slow, fast) in its stage."""
    whole = values.expand(values.shape[0], *stage.shape)
    return torch.gather(whole, 0, stage[None])[0]
