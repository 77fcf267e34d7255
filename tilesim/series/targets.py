"""Whether all outputs of a run can be written, and how large they are."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence

from tilesim.compute import MOMENTS
from tilesim.errors import InputError
from tilesim.files.inventory import NamedFile, check_files
from tilesim.files.outputs import FILES
from tilesim.files.reading import printable
from tilesim.files.replace import hidden_place, is_special
from tilesim.nanobragg.inputs import files_read
from tilesim.series.frames import Frames
from tilesim.store.layout import Layout
from tilesim.tiling.plan import TilePlan

SMV_HEADER, PGM_HEADER, FDUMP_HEADER = 512, 64, 72
"""Bytes, at most for the last two."""


def check_outputs(
    frames: Frames | Sequence[Frames],
    zarr: str | Sequence[str] | None,
    json: str | None = None,
    read: Iterable[NamedFile] = (),
) -> None:
    """Refuse before any work what could not, or must not, be written after it. Raises InputError or StoreError.

    frames  all of a job, in one group or several
    zarr    the store as the user named it, or several
    json    the summary; "-" is standard output
    read    files that are read besides those of the command lines
    """
    groups = [frames] if isinstance(frames, Frames) else frames
    commands = [command for group in groups for command in group.commands]
    names = [NamedFile(option, path) for group in groups for option, path in _files(group)]
    names += json_output(json)
    caches = dict.fromkeys(command.cache_file for command in commands if command.cache_file is not None)
    # What is made of one image goes through no store; that of others lies beside the first file and goes in the end.
    hidden = [hidden_place(group.files(0).named[0]) for group in groups if group.outputs.named]
    stores = [zarr] if isinstance(zarr, str) else zarr or hidden
    check_files(
        [*read, *(one for command in commands for one in files_read(command))],
        names,
        # Where the cache cannot be written, that is a warning.
        [*(NamedFile("--zarr", name) for name in stores), *(NamedFile("-dump", name) for name in caches)],
    )
    for preview in filter(None, {group.outputs.preview for group in groups}):
        if not preview.lower().endswith(".png") and not is_special(preview):
            raise InputError(f"--preview {printable(preview)} would be a PNG; expected a name that ends in .png")


def json_output(json: str | None) -> list[NamedFile]:
    """The file of --json, if it is one."""
    return [] if json is None or json == "-" else [NamedFile("--json", json)]


def _files(group: Frames) -> Iterator[tuple[str, str]]:
    """Option and name of every file of every frame."""
    for place in range(len(group)) if group.outputs.named else ():
        outputs = group.files(place)
        yield from ((option, getattr(outputs, field)) for field, option in FILES.items() if getattr(outputs, field))


def stored_bytes(plan: TilePlan, truth: bool = False) -> int:
    """Bytes of the tiles of a store at most, those of the truth beside the image included."""
    return Layout.of_plan(plan).image_bytes * (1 + MOMENTS if truth else 1)


def output_sizes(
    frames: Frames, plan: TilePlan, zarr: str | None, json: str | None, truth: bool = False
) -> dict[str, int | None]:
    """Bytes of every output by its path, of a store at most; None for a picture or a summary, which are small.

    truth  whether the store has the truth beside the image
    """
    sizes: dict[str | None, int | None] = {}
    pixels = math.prod(plan.image)
    for place in range(len(frames)) if frames.outputs.named else ():
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
    sizes |= {zarr: stored_bytes(plan, truth), json if json != "-" else None: None}
    return {path: size for path, size in sizes.items() if path is not None}


def short_disks(sizes: dict[str, int | None], hidden: tuple[str, int] | None) -> list[tuple[str, int, int]]:
    """Folders on disks with less room than the outputs need at most: (folder, bytes needed, bytes free).

    hidden  path and size of what is there only while the run lasts

    Files are built beside those that they replace, so nothing is saved by replacing.
    """
    from shutil import disk_usage

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
    found = ((folder, total, disk_usage(folder).free) for folder, total in disks.values())
    return [(folder, total, free) for folder, total, free in found if free < total]
