"""A synthetic but realistic example to run: a lysozyme-like crystal, its orientation and a command line."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np

from tilesim.errors import StoreError
from tilesim.files.inventory import NamedFile, check_files
from tilesim.files.replace import all_together, replacing, store_errors
from tilesim.model.vectors import Vector, rotate_xyz

CELL_A, CELL_C = 78.8, 37.9
"""Tetragonal cell of hen egg-white lysozyme, angstrom."""
WAVELENGTH = 0.9768
"""Angstrom."""
D_MIN = 1.8
"""Smallest d-spacing of the list, angstrom."""
WILSON_B = 18.0
"""Angstrom^2."""
SEED = 96
ORIENTATION = (math.radians(37.0), math.radians(-23.0), math.radians(71.0))
"""Turns about x, y, z: no axis of the crystal lies along one of the laboratory."""

MOLECULES = 8
# Per molecule: count of an element, its electrons, and Cromer-Mann coefficients (a, b in A^2, c) of its form
# factor. Hydrogen adds 959 electrons to F000 and next to nothing to the rest.
ATOMS = (
    (613, 6, (2.31, 1.02, 1.5886, 0.865), (20.8439, 10.2075, 0.5687, 51.6512), 0.2156),
    (193, 7, (12.2126, 3.1322, 2.0125, 1.1663), (0.0057, 9.8933, 28.9975, 0.5826), -11.529),
    (185, 8, (3.0485, 2.2868, 1.5463, 0.867), (13.2771, 5.7011, 0.3239, 32.9089), 0.2508),
    (10, 16, (6.9053, 5.2034, 1.4379, 1.5863), (1.4679, 22.2151, 0.2536, 56.172), 0.8669),
)
HYDROGENS = 959
SOLVENT_FRACTION = 0.4
SOLVENT_DENSITY = 0.34
"""Electrons per cubic angstrom."""
SOLVENT_CONTRAST, SOLVENT_B = 0.8, 200.0
"""Babinet's flat bulk solvent: the share of the protein that it hides at low resolution, and its B, angstrom^2."""

# P43212: rotation and translation of the operators of its point group, International Tables A, no. 96.
OPERATORS = (
    (((1, 0, 0), (0, 1, 0), (0, 0, 1)), (0.0, 0.0, 0.0)),
    (((-1, 0, 0), (0, -1, 0), (0, 0, 1)), (0.0, 0.0, 0.5)),
    (((0, -1, 0), (1, 0, 0), (0, 0, 1)), (0.5, 0.5, 0.75)),
    (((0, 1, 0), (-1, 0, 0), (0, 0, 1)), (0.5, 0.5, 0.25)),
    (((-1, 0, 0), (0, 1, 0), (0, 0, -1)), (0.5, 0.5, 0.75)),
    (((1, 0, 0), (0, -1, 0), (0, 0, -1)), (0.5, 0.5, 0.25)),
    (((0, 1, 0), (1, 0, 0), (0, 0, -1)), (0.0, 0.0, 0.0)),
    (((0, -1, 0), (-1, 0, 0), (0, 0, -1)), (0.0, 0.0, 0.5)),
)

README = """\
Synthetic input that looks like a lysozyme crystal (P43212): lysozyme.hkl lists structure factors, A.mat is a MOSFLM
orientation matrix, and both are the same wherever `tilesim example` is run.
`sh run.sh` renders one frame on a detector of 1475 x 1679 pixels in well under a minute; look at out.png first.
"""

# 5 phi steps x 4 mosaic domains on 2.5 million pixels: 50 million steps.
RUN = f"""\
#!/bin/sh
# Renders one frame; the first argument is the tilesim to use (a command, or a path).
set -e
tilesim=${{1:-tilesim}}
case $tilesim in
*/*) tilesim=$(CDPATH= cd -- "$(dirname -- "$tilesim")" && pwd)/$(basename -- "$tilesim") ;;
esac
CDPATH= cd -- "$(dirname -- "$0")"
exec "$tilesim" run \\
  -hkl lysozyme.hkl -mat A.mat -lambda {WAVELENGTH} \\
  -distance 250 -detpixels_x 1475 -detpixels_y 1679 -pixel 0.172 -Xbeam 147 -Ybeam 124 \\
  -Na 12 -Nb 12 -Nc 25 -mosaic 0.3 -mosaic_domains 4 -phi 0 -osc 0.5 -phisteps 5 -oversample 1 \\
  -seed 1 -flux 4e12 -exposure 1 -beamsize 0.0002 -water 0.5 \\
  -floatfile out.bin -noisefile noise.img -nopgm \\
  --zarr out.zarr --preview out.png --overwrite
"""


def write_example(folder: str | os.PathLike, *, overwrite: bool = False) -> list[str]:
    """Write lysozyme.hkl, A.mat, run.sh and README.txt into `folder`, made where missing; the paths written.

    The same bytes every time. Raises StoreError where a file exists and `overwrite` is not set (nothing is
    written then), and where writing fails.
    """
    place = Path(folder)
    if not os.fspath(folder):
        raise StoreError("the folder of the example is ''; expected a name, or . for this folder")
    if os.path.lexists(real := os.path.realpath(folder)) and not os.path.isdir(real):
        raise StoreError(f"{place} is a file; expected the name of a folder")
    names = ("lysozyme.hkl", "A.mat", "run.sh", "README.txt")
    taken = [name for name in names if os.path.lexists(place / name)]
    if taken and not overwrite:
        raise StoreError(f"{place} holds {', '.join(taken)} already; choose another folder, or --overwrite")
    check_files((), stores=[NamedFile("DIR", str(place / name)) for name in names])
    with store_errors(place):
        place.mkdir(parents=True, exist_ok=True)
    texts = (hkl_text(*reflection_list()), matrix_text(orientation_matrix()), RUN, README)
    with all_together():
        for name, text in zip(names, texts, strict=True):
            with replacing(place / name) as file:
                file.write(text.encode("ascii"))
    with store_errors(place / "run.sh"):
        os.chmod(place / "run.sh", 0o755)
    return [str(place / name) for name in names]


def reflection_list() -> tuple[np.ndarray, np.ndarray]:
    """Miller indices (n, 3) and amplitudes (n,) in electrons of the whole sphere to D_MIN, and F000.

    Symmetry mates and Friedel mates are equal; systematic absences are left out.
    """
    unique = _unique_indices()
    multiplicity, centric, absent = _classes(unique)
    mean = multiplicity * mean_intensity(_star_squared(unique))
    draws = np.random.default_rng(SEED)
    # Wilson: intensities of acentric reflections are exponential, of centric ones chi-squared.
    acentric_factor, centric_factor = draws.exponential(size=len(unique)), draws.standard_normal(len(unique)) ** 2
    amplitude = np.sqrt(mean * np.where(centric, centric_factor, acentric_factor))
    amplitude[absent] = 0.0
    amplitude[(unique == 0).all(axis=1)] = forward_amplitude()
    return _whole_sphere(unique, amplitude)


def mean_intensity(star_squared: np.ndarray) -> np.ndarray:
    """Expected F^2 of a general reflection, electrons^2, from 1/d^2 in 1/A^2: Wilson with a solvent dip."""
    s2 = star_squared / 4  # (sin theta / lambda)^2
    atoms = np.zeros_like(s2)
    for count, _, a, b, c in ATOMS:
        factor = c + sum(x * np.exp(-y * s2) for x, y in zip(a, b, strict=True))
        atoms += MOLECULES * count * factor**2
    solvent = 1 - SOLVENT_CONTRAST * np.exp(-SOLVENT_B * s2)
    return atoms * np.exp(-2 * WILSON_B * s2) * solvent**2


def forward_amplitude() -> float:
    """F000: every electron of the cell, about 61,000 of protein and 32,000 of solvent."""
    protein = MOLECULES * (HYDROGENS + sum(count * electrons for count, electrons, *_ in ATOMS))
    return protein + SOLVENT_FRACTION * SOLVENT_DENSITY * CELL_A**2 * CELL_C


def orientation_matrix() -> tuple[Vector, Vector, Vector]:
    """a*, b*, c* times the wavelength, dimensionless, in the laboratory."""
    star = ((1 / CELL_A, 0.0, 0.0), (0.0, 1 / CELL_A, 0.0), (0.0, 0.0, 1 / CELL_C))
    return tuple(rotate_xyz([WAVELENGTH * x for x in v], *ORIENTATION) for v in star)


def matrix_text(stars: tuple[Vector, Vector, Vector]) -> str:
    """The MOSFLM form: one row per laboratory axis, one column per reciprocal vector."""
    return "".join(" ".join(f"{v[row]:12.8f}" for v in stars) + "\n" for row in range(3))


def hkl_text(indices: np.ndarray, amplitudes: np.ndarray) -> str:
    """Lines of h k l F."""
    rows = zip(indices.tolist(), amplitudes.tolist(), strict=True)
    return "".join(f"{h} {k} {m} {f:.2f}\n" for (h, k, m), f in rows)


def _star_squared(indices: np.ndarray) -> np.ndarray:
    """1/d^2 (n,) in 1/A^2."""
    return (indices[:, 0] ** 2 + indices[:, 1] ** 2) / CELL_A**2 + indices[:, 2] ** 2 / CELL_C**2


def _unique_indices() -> np.ndarray:
    """Indices (n, 3) of the asymmetric unit of 4/mmm, h >= k >= 0 and l >= 0, origin included."""
    across, along = int(CELL_A / D_MIN) + 1, int(CELL_C / D_MIN) + 1
    grid = np.mgrid[: across + 1, : across + 1, : along + 1].reshape(3, -1).T
    return grid[(grid[:, 0] >= grid[:, 1]) & (_star_squared(grid) <= D_MIN**-2)]


def _classes(indices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Symmetry of each reflection (n,): how many operators leave it in place, whether it is centric, whether absent."""
    multiplicity = np.zeros(len(indices))
    centric, absent = np.zeros(len(indices), bool), np.zeros(len(indices), bool)
    for rotation, translation in OPERATORS:
        turned = indices @ np.array(rotation)
        stays = (turned == indices).all(axis=1)
        phase = indices @ np.array(translation)
        multiplicity += stays
        centric |= (turned == -indices).all(axis=1)
        # Left in place, but shifted in phase: the reflection cancels itself.
        absent |= stays & (phase != np.round(phase))
    return multiplicity, centric, absent


def _whole_sphere(unique: np.ndarray, amplitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every mate, under 4/mmm, of the reflections that are not zero, sorted by h, k, l."""
    h_max, _, l_max = unique.max(axis=0)
    table = np.zeros((h_max + 1, h_max + 1, l_max + 1))
    table[tuple(unique.T)] = amplitude
    across, along = np.arange(-h_max, h_max + 1), np.arange(-l_max, l_max + 1)
    sphere = np.stack(np.meshgrid(across, across, along, indexing="ij"), axis=-1).reshape(-1, 3)
    size = np.abs(sphere)
    values = table[size[:, :2].max(axis=1), size[:, :2].min(axis=1), size[:, 2]]
    listed = np.round(values, 2) > 0
    return sphere[listed], values[listed]
