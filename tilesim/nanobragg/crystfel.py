"""Crystals of CrystFEL's files among nanoBragg's flags: --cell-file, --stream."""

from __future__ import annotations

from dataclasses import replace

from tilesim.errors import InputError
from tilesim.files.reading import printable
from tilesim.nanobragg.options import Options
from tilesim.nanobragg.settings import RTD, Settings
from tilesim.reflections.unitcell import read_cell


def with_cell_file(settings: Settings, options: Options) -> tuple[Settings, tuple[str, ...]]:
    """The settings with the cell of a file in place of -cell, and what to say of it.

    Raises InputError, also where flags name another crystal than an option does.
    """
    if options.stream is not None and not (settings.cell is None and settings.matrix_file is None):
        flag = "-mat" if settings.cell is None else "-cell"
        raise InputError(f"{flag} and --stream exclude each other; expected one crystal")
    if options.cell_file is None:
        return settings, ()
    if settings.cell is not None:
        raise InputError("-cell and --cell-file exclude each other; expected one of them")
    found, notes = read_cell(options.cell_file), []
    if found.centering != "P":
        notes.append(
            f"{printable(options.cell_file)} has centering {found.centering}, which extinguishes nothing by itself; "
            "structure factors say which reflections are absent"
        )
    cell = [*found.parameters[:3], *(x / RTD for x in found.parameters[3:])]
    return replace(settings, cell=cell), (*found.notes, *notes)
