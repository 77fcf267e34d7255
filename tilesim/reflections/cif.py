"""Structure factors of a structure-factor CIF, as the Protein Data Bank keeps them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from tilesim.errors import InputError
from tilesim.files.libraries import need
from tilesim.files.reading import printable, quoted, read_text
from tilesim.reflections.columns import Column, amplitudes, choose, is_computed
from tilesim.reflections.merged import Reflections, merged
from tilesim.reflections.mtz import checked_cell, checked_indices, one_line

if TYPE_CHECKING:
    import gemmi

TYPES = {
    "F_meas_au": "F",
    "F_meas": "F",
    "F_calc_au": "F",
    "F_calc": "F",
    "pdbx_F_calc_with_solvent": "F",
    "pdbx_F_plus": "G",
    "pdbx_F_minus": "G",
    "pdbx_anom_difference": "D",
    "intensity_meas": "J",
    "F_squared_meas": "J",
    "intensity_calc": "J",
    "F_squared_calc": "J",
    "pdbx_I_plus": "K",
    "pdbx_I_minus": "K",
}
"""Items that can become structure factors, with the types that MTZ files give to such columns."""
PREFIX = "_refln."
UNKNOWN = ("?", ".")


def read_sf_cif(path: str | os.PathLike[str], column: str | None = None) -> Reflections:
    """Amplitudes of the item that `column` names, in the block that stands before it and a slash, else the first.

    Raises InputError.
    """
    library = need("gemmi", "reading CIF files")
    name, text = printable(path), read_text(path)
    with one_line(name, "a structure-factor CIF"):
        document = library.cif.read_string(text)
        if not any(block.find_loop(f"{PREFIX}index_h") for block in document):
            hint = "; a model goes to --model" if any(block.find_loop("_atom_site.id") for block in document) else ""
            raise InputError(f"{name}: expected a loop of {PREFIX}index_h, ..., found none{hint}")
        blocks = [b for b in library.as_refln_blocks(document) if b.is_merged()]
        if not blocks:
            raise InputError(f"{name} holds unmerged reflections; expected a loop of {PREFIX} with merged ones")
        block = next((b for b in blocks if (column or "").startswith(f"{b.block.name}/")), blocks[0])
        labels = block.column_labels()
        indices = np.asarray(block.make_miller_array()).reshape(-1, 3)
    if block.spacegroup is None:
        raise InputError(f"{name}: expected the space group (_symmetry.space_group_name_H-M), found none that is known")
    columns = [
        Column(label, TYPES[label], place, block.block.name, is_computed(label))
        for place, label in enumerate(labels)
        if label in TYPES
    ]
    wanted = None if column is None else ",".join(x.removeprefix(PREFIX) for x in column.split(","))
    choice = choose(name, columns, wanted)

    def values(column: Column) -> np.ndarray:
        with one_line(name, "a structure-factor CIF"):
            found = np.asarray(block.make_float_array(column.label))
            _check_unknown(name, column.label, found, block.block.find_values(PREFIX + column.label))
        return found

    plus, minus, notes = amplitudes(choice, values)
    return merged(
        checked_indices(name, indices),
        plus,
        minus,
        block.spacegroup,
        cell=checked_cell(name, block.cell),
        source=os.fspath(path),
        what=choice.text,
        notes=notes
        if len(blocks) == 1
        else (*notes, f"{name} holds {len(blocks)} blocks of reflections; {block.block.name} is taken"),
    )


def _check_unknown(name: str, label: str, values: np.ndarray, texts: gemmi.cif.Column) -> None:
    """Raise InputError where a value that did not become a number is not one that the file calls unknown."""
    for row in np.flatnonzero(np.isnan(values)).tolist():
        if texts[row] not in UNKNOWN:
            found = quoted(texts[row].encode())
            raise InputError(f"{name}: expected a number for {PREFIX}{label} of reflection {row + 1}, found {found}")
