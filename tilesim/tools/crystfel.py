"""What CrystFEL needs beside exported images: a geometry, a stream of the true crystals, a list of the events."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator

from tilesim.errors import InputError
from tilesim.files.inventory import NamedFile
from tilesim.files.replace import replacing
from tilesim.frozen import frozen
from tilesim.images.cxi import PLACES, has_mask
from tilesim.images.geom import DataPlaces, geom_lines
from tilesim.images.registry import Format
from tilesim.images.stills import Stills
from tilesim.images.truthstream import stream_lines

NXMX_PLACES = DataPlaces(
    "/entry/data/data",
    "wavelength = /entry/instrument/beam/incident_wavelength A",
    "/entry/instrument/detector/transformations/det_z",
    "",
    "/entry/instrument/detector/pixel_mask",
)
MARKS = {
    (Format.CXI, True): "flag_lessthan = 0",
    (Format.NXMX, True): "flag_morethan = 2147483645",
}
"""Lines on values that mark pixels without one, of whole numbers; NaN is bad by itself."""


@frozen
class Beside:
    """The files to write; None: not that one."""

    geom: str | None = None
    stream: str | None = None
    lst: str | None = None

    @property
    def outputs(self) -> tuple[NamedFile, ...]:
        """Their names, with the option of each."""
        named = (("--geom", self.geom), ("--stream", self.stream), ("--lst", self.lst))
        return tuple(NamedFile(option, name) for option, name in named if name is not None)

    def check(self, form: Format, gains_differ: bool = False) -> None:
        """Raise InputError where the images are not in a file that CrystFEL reads, or not in units that a .geom states.

        gains_differ  pixels have a gain or offset of their own
        """
        if self.outputs and form not in (Format.CXI, Format.NXMX):
            raise InputError(
                f"{self.outputs[0].label} goes with one file of all frames that CrystFEL reads; expected OUT.cxi or .h5"
            )
        if gains_differ and (self.geom is not None or self.stream is not None):
            raise InputError(
                f"{self.outputs[0].label}: a geometry states one gain (adu_per_photon), and pixels with --switching, "
                "--gain-map or --pedestal-map have their own; expected images in photons, or no --geom and no --stream"
            )


@frozen
class ExportedStills:
    """Images that were written."""

    path: str
    form: Format
    stills: Stills
    numbers: tuple[int, ...]
    whole: bool
    """The pixels are whole numbers"""
    per_photon: float
    command: str


def write_beside(beside: Beside, images: ExportedStills) -> list[str]:
    """Write the files and name them. Raises StoreError."""
    geometry = list(_geometry(images)) if beside.geom is not None or beside.stream is not None else []
    if beside.geom is not None:
        _write(beside.geom, geometry)
    if beside.stream is not None:
        name = _seen_from(beside.stream, images.path)
        _write(beside.stream, stream_lines(images.stills, geometry, name, images.numbers, images.command))
    if beside.lst is not None:
        name = _seen_from(beside.lst, images.path)
        _write(beside.lst, (f"{name} //{event}" for event in range(len(images.numbers))))
    return [one.path for one in beside.outputs]


def command_line(words: Iterable[str]) -> str:
    """A command line in one line."""
    return shlex.join(words).replace("\n", " ")


def _geometry(images: ExportedStills) -> Iterator[str]:
    stills = images.stills
    places = PLACES if images.form == Format.CXI else NXMX_PLACES
    if not has_mask(stills):
        places = DataPlaces(places.data, places.energy, places.distance, places.shift)
    marks = MARKS.get((images.form, images.whole))
    return geom_lines(stills, places, images.per_photon, marks)


def _seen_from(path: str, image: str) -> str:
    """The name of the images in a file that lies elsewhere."""
    return os.path.relpath(os.path.abspath(image), os.path.dirname(os.path.abspath(path)))


def _write(path: str, lines: Iterable[str]) -> None:
    with replacing(path) as file:
        for line in lines:
            file.write(f"{line}\n".encode("utf-8", "surrogateescape"))
