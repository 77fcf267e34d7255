"""Outputs beyond those of the reference, and whether all outputs can be written."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tilesim.errors import InputError
from tilesim.io.reading import printable
from tilesim.io.replace import check_writable, is_special
from tilesim.nanobragg.command import Command
from tilesim.run.frames import Frame, file_names
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


def check_outputs(frames: Sequence[Frame], extras: Extras) -> None:
    """Refuse before any work what could not, or must not, be written after it. Raises InputError or StoreError."""
    command = frames[0].command
    inputs = {os.path.realpath(name): flag for frame in _distinct(frames) for flag, name in _inputs(frame.command)}
    files = [path for frame in frames for path in file_names(frame)]
    files += [extras.json] if extras.json not in (None, "-") else []
    seen: set[str] = set()
    folders = [extras.zarr] if extras.zarr is not None and "://" not in extras.zarr else []
    for path in (*files, *folders, *filter(None, (command.outputs.fdump_file,))):
        real = os.path.realpath(path)
        if real in inputs and not is_special(path):
            raise InputError(f"{path} is the input of {inputs[real]}; expected another name for an output")
        if real in seen and not is_special(path):
            raise InputError(f"{path} is named for two outputs; expected a file of its own for each")
        seen.add(real)
    for preview in filter(None, (frame.preview for frame in frames)):
        if not preview.lower().endswith(".png") and not is_special(preview):
            raise InputError(f"--preview {printable(preview)} would be a PNG; expected a name that ends in .png")
    for path in files:
        check_writable(path)


def _inputs(command: Command) -> Iterator[tuple[str, str]]:
    """Flags and names of the files that a command reads."""
    settings = command.settings
    cached = "K13" in command.corrections or (command.strict_c and settings.hkl_file is None)
    for flag, name in (
        ("-mat", settings.matrix_file),
        ("-hkl", settings.hkl_file),
        ("-sourcefile", settings.source_file),
        ("-img", settings.image_file),
        ("-mask", settings.mask_file),
        ("-stol", settings.stol_file),
        ("-dump", settings.dump_file if cached else None),
    ):
        if name is not None:
            yield flag, name


def _distinct(frames: Sequence[Frame]) -> Iterable[Frame]:
    """One frame of each command: those of a series read the same files."""
    return {frame.command.arguments: frame for frame in frames}.values()


def output_sizes(frames: Sequence[Frame], extras: Extras, plan: TilePlan) -> dict[str, int | None]:
    """Bytes of every output by its path, of a store at most; None for a picture or an account, which are small."""
    sizes: dict[str | None, int | None] = {}
    for frame in frames:
        outputs, pixels = frame.command.outputs, math.prod(frame.command.experiment.shape)
        sizes |= {
            outputs.float_file: 4 * pixels,
            outputs.int_file: SMV_HEADER + 2 * pixels,
            outputs.noise_file: SMV_HEADER + 2 * pixels,
            outputs.pgm_file: PGM_HEADER + pixels,
            frame.preview: None,
        }
    command = frames[0].command
    sizes |= {
        # The cache has a plane of zeros at the end of every axis.
        command.outputs.fdump_file: FDUMP_HEADER + 8 * math.prod(n + 1 for n in command.experiment.factors.grid.shape),
        extras.zarr: Layout.of_plan(plan).image_bytes,
        extras.json if extras.json != "-" else None: None,
    }
    return {path: size for path, size in sizes.items() if path is not None}


def short_disks(sizes: dict[str, int | None], hidden: tuple[str, int] | None) -> list[tuple[str, int, int]]:
    """Folders on disks with less room than the outputs need at most: (folder, bytes needed, bytes free).

    hidden  path and size of what is there only while the run lasts

    Files are built beside those that they replace, so nothing is saved by replacing.
    """
    needs = [(p, n) for p, n in sizes.items() if n is not None and "://" not in p and not is_special(p)]
    needs += [hidden] if hidden else []
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
