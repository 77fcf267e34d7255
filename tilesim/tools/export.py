"""Finished images to the files of other programs: which format, which frames, which names, and what got lost."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tilesim.errors import InputError
from tilesim.formats.axes import Axes
from tilesim.formats.banded import Bands, Stacked
from tilesim.formats.cbf import cbf_counts, write_cbf
from tilesim.formats.counts import ADC_OFFSET, Counts, SmvCounts
from tilesim.formats.edf import write_edf
from tilesim.formats.expt import Images, write_expt
from tilesim.formats.flatfloat import write_float
from tilesim.formats.header import Facing, facing
from tilesim.formats.nxmx import nxmx_counts, write_nxmx
from tilesim.formats.pixels import Image
from tilesim.formats.smv import write_smv
from tilesim.formats.tiff import write_tiff
from tilesim.io.reading import printable
from tilesim.io.replace import all_together, check_writable
from tilesim.model.serial import to_plain
from tilesim.tools.names import FIELD, Format, fill
from tilesim.tools.source import Source

EXPORTED = tuple(form for form in Format if form != Format.STORE)
WHOLE_SERIES = (Format.NXMX, Format.EXPT)
"""Formats of which one file holds all frames and panels."""
STACKED = (Format.FLOAT, Format.TIFF, Format.EDF, Format.PNG)
"""Formats whose files may hold the panels of a frame one below the other, as `tilesim run` writes them."""
SIGNED_LIMIT = 2**31 - 1


@dataclass(frozen=True)
class Wanted:
    """How to export."""

    format: Format
    frames: tuple[int, ...]
    panels: tuple[int, ...]
    scale: float | None = None
    """What photons are multiplied by before they are rounded; None: nothing may be rounded."""
    offset: float | None = None
    """Added to SMV pixels; None: nothing to an image of counts, otherwise what nanoBragg adds."""
    axes: Axes = Axes.IMGCIF
    """Of the models."""
    expt: str | None = None
    """A file of models to write beside the images."""
    material: str = "Si"
    """Of the sensor."""


@dataclass
class Exported:
    """What was written, and what the user should know of it."""

    files: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def export(source: Source, out: str, wanted: Wanted) -> Exported:
    """Write `out`, in which {frame}, {image} (which is frame + 1) and {panel} are filled in; all files or none.

    Raises InputError, StoreError.
    """
    names = _names(out, wanted)
    for path in (*names, *filter(None, (wanted.expt,))):
        check_writable(path)
    done = Exported()
    counts: list[Counts] = []
    with all_together():
        if wanted.format == Format.NXMX:
            _export_nxmx(source, out, wanted, counts)
            done.files.append(out)
        elif wanted.format == Format.EXPT:
            _export_models(source, out, wanted, None)
            done.files.append(out)
        else:
            for path, (frame, panels) in names.items():
                done.files += _export_image(source, path, frame, panels, wanted, counts, done.remarks)
        if wanted.expt is not None:
            _export_models(source, wanted.expt, wanted, _images(wanted, out, names))
            done.files.append(wanted.expt)
    done.remarks = [*dict.fromkeys(done.remarks), *_counted(counts)]
    return done


def _names(out: str, wanted: Wanted) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Each file with its frame and panels. Raises InputError where it cannot hold what its name stands for."""
    if "{" in FIELD.sub("", out) or "}" in FIELD.sub("", out):
        raise InputError(
            f"{printable(out)}: expected {{frame}}, {{image}} or {{panel}} in braces, with a width as in {{frame:05d}}"
        )
    names: dict[str, list[tuple[int, int]]] = {}
    for frame in wanted.frames:
        for panel in wanted.panels:
            names.setdefault(fill(out, frame, panel), []).append((frame, panel))
    if wanted.format in WHOLE_SERIES:
        if len(names) > 1:
            raise InputError(f"{printable(out)}: one {wanted.format} file holds all frames; expected no braces")
        return {out: (wanted.frames[0], wanted.panels)}
    files = {name: ({f for f, _ in held}, tuple(p for _, p in held)) for name, held in names.items()}
    for frames, panels in files.values():
        if len(frames) > 1:
            raise _too_many(out, "frame", len(frames))
        if len(panels) > 1 and wanted.format not in STACKED:
            raise _too_many(out, "panel", len(panels))
    return {name: (min(frames), panels) for name, (frames, panels) in files.items()}


def _too_many(out: str, kind: str, count: int) -> InputError:
    stem, suffix = os.path.splitext(out)
    return InputError(
        f"{printable(out)} is one file for {count} {kind}s; expected a name with {{{kind}}}, such as "
        f"{stem}_{{{kind}:05d}}{suffix}, or --{kind} N"
    )


def _export_image(
    source: Source,
    path: str,
    frame: int,
    panels: tuple[int, ...],
    wanted: Wanted,
    counts: list[Counts],
    remarks: list[str],
) -> tuple[str, ...]:
    """One panel of one frame, or several in one picture; the files that were written."""
    form, images = wanted.format, [source.image(frame, panel) for panel in panels]
    image = images[0] if len(images) == 1 else Stacked(images)
    if form == Format.FLOAT:
        return write_float(path, Bands(image), _sidecar(source, frame, panels))
    if form in (Format.TIFF, Format.EDF):
        write = write_tiff if form == Format.TIFF else write_edf
        number = f"frame {frame}" + (f" panel {', '.join(map(str, panels))}" if source.panels > 1 else "")
        write(path, Bands(image, _whole(wanted, f"{form} with --round or --scale", counts)), number)
        return (path,)
    experiment = source.experiment(frame)
    if form == Format.PNG:
        from tilesim.preview.picture import draw_preview

        shown = experiment.of_panel(panels[0]) if len(panels) == 1 else experiment
        draw_preview(path, Bands(image).bands(), shown)
        return (path,)
    [panel] = panels
    about = facing(experiment, panel, f"the header of {form}")
    _remark_on(about, form, remarks)
    if form == Format.CBF:
        counts.append(cbf_counts(wanted.scale))
        write_cbf(path, Bands(image, counts[-1]), about, source.exposure.seconds, wanted.material)
    else:
        added = _added(source, image, wanted)
        counts.append(SmvCounts(wanted.scale, added))
        scale = (wanted.scale or 1.0) * source.gain
        write_smv(path, Bands(image, counts[-1]), experiment, about, added + (source.offset or 0.0), scale)
    return (path,)


def _added(source: Source, image: Image, wanted: Wanted) -> float:
    """What SMV pixels get in addition."""
    if wanted.offset is not None:
        return wanted.offset
    return 0.0 if source.offset is not None or image.dtype.kind in "iu" else ADC_OFFSET


def _whole(wanted: Wanted, what: str, counts: list[Counts]) -> Counts | None:
    """Signed 32-bit numbers where rounding was asked for."""
    if wanted.scale is None:
        return None
    counts.append(Counts(what, wanted.scale, "<i4", -SIGNED_LIMIT - 1, SIGNED_LIMIT, -1))
    return counts[-1]


def _export_nxmx(source: Source, out: str, wanted: Wanted, counts: list[Counts]) -> None:
    integer = wanted.scale is not None or source.image(wanted.frames[0], 0).dtype.kind in "iu"
    if integer:
        counts.append(nxmx_counts(wanted.scale))

    def image(index: int, panel: int) -> Bands:
        return Bands(source.image(wanted.frames[index], panel), counts[-1] if integer else None)

    write_nxmx(
        out,
        [source.experiment(frame) for frame in wanted.frames],
        image,
        material=wanted.material,
        exposure=source.exposure,
        notes={**source.notes, "scale": wanted.scale or 1.0, "frames": list(wanted.frames)},
    )


def _export_models(source: Source, path: str, wanted: Wanted, images: Callable[[str], Images] | None) -> None:
    experiments = [source.experiment(frame) for frame in wanted.frames]
    pedestal = source.offset or 0.0
    if wanted.format == Format.SMV:
        pedestal += _added(source, source.image(wanted.frames[0], wanted.panels[0]), wanted)
    trusted = {Format.SMV: (0.0, 65535.0 - pedestal), Format.CBF: (0.0, 2.0**31 - 3)}
    write_expt(
        path,
        experiments,
        axes=wanted.axes,
        images=images and images(os.path.dirname(os.path.abspath(path))),
        exposure=source.exposure.seconds,
        trusted=trusted.get(wanted.format, (0.0, float(np.finfo(np.float32).max))),
        gain=(wanted.scale or 1.0) * source.gain,
        pedestal=pedestal,
    )


def _images(wanted: Wanted, out: str, names: dict) -> Callable[[str], Images] | None:
    """Where the models say that the images are, relative to a folder; None where no one file is a frame."""
    one_by_one = wanted.format in (Format.SMV, Format.CBF) and len(wanted.panels) == 1
    if wanted.format != Format.NXMX and not one_by_one:
        return None

    def relative(path: str, folder: str) -> str:
        return os.path.relpath(os.path.abspath(path), folder)

    def images(folder: str) -> Images:
        if wanted.format == Format.NXMX:
            return Images((relative(out, folder),))
        paths = tuple(relative(path, folder) for path in names)
        fields = [m for m in FIELD.finditer(out) if m[1] != "panel"]
        template, first = None, 1
        if len(fields) == 1:
            first = wanted.frames[0] + (fields[0][1] == "image")
            hashes = "#" * int(fields[0][2] or 1)
            template = relative(fill(out.replace(fields[0][0], hashes), 0, wanted.panels[0]), folder)
        return Images(paths, template, first)

    return images


def _remark_on(about: Facing, form: Format, remarks: list[str]) -> None:
    if not about.simple:
        remarks.append(
            f"a {form} header tells distance and beam centre only: readers take the detector to face the beam, with "
            "the spindle along fast; --expt writes the true geometry beside it"
        )


def _counted(counts: Sequence[Counts]) -> list[str]:
    """What was cut off or missing in all images together."""
    if not counts:
        return []
    total = counts[0]
    for other in counts[1:]:
        total.cut += other.cut
        total.gaps += other.gaps
    return total.remarks()


def _sidecar(source: Source, frame: int, panels: tuple[int, ...]) -> dict:
    """What a float file cannot say itself."""
    about = {"units": "photons/pixel", "frame": frame, "panels": list(panels), **source.notes}
    if source.first is None or (source.varied and frame):
        return about
    here = source.experiment(frame)
    return {**about, "experiment": {**here.to_dict(), **about.get("experiment", {}), "scan": to_plain(here.scan)}}
