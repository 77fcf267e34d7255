"""What the flags and image headers said, in SI units, before anything is derived (spec command-line 2)."""

from __future__ import annotations

from dataclasses import dataclass, field

from tilesim.model.beam import DEFAULT_FLUENCE
from tilesim.model.shape import Shape
from tilesim.model.vectors import Vector

RTD = 180.0 * 0.31830988618379067154
"""Degrees per radian, as the reference computes it; divide by it to decide like the reference."""


@dataclass(repr=False)
class Settings:
    """One field per setting of the reference; None (or what the comment says) means that nobody set it.

    Filled token by token (flags.py), then only read (resolve.py).
    """

    # crystal
    cells: list[float] = field(default_factory=lambda: [1, 1, 1])  # Na, Nb, Nc as given
    cell: list[float] | None = None  # a b c [angstrom] alpha beta gamma [rad]; 0 where not given
    matrix_file: str | None = None
    misset: Vector | str | None = None  # three angles [rad], or "random"
    misset_seed: int | None = None  # internal sign (negated)
    sample_size: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])  # x y z [m], 0 unset
    shape: Shape = Shape.SQUARE
    fudge: float = 1.0
    mosaic_spread: float | None = None  # [rad]; negative counts as unset
    mosaic_domains: int | None = None  # zero or negative counts as unset
    mosaic_seed: int = -12345678  # internal sign

    # beam
    wavelength: float = 1e-10  # [m]
    fluence: float = DEFAULT_FLUENCE
    flux: float = 0.0
    exposure: float = 1.0  # [s]
    beamsize: float = 1e-4  # [m]
    kahn_factor: float = 0.0
    nopolar: bool = False
    dispersion: float = 0.0  # fraction, full width
    dispersion_steps: int | None = None
    hdiv_range: float | None = None  # [rad]
    vdiv_range: float | None = None
    hdiv_step: float | None = None  # [rad]
    vdiv_step: float | None = None
    hdiv_steps: int | None = None
    vdiv_steps: int | None = None
    round_div: bool = True
    source_file: str | None = None
    water_size: float = 0.0  # [m]

    # detector
    pixel_size: float = 1e-4  # [m]
    detsize_fast: float = 0.1024  # [m]
    detsize_slow: float = 0.1024
    pixels_fast: int = 0  # 0 unset
    pixels_slow: int = 0
    distance: float = 0.1  # [m]
    close_distance: float | None = None
    xbeam: float | None = None  # [m], in the convention's own axes
    ybeam: float | None = None
    xclose: float | None = None
    yclose: float | None = None
    orgx: float | None = None  # [pixels]
    orgy: float | None = None
    pivot: str = "beam"  # or "sample"
    twotheta: float = 0.0  # [rad]
    detector_rotation: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])  # about x y z [rad]
    convention: str = "mosflm"  # mosflm denzo adxv xds dials custom
    vectors: dict[str, Vector] = field(default_factory=dict)  # user's fdet sdet odet beam polar spindle twotheta
    image_file: str | None = None  # -img
    mask_file: str | None = None  # -mask
    roi: list[int] | None = None  # fast min, fast max, slow min, slow max, inclusive; negative is the default
    curved: bool = False
    point_pixel: bool = False
    oversample: int = -1  # zero or negative: automatic
    oversample_thick: bool = False
    oversample_polar: bool = False
    oversample_omega: bool = False
    dmin: float = 0.0  # [m]

    # sensor
    thickness: float = 0.0  # [m]
    attenuation: float | None = None  # mu [1/m]
    thick_steps: int | None = None

    # spindle
    phi: float = 0.0  # [rad]
    osc: float | None = None  # [rad]; negative counts as unset
    phistep: float | None = None  # [rad]
    phisteps: int | None = None

    # structure factors
    hkl_file: str | None = None
    default_f: float = 0.0
    dump_file: str = "Fdump.bin"
    interpolate: bool | None = None  # None: automatic
    stol_file: str | None = None
    stol_unit: float = 1e10  # of the table's angles, sin(theta)/lambda in 1/m

    # output
    float_file: str | None = None  # None: not named
    int_file: str | None = None
    noise_file: str | None = None
    pgm_file: str | None = None
    noise: bool = True  # -nonoise / -noisefile, the last wins
    pgm: bool = True
    scale: float = 0.0  # zero or negative: automatic
    pgm_scale: float = 0.0
    adc: float = 40.0
    seed: int | None = None  # internal sign
    printout: bool = False
    printout_pixel: tuple[int, int] | None = None  # fast, slow; a negative fast index means all
    trace_pixel: tuple[int, int] | None = None  # slow, fast; a negative index means none
    progress: bool = True
