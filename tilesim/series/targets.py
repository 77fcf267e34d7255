"""Whether all outputs of a run can be written, and how large they are."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator, Sequence

from tilesim.errors import InputError
from tilesim.files.reading import printable
from tilesim.files.replace import check_writable, is_special
from tilesim.nanobragg.command import Command
from tilesim.series.frames import Frames
from tilesim.store.layout import Layout
from tilesim.tiling.plan import TilePlan

SMV_HEADER, PGM_HEADER, FDUMP_HEADER = 512, 64, 72
"""Bytes, at most for the last two."""


def check_outputs(frames: Frames | Sequence[Frames], zarr: str | None, json: str | None = None) -> None:
    """Refuse before any work what could not, or must not, be written after it. Raises InputError or StoreError.

    frames  all of a job, in one group or several
    zarr    the store as the user named it
    json    the summary; "-" is standard output
    """
    groups = [frames] if isinstance(frames, Frames) else frames
    commands = [command for group in groups for command in group.commands]
    inputs = {os.path.realpath(name): flag for command in commands for flag, name in _inputs(command)}
    files = [path for group in groups for place in range(len(group)) for path in group.files(place).named]
    files += [json] if json is not None and json != "-" else []
    seen: set[str] = set()
    folders = [zarr] if zarr is not None and "://" not in zarr else []
    caches = {command.cache_file for command in commands if command.cache_file is not None}
    for path in (*files, *folders, *caches):
        real = os.path.realpath(path)
        if real in inputs and not is_special(path):
            raise InputError(f"{path} is the input of {inputs[real]}; expected another name for an output")
        if real in seen and not is_special(path):
            raise InputError(f"{path} is named for two outputs; expected a file of its own for each")
        seen.add(real)
    for preview in filter(None, {group.outputs.preview for group in groups}):
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


def output_sizes(frames: Frames, plan: TilePlan, zarr: str | None, json: str | None) -> dict[str, int | None]:
    """Bytes of every output by its path, of a store at most; None for a picture or a summary, which are small."""
    sizes: dict[str | None, int | None] = {}
    pixels = math.prod(plan.image)
    for place in range(len(frames)):
        outputs = frames.files(place)
        sizes |= {
            outputs.float_file: 4 * pixels,
            outputs.int_file: SMV_HEADER + 2 * pixels,
            outputs.noise_file: SMV_HEADER + 2 * pixels,
            outputs.pgm_file: PGM_HEADER + pixels,
            outputs.preview: None,
        }
    for command in frames.commands:
        # The cache has a plane of zeros at the end of every axis.
        points = math.prod(n + 1 for n in command.experiment.factors.grid.shape)
        sizes[command.cache_file] = FDUMP_HEADER + 8 * points
    sizes |= {zarr: Layout.of_plan(plan).image_bytes, json if json != "-" else None: None}
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
