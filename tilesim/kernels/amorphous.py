"""The background of an experiment, added to the photons of any kernel: once per pixel, at its centre."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tilesim.compute import Kernel, Numbers
from tilesim.model import Experiment, Panel, Source
from tilesim.model.vectors import Vector, scale
from tilesim.physics.amorphous import (
    Array,
    Axes,
    Pieces,
    amplitude,
    capture_fraction,
    dot,
    half_chord,
    interpolant,
    norm,
    polarization_factor,
    rotate_about,
)
from tilesim.physics.watch import Watch, unwatched

BLOCK = 8192
"""Pixels at a time: few enough for the cache; the arrays of one block take 2 MB."""
PADDING = 64
"""Lists are padded to a multiple of this: vector instructions then treat every pixel alike (no scalar tail)."""


@dataclass(frozen=True)
class KernelWithBackground:
    """A kernel and the background of its experiment: a `tilesim.compute.Kernel`."""

    kernel: Kernel
    amorphous: Amorphous

    @property
    def experiment(self) -> Experiment:
        return self.kernel.experiment

    @property
    def device(self) -> str:
        return self.kernel.device

    @property
    def dtype(self) -> str:
        return self.kernel.dtype

    @property
    def block(self) -> int:
        return self.kernel.block

    def photons(self, numbers: Numbers) -> tuple[Array, float]:
        """As `Kernel.photons`."""
        values, solid_angle = self.kernel.photons(numbers)
        return values + self.amorphous.photons(numbers), solid_angle

    def solid_angle(self, numbers: Numbers) -> float:
        """As `Kernel.solid_angle`."""
        return self.kernel.solid_angle(numbers)


def with_background(kernel: Kernel) -> Kernel:
    """The kernel itself, or with the background that its experiment has."""
    amorphous = lower_background(kernel.experiment)
    return kernel if amorphous is None else KernelWithBackground(kernel, amorphous)


@dataclass(frozen=True)
class Amorphous:
    """The background of an experiment, ready to be computed for any pixels."""

    experiment: Experiment
    curve: Pieces
    beams: tuple[tuple[Vector, tuple[Source, ...]], ...]
    """The sources by their direction: what depends on the direction alone is computed once for all wavelengths"""
    scale: float
    """Photons per steradian and squared amplitude, of one source"""

    def photons(self, numbers: Numbers, watch: Watch = unwatched) -> Array:
        """Photons (n,) of the pixels with these numbers."""
        values = np.empty(len(numbers))
        with np.errstate(all="ignore"):  # as in the kernels, what cannot be computed is infinite or NaN
            for start in range(0, len(numbers), BLOCK):
                part = numbers[start : start + BLOCK]
                padded = np.pad(part, (0, -len(part) % PADDING), mode="edge")
                values[start : start + BLOCK] = self._block(padded, watch)[: len(part)]
        return values

    def _block(self, numbers: Numbers, watch: Watch) -> Array:
        total = np.zeros(len(numbers))
        for diffracted, weight in self._layers(numbers):
            watch("amorphous_layer", weight)
            for incident, waves in self.beams:
                total += weight * self._scattered(diffracted, incident, waves, watch)
        return total * self.scale

    def _scattered(self, diffracted: Axes, incident: Vector, waves: Sequence[Source], watch: Watch) -> Array:
        """Squared amplitude (n,) summed over waves of one direction, with weights and polarisation."""
        beam, sine = self.experiment.beam, half_chord(diffracted, incident)
        square: Array = np.zeros_like(sine)
        for wave in waves:
            electrons = amplitude(self.curve, sine / wave.wavelength)
            watch("amorphous_wave", wave, sine, electrons)
            square += wave.weight * electrons * electrons
        if beam.kahn_factor is None:
            return square
        return square * polarization_factor(beam.kahn_factor, incident, diffracted, beam.polarization_axis)

    def _layers(self, numbers: Numbers) -> Iterator[tuple[Axes, Array]]:
        """For every layer of the sensor the directions (3, n), and solid angle times capture fraction (n,)."""
        experiment = self.experiment
        panel, beam = experiment.detector.panels[0], experiment.beam
        attenuation = panel.sensor.attenuation_at(beam.wavelength) if panel.sensor else 0.0
        slow, fast = ((x + 0.5) * panel.pixel_size for x in np.divmod(numbers, panel.shape[1]))
        for layer in range(experiment.layers):
            r = _positions(panel, experiment.beam.direction, layer, slow, fast)
            airpath = norm(r)
            diffracted = (r[0] / airpath, r[1] / airpath, r[2] / airpath)
            if experiment.sampling.point_pixel:
                weight = 1.0 / airpath / airpath
            else:
                weight = panel.pixel_size * panel.pixel_size / airpath / airpath * panel.distance / airpath
            if panel.sensor is not None:
                parallax = dot(panel.normal, diffracted)
                weight *= capture_fraction(layer, panel.sensor.layer_thickness, attenuation, parallax)
            yield diffracted, weight


def _positions(panel: Panel, beam: Vector, layer: int, slow: Array, fast: Array) -> Axes:
    """Where pixels of a layer are, metres; slow, fast (n,) metres from the outer corner of pixel (0, 0)."""
    depth = layer * panel.sensor.layer_thickness if panel.sensor else 0.0
    x, y, z = (
        fast * f + slow * s + (o + depth * n)
        for f, s, o, n in zip(panel.fast, panel.slow, panel.origin, panel.normal, strict=True)
    )
    if panel.curved_radius is None:
        return (x, y, z)
    turned = rotate_about(scale(beam, panel.curved_radius), panel.slow, y / panel.curved_radius)
    return rotate_about(turned, panel.fast, z / panel.curved_radius)


def lower_background(experiment: Experiment) -> Amorphous | None:
    """The background made ready; None where the experiment has none."""
    background, size = experiment.background, experiment.beam.size
    if background is None or size is None:
        return None
    beams: dict[Vector, list[Source]] = {}
    for wave in experiment.beam.waves:
        beams.setdefault(wave.direction, []).append(wave)
    return Amorphous(
        experiment,
        interpolant(background.curve.stol, background.curve.amplitude),
        tuple((direction, tuple(waves)) for direction, waves in beams.items()),
        experiment.photon_scale * background.molecules(size) / len(experiment.beam.waves),
    )
