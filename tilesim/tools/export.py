"""Images to the files of other programs: which format, which frames, which names, and what got lost."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tilesim.errors import InputError
from tilesim.files.inventory import NamedFile, check_files
from tilesim.files.reading import printable
from tilesim.files.replace import all_together
from tilesim.files.templates import FIELD, check_template, fill, one_for_many
from tilesim.frozen import frozen
from tilesim.geometry.axes import Axes
from tilesim.images.banded import Bands
from tilesim.images.cbf import cbf_counts, write_cbf
from tilesim.images.counts import ADC_OFFSET, Counts, SameCounts, SmvCounts
from tilesim.images.cxi import cxi_counts, write_cxi
from tilesim.images.dataset import Dataset
from tilesim.images.edf import write_edf
from tilesim.images.expt import ModelImages, write_expt
from tilesim.images.facing import Facing, facing
from tilesim.images.flatfloat import float_files, write_float
from tilesim.images.nxmx import nxmx_counts, write_nxmx
from tilesim.images.packed import packed, packed_plain
from tilesim.images.pixels import Image, NumberImage, StackedImage
from tilesim.images.registry import STACKED, WHOLE_SERIES, Format
from tilesim.images.smv import SWAPPED, write_plain_smv, write_smv
from tilesim.images.stills import stills_of
from tilesim.images.tiff import write_tiff
from tilesim.model import Experiment
from tilesim.tools.crystfel import Beside, ExportedStills, command_line, write_beside

EXPORTED = tuple(form for form in Format if form not in (Format.STORE, Format.LST))
SIGNED_LIMIT = 2**31 - 1


@frozen
class Selection:
    """What to export, and how."""

    format: Format
    frames: tuple[int, ...]
    """Counted from 0"""
    panels: tuple[int, ...]
    scale: float | None = None
    """Factor of photons before they are rounded; None: nothing may be rounded"""
    offset: float | None = None
    """Added to SMV pixels; None: nothing to an image of counts, otherwise what nanoBragg adds"""
    axes: Axes = Axes.IMGCIF
    """Laboratory frame of the models"""
    expt: str | None = None
    """A file of models to write beside the images"""
    material: str | None = None
    """Material of the sensor, where the experiment does not state it"""
    beside: Beside = Beside()
    """Files for CrystFEL to write beside the images"""


@dataclass
class ExportResult:
    """What was written, and what the user should know of it."""

    files: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def export_images(
    data: Dataset, out: str, chosen: Selection, on_image: Callable[[], None] = lambda: None
) -> ExportResult:
    """Write `out`, in which {frame}, {image} (which is frame + 1) and {panel} are filled in; all files or none.

    on_image  called after every panel of every frame

    Raises InputError, StoreError.
    """
    names = _names(data, out, chosen)
    files = [one for name in names for one in float_files(name)] if chosen.format == Format.FLOAT else [*names]
    chosen.beside.check(chosen.format, data.gains_differ)
    outputs = [*(NamedFile("OUT", name) for name in files), *chosen.beside.outputs]
    check_files(data.inputs, [*outputs, *([NamedFile("--expt", chosen.expt)] if chosen.expt is not None else [])])
    writer = _Writer(data, chosen, on_image)
    with all_together():
        if chosen.format in (Format.NXMX, Format.CXI):
            writer.write_series(out)
        elif chosen.format == Format.EXPT:
            writer.write_models(out, None)
        else:
            for path, (frame, panels) in names.items():
                writer.write_image(path, frame, panels)
        if chosen.expt is not None:
            writer.write_models(chosen.expt, _images(data, chosen, out, names))
    result = writer.result
    noise = data.attributes.get("noise")
    if isinstance(noise, dict) and noise.get("switching") is not None:
        result.remarks.append("the pixels are words with a gain stage in their upper bits, not photons (docs/noise.md)")
    result.remarks = [*dict.fromkeys(result.remarks), *_counted(writer.counts)]
    return result


def _names(data: Dataset, out: str, chosen: Selection) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Each file with its frame and panels. Raises InputError where it cannot hold what its name stands for."""
    check_template("OUT", out, ("frame", "image", "panel"))
    names: dict[str, list[tuple[int, int]]] = {}
    for frame in chosen.frames:
        for panel in chosen.panels:
            names.setdefault(fill(out, data.frames[frame], panel), []).append((frame, panel))
    if chosen.format in WHOLE_SERIES:
        if len(names) > 1:
            raise InputError(f"{printable(out)}: one {chosen.format} file holds all frames; expected no braces")
        return {out: (chosen.frames[0], chosen.panels)}
    files = {name: ({f for f, _ in held}, tuple(p for _, p in held)) for name, held in names.items()}
    for frames, panels in files.values():
        if len(frames) > 1:
            raise one_for_many("OUT", out, len(frames), "frame", or_else=", or --frame N")
        if len(panels) > 1 and chosen.format not in STACKED:
            raise one_for_many("OUT", out, len(panels), "panel", or_else=", or --panel N")
    return {name: (min(frames), panels) for name, (frames, panels) in files.items()}


@dataclass
class _Writer:
    """Files while they are written, and what is said of them together."""

    data: Dataset
    chosen: Selection
    on_image: Callable[[], None]
    counts: list[Counts] = field(default_factory=list)
    result: ExportResult = field(default_factory=ExportResult)

    def write_image(self, path: str, frame: int, panels: tuple[int, ...]) -> None:
        """One panel of one frame, or several in one picture."""
        data, form = self.data, self.chosen.format
        images: list[Image] = [data.pixels(frame, panel) for panel in panels]
        image: Image = images[0] if len(images) == 1 else StackedImage(images)
        if form in (Format.FLOAT, Format.PNG):
            image = NumberImage(image)
        if form == Format.FLOAT:
            self.result.files += write_float(path, self._bands(image, len(panels)), self._sidecar(frame, panels))
            return
        self.result.files.append(path)
        if form in (Format.TIFF, Format.EDF):
            write = write_tiff if form == Format.TIFF else write_edf
            number = f"frame {data.frames[frame]}"
            number += f" panel {', '.join(map(str, panels))}" if data.panels > 1 else ""
            known = None if data.unknown else packed(self._view(frame, panels))
            write(path, self._bands(image, len(panels), self._whole(form, image)), number, known)
            return
        if form == Format.SMV and data.unknown and len(panels) == 1:
            self._write_plain_smv(path, image)
            return
        experiment = self._view(frame, panels)
        if form == Format.PNG:
            from tilesim.pictures.picture import draw_preview

            draw_preview(path, self._bands(image, len(panels)).bands(), experiment)
            return
        about = facing(experiment, 0, f"the header of {form}", panels[0])
        self._remark_on(about)
        if form == Format.CBF:
            self.counts.append(cbf_counts(self.chosen.scale))
            write_cbf(path, self._bands(image, 1, self.counts[-1]), about, experiment, self.chosen.material)
        else:
            if image.shape == SWAPPED:
                self.result.remarks.append(
                    "BEAM_CENTER_X and Y of SMV images of this size are in DIALS' convention for simulated images; "
                    "other programs need what the header states beside them, or another format (docs/export.md)"
                )
            write_smv(path, *self._smv_bands(image), experiment, about)

    def _write_plain_smv(self, path: str, image: Image) -> None:
        """An SMV file whose header states no geometry, because nobody does."""
        write_plain_smv(path, *self._smv_bands(image))
        self.result.remarks.append(f"the SMV header states no geometry: {self.data.unknown}")

    def _smv_bands(self, image: Image) -> tuple[Bands, float, float]:
        """The pixels of an SMV file, their offset and their scale."""
        added = self._added(image)
        self.counts.append(SmvCounts(self.chosen.scale, added))
        bands = self._bands(image, 1, self.counts[-1])
        return bands, added + (self.data.offset or 0.0), (self.chosen.scale or 1.0) * self.data.gain

    def write_series(self, out: str) -> None:
        """All frames and panels in one NXmx or CXI file, and what CrystFEL needs beside it."""
        data, frames, form = self.data, self.chosen.frames, self.chosen.format
        integer = self.chosen.scale is not None or data.pixels(frames[0], 0).dtype.kind in "iu"
        if integer:
            self.counts.append((nxmx_counts if form == Format.NXMX else cxi_counts)(self.chosen.scale))

        def image(index: int, panel: int) -> Bands:
            return self._bands(data.pixels(frames[index], panel), 1, self.counts[-1] if integer else None)

        notes = {**data.notes, "scale": self.chosen.scale or 1.0, "frames": [data.frames[frame] for frame in frames]}
        series = data.series.take(frames)
        stills = stills_of(series) if form == Format.CXI or self.chosen.beside.outputs else None
        if form == Format.NXMX:
            write_nxmx(out, series, image, material=self.chosen.material, notes=notes)
        elif stills is not None:
            write_cxi(out, series, stills, image, notes)
        self.result.files.append(out)
        if stills is not None and self.chosen.beside.outputs:
            made = command_line(map(str, notes.get("command_line") or ()))
            numbers = tuple(data.frames[frame] for frame in frames)
            per_photon = (self.chosen.scale or 1.0) * data.gain
            images = ExportedStills(out, form, stills, numbers, integer, per_photon, made)
            self.result.files += write_beside(self.chosen.beside, images)
            if data.offset:
                self.result.remarks.append(f"a dark pixel is {data.offset:g} in the images, which a .geom cannot say")

    def write_models(self, path: str, images: Callable[[str], ModelImages] | None) -> None:
        """The experiments for DIALS."""
        data, chosen = self.data, self.chosen
        pedestal = data.offset or 0.0
        if chosen.format == Format.SMV:
            pedestal += self._added(data.pixels(chosen.frames[0], chosen.panels[0]))
        trusted = {Format.SMV: (0.0, 65535.0 - pedestal), Format.CBF: (0.0, 2.0**31 - 3)}
        write_expt(
            path,
            data.series.take(chosen.frames),
            axes=chosen.axes,
            images=images and images(os.path.dirname(os.path.abspath(path))),
            trusted=trusted.get(chosen.format, (0.0, float(np.finfo(np.float32).max))),
            gain=(chosen.scale or 1.0) * data.gain,
            pedestal=pedestal,
        )
        self.result.files.append(path)

    def _bands(self, image: Image, images: int, counts: Counts | None = None) -> Bands:
        """The pixels on their way into a file; counted when they are through."""
        return _CountedBands(image, counts, self.on_image, images)

    def _view(self, frame: int, panels: tuple[int, ...]) -> Experiment:
        """The experiment of the panels in a file."""
        experiment = self.data.experiment(frame)
        return experiment.of_panel(panels[0]) if len(panels) == 1 else experiment

    def _added(self, image: Image) -> float:
        """What SMV pixels get in addition."""
        if self.chosen.offset is not None:
            return self.chosen.offset
        return 0.0 if self.data.offset is not None or image.dtype.kind in "iu" else ADC_OFFSET

    def _whole(self, form: Format, image: Image) -> Counts | None:
        """Signed 32-bit numbers where rounding was asked for; whole numbers as they are; None for floats."""
        if self.chosen.scale is None and image.dtype.kind == "f":
            return None
        if self.chosen.scale is None:
            self.counts.append(SameCounts(image.dtype))
            return self.counts[-1]
        what = f"{form} with --round or --scale"
        self.counts.append(Counts(what, self.chosen.scale, "<i4", -SIGNED_LIMIT - 1, SIGNED_LIMIT, -1))
        return self.counts[-1]

    def _sidecar(self, frame: int, panels: tuple[int, ...]) -> dict[str, Any]:
        """What a float file cannot say itself."""
        data = self.data
        about = {"units": data.units, "frame": data.frames[frame], "panels": list(panels), **data.notes}
        return about if data.unknown else {**about, **packed_plain(self._view(frame, panels))}

    def _remark_on(self, about: Facing) -> None:
        if not about.simple:
            self.result.remarks.append(
                f"a {self.chosen.format} header states distance and beam centre only: readers take the detector to "
                "face the beam, with the spindle along fast; --expt writes the true geometry beside it"
            )


@frozen
class _CountedBands(Bands):
    """Bands that say when an image is through."""

    on_image: Callable[[], None] = lambda: None
    images: int = 1

    def bands(self) -> Iterator[tuple[int, np.ndarray]]:
        yield from super().bands()
        for _ in range(self.images):
            self.on_image()


def _images(data: Dataset, chosen: Selection, out: str, names: dict[str, Any]) -> Callable[[str], ModelImages] | None:
    """Where the models say that the images are, relative to a folder; None where no one file is a frame."""
    one_by_one = chosen.format in (Format.SMV, Format.CBF) and len(chosen.panels) == 1
    if chosen.format != Format.NXMX and not one_by_one:
        return None

    def relative(path: str, folder: str) -> str:
        return os.path.relpath(os.path.abspath(path), folder)

    def images(folder: str) -> ModelImages:
        if chosen.format == Format.NXMX:
            return ModelImages((relative(out, folder),))
        paths = tuple(relative(path, folder) for path in names)
        fields = [m for m in FIELD.finditer(out) if m[1] != "panel"]
        template, first = None, 1
        if len(fields) == 1:
            first = data.frames[chosen.frames[0]] + (fields[0][1] == "image")
            hashes = "#" * int(fields[0][2] or 1)
            template = relative(fill(out.replace(fields[0][0], hashes), 0, chosen.panels[0]), folder)
        return ModelImages(paths, template, first)

    return images


def _counted(counts: Sequence[Counts]) -> list[str]:
    """What was cut off or missing in all images together."""
    if not counts:
        return []
    total = counts[0]
    for other in counts[1:]:
        total.cut += other.cut
        total.gaps += other.gaps
    return total.remarks()
