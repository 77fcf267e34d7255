"""The crystal beyond nanoBragg's flags (--crystal-shape, --ncells, ...), in place of what these say."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tilesim.errors import InputError
from tilesim.files.columns import read_columns
from tilesim.files.reading import printable
from tilesim.geometry.blocks import crystal_of_size, full_photons, illuminated_volume
from tilesim.model import Crystal, Diffuse, Experiment, MosaicSpread, SizeSpread, StructureFactors, checks
from tilesim.model.shape import Shape
from tilesim.model.vectors import Matrix, dot, rotate_xyz
from tilesim.nanobragg.options import Options
from tilesim.nanobragg.settings import Settings
from tilesim.nanobragg.steps import Mosaic
from tilesim.nanobragg.values import Kind, checked

LOGNORMAL = "lognormal:"
USUAL_SIZES, MOST_SIZES, MOST_DEVIATION = 7, 1000, 10
"""Sizes, and their standard deviation over their mean."""

FLAGS = {Shape.ROUND: "-round_xtal", Shape.GAUSS: "-gauss_xtal", Shape.TOPHAT: "-tophat_spots"}
"""Flags of nanoBragg's that choose a shape."""


def with_crystal(settings: Settings, options: Options) -> Settings:
    """The settings with the shape and the cells that options say. Raises InputError where flags say others."""
    shape, cells = settings.shape, list(settings.cells)
    if options.crystal_shape is not None:
        if shape in FLAGS:
            raise InputError(f"--crystal-shape and {FLAGS[shape]}; expected one of them")
        shape = Shape(options.crystal_shape)
    if options.ncells is not None:
        if cells != Settings().cells:
            raise InputError("--ncells and -N, -Na, -Nb or -Nc; expected one of them")
        if any(settings.sample_size):
            raise InputError("--ncells with a crystal size (-xtalsize and its kin); expected one of them")
        if not min(options.ncells[:3]) > 0:
            shown = ",".join(f"{n:g}" for n in options.ncells)
            raise InputError(f"--ncells is {shown}; expected numbers of cells above 0")
        cells = list(options.ncells[:3] if len(options.ncells) > 1 else options.ncells * 3)
    _check_shape(shape, options)
    return replace(settings, shape=shape, cells=cells)


def _check_shape(shape: Shape, options: Options) -> None:
    oriented = options.ncells is not None and len(options.ncells) == 6
    for said, given in (("--ncells of six numbers", oriented), ("--node-height", options.node_height is not None)):
        if given and not shape.in_hkl:
            raise InputError(f"{said} with the shape {shape}; expected --crystal-shape gauss-hkl or tophat-hkl")


def chosen_mosaic(settings: Settings, options: Options) -> Mosaic | None:
    """The mosaic domains that options say; None where they say none. Raises InputError where flags say others."""
    named = next((name for name in ("--mosaic-sigma", "--mosaic-matrices") if name in options.given), None)
    if named is None:
        return None
    if settings.mosaic_spread is not None:
        raise InputError(f"{named} and -mosaic, nanoBragg's spread; expected one of them")
    frame = f"in the frame of the {options.mosaic_frame or 'lab'}"
    if options.mosaic_matrices is not None:
        if settings.mosaic_domains is not None:
            raise InputError("--mosaic-matrices and -mosaic_domains; expected the matrices alone, one for each domain")
        count = len(_matrices(options.mosaic_matrices))
        return Mosaic(count, 0.0, kind=f"of {printable(options.mosaic_matrices)}, {frame}")
    spread = _spread(settings, options)
    return Mosaic(spread.domains, max(spread.sigma), kind=f"of a Gaussian spread of {spread.text}, {frame}")


def chosen_crystals(crystal: Crystal, settings: Settings, options: Options) -> list[Crystal]:
    """The crystal of the flags with all that options say of it, once for each lattice. Raises InputError."""
    oriented = options.ncells is not None and options.ncells[3:]
    fields: dict[str, Any] = {
        "cells_off_diagonal": oriented or (0.0, 0.0, 0.0),
        "unit_height": options.node_height == "one",
        "mosaic_frame": options.mosaic_frame or "lab",
    }
    if options.mosaic_sigma is not None:
        fields["mosaic_spread"] = _spread(settings, options)
    if options.mosaic_matrices is not None:
        fields["mosaic_rotations"] = _matrices(options.mosaic_matrices)
    if options.domain_sizes is not None:
        fields["sizes"] = _sizes(options.domain_sizes)
    if options.diffuse_gamma is not None and options.diffuse_sigma is not None:
        fields["diffuse"] = _diffuse(options, options.diffuse_gamma, options.diffuse_sigma)
    whole = crystal.replace(**fields)
    if options.crystal_size is not None:
        whole = _of_blocks(whole, settings, options.crystal_size)
    return [whole] if options.lattices is None else _lattices(whole, options.lattices)


def size_lines(experiment: Experiment, settings: Settings, options: Options) -> tuple[str, ...]:
    """Lines of the report about the size of the whole crystal, where it is stated."""
    if options.crystal_size is None:
        return ()
    edges, beam = _edges(options.crystal_size), _beam_size(settings)
    crystal, volume = experiment.lattice, illuminated_volume(edges, beam) * 1e18
    shown = " x ".join(f"{edge * 1e6:g}" for edge in edges)
    lines = [f"  whole crystal: {shown} microns, {volume:.6g} cubic microns in the beam, {crystal.blocks:.6g} blocks"]
    amplitude = _usual_amplitude(experiment.factors)
    photons = full_photons(experiment, amplitude)
    if math.isfinite(photons):
        lines.append(
            f"  reflection of F = {amplitude:.4g} electrons (root mean square) within the oscillation: "
            f"{photons:.4g} photons, but for Lorentz and polarization factors"
        )
    return tuple(lines)


def _of_blocks(block: Crystal, settings: Settings, size: Sequence[float]) -> Crystal:
    """The crystal of a size in micrometres, along the beam and across it. Raises InputError."""
    if max(block.cells) <= 1:
        raise InputError(
            "--crystal-size with a mosaic block of one unit cell; expected its cells, from -N, --ncells or -xtalsize"
        )
    return _named("--crystal-size", lambda: crystal_of_size(block, _edges(size), _beam_size(settings)))


def _edges(size: Sequence[float]) -> tuple[float, ...]:
    """Metres along the beam and across it."""
    return tuple(edge * 1e-6 for edge in (size if len(size) == 3 else (*size, *size, *size)))


def _beam_size(settings: Settings) -> float | None:
    """Metres; None where a negative one says that the beam cuts nothing."""
    return None if settings.beamsize < 0.0 else settings.beamsize


def _usual_amplitude(factors: StructureFactors) -> float:
    """Root of the mean square of the amplitudes that are not 0, without the direct beam's."""
    squares = np.square(factors.grid)
    origin = tuple(-low for low in factors.minimum)
    if all(0 <= place < n for place, n in zip(origin, squares.shape, strict=True)):
        squares[origin] = 0.0
    count = np.count_nonzero(squares)
    return math.sqrt(squares.sum() / count) if count else abs(factors.default)


def _diffuse(options: Options, gamma: Sequence[float], sigma: Sequence[float]) -> Diffuse:
    given = {
        "symmetry": options.diffuse_symmetry,
        "stencil": options.diffuse_stencil,
        "frame": options.diffuse_frame,
    }
    (gx, gy, gz), (sx, sy, sz) = (tuple(x * 1e-10 for x in (v if len(v) > 1 else (*v, *v, *v))) for v in (gamma, sigma))
    return Diffuse((gx, gy, gz), (sx, sy, sz), **{name: value for name, value in given.items() if value is not None})


def size_file(options: Options) -> str | None:
    """The file that --domain-sizes names."""
    named = options.domain_sizes
    return None if named is None or named.startswith(LOGNORMAL) else named


def _spread(settings: Settings, options: Options) -> MosaicSpread:
    if settings.mosaic_seed != Settings().mosaic_seed:
        raise InputError("-mosaic_seed with --mosaic-sigma; expected --spread-seed")
    fields: dict[str, Any] = {"axes": options.mosaic_axes, "seed": options.spread_seed}
    if settings.mosaic_domains is not None and settings.mosaic_domains > 0:
        fields["domains"] = settings.mosaic_domains
    sigma = tuple(map(math.radians, options.mosaic_sigma or ()))
    given = {name: value for name, value in fields.items() if value is not None}
    return MosaicSpread(sigma if len(sigma) == 3 else sigma * 3, **given)


def _matrices(path: str) -> tuple[Matrix, ...]:
    """Rotation matrices, nine numbers a row of the file."""
    rows, _ = read_columns(path, 9)
    for number, row in enumerate(rows, 1):
        if math.isnan(sum(row)):
            raise InputError(
                f"{printable(path)}: matrix {number} has fewer than nine numbers; expected nine, row by row"
            )
    return checks.rotations(f"{printable(path)} (counted from 0)", rows)


def _sizes(text: str) -> SizeSpread:
    if not text.startswith(LOGNORMAL):
        rows, _ = read_columns(text, 2)
        if math.isnan(sum(map(sum, rows))):
            raise InputError(f"{printable(text)}: expected two numbers a row, a factor on N and a number of domains")
        return _named(printable(text), lambda: SizeSpread(*zip(*rows, strict=True)))
    deviation, _, count = text.removeprefix(LOGNORMAL).partition(":")
    try:
        spread, sizes = checked(Kind.REAL, deviation), checked(Kind.INTEGER, count or str(USUAL_SIZES))
    except ValueError:
        spread, sizes = math.nan, 0
    if not (0 <= spread <= MOST_DEVIATION and 1 <= sizes <= MOST_SIZES):
        raise InputError(
            f"--domain-sizes {text[:40]}; expected lognormal:SD or lognormal:SD:COUNT, SD from 0 to "
            f"{MOST_DEVIATION} of the mean and up to {MOST_SIZES} sizes, or a file"
        )
    return SizeSpread.lognormal(spread, sizes)


def _lattices(crystal: Crystal, path: str) -> list[Crystal]:
    """The crystal in every orientation of a file, with its share."""
    rows, _ = read_columns(path, 10)
    found = [_lattice(crystal, row, f"{printable(path)}, lattice {number}") for number, row in enumerate(rows, 1)]
    if not sum(one.share for one in found) > 0.0:
        raise InputError(f"{printable(path)}: all shares are 0; expected some above 0")
    return found


def _lattice(crystal: Crystal, row: Sequence[float], where: str) -> Crystal:
    share, *turn = row
    numbers = [x for x in turn if not math.isnan(x)]
    if not share >= 0.0:
        raise InputError(f"{where}: the share is {share:g}; expected 0 or more")
    if len(numbers) == 3:
        angles = [math.radians(x) for x in numbers]
        return crystal.transformed(lambda v: rotate_xyz(v, *angles)).replace(share=share)
    if len(numbers) != 9:
        raise InputError(
            f"{where}: {1 + len(numbers)} numbers; expected a share and three angles, or a share and a matrix"
        )
    [m] = _named(where, lambda: checks.rotations("the matrix", [numbers]))
    return crystal.transformed(lambda v: (dot(m[0:3], v), dot(m[3:6], v), dot(m[6:9], v))).replace(share=share)


def _named(where: str, make: Callable[[], Any]) -> Any:
    """What `make` gives; its error begins with where."""
    try:
        return make()
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
