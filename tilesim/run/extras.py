"""Outputs beyond those of the reference, and whether all outputs can be written."""

from __future__ import annotations

import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tilesim.errors import InputError
from tilesim.io.reading import printable
from tilesim.io.replace import check_writable, is_special
from tilesim.nanobragg.command import Command
from tilesim.store.layout import Layout
from tilesim.tiling.plan import TilePlan

SMV_HEADER, PGM_HEADER, FDUMP_HEADER = 512, 64, 72
"""Bytes, at most for the last two."""


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


def output_sizes(command: Command, extras: Extras, plan: TilePlan) -> dict[str, int | None]:
    """Bytes of every output by its path; None for a picture or an account, which are small."""
    outputs, pixels = command.outputs, math.prod(command.experiment.shape)
    sizes: dict[str | None, int | None] = {
        outputs.float_file: 4 * pixels,
        outputs.int_file: SMV_HEADER + 2 * pixels,
        outputs.noise_file: SMV_HEADER + 2 * pixels,
        outputs.pgm_file: PGM_HEADER + pixels,
        # The cache has a plane of zeros at the end of every axis.
        outputs.fdump_file: FDUMP_HEADER + 8 * math.prod(n + 1 for n in command.experiment.factors.grid.shape),
        extras.zarr: Layout.of_plan(plan).image_bytes,
        extras.preview: None,
        extras.json if extras.json != "-" else None: None,
    }
    return {path: size for path, size in sizes.items() if path is not None}


def short_disks(command: Command, extras: Extras, sizes: dict[str, int | None]) -> list[tuple[str, int, int]]:
    """Folders on disks with less room than the outputs need: (folder, bytes needed, bytes free).

    Outputs are built beside the files that they replace, so nothing is saved by replacing.
    """
    needs = [(path, size) for path, size in sizes.items() if size is not None and not is_special(path)]
    hidden = command.outputs.float_file is None and (command.outputs.named or extras.preview)
    if hidden:
        # The float image that the others are made from.
        beside = command.outputs.named[0] if command.outputs.named else extras.preview
        needs.append((beside, 4 * math.prod(command.experiment.shape)))
    disks: dict[int, tuple[str, int]] = {}
    for path, size in needs:
        folder = os.path.dirname(os.path.realpath(path))
        # Only the cache's may be missing, which a run takes lightly.
        if not os.path.isdir(folder):
            continue
        device = os.stat(folder).st_dev
        first, total = disks.get(device, (folder, 0))
        disks[device] = (first, total + size)
    found = ((folder, total, shutil.disk_usage(folder).free) for folder, total in disks.values())
    return [(folder, total, free) for folder, total, free in found if free < total]


def extras_of(options: dict) -> Extras:
    """From the options of the command line."""
    return Extras(options["zarr"], options["preview"], options["json_file"], options["overwrite"])
