"""The reference's standard output around rendering, line by line (spec files 9)."""

from __future__ import annotations

import math
from typing import Protocol

from tilesim.files.outputs import Outputs
from tilesim.model.background import AVOGADRO
from tilesim.model.shape import Shape
from tilesim.model.vectors import Vector, cross, dot
from tilesim.nanobragg.background import background_line
from tilesim.nanobragg.settings import RTD
from tilesim.nanobragg.setup import FactorsFrom, Setup

BANNER = "nanoBragg nanocrystal diffraction simulator - James Holton and Ken Frankel 5-17-17"

_DENSITY = 1.2e6
"""g/m^3; the reference assumes it whatever -density says."""

_SHAPES = (
    (Shape.ROUND, "ellipsoidal"),
    (Shape.SQUARE, "parallelpiped"),
    (Shape.GAUSS, "gaussian"),
    (Shape.TOPHAT, "tophat-spot"),
    (Shape.GAUSS_HKL, "gauss-hkl"),
    (Shape.TOPHAT_HKL, "tophat-hkl"),
)


class PrintedFigures(Protocol):
    """Figures of a finished image, as `result_lines` prints them."""

    @property
    def solid_angle(self) -> float:
        """Steradian, as the reference sums it (spec intensity 9)."""
        ...

    @property
    def max_I(self) -> float: ...
    @property
    def max_x(self) -> float:
        """Metres from the detector origin along the fast axis."""
        ...

    @property
    def max_y(self) -> float: ...
    @property
    def mean(self) -> float: ...
    @property
    def rms(self) -> float: ...
    @property
    def rmsd(self) -> float: ...


def setup_lines(setup: Setup, outputs: Outputs, cache: str | None) -> tuple[str, ...]:
    """Everything printed before rendering starts (files 9, items 1 to 22); memory addresses are left out."""
    return (
        *_opening(setup),
        *_geometry_lines(setup),
        *setup.cell.messages,
        *_cell_lines(setup),
        *_sample_lines(setup),
        *_table_lines(setup, cache),
        *_step_lines(setup),
        *_source_lines(setup),
        f"  created a total of {setup.mosaic.domains} mosaic domains",
        *configuration_lines(setup, outputs),
    )


def _opening(setup: Setup) -> list[str]:
    """Items 1 to 4."""
    lines = [f"reading {name}" for name in setup.images_read]
    lines += setup.clipped
    if setup.geometry.odet_replaced:
        lines.append("WARNING: auto-generating odet_vector")
    lines.append(BANNER)
    if setup.attenuation_assumed:
        lines.append(f"WARNING: setting detector attenuation depth to {setup.attenuation:g} m")
    if setup.mosaic.warning is not None:
        lines.append(setup.mosaic.warning)
    return lines


def _geometry_lines(setup: Setup) -> list[str]:
    """Items 5 to 8."""
    g = setup.geometry
    lines = [
        f"{g.convention} convention selected.",
        "pivoting detector around " + ("sample" if g.pivot == "sample" else "direct beam spot"),
        f"XDS incident beam: {_three((dot(g.beam, g.fdet), dot(g.beam, g.sdet), dot(g.beam, g.odet)))}",
    ]
    if setup.settings.interpolate is None:
        chosen = "tricubic interpolation of structure factors" if setup.interpolate else "no interpolation"
        lines.append(f"auto-selected {chosen}")
    return lines


def _cell_lines(setup: Setup) -> list[str]:
    """Items 10 and 11."""
    cell = setup.cell
    lines = [
        f"Unit Cell: {_three(cell.lengths)} {_three(tuple(x * RTD for x in cell.angles))}",
        f"Recp Cell: {_three(cell.reciprocal_lengths)} {_three(tuple(x * RTD for x in cell.reciprocal_angles))}",
        f"volume = {cell.volume:g} A^3",
    ]
    for title, names, vectors in (
        ("real-space cell vectors (Angstrom):", ("a", "b", "c"), cell.real),
        ("reciprocal-space cell vectors (Angstrom^-1):", ("a_star", "b_star", "c_star"), cell.reciprocal),
    ):
        lines += [title, "     " + "  ".join(f"{name:<10}" for name in names)]
        for axis, row in zip("XYZ", zip(*vectors, strict=True), strict=True):
            lines.append(f"{axis}: " + " ".join(f"{x:11.8f}" for x in row))
    return lines


def _sample_lines(setup: Setup) -> list[str]:
    """Items 12 to 14."""
    sample = setup.sample
    a, b, c = sample.extent
    lines = [f"crystal is {a * 1e6:g} x {b * 1e6:g} x {c * 1e6:g} microns"]
    if sample.automatic:
        lines.append(f"auto-selected {sample.oversample}-fold oversampling")
    if sample.oversample < sample.recommended:
        lines += [
            f"WARNING: maximum dimension of sample is {max(sample.extent) * 1e10:g} A",
            f"         but reciprocal pixel size is {sample.reciprocal_pixel * 1e10:g} A",
            "         intensity may vary significantly across a pixel!",
            f"         recommend -oversample {sample.recommended} to work around this",
        ]
    molecules = math.prod(map(float, sample.cells))
    lines.append(f"approximate MW = {a * b * c * _DENSITY * AVOGADRO / molecules:g}")
    return lines


def _table_lines(setup: Setup, cache: str | None) -> list[str]:
    """Items 15 and 16."""
    settings = setup.settings
    lines = []
    if setup.factors_from is FactorsFrom.DUMP:
        lines.append(f"reading Fs from {settings.dump_file}")
    elif setup.factors_from is FactorsFrom.HKL:
        lines.append(f"counting entries in {settings.hkl_file}")
        if settings.default_f != 0.0:
            lines += [f"initializing to default_F = {settings.default_f:g}:", "done initializing:"]
        lines.append(f"re-reading {settings.hkl_file}")
    elif setup.factors_from is FactorsFrom.OTHER:
        lines += setup.table.lines
    if cache is not None:
        lines.append(f"writing dump file for next time: {cache}")
    if settings.stol_file is not None:
        lines.append(f"reading {settings.stol_file}")
    return lines


def _step_lines(setup: Setup) -> list[str]:
    """Items 17 and 18."""
    layers = [f"thick{k} = {setup.sensor.step * k * 1e6:g} um" for k in range(setup.sensor.count)]
    phi = setup.phi
    return layers + [f"phi{k} = {(setup.settings.phi + phi.step * k) * RTD:g}" for k in range(phi.count)]


def _source_lines(setup: Setup) -> list[str]:
    """Items 19 and 20."""
    sources = setup.sources
    return [
        *(f"divergence deviation: {h:g} {v:g}" for h, v in sources.deviations),
        *(f"lambda{k} = {x:.15g}" for k, x in enumerate(sources.wavelengths)),
        f"  created a total of {len(sources.origins)} sources:",
        *(f"{_three(o.position)}   {o.intensity:g} {o.wavelength:g}" for o in sources.origins),
    ]


def configuration_lines(setup: Setup, outputs: Outputs) -> tuple[str, ...]:
    """The block that describes the run (item 22)."""
    settings, g, sensor = setup.settings, setup.geometry, setup.sensor
    na, nb, nc = setup.sample.cells
    xmin, xmax, ymin, ymax = setup.roi
    n = setup.sample.oversample
    options = [
        f" +{name}"
        for name, on in (
            ("thick", settings.oversample_thick),
            ("polar", settings.oversample_polar),
            ("omega", settings.oversample_omega),
        )
        if on
    ]
    lines = [
        f"{setup.reflections} initialized hkls (all others ={settings.default_f:g})",
        f"{dict(_SHAPES)[settings.shape]} xtal: {_count(na)}x{_count(nb)}x{_count(nc)} cells",
        f"wave={settings.wavelength:g} meters +/- {setup.dispersion.range * 100:g}% in {setup.dispersion.count} steps",
        "polarization effect disabled" if settings.nopolar else f"Kahn polarization factor: {settings.kahn_factor:f}",
    ]
    if settings.curved:
        lines.append("curved detector: all pixels same distance from origin")
    if settings.point_pixel:
        lines.append("pixel obliquity effect disabled")
    lines += [
        f"incident fluence: {setup.fluence:g} photons/m^2",
        f"distance={g.distance:g} detsize={g.detsize_fast:g}x{g.detsize_slow:g}  pixel={g.pixel_size:g} meters "
        f"({g.pixels_fast}x{g.pixels_slow} pixels)",
        f"sensor is {sensor.range:g} m thick in {sensor.count} layers with mu= {setup.attenuation:g}",
        f"Xbeam={g.Xbeam:g} Ybeam={g.Ybeam:g}",
        f"Fbeam={g.Fbeam:g} Sbeam={g.Sbeam:g}",
        f"Xclose={g.Xclose:g} Yclose={g.Yclose:g}",
        f"Fclose={g.Fclose:g} Sclose={g.Sclose:g}",
        f"DIRECTION_OF_DETECTOR_X-AXIS= {_three(g.fdet)}",
        f"DIRECTION_OF_DETECTOR_Y-AXIS= {_three(g.sdet)}",
        f"DIRECTION_OF_DETECTOR_Z-AXIS= {_three(g.odet)}",
        f"INCIDENT_BEAM_DIRECTION= {_three(g.beam)}",
        f"spindle ROTATION_AXIS= {_three(g.spindle)}",
        f"POLARIZATION_PLANE_NORMAL= {_three(cross(g.beam, g.polar))}",
        f"dials origin= {_three(g.dials_origin_mm)}",
        f"roi: {xmin} < x < {xmax} && {ymin} < y < {ymax}",
        f"hdivrange={setup.hdiv.range:g} hdivstep={setup.hdiv.step:g}  radians",
        f"vdivrange={setup.vdiv.range:g} vdivstep={setup.vdiv.step:g}  radians",
        f"{setup.sources.directions} divergence steps",
        f"{len(setup.sources.origins)} sources",
        f"{setup.mosaic.domains} mosaic domains "
        + (setup.mosaic.kind or f"over mosaic spread of {setup.mosaic.spread * RTD:g} degrees"),
        f"{setup.phi.count} phi steps from {settings.phi * RTD:g} to "
        f"{(settings.phi + setup.phi.range) * RTD:g} degrees",
        f"{n}x{n} pixel oversample steps{''.join(options)}",
    ]
    if setup.mask is not None:
        lines.append(f"skipping zero-flagged pixels in {settings.mask_file}")
    if setup.background is not None:
        lines.append(background_line(setup.background, settings.beamsize))
    block = [f"  {line}" for line in lines]
    if outputs.noise_file is not None:
        block += [
            "",
            "  noise image paramters:",
            f"  seed: {setup.seed}",
            f"  water droplet size: {settings.water_size:g} m",
        ]
    return tuple(block)


def result_lines(
    outputs: Outputs, shape: tuple[int, int], figures: PrintedFigures, unfinished: str = ""
) -> tuple[str, ...]:
    """What is printed when the image is done (items 24 to 27); `unfinished` is the start of the line before it."""
    slow, fast = shape
    lines = [
        unfinished,
        f"solid angle subtended by detector = {figures.solid_angle:g} steradian "
        f"( {100 * figures.solid_angle / 4 / math.pi:g}% sphere)",
    ]
    if outputs.float_file is not None:
        lines.append(f"writing {outputs.float_file} as {slow * fast} 4-byte floats")
    lines += [
        f"max_I = {figures.max_I:g}  at {figures.max_x:g} {figures.max_y:g}",
        f"mean= {figures.mean:g} rms= {figures.rms:g} rmsd= {figures.rmsd:g}",
    ]
    return tuple(lines)


def scale_lines(
    outputs: Outputs, *, int_scale: float, pgm_scale: float, photons: float = 0.0, overloads: int = 0
) -> tuple[str, ...]:
    """What is printed as the scaled images are written (items 28 to 30); the scales are those used."""
    lines = []
    if outputs.int_file is not None:
        lines += [f"intfile_scale = {int_scale:g}", f"writing {outputs.int_file} as 2-byte integers"]
    if outputs.pgm_file is not None:
        lines += [f"pgm_scale = {pgm_scale:g}", f"writing {outputs.pgm_file} as 1-byte integers"]
    if outputs.noise_file is not None:
        lines += [
            f"{photons:.0f} photons on noise image ({overloads} overloads)",
            f"writing {outputs.noise_file} as 2-byte integers",
        ]
    return tuple(lines)


def _count(cells: float) -> str:
    return str(cells) if isinstance(cells, int) else f"{cells:.10g}"


def _three(values: Vector) -> str:
    return f"{values[0]:g} {values[1]:g} {values[2]:g}"
