"""Every intermediate value of one pixel, from the orientation matrix to its photons, in double precision.

Names and units are those of the reference's instrumented builds (TRACE_C lines) where these have one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from tilesim.compute import rendered_pixels
from tilesim.engine.job import lower_job, make_job
from tilesim.errors import InputError
from tilesim.kernels.amorphous import Amorphous, KernelWithBackground
from tilesim.kernels.derived import derive
from tilesim.kernels.tensors import TensorKernel, pixels_of
from tilesim.model import Experiment, Source
from tilesim.model.beam import CLASSICAL_ELECTRON_RADIUS_SQUARED
from tilesim.model.vectors import reciprocal, scale
from tilesim.nanobragg.command import Stage
from tilesim.nanobragg.settings import RTD
from tilesim.physics.factors import interpolable, nearest, tricubic
from tilesim.physics.geometry import norm
from tilesim.physics.intensity import Cell, Grain, Ray, Wave, diffuse, photons, sweep
from tilesim.physics.lattice import (
    Axes,
    Lattice,
    cells_distance,
    miller_indices,
    nearest_node,
    node_distance,
    node_radius_squared,
    signed_gratings,
    signed_lattice_factor,
)
from tilesim.physics.strict import strict_photons
from tilesim.tiling.tile import Tile
from tilesim.tools.tracelog import Number, Traced, move

Say = Callable[[Traced], None]


def trace_pixel(
    experiment: Experiment,
    slow: int,
    fast: int,
    say: Say,
    most: int | None = None,
    stages: Sequence[Stage] = (),
) -> float:
    """Hand over every value that makes up a pixel, in order, and give its photons.

    The values are those of the definition of the physics as it computes the pixel (backend eager, double).

    slow    of the image, in which panels are stacked along the slow axis
    most    of the evaluations (one orientation of one source at one sub-pixel of one layer) are said; None: all
    stages  of a command line that the experiment comes from (`Command.stages`); they are said first

    Raises InputError where there is no such pixel.
    """
    check_pixel(experiment, slow, fast)
    panel, row = divmod(slow, experiment.panel_shape[0])
    kernel = lower_job(make_job(experiment, None, "double", "cpu", "eager"), panel=panel)
    amorphous = None
    if isinstance(kernel, KernelWithBackground):
        kernel, amorphous = kernel.kernel, kernel.amorphous
    tracer = _Tracer(kernel, say, most)
    tracer.say("pixel", slow, fast)
    if len(experiment.detector.panels) > 1:
        tracer.say("panel", panel)
    tracer.say("mode", "strict-c" if experiment.sampling.strict_c else "corrected")
    for name, values in stages:
        tracer.say(name, *values)
    tracer.say_experiment()
    numbers = rendered_pixels(kernel.experiment, Tile(0, panel, row, row + 1, fast, fast + 1))
    tracer.say("rendered", len(numbers))
    value = tracer.photons(numbers) if len(numbers) else 0.0
    if amorphous is not None and len(numbers):
        value += tracer.background(amorphous, numbers, value)
    tracer.say("I_pixel_final", value)
    with np.errstate(over="ignore"):
        tracer.say("floatimage_accumulated", float(np.float32(value)))
    return value


def check_pixel(experiment: Experiment, slow: int, fast: int) -> None:
    """Raise InputError where the detector has no such pixel."""
    shape = experiment.shape
    if not (0 <= slow < shape[0] and 0 <= fast < shape[1]):
        raise InputError(
            f"pixel {slow} {fast} (slow fast) is none of the detector's {shape[0]} x {shape[1]}; "
            f"expected 0 to {shape[0] - 1} and 0 to {shape[1] - 1}"
        )


class _Tracer:
    """Looks on while the pixel is computed, and says what it sees."""

    def __init__(self, lowered: TensorKernel, say: Say, most: int | None) -> None:
        self._lowered, self._setup, self._experiment = lowered, lowered.setup, lowered.experiment
        self._say, self._most = say, math.inf if most is None else most
        self._angles = derive(lowered.experiment, "double").angles
        self._place: dict[str, int] = {}
        self._seen = 0
        self._unrotated: int | None = None
        self._ray: Ray | None = None
        self._polar: float | Tensor = 0.0 if lowered.setup.polarizations else 1.0

    def say(self, name: str, *values: Number | Tensor | np.ndarray) -> None:
        """One value; of a list of pixels the first."""
        flat = tuple(x.reshape(-1)[0].item() if isinstance(x, Tensor | np.ndarray) else x for x in values)
        move(self._place, name, flat)
        self._say(Traced(name, flat, tuple(self._place.items())))

    def say_experiment(self) -> None:
        """What the loops start from."""
        setup = self._setup
        for name, v in (
            ("pix0_vector_meters", setup.origin),
            ("fdet_vec", setup.fast_axis),
            ("sdet_vec", setup.slow_axis),
            ("odet_vec", setup.normal),
        ):
            self.say(name, *v.tolist())
        self.say("polar_vec", *self._experiment.beam.polarization_axis)
        scan, lattice = self._experiment.scan, setup.lattice
        self.say("spindle_axis", *scan.axis)
        self.say("xtal_shape", lattice.shape.upper())
        self.say("N_cells", *(int(n) if n.is_integer() else n for n in lattice.cells))
        if lattice.shape.endswith("-hkl"):
            self.say("N_matrix", *(x for row in lattice.matrix for x in row))
        self.say("fudge", lattice.fudge)
        for name, count in (
            ("layers", setup.layers),
            ("oversample", setup.oversample),
            ("sources", len(setup.wavelengths)),
            ("phi_steps", len(self._angles)),
            ("mosaic_domains", setup.grains[0].mosaic.shape[1]),
        ):
            self.say(name, count)
        if len(setup.grains) > 1:
            self.say("grains", len(setup.grains))
        if setup.layers > 1 or setup.absorbing:
            self.say("layer_thickness_meters", setup.layer_thickness)
            self.say("attenuation_m_inv", setup.attenuation)
        if setup.dmin > 0:
            self.say("dmin_angstroms", setup.dmin * 1e10)
        if setup.curved_radius is not None:
            self.say("curved_radius_meters", setup.curved_radius)

    def photons(self, numbers: np.ndarray) -> float:
        """Photons of the pixel with this number, computed with us looking on; then how the sum is scaled."""
        pixels = pixels_of(numbers, self._lowered)
        watched = partial(sweep, watch=self.watch)
        if self._experiment.sampling.strict_c:
            first = bool(numbers[0] == self._lowered.first_pixel)
            self._unrotated = 0 if first else None
            value, _ = strict_photons(self._setup, pixels, first, watched, self.watch)
        else:
            value, _ = photons(self._setup, pixels, watched, self.watch)
        return value[0].item()

    def background(self, amorphous: Amorphous, numbers: np.ndarray, crystal: float) -> float:
        """Photons that the background adds to those of the crystal and what is there already."""
        if self._setup.background == 0:
            self.say("photons_from_crystal", crystal)
        self.say("background_photons_per_sr_and_square_electron", amorphous.scale)
        value = amorphous.photons(numbers, self.watch)[0].item()
        self.say("photons_from_background", value)
        return value

    def watch(self, event: str, *values: object) -> None:
        """As `tilesim.physics.watch.Watch`."""
        getattr(self, f"_see_{event}")(*values)

    @property
    def _silent(self) -> bool:
        """As much as was asked for has been said."""
        return self._seen >= self._most

    def _see_ray(self, ray: Ray) -> None:
        setup, self._ray = self._setup, ray
        if self._silent:
            return
        layer, sub = divmod(ray.group, setup.oversample**2)
        if ray.starts_layer:
            self.say("layer", layer)
        self.say("subpixel", *divmod(sub, setup.oversample))
        self.say("pixel_pos_meters", *ray.position)
        self.say("R_distance_meters", ray.airpath)
        self.say("omega_pixel_sr", ray.omega)
        self.say("close_distance_meters", setup.close_distance)
        self.say("obliquity_factor", setup.close_distance / ray.airpath)
        self.say("diffracted_vec", *ray.diffracted)
        self.say("capture_fraction_in_use", ray.capture)

    def _see_wave(self, wave: Wave) -> None:
        if self._silent:
            return
        setup, source = self._setup, wave.source
        self.say("source", source)
        self.say("incident_vec", *setup.incident[source].tolist())
        self.say("lambda_meters", setup.wavelengths[source])
        self.say("lambda_angstroms", setup.wavelengths[source] * 1e10)
        if len(setup.polarizations) > 1:
            kahn, axis = setup.polarizations[source]
            self.say("kahn_factor_of_source", kahn)
            self.say("polar_vec_of_source", *axis.tolist())
        # In 1/m whatever the name says: the instrumented builds have it so.
        self.say("scattering_vec_A_inv", *wave.q)
        length = norm(torch.stack(wave.q))[0].item()
        self.say("d_spacing_angstroms", 1e10 / length if length else math.inf)
        if wave.accepted is not None:
            self.say("dmin_accepted", int(wave.accepted[0].item()))

    def _see_polarization(self, factor: Tensor, polar: Tensor) -> None:
        self._polar = factor if self._setup.oversample_polar else polar
        if not self._silent:
            self.say("polar_of_source", factor)
            self.say("polar_in_use", self._polar)

    def _see_evaluation(self, wave: Wave, number: int, cell: Cell, allowed: Tensor | None, value: Tensor) -> None:
        silent = self._silent
        self._seen += 1
        if silent:
            return
        grain, within = self._grain_of(number - wave.group * self._setup.orientations)
        step, domain = divmod(within, grain.mosaic.shape[1])
        if domain == 0:
            self._say_step(grain, step, unrotated=number == self._unrotated)
        self.say("mosaic_domain", domain)
        if grain.mosaic.shape[1] > 1:
            self.say("mosaic_umat", *grain.mosaic[step % len(grain.mosaic), domain].flatten().tolist())
        for axis, v in zip("abc", cell, strict=True):
            self.say(f"rot_{axis}_angstroms", *scale(v, 1e10))
        for axis, v in zip("abc", reciprocal(*cell), strict=True):
            self.say(f"rot_{axis}_star_A_inv", *scale(v, 1e-10))
        lattice = self._setup.lattice_of(wave.source, grain)
        self._say_factors(miller_indices(wave.q, cell), lattice, allowed)
        if grain.motion is not None:
            self.say("I_diffuse", diffuse(grain.motion, wave.q, cell, lattice))
        self.say("I_term", value)

    def _see_grain(self, weight: float) -> None:
        """Said with its first evaluation."""

    def _grain_of(self, number: int) -> tuple[Grain, int]:
        """The grain that has an evaluation of a wave, and the evaluation's number among those of the grain."""
        grains, place = self._setup.grains, 0
        while number >= grains[place].orientations:
            number -= grains[place].orientations
            place += 1
        grain = grains[place]
        if number == 0 and len(grains) > 1:
            self.say("grain", place)
            self.say("grain_weight", grain.weight)
            self.say("grain_cells", *grain.lattice.cells)
        return grain, number

    def _say_step(self, grain: Grain, step: int, *, unrotated: bool) -> None:
        """A spindle angle; strictly it may be another than the flags ask for."""
        self.say("phi_step", step)
        used, asked = 0.0 if unrotated else self._angles[step], self._experiment.scan.angles[step]
        self.say("phi_deg", used * RTD)
        if used != asked:
            self.say("phi_asked_deg", asked * RTD)
        turned = grain.cell if unrotated else grain.turned[step]
        for axis, v in zip("abc", turned.tolist(), strict=True):
            self.say(f"{axis}p_meters", *v)

    def _say_factors(self, hkl: Axes, lattice: Lattice, allowed: Tensor | None) -> None:
        """Miller indices, lattice factor, structure factor."""
        node = nearest_node(hkl)
        self.say("hkl_frac", *hkl)
        self.say("hkl_rounded", *(int(x[0].item()) for x in node))
        if lattice.shape == "square":
            for axis, factor in zip("abc", signed_gratings(hkl, node, lattice), strict=True):
                self.say(f"F_latt_{axis}", factor)
        elif lattice.shape == "round":
            self.say("hrad_sqr", node_radius_squared(hkl, node, lattice))
        else:
            fraction = tuple(x - x0 for x, x0 in zip(hkl, node, strict=True))
            if lattice.shape.endswith("-hkl"):
                self.say("hrad_sqr", cells_distance(fraction, lattice) * lattice.fudge)
            else:
                self.say("rad_star_sqr", node_distance(fraction, lattice))
        self.say("F_latt", signed_lattice_factor(hkl, node, lattice))
        factor = nearest(node, lattice.table)
        if allowed is not None:
            between = tricubic(hkl, lattice.table)
            inside = bool((interpolable(hkl, lattice.table) & allowed)[0])
            self.say("F_cell_nearest", factor)
            self.say("interpolated", int(inside))
            if inside:
                factor = between
                self.say("F_cell_interpolated", factor)
        self.say("F_cell", factor)

    def _see_running(self, intensity: Tensor) -> None:
        if self._seen <= self._most:
            self.say("I_running", intensity)

    def _see_term(self, term: Tensor) -> None:
        if self._seen <= self._most:
            self.say("source_weight", self._setup.weights[int(self._place.get("source", 0))])
            self.say("I_source", term)

    def _see_layer(self, layer_sum: Tensor, total: Tensor) -> None:
        if self._seen <= self._most:
            self.say("I_layer", layer_sum)
            self.say("I_layers_so_far", total)

    def _see_sum(self, total: Tensor) -> None:
        """The end of the loops; what is left is scaling."""
        experiment, setup, strict = self._experiment, self._setup, self._experiment.sampling.strict_c
        self.say("evaluations", self._seen)
        if self._seen > self._most:
            self.say("evaluations_left_out", self._seen - self._most)
        if setup.background > 0:
            self.say("I_bg", setup.background)
        self.say("I_before_scaling", total)
        self.say("r_e_meters", math.sqrt(CLASSICAL_ELECTRON_RADIUS_SQUARED))
        self.say("r_e_sqr", CLASSICAL_ELECTRON_RADIUS_SQUARED)
        self.say("fluence_photons_per_m2", experiment.beam.fluence)
        self.say("steps", experiment.steps)
        for name in ("oversample_thick", "oversample_polar", "oversample_omega"):
            self.say(name, int(getattr(setup, name)))
        # Otherwise each layer's is in the sum already.
        if strict or not setup.absorbing:
            self.say("capture_fraction", self._ray.capture)
        self.say("polar", self._polar)
        self.say("omega_pixel", self._ray.omega)
        self.say("cos_2theta", sum(setup.incident[-1] * self._ray.diffracted[:, 0]))

    def _see_scaled(self, total: Tensor) -> None:
        if self._setup.background > 0:
            self.say("photons_from_crystal", total)

    def _see_background(self, captured: Tensor, isotropic: Tensor) -> None:
        self.say("capture_of_all_layers", captured)
        self.say("photons_from_water", self._setup.background * isotropic)

    def _see_amorphous_layer(self, weight: np.ndarray) -> None:
        self.say("background_omega_times_capture", weight)

    def _see_amorphous_wave(self, wave: Source, sine: np.ndarray, electrons: np.ndarray) -> None:
        self.say("background_stol_m_inv", sine / wave.wavelength)
        self.say("background_F", electrons)
