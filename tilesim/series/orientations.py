"""Orientations from files: crystals of CrystFEL streams and DIALS models, rows of CSV tables."""

from __future__ import annotations

import math

import numpy as np

from tilesim.errors import InputError
from tilesim.files.csvtable import csv_lines, read_csv_column
from tilesim.files.reading import printable, read_text
from tilesim.frozen import frozen
from tilesim.geometry.axes import crystfel_rotation, facing_frame
from tilesim.instruments.expt import expt_crystals
from tilesim.instruments.stream import read_chunks
from tilesim.model import Experiment
from tilesim.model.checks import UNIT_TOLERANCE
from tilesim.model.unitcell import FLAT
from tilesim.model.vectors import rotate_xyz
from tilesim.physics.draws import Array, rotations_of

FORMS = {"columns": 9, "quaternion": 4, "misset": 3}
"""How a row of a table says an orientation, and in how many columns: U row by row; w, x, y, z; angles in degrees."""
UNIT = 1e-3
"""How far the length of a quaternion may be from 1."""


@frozen
class OrientationFile:
    """Orientations of the crystals in a file."""

    kind: str
    """expt, stream or csv"""
    path: str
    order: str
    """Which of them a shot has, see `draw`"""
    form: str = ""
    """One of FORMS, of a CSV file"""
    columns: tuple[str, ...] = ()

    def matrices(self, base: Experiment) -> Array:
        """U (n, 3, 3) in the laboratory frame of `base`. Raises InputError, naming the file and the place in it."""
        if self.kind == "expt":
            return _of_expt(self.path, base)
        return _of_stream(self.path, base) if self.kind == "stream" else self._of_table(base)

    def _of_table(self, base: Experiment) -> Array:
        numbers: Array = np.array([read_csv_column(self.path, name) for name in self.columns]).T
        own = base.lattice.orientation
        if self.form == "misset":
            turned: Array = np.array([_turn(*map(math.radians, row)) for row in numbers.tolist()]) @ own
            return turned
        if self.form == "quaternion":
            length = np.linalg.norm(numbers, axis=1)
            self._check(np.abs(length - 1.0) <= UNIT, "a quaternion w, x, y, z of length 1")
            w, x, y, z = (numbers / length[:, None]).T
            return rotations_of(x, y, z, w)
        found: Array = numbers.reshape(-1, 3, 3)
        off = np.abs(found @ found.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2))
        self._check(off <= 10 * UNIT_TOLERANCE, "a rotation, three unit rows at right angles")
        self._check(np.linalg.det(found) * np.linalg.det(own) > 0, "a rotation of the crystal's hand")
        return found

    def _check(self, good: np.ndarray, expected: str) -> None:
        if not good.all():
            line = csv_lines(self.path)[int(np.argmin(good))]
            raise InputError(f"{printable(self.path)} line {line}: expected {expected}")


def _turn(x: float, y: float, z: float) -> Array:
    """The rotation (3, 3) of -misset, radians: its columns are what becomes of the axes."""
    return np.array([rotate_xyz(axis, x, y, z) for axis in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))]).T


def _of_expt(path: str, base: Experiment) -> Array:
    """Both frames are known by the incident beam and the fast axis of the first panel."""
    beam, panel, cells = expt_crystals(read_text(path), printable(path))
    vectors = np.array(cells, np.float64).reshape(-1, 3, 3)
    good = np.abs(np.linalg.det(vectors)) > FLAT * np.linalg.norm(vectors, axis=2).prod(axis=1)
    if not good.all():
        raise InputError(
            f"{printable(path)}, experiment {int(np.argmin(good))}: the cell vectors lie in one plane; expected a cell"
        )
    there = facing_frame(beam, panel.fast)
    here = facing_frame(base.beam.direction, base.detector.panels[0].fast)
    stars: Array = np.asarray(np.linalg.inv(vectors).transpose(0, 2, 1), np.float64)
    found: Array = here.T @ there @ orientations_of(stars)
    return found


def _of_stream(path: str, base: Experiment) -> Array:
    """All crystals of all chunks, as they come."""
    stars = [crystal.star for chunk in read_chunks(path) for crystal in chunk.crystals]
    if not stars:
        raise InputError(f"{printable(path)}: expected chunks with crystals, found none")
    found: Array = crystfel_rotation(base).T @ orientations_of(np.array(stars))
    return found


def orientations_of(stars: Array) -> Array:
    """U (n, 3, 3) of Busing and Levy of reciprocal vectors (n, 3, 3), a*, b*, c* as rows.

    In the frame of U a* runs along x and b* lies in the x-y plane: the vectors are U times a triangular matrix.
    """
    u, upper = np.linalg.qr(stars.transpose(0, 2, 1))
    signs: Array = np.sign(np.diagonal(upper, axis1=1, axis2=2))
    found: Array = u * signs[:, None, :]
    return found
