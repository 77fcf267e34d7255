"""The background of an experiment, added to the photons of any kernel: once per pixel, at its centre."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from itertools import cycle

import numpy as np

from tilesim.compute import FloatArray, Kernel, Numbers, Sharing
from tilesim.frozen import frozen
from tilesim.kernels.derived import PADDING
from tilesim.model import Experiment, Source
from tilesim.model.source import Polarization
from tilesim.model.vectors import Vector
from tilesim.physics.absorb import capture_fraction
from tilesim.physics.amorphous import Array, Pieces, amplitude, half_chord, interpolant
from tilesim.physics.geometry import curved_positions, dot, norm, positions, solid_angle
from tilesim.physics.polarize import polarization_factor
from tilesim.physics.watch import Watch, unwatched

BLOCK = 8192
"""Pixels at a time: few enough for the cache; the arrays of one block take 2 MB."""
TOGETHER = 4096
"""Pixels at a time of several frames, which have 1 MB for thirty of them."""


@frozen
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

    def truth(self, numbers: Numbers) -> Array:
        """As `Kernel.truth`, which is without background."""
        return self.kernel.truth(numbers)

    def solid_angle(self, numbers: Numbers) -> float:
        """As `Kernel.solid_angle`."""
        return self.kernel.solid_angle(numbers)

    @property
    def shared(self) -> Sharing | None:
        """As `Kernel.shared`: what the kernels share, and all of the background but its scale."""
        inner = self.kernel.shared
        return inner and Sharing((inner.key, self.amorphous.key), photons_together)


def photons_together(kernels: Sequence[KernelWithBackground], numbers: Numbers, photons: FloatArray) -> float:
    """As `Sharing.photons`: the background is computed once for all frames."""
    inner, scales = [one.kernel for one in kernels], np.array([one.amorphous.scale for one in kernels])
    sharing, solid_angle = inner[0].shared, 0.0
    assert sharing is not None
    for start in range(0, len(numbers), TOGETHER):
        part = numbers[start : start + TOGETHER]
        values = np.empty((len(kernels), len(part)))
        solid_angle += sharing.photons(inner, part, values)
        values += scales[:, None] * kernels[0].amorphous.unscaled(part)
        photons[:, start : start + TOGETHER] = values
    return solid_angle


def with_background(kernel: Kernel) -> Kernel:
    """The kernel itself, or with the background that its experiment has."""
    amorphous = lower_background(kernel.experiment)
    return kernel if amorphous is None else KernelWithBackground(kernel, amorphous)


@frozen
class Amorphous:
    """The background of an experiment, ready to be computed for any pixels."""

    experiment: Experiment
    curve: Pieces
    beams: tuple[tuple[Vector, Polarization | None, tuple[Source, ...]], ...]
    """The sources by direction and polarisation: what depends on these alone is computed once for all wavelengths"""
    scale: float
    """Photons per steradian and squared amplitude, of one source"""

    @property
    def key(self) -> Hashable:
        """What it follows from besides its scale, and what a kernel shares."""
        background = self.experiment.background
        return (background and background.curve.digest, self.beams)

    def photons(self, numbers: Numbers, watch: Watch = unwatched) -> Array:
        """Photons (n,) of the pixels with these numbers."""
        return self.unscaled(numbers, watch) * self.scale

    def unscaled(self, numbers: Numbers, watch: Watch = unwatched) -> Array:
        """The same for a scale of 1."""
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
            for incident, polarization, waves in self.beams:
                total += weight * self._scattered(diffracted, np.array(incident), polarization, waves, watch)
        return total

    def _scattered(
        self,
        diffracted: Array,
        incident: Array,
        polarization: Polarization | None,
        waves: Sequence[Source],
        watch: Watch,
    ) -> Array:
        """Squared amplitude (n,) summed over waves of one direction, with weights and polarisation."""
        sine = half_chord(diffracted, incident)
        square: Array = np.zeros_like(sine)
        for wave in waves:
            electrons = amplitude(self.curve, sine / wave.wavelength)
            watch("amorphous_wave", wave, sine, electrons)
            square += wave.weight * electrons * electrons
        if polarization is not None:
            factor, axis = polarization
            square *= polarization_factor(factor, incident, diffracted, np.array(axis))
        return square

    def _layers(self, numbers: Numbers) -> Iterator[tuple[Array, Array]]:
        """For every layer of the sensor the directions (3, n), and solid angle times capture fraction (n,)."""
        experiment = self.experiment
        panel, beam, sensor = experiment.detector.panels[0], experiment.beam, experiment.detector.panels[0].sensor
        thickness, attenuation = (sensor.layer_thickness, sensor.attenuation_at(beam.wavelength)) if sensor else (0, 0)
        origin, slow_axis, fast_axis, normal = map(np.array, (panel.origin, panel.slow, panel.fast, panel.normal))
        slow, fast = ((x + 0.5) * panel.pixel_size for x in np.divmod(numbers, panel.shape[1]))
        for layer in range(experiment.layers):
            r = positions(slow, fast, layer * thickness, origin, slow_axis, fast_axis, normal)
            if panel.curved_radius is not None:
                r = curved_positions(r, panel.curved_radius, np.array(beam.direction), slow_axis, fast_axis)
            airpath = norm(r)
            diffracted = r / airpath
            weight = solid_angle(airpath, panel.pixel_size, panel.distance, experiment.sampling.point_pixel)
            if sensor is not None:
                weight *= capture_fraction(layer, thickness, attenuation, dot(normal[:, None], diffracted))
            yield diffracted, weight


def lower_background(experiment: Experiment) -> Amorphous | None:
    """The background made ready; None where the experiment has none."""
    background, size = experiment.background, experiment.beam.size
    if background is None or size is None:
        return None
    waves, beams = experiment.beam.waves, dict[tuple[Vector, Polarization | None], list[Source]]()
    polarizations = experiment.beam.polarizations or (None,)
    for wave, polarization in zip(waves, cycle(polarizations), strict=False):
        beams.setdefault((wave.direction, polarization), []).append(wave)
    return Amorphous(
        experiment,
        interpolant(background.curve.stol, background.curve.amplitude),
        tuple((direction, polarization, tuple(some)) for (direction, polarization), some in beams.items()),
        experiment.photon_scale * background.molecules(size) / len(waves),
    )
