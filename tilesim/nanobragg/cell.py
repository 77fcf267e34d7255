"""The unit cell: from `-cell` and a matrix file, through the misset rotation, to real and reciprocal vectors."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tilesim.errors import InputError
from tilesim.files.matrix import read_matrix
from tilesim.frozen import frozen
from tilesim.model.vectors import Vector, cross, dot, norm, rotate_xyz, scale
from tilesim.nanobragg.settings import RTD, Settings
from tilesim.physics.watch import Watch, unwatched

Basis = tuple[Vector, Vector, Vector]
Triple = tuple[float, float, float]

_TOLERATED = 1.0000001
"""Sines and cosines beyond this draw the reference's "oddball" warning."""


_FLAT = 1e-5
"""Volume over the product of the edges below which a cell is flat."""


class NoCell(InputError):
    """Neither flags nor files state a unit cell."""


@frozen
class Cell:
    """The oriented cell at phi = 0, in angstrom, reciprocal angstrom and radians."""

    real: Basis
    reciprocal: Basis
    volume: float
    """Cubic angstrom; negative where a matrix alone is left-handed."""
    lengths: Triple
    angles: Triple
    reciprocal_lengths: Triple
    reciprocal_angles: Triple
    messages: tuple[str, ...] = ()
    """The reference's lines while it set the cell up, in order."""
    corrected: bool = False
    """K6 made a difference."""
    read_differently: bool = False
    """The reference would have read other numbers from the matrix file (K10)."""
    inverted: bool = False
    """A left-handed matrix with -cell: the direct vectors point the other way."""


def resolve_cell(
    settings: Settings,
    misset: Vector | None,
    *,
    random: bool = False,
    strict_c: bool = False,
    watch: Watch = unwatched,
    given: Basis | None = None,
) -> Cell:
    """The cell of a command line (spec geometry 10.1 to 10.5).

    `misset` are the angles in radians, `random` says that they were drawn. K6 and K11 apply unless `strict_c`.
    `watch` sees every stage, by name; `given` are reciprocal vectors, 1/angstrom, where the flags name no crystal.
    Raises InputError where no cell comes out.
    """
    messages: list[str] = []
    basis, lengths, volume, corrected, differently = None, None, None, False, False
    if settings.cell is not None:
        basis, lengths, volume, corrected = _default_orientation(settings.cell, messages, strict_c, watch)
    elif settings.matrix_file is None and given is not None:
        basis = given
    elif settings.matrix_file is None:
        raise NoCell("no unit cell; expected -cell a b c alpha beta gamma or -mat FILE")
    if settings.matrix_file is not None:
        oriented, differently = _with_matrix(basis, settings, messages, strict_c, watch)
        corrected = corrected and oriented is basis
        basis = oriented
    if random:
        angles = " ".join(f"{x * RTD:f}" for x in misset)
        messages.append(f"random orientation misset angles: {angles} deg")
    if misset is not None:
        _watch_basis(watch, "{}_star_before_misset", basis)
        watch("misset_deg", *(x * RTD for x in misset))
        basis = tuple(rotate_xyz(v, *misset) for v in basis)
        _watch_basis(watch, "{}_star_after_misset", basis)
    cell = _oriented_cell(basis, lengths, volume, messages, corrected, watch)
    if not strict_c:
        _check_solid(cell, settings)
    return replace(cell, read_differently=differently)


def _watch_basis(watch: Watch, name: str, vectors: Sequence[Sequence[float]], factor: float = 1.0) -> None:
    """Three vectors, `name` with a, b and c in it."""
    for axis, v in zip("abc", vectors, strict=True):
        watch(name.format(axis), *(x * factor for x in v))


def _default_orientation(
    cell: Sequence[float], messages: list[str], strict_c: bool, watch: Watch
) -> tuple[Basis, Triple, float, bool]:
    """a* along x, b* in the x-y plane (spec geometry 10.3): basis, lengths, volume, whether K6 mattered."""
    a, b, c, *angles = cell
    b = b if b > 0.0 else a
    c = c if c > 0.0 else a
    al, be, ga = (x if x > 0.0 else math.pi / 2 for x in angles)
    if not strict_c:
        _check_angles((al, be, ga))
    half = (al + be + ga) / 2
    skew = math.sin(half) * math.sin(half - al) * math.sin(half - be) * math.sin(half - ga)
    volume = 2.0 * a * b * c * math.sqrt(abs(skew))
    # The reference goes on with the smallest double and an image of NaN.
    if not (volume > 0.0 and math.isfinite(volume)) or (skew < 0.0 and not strict_c):
        raise InputError(
            f"-cell {a:g} {b:g} {c:g} {al * RTD:g} {be * RTD:g} {ga * RTD:g} has no volume; expected a possible cell"
        )
    watch("cell_lengths_angstroms", a, b, c)
    watch("cell_angles_deg", *(x * RTD for x in (al, be, ga)))
    watch("V_cell_from_lengths", volume)
    star = 1.0 / volume
    ra, rb, rc = b * c * math.sin(al) * star, c * a * math.sin(be) * star, a * b * math.sin(ga) * star
    if ra <= 0.0 or rb <= 0.0 or rc <= 0.0:
        messages.append(f"WARNING: impossible reciprocal cell lengths: {ra:g} {rb:g} {rc:g}")
        ra, rb, rc = (abs(x) or sys.float_info.min for x in (ra, rb, rc))
    try:
        cosines = (
            (math.cos(be) * math.cos(ga) - math.cos(al)) / (math.sin(be) * math.sin(ga)),
            (math.cos(ga) * math.cos(al) - math.cos(be)) / (math.sin(ga) * math.sin(al)),
            (math.cos(al) * math.cos(be) - math.cos(ga)) / (math.sin(al) * math.sin(be)),
        )
    except ZeroDivisionError:
        raise InputError("an angle of -cell is 0 or 180 degrees; expected angles between") from None
    sines = (a * star / rb / rc, b * star / ra / rc, c * star / ra / rb)
    sines, cosines = _tame(sines, cosines, "reciprocal cell angles", _DEFAULT_LABELS, messages)
    cos_al, cos_be, cos_ga = cosines
    sin_ga = sines[2]
    as_reference = rc * volume / (a * b * c * sin_ga)
    third = as_reference if strict_c else 1.0 / c  # K6
    basis = (
        (ra, 0.0, 0.0),
        (rb * cos_ga, rb * sin_ga, 0.0),
        (rc * cos_be, rc * (cos_al - cos_be * cos_ga) / sin_ga, third),
    )
    _watch_basis(watch, "{}_star_default", basis)
    return basis, (a, b, c), volume, not math.isclose(as_reference, third, rel_tol=1e-9)


def _check_angles(angles: Triple) -> None:
    """Raise InputError unless three edges can enclose the angles, radians."""
    largest, total = max(angles), sum(angles)
    shown = " ".join(f"{x * RTD:g}" for x in angles)
    if not largest < math.pi * (1 - _FLAT):
        raise InputError(f"the angles of -cell are {shown}; expected each below 180 degrees")
    if not total < 2 * math.pi * (1 - _FLAT**2):
        raise InputError(f"the angles of -cell are {shown}; expected a sum below 360 degrees: such a cell is flat")
    if not 2 * largest < total * (1 - _FLAT**2):
        raise InputError(f"the angles of -cell are {shown}; expected each below the sum of the others")


def _with_matrix(
    basis: Basis | None, settings: Settings, messages: list[str], strict_c: bool, watch: Watch
) -> tuple[Basis, bool]:
    """The matrix file's vectors, freed of the wavelength (spec geometry 10.2, files 2), and whether K10 changed them.

    Strict: a missing file or number leaves what `-cell` made, as far as it made something.
    """
    path = settings.matrix_file
    if strict_c and basis is not None and not Path(path).is_file():
        return basis, False
    numbers, differently = read_matrix(path, strict=strict_c)
    messages.append(f"reading {path}")
    rows = list(numbers)
    if len(rows) < 9:
        if basis is None:
            raise InputError(f"{path}: {len(rows)} numbers; expected nine, three rows of a*, b*, c*")
        rows += [basis[i % 3][i // 3] for i in range(len(rows), 9)]
    factor = 1e-10 / settings.wavelength if settings.wavelength else math.inf
    scaled = tuple(scale(rows[i::3], factor) for i in range(3))
    _watch_basis(watch, "{}_star_raw", [rows[i::3] for i in range(3)])
    watch("lambda0_angstroms", settings.wavelength * 1e10)
    watch("matrix_scale", factor)
    _watch_basis(watch, "{}_star_scaled", scaled)
    return scaled, differently


def _check_solid(cell: Cell, settings: Settings) -> None:
    """Raise InputError where the cell's edges, or those of the reciprocal cell, lie in a plane but for rounding."""
    for edges, volume in ((cell.lengths, cell.volume), (cell.reciprocal_lengths, 1.0 / cell.volume)):
        if abs(volume) < _FLAT * math.prod(edges):
            where = "-cell" if settings.matrix_file is None else settings.matrix_file
            shape = " ".join(f"{x:g}" for x in (*cell.lengths, *(x * RTD for x in cell.angles)))
            raise InputError(f"{where}: the unit cell is flat ({shape}); expected three edges that span space")


def _oriented_cell(
    basis: Basis, lengths: Triple | None, volume: float | None, messages: list[str], corrected: bool, watch: Watch
) -> Cell:
    """Direct vectors from the reciprocal ones and back (spec geometry 10.5).

    `lengths` (angstrom) and `volume` are those of `-cell`, which the vectors are scaled to.
    """
    ra, rb, rc = basis
    crosses = (cross(rb, rc), cross(rc, ra), cross(ra, rb))
    volume_star = dot(ra, crosses[0])
    for name, v in zip(_CROSSES, crosses, strict=True):
        watch(name, *v)
    watch("V_star", volume_star)
    inverted = volume is not None and volume_star < 0.0
    if volume is not None:
        crosses = tuple(scale(v, (x / volume) / (norm(v) or 1.0)) for v, x in zip(crosses, lengths, strict=True))
        volume_star = 1.0 / volume
    if not (math.isfinite(volume_star) and volume_star != 0.0):
        raise InputError("the orientation matrix is singular; expected three vectors that span space")
    volume = 1.0 / volume_star
    a, b, c = (scale(v, volume) for v in crosses)
    ra, rb, rc = (scale(v, volume_star) for v in (cross(b, c), cross(c, a), cross(a, b)))
    watch("V_cell", volume)
    _watch_basis(watch, "{}_angstroms", (a, b, c))
    _watch_basis(watch, "{}_star_A_inv", (ra, rb, rc))
    _watch_basis(watch, "{}0_meters", (a, b, c), 1e-10)

    la, lb, lc = norm(a), norm(b), norm(c)
    rla, rlb, rlc = norm(ra), norm(rb), norm(rc)
    if not all((la, lb, lc, rla, rlb, rlc)):
        raise InputError("the orientation matrix is singular; expected three vectors that span space")
    sines = (rla * volume / lb / lc, rlb * volume / la / lc, rlc * volume / la / lb)
    cosines = (dot(b, c) / lb / lc, dot(a, c) / la / lc, dot(a, b) / la / lb)
    sines, cosines = _tame(sines, cosines, "cell angles", _CELL_LABELS, messages)
    star_sines = (la * volume_star / rlb / rlc, lb * volume_star / rla / rlc, lc * volume_star / rla / rlb)
    star_cosines = (dot(rb, rc) / rlb / rlc, dot(ra, rc) / rla / rlc, dot(ra, rb) / rla / rlb)
    star_sines, star_cosines = _tame(star_sines, star_cosines, "reciprocal cell angles", _RECIPROCAL_LABELS, messages)
    return Cell(
        real=(a, b, c),
        reciprocal=(ra, rb, rc),
        volume=volume,
        lengths=(la, lb, lc),
        angles=tuple(map(math.atan2, sines, cosines)),
        reciprocal_lengths=(rla, rlb, rlc),
        reciprocal_angles=tuple(map(math.atan2, star_sines, star_cosines)),
        messages=tuple(messages),
        corrected=corrected,
        inverted=inverted,
    )


_CROSSES = ("b_star_cross_c_star", "c_star_cross_a_star", "a_star_cross_b_star")
_CELL_LABELS = ("sin_alpha = ", "cos_alpha = ", "sin_beta  = ", "cos_beta  = ", "sin_gamma = ", "cos_gamma = ")
_RECIPROCAL_LABELS = (
    "sin(alpha_star) = ",
    "cos(alpha_star) = ",
    "sin(beta_star)  = ",
    "cos(beta_star)  = ",
    "sin(gamma_star) = ",
    "cos(gamma_star) = ",
)
# The reference mistypes one label where it builds the default orientation.
_DEFAULT_LABELS = (*_RECIPROCAL_LABELS[:5], "cos9gamma_star) = ")


def _tame(
    sines: Triple, cosines: Triple, what: str, labels: Sequence[str], messages: list[str]
) -> tuple[Triple, Triple]:
    """Clip sines to -1..1 and any cosine outside to +1, noting values that rounding cannot explain."""
    if any(abs(x) > _TOLERATED for x in (*sines, *cosines)):
        messages.append(f"WARNING: oddball {what}:")
        pairs = (x for pair in zip(sines, cosines, strict=True) for x in pair)
        messages.extend(f"{label}{x:.25g}" for label, x in zip(labels, pairs, strict=True))
    return (
        tuple(min(1.0, max(-1.0, x)) for x in sines),
        tuple(1.0 if x * x > 1.0 else x for x in cosines),
    )
