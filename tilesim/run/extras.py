"""Outputs beyond those of the reference, and whether all outputs can be written."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tilesim.errors import InputError
from tilesim.io.reading import printable
from tilesim.io.replace import check_writable, is_special
from tilesim.nanobragg.command import Command


@dataclass(frozen=True)
class Extras:
    """Outputs beyond those of the reference."""

    zarr: str | None = None
    """Folder of the zarr store."""
    preview: str | None = None
    """PNG for the eye."""
    json: str | None = None
    """What was done, as JSON; "-" is standard output."""
    overwrite: bool = False
    """Whether an existing store may be replaced."""


def check_outputs(command: Command, extras: Extras) -> None:
    """Refuse before any work what could not, or must not, be written after it. Raises InputError or StoreError."""
    settings, fdump = command.settings, command.outputs.fdump_file
    cached = "K13" in command.corrections or (command.strict_c and settings.hkl_file is None)
    inputs = {
        os.path.realpath(name): flag
        for flag, name in (
            ("-mat", settings.matrix_file),
            ("-hkl", settings.hkl_file),
            ("-sourcefile", settings.source_file),
            ("-img", settings.image_file),
            ("-mask", settings.mask_file),
            ("-stol", settings.stol_file),
            ("-dump", settings.dump_file if cached else None),
        )
        if name is not None
    }
    files = [*command.outputs.named, extras.preview, extras.json if extras.json != "-" else None]
    seen: set[str] = set()
    for path in filter(None, [*files, extras.zarr, fdump]):
        real = os.path.realpath(path)
        if real in inputs and not is_special(path):
            raise InputError(f"{path} is the input of {inputs[real]}; expected another name for an output")
        if real in seen and not is_special(path):
            raise InputError(f"{path} is named for two outputs; expected a file of its own for each")
        seen.add(real)
    preview = extras.preview
    if preview is not None and not preview.lower().endswith(".png") and not is_special(preview):
        raise InputError(f"--preview {printable(preview)} would be a PNG; expected a name that ends in .png")
    for path in filter(None, files):
        check_writable(path)
    if extras.zarr is not None:
        from tilesim.store.create import check_target

        check_target(Path(os.path.realpath(extras.zarr)), command.experiment.digest, overwrite=extras.overwrite)


def extras_of(options: dict) -> Extras:
    """From the options of the command line."""
    return Extras(options["zarr"], options["preview"], options["json_file"], options["overwrite"])
