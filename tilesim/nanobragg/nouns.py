"""What the resolved rules amount to: the experiment of plain nouns, and the files to write."""

from __future__ import annotations

from tilesim.files.outputs import Outputs
from tilesim.model import Beam, Crystal, Detector, Experiment, Panel, Region, Sampling, Scan, Sensor, Source
from tilesim.model.vectors import Matrix, scale
from tilesim.nanobragg.geometry import Geometry
from tilesim.nanobragg.settings import Settings
from tilesim.nanobragg.setup import FactorsFrom, Setup


def experiment_of(setup: Setup, rotations: tuple[Matrix, ...]) -> Experiment:
    """The experiment, its mosaic domains turned by `rotations`."""
    settings, g, sensor = setup.settings, setup.geometry, setup.sensor
    xmin, xmax, ymin, ymax = setup.roi
    # K9: in the reference -oversample_polar recomputes the factor that -nopolar had fixed to one.
    polarized = not settings.nopolar or (setup.strict_c and settings.oversample_polar)
    absorbing = _sensor(setup) if sensor.range > 0.0 else None
    sources, central = setup.sources.sources, setup.sources.central or settings.wavelength
    return Experiment(
        beam=Beam(
            direction=g.beam,
            wavelength=central,
            fluence=setup.fluence,
            polarization_axis=g.polar,
            kahn_factor=settings.kahn_factor if polarized else None,
            # One source at the centre is the beam itself.
            sources=() if sources == (Source(g.beam, central),) else sources,
            exposure=settings.exposure if settings.exposure > 0.0 else None,
            size=settings.beamsize if _size_matters(setup) else None,
        ),
        crystal=Crystal(
            *setup.sample.axes,
            cells=setup.sample.cells,
            shape=settings.shape,
            fudge=settings.fudge,
            mosaic_rotations=rotations,
            reciprocal=tuple(scale(v, 1e10) for v in setup.cell.reciprocal),
        ),
        detector=Detector(tuple(panel.replace(sensor=absorbing) for panel in setup.panels), setup.detector_name),
        factors=setup.factors,
        scan=Scan(g.spindle, settings.phi, setup.phi.step, setup.phi.count),
        sampling=Sampling(
            oversample=setup.sample.oversample,
            dmin=settings.dmin if settings.dmin > 0.0 else 0.0,  # any other cuts nothing in the reference
            interpolate=setup.interpolate and setup.reflections > 0,
            oversample_thick=settings.oversample_thick,
            oversample_polar=settings.oversample_polar,
            oversample_omega=settings.oversample_omega,
            point_pixel=settings.point_pixel,
            roi=None if settings.roi is None else Region(ymin, ymax + 1, xmin, xmax + 1),
            strict_c=setup.strict_c,
        ),
        water_size=settings.water_size,
        mask=setup.mask,
        background=setup.background,
    )


def _sensor(setup: Setup) -> Sensor:
    """The sensor; of a material whose attenuation the flags leave to it, that follows the wavelength."""
    sensor, material = setup.sensor, setup.material
    return Sensor(sensor.count, sensor.step, None if setup.attenuation_known else setup.attenuation, material)


def _size_matters(setup: Setup) -> bool:
    """Whether the size of the beam is a fact of the run, and not a default that clips the sample."""
    settings = setup.settings
    used = settings.flux > 0.0 or setup.background is not None or settings.beamsize != Settings().beamsize
    return used and settings.beamsize > 0.0


def panel_of(settings: Settings, g: Geometry, strict_c: bool) -> Panel:
    """The panel that the flags describe; its sensor comes with the experiment."""
    # K15: where the reference's normal points towards the sample, solid angles are negative.
    side = -1.0 if g.close_distance < 0.0 and not strict_c else 1.0
    return Panel(
        origin=g.pix0,
        fast=g.fdet,
        slow=g.sdet,
        normal=scale(g.odet, side) if side < 0.0 else g.odet,
        pixel_size=g.pixel_size,
        shape=(g.pixels_slow, g.pixels_fast),
        close_distance=side * g.close_distance,
        curved_radius=g.distance if settings.curved else None,
    )


def outputs_of(setup: Setup) -> Outputs:
    """Files to write: by default those that flags name (K13, K14), strictly the reference's."""
    settings, strict_c = setup.settings, setup.strict_c
    pgm = settings.pgm_file
    if pgm is None and (strict_c or settings.pgm_scale != 0.0):
        pgm = "image.pgm"
    noise = settings.noise_file
    if noise is None and strict_c:
        noise = "noiseimage.img"
    noise, pgm = noise if settings.noise else None, pgm if settings.pgm else None
    int_file = settings.int_file or ("intimage.img" if strict_c else None)
    float_file = settings.float_file
    if float_file is None and (strict_c or not any((int_file, noise, pgm))):
        float_file = "floatimage.bin"
    return Outputs(
        float_file=float_file,
        int_file=int_file,
        noise_file=noise,
        pgm_file=pgm,
        scale=settings.scale,
        pgm_scale=settings.pgm_scale,
        adc=settings.adc,
        seed=-setup.seed,
    )


def cache_of(setup: Setup, write_fdump: bool) -> str | None:
    """The cache of structure factors to write (K13), strictly whenever a file of them was read."""
    read = setup.factors_from in (FactorsFrom.HKL, FactorsFrom.OTHER)
    return setup.settings.dump_file if read and (setup.strict_c or write_fdump) else None
