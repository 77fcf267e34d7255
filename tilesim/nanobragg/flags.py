"""Every flag of nanoBragg as data: names, values, effect on the settings, help (spec command-line 2)."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum, auto
from functools import cached_property

from tilesim.frozen import frozen
from tilesim.model.shape import Shape
from tilesim.nanobragg.effects import (
    Effect,
    absorption,
    cell,
    curve,
    misset,
    nothing,
    pivot,
    place,
    printout_pixel,
    put,
    region,
    switch,
    trace_pixel,
    unused_vector,
    vector,
)
from tilesim.nanobragg.values import (
    CELL_LENGTH,
    DEGREES,
    DEPTH,
    DROPLET,
    ENERGY,
    FILE,
    FLUENCE,
    FLUX,
    INTEGER,
    MM,
    MRAD,
    NUMBER,
    PERCENT,
    PIVOT,
    PIXELS,
    SECONDS,
    SEED,
    SPACING,
    THICKNESS,
    WAVELENGTH,
    Kind,
    Measure,
)


class Form(Enum):
    """How many values follow a flag."""

    FIXED = auto()
    CELL = auto()
    """One or more numbers, ended by an argument with a dash."""
    MISSET = auto()
    """A word with "rand" in it, or three angles."""
    CURVED = auto()
    """None; the reference wants an argument to follow all the same."""


@frozen
class Limit:
    """What the values of a flag must satisfy to make sense (K11); the text goes on after "a number"."""

    text: str
    holds: Callable[..., bool]


POSITIVE = Limit(" above 0", lambda x: x > 0)
NOT_NEGATIVE = Limit(" of 0 or more", lambda x: x >= 0)
KAHN = Limit(" from -1 to 1", lambda x: -1 <= x <= 1)
ANGSTROMS = Limit(" above 0, from 0.0001 to 100000", lambda x: 1e-4 <= x <= 1e5)
ELECTRONVOLTS = Limit(" above 0, from 0.124 to 1.2e+08", lambda x: 0.1239 <= x <= 1.24e8)
NOT_ZERO = Limit(" other than 0", lambda x: x != 0)
DIRECTION = Limit(", not all 0", lambda *xyz: any(xyz))
CELL = Limit(", none negative, the first above 0", lambda a, *others: a > 0 and all(x >= 0 for x in others))


@frozen
class Flag:
    """One rule of the reference."""

    group: str
    spelled: str
    """The spellings; what is in brackets is usual but may be missing or different."""
    takes: tuple[Measure, ...]
    effect: Effect
    help: str
    limit: Limit | None = None
    form: Form = Form.FIXED
    exact: bool = False
    """An argument must equal a name. Otherwise it may go on after it and, for the reference, begin before it."""
    last: bool = False
    """The reference tries no further rule on the argument."""
    header: bool = False
    """Names an image whose header counts before all other flags."""
    crashes: bool = False
    """The reference crashes where the value is missing."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The text that an argument must hold."""
        return tuple(spelling.partition("[")[0] for spelling in self.spelled.split())


GROUPS = ("crystal", "beam", "detector", "conventions", "spindle", "sensor", "structure factors", "output")
CRYSTAL, BEAM, DETECTOR, CONVENTIONS, SPINDLE, SENSOR, FACTORS, OUTPUT = GROUPS

_SHOWN = {Kind.REAL: "X", Kind.INTEGER: "N", Kind.FILE: "FILE", Kind.PIVOT: "sample|beam", Kind.DEPTH: "inf|X"}
_FORMS = {Form.CELL: "a [b c [al be ga]]", Form.MISSET: "random|X Y Z"}


def flag_help() -> list[tuple[str, list[tuple[str, str]]]]:
    """Groups of flags with a line of help for each, in the order of the table: [(group, [(spelling, help)])]."""
    groups: dict[str, list[tuple[str, str]]] = {group: [] for group in GROUPS}
    for flag in FLAGS:
        values = _FORMS.get(flag.form) or " ".join(_SHOWN[measure.kind] for measure in flag.takes)
        units = ", ".join(dict.fromkeys(measure.unit for measure in flag.takes if measure.unit))
        spelling = f"{', '.join(flag.spelled.split())} {values}".rstrip()
        groups[flag.group].append((spelling, flag.help + (f" [{units}]" if units else "")))
    return list(groups.items())


UNREAD = {"-hdiv": "-hdivrange", "-vdiv": "-vdivrange", "-dispstep": "-dispsteps"}
"""Flags of nanoBragg's documentation that its program does not read, and those that it does."""

_XYZ = (NUMBER, NUMBER, NUMBER)

FLAGS: tuple[Flag, ...] = (
    # In the reference's order of rules, by which one argument may set several things there. Rules with one effect
    # whose order cannot matter are one row.
    Flag(DETECTOR, "-img", (FILE,), put("image_file"), "SMV image whose header is imported", header=True),
    Flag(DETECTOR, "-mask", (FILE,), put("mask_file"), "SMV image, 0 where not to render; header too", header=True),
    Flag(CRYSTAL, "-Na", (INTEGER,), put("cells.0"), "unit cells along a", last=True),
    Flag(CRYSTAL, "-Nb", (INTEGER,), put("cells.1"), "unit cells along b", last=True),
    Flag(CRYSTAL, "-Nc", (INTEGER,), put("cells.2"), "unit cells along c", last=True),
    Flag(
        CRYSTAL, "-N", (INTEGER,), put("cells.0 cells.1 cells.2"), "unit cells along each axis", exact=True, last=True
    ),
    Flag(
        CRYSTAL,
        "-cell",
        (CELL_LENGTH,) * 3 + (DEGREES,) * 3,
        cell,
        "unit cell; b and c as a, angles 90",
        CELL,
        Form.CELL,
    ),
    Flag(CRYSTAL, "-misset", (DEGREES,) * 3, misset, "rotation about x, y, z, or a random one", form=Form.MISSET),
    Flag(
        CRYSTAL,
        "-samplesize -sample_size -xtalsize -xtal_size",
        (MM,),
        put("sample_size.0 sample_size.1 sample_size.2"),
        "crystal size, instead of -N",
    ),
    Flag(
        CRYSTAL,
        "-sample_thick[ness] -sample_x -xtal_thick[ness] -xtal_x",
        (MM,),
        put("sample_size.0"),
        "size along a",
    ),
    Flag(
        CRYSTAL,
        "-sample_width -sample_y -xtal_width -xtal_y -width",
        (MM,),
        put("sample_size.1"),
        "size along b",
    ),
    Flag(
        CRYSTAL,
        "-sample_heigh[t] -sample_z -xtal_heigh[t] -xtal_z -heigh[t]",
        (MM,),
        put("sample_size.2"),
        "size along c",
    ),
    Flag(CRYSTAL, "-density -sample_den[sity]", (NUMBER,), nothing, "no effect"),
    Flag(CRYSTAL, "-MW", (NUMBER,), nothing, "no effect", exact=True),
    Flag(CRYSTAL, "-molec[ular_weight]", (NUMBER,), nothing, "no effect"),
    Flag(DETECTOR, "-Xbeam", (MM,), place("xbeam", "beam"), "direct beam, in the convention's own axes"),
    Flag(DETECTOR, "-Ybeam", (MM,), place("ybeam", "beam"), "direct beam, in the convention's own axes"),
    Flag(DETECTOR, "-Xclose", (MM,), place("xclose", "sample"), "nearest point, for custom vectors"),
    Flag(DETECTOR, "-Yclose", (MM,), place("yclose", "sample"), "nearest point, for custom vectors"),
    Flag(DETECTOR, "-ORGX", (PIXELS,), place("orgx", "sample"), "nearest point as XDS has it, fast"),
    Flag(DETECTOR, "-ORGY", (PIXELS,), place("orgy", "sample"), "nearest point as XDS has it, slow"),
    Flag(DETECTOR, "-pivot", (PIVOT,), pivot, "what the detector turns about, for custom vectors"),
    Flag(CONVENTIONS, "-mosflm", (), switch(convention="mosflm", pivot="beam"), "axes of MOSFLM (default)"),
    Flag(CONVENTIONS, "-xds", (), switch(convention="xds", pivot="sample"), "axes of XDS"),
    Flag(CONVENTIONS, "-adxv", (), switch(convention="adxv", pivot="beam"), "axes of ADXV"),
    Flag(CONVENTIONS, "-denzo", (), switch(convention="denzo", pivot="beam"), "axes of DENZO"),
    Flag(CONVENTIONS, "-dials", (), switch(convention="dials", pivot="beam"), "axes of DIALS"),
    Flag(CONVENTIONS, "-fdet_vector", _XYZ, vector("fdet"), "fast axis; custom vectors", DIRECTION),
    Flag(CONVENTIONS, "-sdet_vector", _XYZ, vector("sdet"), "slow axis; custom vectors", DIRECTION),
    Flag(CONVENTIONS, "-odet_vector", _XYZ, vector("odet"), "normal, of length 1 or else replaced; custom vectors"),
    Flag(CONVENTIONS, "-beam_vector", _XYZ, vector("beam"), "beam direction; custom vectors", DIRECTION),
    Flag(CONVENTIONS, "-polar_vector", _XYZ, vector("polar"), "polarisation axis; custom vectors", DIRECTION),
    Flag(CONVENTIONS, "-spindle_axis", _XYZ, vector("spindle"), "spindle axis; custom vectors", DIRECTION),
    Flag(CONVENTIONS, "-twotheta_axis", _XYZ, vector("twotheta"), "axis of -twotheta; custom vectors", DIRECTION),
    Flag(CONVENTIONS, "-pix0_vector[_mm]", _XYZ, unused_vector, "selects custom vectors; numbers without effect"),
    Flag(DETECTOR, "-distance", (MM,), put("distance", pivot="beam"), "sample to detector along the beam", NOT_ZERO),
    Flag(
        DETECTOR,
        "-close_distance",
        (MM,),
        place("close_distance", "sample"),
        "shortest distance to the detector; beats -distance",
        NOT_ZERO,
    ),
    Flag(SENSOR, "-detector_abs[orb]", (DEPTH,), absorption, "attenuation depth; inf is no sensor", crashes=True),
    Flag(SENSOR, "-detector_thick", (THICKNESS,), put("thickness"), "sensor thickness", exact=True, crashes=True),
    Flag(SENSOR, "-detector_thicksteps -thicksteps", (INTEGER,), put("thick_steps"), "sensor layers", crashes=True),
    Flag(DETECTOR, "-twotheta", (DEGREES,), put("twotheta", pivot="sample"), "swing of the detector"),
    Flag(DETECTOR, "-detector_rotx", (DEGREES,), put("detector_rotation.0"), "detector rotation about x"),
    Flag(DETECTOR, "-detector_roty", (DEGREES,), put("detector_rotation.1"), "detector rotation about y"),
    Flag(DETECTOR, "-detector_rotz", (DEGREES,), put("detector_rotation.2"), "detector rotation about z"),
    Flag(DETECTOR, "-detsize", (MM,), put("detsize_fast detsize_slow"), "edge length", POSITIVE, exact=True),
    Flag(DETECTOR, "-detsize_f[ast]", (MM,), put("detsize_fast"), "size along the fast axis", POSITIVE),
    Flag(DETECTOR, "-detsize_s[low]", (MM,), put("detsize_slow"), "size along the slow axis", POSITIVE),
    Flag(
        DETECTOR,
        "-detpixels",
        (INTEGER,),
        put("pixels_fast pixels_slow"),
        "pixels along each axis; beats -detsize",
        NOT_NEGATIVE,
        exact=True,
    ),
    Flag(DETECTOR, "-detpixels_f[ast] -detpixels_x", (INTEGER,), put("pixels_fast"), "pixels, fast axis", NOT_NEGATIVE),
    Flag(DETECTOR, "-detpixels_s[low] -detpixels_y", (INTEGER,), put("pixels_slow"), "pixels, slow axis", NOT_NEGATIVE),
    Flag(DETECTOR, "-curved_det[ector]", (), switch(curved=True), "spherical detector", form=Form.CURVED),
    Flag(DETECTOR, "-pixel[size]", (MM,), put("pixel_size"), "pixel size", POSITIVE),
    Flag(DETECTOR, "-point_pixel", (), switch(point_pixel=True), "solid angle 1/R^2"),
    Flag(BEAM, "-polar", (NUMBER,), put("kahn_factor", nopolar=False), "Kahn polarisation factor", KAHN, exact=True),
    Flag(BEAM, "-nopolar", (), switch(nopolar=True), "no polarisation factor"),
    Flag(DETECTOR, "-oversample_thick", (), switch(oversample_thick=True), "absorption for sub-pixels", last=True),
    Flag(DETECTOR, "-oversample_polar", (), switch(oversample_polar=True), "polarisation for sub-pixels", last=True),
    Flag(DETECTOR, "-oversample_omega", (), switch(oversample_omega=True), "solid angle for sub-pixels", last=True),
    Flag(DETECTOR, "-oversample", (INTEGER,), put("oversample"), "sub-pixels per pixel edge; 0 is automatic"),
    Flag(DETECTOR, "-roi", (INTEGER,) * 4, region, "first and last fast, first and last slow pixel; -1 is the default"),
    Flag(BEAM, "-lambda -wave[length]", (WAVELENGTH,), put("wavelength"), "wavelength", ANGSTROMS),
    Flag(BEAM, "-energy", (ENERGY,), put("wavelength"), "photon energy, for the wavelength", ELECTRONVOLTS),
    Flag(BEAM, "-fluence", (FLUENCE,), put("fluence"), "fluence", NOT_NEGATIVE),
    Flag(BEAM, "-flux", (FLUX,), put("flux"), "with -exposure and -beamsize, for the fluence", NOT_NEGATIVE),
    Flag(BEAM, "-exposure", (SECONDS,), put("exposure"), "exposure time"),
    Flag(BEAM, "-beamsize", (MM,), put("beamsize"), "edge of the beam, which clips the sample unless negative"),
    Flag(CRYSTAL, "-mosaic", (DEGREES,), put("mosaic_spread"), "mosaic spread", exact=True),
    Flag(CRYSTAL, "-mosaici[ty] -mosaic_spr[ead]", (DEGREES,), put("mosaic_spread"), "mosaic spread"),
    Flag(CRYSTAL, "-mosaic_dom[ains]", (INTEGER,), put("mosaic_domains"), "mosaic domains"),
    Flag(BEAM, "-dispersion", (PERCENT,), put("dispersion"), "full spectral width"),
    Flag(BEAM, "-dispsteps", (INTEGER,), put("dispersion_steps"), "wavelengths"),
    Flag(BEAM, "-divergence", (MRAD,), put("hdiv_range vdiv_range"), "full divergence, both ways"),
    Flag(BEAM, "-hdivrange", (MRAD,), put("hdiv_range"), "full horizontal divergence"),
    Flag(BEAM, "-vdivrange", (MRAD,), put("vdiv_range"), "full vertical divergence"),
    Flag(BEAM, "-hdivstep", (MRAD,), put("hdiv_step"), "step of the horizontal divergence", exact=True),
    Flag(BEAM, "-hdivsteps", (INTEGER,), put("hdiv_steps"), "steps of the horizontal divergence"),
    Flag(BEAM, "-vdivstep", (MRAD,), put("vdiv_step"), "step of the vertical divergence", exact=True),
    Flag(BEAM, "-vdivsteps", (INTEGER,), put("vdiv_steps"), "steps of the vertical divergence"),
    Flag(BEAM, "-divsteps", (INTEGER,), put("hdiv_steps vdiv_steps"), "steps of the divergence, both ways"),
    # nanoBragg's own documentation has them, its program reads none.
    Flag(BEAM, "-hdiv", (NUMBER,), nothing, "no effect; see -hdivrange", exact=True),
    Flag(BEAM, "-vdiv", (NUMBER,), nothing, "no effect; see -vdivrange", exact=True),
    Flag(BEAM, "-dispstep", (NUMBER,), nothing, "no effect; see -dispsteps", exact=True),
    Flag(BEAM, "-round_div", (), switch(round_div=True), "cut the corners of the divergence (default)"),
    Flag(BEAM, "-square_div", (), switch(round_div=False), "keep the corners of the divergence"),
    Flag(OUTPUT, "-adc[offset]", (NUMBER,), put("adc"), "offset of the SMV images"),
    Flag(SPINDLE, "-phi", (DEGREES,), put("phi"), "start angle", exact=True),
    Flag(SPINDLE, "-osc", (DEGREES,), put("osc"), "oscillation range"),
    Flag(SPINDLE, "-phistep", (DEGREES,), put("phistep"), "angle between steps", exact=True),
    Flag(SPINDLE, "-phisteps", (INTEGER,), put("phisteps"), "steps"),
    Flag(DETECTOR, "-dmin", (SPACING,), put("dmin"), "finest d-spacing to render; 0 is all"),
    Flag(CRYSTAL, "-mat[rix]", (FILE,), put("matrix_file"), "orientation matrix"),
    Flag(FACTORS, "-hkl", (FILE,), put("hkl_file"), "structure factors: h k l F as text, MTZ, or CIF"),
    Flag(FACTORS, "-default_F", (NUMBER,), put("default_f"), "structure factor of all that are not listed"),
    Flag(FACTORS, "-dump", (FILE,), put("dump_file"), "cache of the structure factors (Fdump.bin)"),
    Flag(FACTORS, "-stolout", (FILE,), nothing, "no effect"),
    Flag(FACTORS, "-stol", (FILE,), curve(1e10), "curve of --background-thickness: sin(theta)/lambda F", exact=True),
    Flag(FACTORS, "-4stol", (FILE,), curve(1e10 / 4), "the same over 4 sin(theta)/lambda", exact=True),
    Flag(FACTORS, "-Q", (FILE,), curve(1e10 / (4 * math.pi)), "the same over 4 pi sin(theta)/lambda", exact=True),
    Flag(BEAM, "-sourcefile", (FILE,), put("source_file"), "table of sources: X Y Z weight wavelength/m"),
    Flag(OUTPUT, "-floatfile -floatimage", (FILE,), put("float_file"), "float image to write"),
    Flag(OUTPUT, "-intfile -intimage", (FILE,), put("int_file"), "SMV image without noise to write"),
    Flag(OUTPUT, "-pgmfile -pgmimage", (FILE,), put("pgm_file", pgm=True), "PGM image to write"),
    Flag(OUTPUT, "-noisefile -noiseimage", (FILE,), put("noise_file", noise=True), "SMV image with noise to write"),
    Flag(OUTPUT, "-nonoise", (), switch(noise=False), "no image with noise"),
    Flag(OUTPUT, "-nopgm", (), switch(pgm=False), "no PGM image"),
    Flag(OUTPUT, "-scale", (NUMBER,), put("scale"), "counts per photon, SMV image; 0 is automatic"),
    Flag(OUTPUT, "-pgmscale", (NUMBER,), put("pgm_scale", pgm=True), "counts per photon, PGM image; 0 is automatic"),
    Flag(BEAM, "-coherent", (), nothing, "no effect"),
    Flag(OUTPUT, "-printout", (), switch(printout=True), "print details of the rendered pixels"),
    Flag(OUTPUT, "-noprogress", (), switch(progress=False), "no progress"),
    Flag(OUTPUT, "-progress", (), switch(progress=True), "show progress (default)"),
    Flag(FACTORS, "-interpolate", (), switch(interpolate=True), "interpolate between structure factors"),
    Flag(FACTORS, "-nointerpolate", (), switch(interpolate=False), "nearest structure factor"),
    Flag(CRYSTAL, "-round_xtal", (), switch(shape=Shape.ROUND), "ellipsoid"),
    Flag(CRYSTAL, "-square_xtal", (), switch(shape=Shape.SQUARE), "parallelepiped (default)"),
    Flag(
        CRYSTAL,
        "-gauss_xtal",
        (),
        switch(shape=Shape.GAUSS),
        "Gaussian spots, round in 1/angstrom; others: --crystal-shape gauss-hkl",
    ),
    Flag(
        CRYSTAL,
        "-binary_spots -tophat_spots",
        (),
        switch(shape=Shape.TOPHAT),
        "uniform spots, round in 1/angstrom; others: --crystal-shape tophat-hkl",
    ),
    Flag(CRYSTAL, "-fudge", (NUMBER,), put("fudge"), "factor on the squared radius of spots"),
    Flag(OUTPUT, "-printout_pixel", (INTEGER,) * 2, printout_pixel, "print details of one pixel: fast, slow"),
    # Of the instrumented builds alone.
    Flag(OUTPUT, "-trace_pixel", (INTEGER,) * 2, trace_pixel, "print all that makes up one pixel: slow, fast"),
    Flag(OUTPUT, "-seed", (SEED,), put("seed"), "seed of the noise"),
    Flag(CRYSTAL, "-mosaic_seed", (SEED,), put("mosaic_seed"), "seed of the mosaic domains"),
    Flag(CRYSTAL, "-misset_seed", (SEED,), put("misset_seed"), "seed of -misset random"),
    Flag(BEAM, "-water", (DROPLET,), put("water_size"), "edge of a water droplet, for background", NOT_NEGATIVE),
    Flag(BEAM, "-source_distance", (NUMBER,), nothing, "no effect"),
    Flag(BEAM, "-source_depth", (NUMBER,), nothing, "no effect"),
)
