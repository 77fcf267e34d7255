"""The files that a nanoBragg command line reads."""

from __future__ import annotations

from collections.abc import Iterator

from tilesim.files.inventory import NamedFile
from tilesim.files.linked import linked_files
from tilesim.nanobragg.command import Command
from tilesim.nanobragg.crystal import size_file
from tilesim.nanobragg.options import split_options
from tilesim.reflections.byenergy import OPTION, read_energy_list
from tilesim.reflections.fpfdp import files_by_element
from tilesim.spectra.choice import SpectrumRequest

FILES = {
    "-mat": "matrix_file",
    "-hkl": "hkl_file",
    "-sourcefile": "source_file",
    "-img": "image_file",
    "-mask": "mask_file",
    "-stol": "stol_file",
}
"""Flags that name a file to read, and the field of the settings of each."""


def files_read(command: Command) -> tuple[NamedFile, ...]:
    """The files that a resolved command line has read, with the flag or option of each."""
    return tuple(NamedFile(flag, name) for flag, name in _read(command) if name is not None)


def _read(command: Command) -> Iterator[tuple[str, str | None]]:
    settings = command.settings
    yield from ((flag, getattr(settings, field)) for flag, field in FILES.items())
    if "K13" in command.corrections or (command.strict_c and settings.hkl_file is None):
        yield "-dump", settings.dump_file
    _, options = split_options(command.arguments, False)
    yield "--model", options.model
    yield "--mosaic-matrices", options.mosaic_matrices
    yield "--domain-sizes", size_file(options)
    yield "--lattices", options.lattices
    if options.fp_fdp is not None:
        yield from (("--fp-fdp", path) for _, path in files_by_element(options.fp_fdp))
    if options.hkl_by_energy is not None:
        yield OPTION, options.hkl_by_energy
        yield from ((OPTION, one.path) for one in read_energy_list(options.hkl_by_energy))
    yield "--cell-file", options.cell_file
    yield "--stream", options.stream
    yield "--geometry", options.geometry
    if options.spectrum is not None and SpectrumRequest(options.spectrum).generator is None:
        yield from (("--spectrum", name) for name in (options.spectrum, *linked_files(options.spectrum)))
    if options.geometry is not None:
        yield from (("--geometry", name) for name in linked_files(options.geometry))
