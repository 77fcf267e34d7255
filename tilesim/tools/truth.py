"""Tables of the truth in a store: the reflections of every shot, and the labels of shots."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from tilesim.errors import InputError
from tilesim.files.inventory import NamedFile, check_files
from tilesim.files.replace import all_together
from tilesim.files.tables import Block, check_table, write_table
from tilesim.frozen import frozen
from tilesim.images.dataset import Dataset
from tilesim.model import Experiment
from tilesim.store.truth import StoredTruth
from tilesim.tools.partiality import partialities

WHOLE = ("frame", "panel", "h", "k", "l", "pixels")
REFLECTIONS = (*WHOLE, "fast", "slow", "photons", "wavelength", "resolution", "partiality")
"""Columns of a table of reflections: positions in pixels from the outer corner of pixel (0, 0), lengths in angstrom,
shares of the full intensity."""
LEAST = 1.0
"""Photons of a reflection that is listed."""
CELL = ("a", "b", "c", "alpha", "beta", "gamma")
MATRIX = tuple(f"r{row}{column}" for row in (1, 2, 3) for column in (1, 2, 3))
LABELS = (
    *("frame", "hit", "lattices", "reflections", "resolution", "photons", "wavelength", "fluence"),
    *CELL,
    *MATRIX,
)
"""Columns of a table of labels: angstrom and degrees, photons/m^2, rows of the orientation matrix."""
COUNTED = ("frame", "hit", "lattices", "reflections")
LARGEST_INDEX = 2**20
"""Miller indices below this are distinguished."""


@frozen
class Truth:
    """What a store knows of its shots: tables of all frames, computed when they are asked for."""

    data: Dataset
    least: float = LEAST
    """Photons of a reflection that counts"""

    @cached_property
    def reflections(self) -> dict[str, np.ndarray]:
        """A row for every reflection on a panel of a frame: columns by name. Raises InputError, StoreError."""
        return _joined(REFLECTIONS, self._reflections())

    @cached_property
    def labels(self) -> dict[str, np.ndarray]:
        """A row for every frame: columns by name. Raises InputError, StoreError."""
        return _joined(LABELS, self._labels())

    def write(self, reflections: str | None = None, labels: str | None = None) -> tuple[str, ...]:
        """Write tables, all or none; the names of the files. Raises InputError, StoreError."""
        stored_truth(self.data)
        tables = (
            (NamedFile("--reflections", reflections or ""), _empty(REFLECTIONS, WHOLE), self._reflections()),
            (NamedFile("--labels", labels or ""), _empty(LABELS, COUNTED), self._labels()),
        )
        wanted = [table for table, path in zip(tables, (reflections, labels), strict=True) if path is not None]
        check_files(self.data.inputs, [file for file, _, _ in wanted])
        for file, _, _ in wanted:
            check_table(file.path)
        with all_together():
            for file, empty, blocks in wanted:
                write_table(file.path, empty, blocks)
        return tuple(file.path for file, _, _ in wanted)

    def _reflections(self) -> Iterator[Block]:
        for place in range(len(self.data)):
            yield reflections(self.data, stored_truth(self.data), place, self.least)

    def _labels(self) -> Iterator[Block]:
        for place in range(len(self.data)):
            yield _labels(self.data, stored_truth(self.data), place, self.least)


def stored_truth(data: Dataset) -> StoredTruth:
    """The truth beside the images. Raises InputError where there is none."""
    if data.store is None or data.store.truth is None:
        raise InputError(f"{data.path} holds no truth; expected a store of a run with --truth")
    if not data.store.complete:
        raise InputError(f"{data.path} is not complete; expected the truth of all pixels, --resume computes it")
    return data.store.truth


def reflections(data: Dataset, truth: StoredTruth, place: int, least: float = LEAST) -> Block:
    """The reflections of one frame, those of at least so many photons, panel by panel. Raises InputError.

    Every pixel counts for the reflection that its mean Miller indices are nearest to; the direct beam is left out.
    """
    experiment = data.experiment(place)
    if (count := len(experiment.crystals)) > 1:
        raise InputError(f"{data.path}: frame {data.frames[place]} has {count} lattices; expected one for reflections")
    found = _found(data, truth, place, least)
    return {**found, "partiality": partialities(experiment, np.stack([found[name] for name in "hkl"], axis=1))}


def _found(data: Dataset, truth: StoredTruth, place: int, least: float) -> Block:
    """The same without partialities, of any number of lattices."""
    parts = [_on_panel(data, truth, place, panel, least) for panel in range(data.panels)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _on_panel(data: Dataset, truth: StoredTruth, place: int, panel: int, least: float) -> Block:
    where = (place, panel)[: truth.arrays[0].ndim - 2]
    photons, wavelength, hkl = (np.asarray(array[where]) for array in truth.arrays)
    slow, fast = np.nonzero(photons > 0)
    weight, index = photons[slow, fast].astype(np.float64), np.rint(hkl[slow, fast]).astype(np.int64)
    key = (index + LARGEST_INDEX) @ np.array([2**42, 2**21, 1])
    _, first, group = np.unique(key, return_index=True, return_inverse=True)

    def summed(values: np.ndarray | float) -> np.ndarray:
        return np.bincount(group, weights=weight * values, minlength=len(first))

    total, node = summed(1.0), index[first]
    listed = (total >= least) & node.any(axis=1)
    count = int(listed.sum())
    found = {
        "frame": np.full(count, data.frames[place]),
        "panel": np.full(count, panel),
        **{name: node[listed, axis] for axis, name in enumerate("hkl")},
        "pixels": np.bincount(group, minlength=len(first))[listed],
        "photons": total[listed],
        "resolution": _resolution(data.experiment(place), node[listed]),
    }
    means = {"fast": fast + 0.5, "slow": slow + 0.5, "wavelength": wavelength[slow, fast] * 1e10}
    return found | {name: summed(values)[listed] / total[listed] for name, values in means.items()}


def _resolution(experiment: Experiment, node: np.ndarray) -> np.ndarray:
    """d-spacings (n,) in angstrom of the first lattice."""
    if not len(node):
        return np.empty(0)
    return 1e10 / np.linalg.norm(node @ np.array(experiment.lattice.star), axis=1)


def _labels(data: Dataset, truth: StoredTruth, place: int, least: float) -> Block:
    """One row; numbers of a crystal that is not there are NaN."""
    experiment, found = data.experiment(place), _found(data, truth, place, least)
    crystals, nodes = experiment.crystals, {*zip(*(found[name].tolist() for name in "hkl"), strict=True)}
    values = {
        "frame": data.frames[place],
        "hit": len(crystals) > 0,
        "lattices": len(crystals),
        "reflections": len(nodes),
        "resolution": found["resolution"].min() if nodes else np.nan,
        "photons": sum(_photons(truth, place, panel) for panel in range(data.panels)),
        "wavelength": experiment.beam.wavelength * 1e10,
        "fluence": experiment.beam.fluence,
    }
    values |= dict(zip((*CELL, *MATRIX), _cell_and_orientation(experiment), strict=True))
    return {name: np.array([values[name]], np.int64 if name in COUNTED else np.float64) for name in LABELS}


def _cell_and_orientation(experiment: Experiment) -> list[float]:
    """Angstrom, degrees and nine numbers of the first crystal."""
    if experiment.crystal is None:
        return [np.nan] * (len(CELL) + len(MATRIX))
    cell = np.array(experiment.crystal.cell)
    return [*cell[:3] * 1e10, *np.degrees(cell[3:]), *experiment.crystal.orientation.ravel()]


def _photons(truth: StoredTruth, place: int, panel: int) -> float:
    array = truth.arrays[0]
    return float(np.asarray(array[(place, panel)[: array.ndim - 2]]).sum(dtype=np.float64))


def _empty(names: tuple[str, ...], whole: tuple[str, ...]) -> Block:
    return {name: np.empty(0, np.int64 if name in whole else np.float64) for name in names}


def _joined(names: tuple[str, ...], blocks: Iterator[Block]) -> dict[str, np.ndarray]:
    some = list(blocks)
    return {name: np.concatenate([block[name] for block in some]) for name in names}
