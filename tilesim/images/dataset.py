"""Datasets: pixels and their experiments, of a store or any image file (opening.py)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tilesim.errors import InputError
from tilesim.files.inventory import NamedFile
from tilesim.files.linked import linked_files
from tilesim.files.reading import printable
from tilesim.frozen import frozen
from tilesim.images.absent import outside
from tilesim.images.flatfloat import sidecar_of
from tilesim.images.image import open_image
from tilesim.images.pixels import Image, ImagePart, MaskedImage, NumberImage, StackedImage, check_number
from tilesim.images.registry import Format
from tilesim.images.stored import StoredImage
from tilesim.model import Experiment, Series, checks
from tilesim.model.noun import counted
from tilesim.store.store import Store

if TYPE_CHECKING:
    import dask.array
    import xarray

CHUNK = 2048
"""Edge of a chunk of a lazy image, pixels, where the file has none of its own."""
KEPT = ("digest", "command_line", "strict_c", "corrections", "seeds", "versions", "noise", "source")
"""What a store says of the origin of its images, for the files that are made of it."""


@frozen(eq=False, repr=False)
class Dataset:
    """The images of a store or an image file, with the experiment of every frame where it is known.

    >>> import tilesim
    >>> data = tilesim.open("series.zarr")          # doctest: +SKIP
    >>> data.image(3)[:100, :100].compute()          # doctest: +SKIP
    >>> data.experiment(3).beam.wavelength           # doctest: +SKIP
    """

    path: str
    """As the user wrote it"""
    format: Format
    """Format of the store or file"""
    shape: tuple[int, int]
    """Pixels (slow, fast) of a panel"""
    panels: int
    """Panels of the detector"""
    frames: tuple[int, ...]
    """Number of every frame; those of a file count from 0"""
    store: Store | None = None
    """The store, where it is one"""
    stated: Series | str = ""
    """Experiments of the frames of a file, or why they are not known"""
    exact: bool = True
    """Whether the experiments are exactly those that were simulated: tilesim kept them"""
    stacked: bool = False
    """Whether the file has the panels of a frame one below the other in one image, as `tilesim run` writes them"""
    warnings: tuple[str, ...] = ()
    """One line each: what was said of the experiments beside the file"""
    beside: Mapping[str, Any] = field(default_factory=dict)
    """What the caller knows of the origin of the pixels"""
    read: tuple[NamedFile, ...] = ()
    """Files that the caller read for the experiments"""
    listed: tuple[tuple[Dataset, int], ...] = ()
    """File of every frame and the place in it, where this is a list of them"""

    def __len__(self) -> int:
        """Frames."""
        return len(self.frames)

    def place(self, number: int) -> int:
        """Where the frame of a number stands, counted from 0. Raises InputError where there is none."""
        if number not in self.frames:
            first, last = self.frames[0], self.frames[-1]
            expected = f"0 to {last}" if self.frames == tuple(range(last + 1)) else f"one of {_ranges(self.frames)}"
            raise InputError(
                f"{printable(self.path)}: there is no frame {number}; expected {first if first == last else expected}"
            )
        return self.frames.index(number)

    @cached_property
    def inputs(self) -> tuple[NamedFile, ...]:
        """The store or file, what it links to, what lies beside it, and what was read for its experiments."""
        names = [self.path, *linked_files(self.path)]
        names += [sidecar_of(self.path)] if self.format == Format.FLOAT else []
        files = {id(one): one for one, _ in self.listed}.values()
        return (*(NamedFile("IN", name) for name in names), *(file for one in files for file in one.inputs), *self.read)

    # --- experiments

    @cached_property
    def series(self) -> Series:
        """The experiments of all frames. Raises InputError where they are not known, saying what is missing."""
        if isinstance(self.stated, Series):
            return self.stated
        why = self.stated
        if self.store is not None and not why:
            try:
                return checked(self.store.series, self.path, self.shape, self.panels)
            except InputError as error:
                why = str(error).removeprefix(f"{self.store.name}: ").partition("; expected")[0]
        raise InputError(
            f"{printable(self.path)} does not state the geometry: {why}; expected --geometry FILE, or nanoBragg "
            "flags behind --, such as: -- -mat A.mat -lambda 1 -distance 100 -pixel 0.1"
        )

    @property
    def unknown(self) -> str:
        """Why the experiments are not known; nothing where they are."""
        try:
            self.series  # noqa: B018
        except InputError as error:
            return str(error)
        return ""

    def experiment(self, frame: int) -> Experiment:
        """The experiment of a frame, counted from 0. Raises InputError where it is not known."""
        check_number(self.path, "frame", frame, len(self))
        return self.series[frame]

    # --- pixels

    def pixels(self, frame: int, panel: int | None = 0) -> Image:
        """One panel of a frame, read where it is wanted; None stacks all panels along the slow axis.

        Numbers as they are stored; `absent` of the image says which of them are none.
        """
        return self.masked(self._stored(frame, panel), frame, panel)

    def numbers(self, frame: int, panel: int | None = 0) -> Image:
        """The same as floats, NaN where a pixel has no value."""
        return NumberImage(self.pixels(frame, panel))

    def masked(self, image: Image, frame: int, panel: int | None = 0) -> Image:
        """An image of a panel of a frame, which has no value where the experiment says so."""
        where = self.outside(frame, panel)
        return image if where is None else MaskedImage(image, where)

    def outside(self, frame: int, panel: int | None = 0) -> np.ndarray | None:
        """Where (slow, fast) the experiment says that there is no value: mask and region; None for nowhere."""
        where = None if self.unknown else self._outside(frame if self._varied else 0)
        if where is not None and panel is not None:
            heights = [one.shape[0] for one in self.series.base.detector.panels]
            where = where[sum(heights[:panel]) : sum(heights[: panel + 1])]
        return where if where is not None and where.any() else None

    @cached_property
    def _varied(self) -> bool:
        """Whether frames may differ in what is masked."""
        return any(name.startswith(("sampling", "detector", "mask")) for name in self.series.columns)

    def _outside(self, frame: int) -> np.ndarray | None:
        """Where the experiment says that there is no value; that of one frame is kept."""
        kept = self._kept.get("outside")
        if kept is None or kept[0] != frame:
            kept = self._kept["outside"] = (frame, outside(self.experiment(frame)))
        return kept[1]

    @cached_property
    def _kept(self) -> dict[str, tuple[int, np.ndarray | None]]:
        return {}

    def _stored(self, frame: int, panel: int | None) -> Image:
        check_number(self.path, "frame", frame, len(self))
        if panel is not None:
            check_number(self.path, "panel", panel, self.panels)
        if self.listed:
            own, place = self.listed[frame]
            return own._stored(place, panel)
        if self.store is not None:
            return StoredImage(self.store, frame, panel)
        slow, fast = self.shape
        if self.stacked:
            whole = open_image(self.path, shape=(self.panels * slow, fast), frame=frame)
            return whole if panel is None else ImagePart(whole, slice(panel * slow, (panel + 1) * slow))
        numbers = range(self.panels) if panel is None else (panel,)
        images = [open_image(self.path, shape=self.shape, frame=frame, panel=number) for number in numbers]
        return images[0] if len(images) == 1 else StackedImage(images)

    def image(self, frame: int, panel: int | None = None) -> dask.array.Array:
        """A frame as a lazy dask array: (slow, fast), or (panel, slow, fast) of several panels unless one is named.

        Nothing is read before it is computed. Raises InputError where there is no such frame.
        """
        numbers = range(self.panels) if panel is None else (panel,)
        images = [_lazy(self.pixels(frame, number)) for number in numbers]
        return images[0] if len(images) == 1 else _stacked(images)

    def xarray(self) -> xarray.Dataset:
        """All frames as one lazy xarray Dataset with the variable `intensity` and a coordinate for all that varies."""
        import xarray

        if self.store is not None:
            found: xarray.Dataset = xarray.open_zarr(self.store.files, group="0", chunks={}, consolidated=False)
            return found
        frames = _stacked([self.image(frame) for frame in range(len(self))])
        dimensions = ("frame", "slow", "fast") if self.panels == 1 else ("frame", "panel", "slow", "fast")
        intensity = xarray.Variable(dimensions, frames, {"units": self.units})
        return xarray.Dataset({"intensity": intensity}, {"frame": list(self.frames)})

    # --- what the numbers are

    @property
    def attributes(self) -> dict[str, Any]:
        """What a store says of itself; empty for a file."""
        return self.store.attributes if self.store else {}

    @cached_property
    def units(self) -> str:
        """Units of the pixels, for people."""
        if self.store is not None:
            return str(self.store.array.attrs.get("units") or "pixel value")
        return "photons/pixel" if self.format == Format.FLOAT else "pixel value"

    @cached_property
    def offset(self) -> float | None:
        """Value of a dark pixel, where the image states it: then it was measured; None for photons or unknown."""
        if self.format != Format.SMV:
            return self._noise("offset")
        own = self._header("ADC_OFFSET")
        return self._header("IMAGE_PEDESTAL") if own is None else own

    @cached_property
    def gain(self) -> float:
        """Detector units per photon, 1 where nothing else is stated."""
        gain = self._header("PHOTON_SCALE") if self.format == Format.SMV else self._noise("gain")
        return gain or 1.0

    @property
    def gains_differ(self) -> bool:
        """Whether pixels have a gain or offset of their own, by maps or by switching: no one number makes photons."""
        noise = self.attributes.get("noise")
        own = {"pedestal-map", "gain-map"} & {*(self.attributes.get("masks") or {})}
        return isinstance(noise, dict) and (noise.get("switching") is not None or bool(own))

    def _header(self, key: str) -> float | None:
        from tilesim.images.smv import read_smv_header

        return read_smv_header(self.path).value(key)

    def _noise(self, name: str) -> float | None:
        noise = self.attributes.get("noise")
        if noise is None:
            return None
        if self.gains_differ:
            return 0.0
        try:
            return checks.finite(f"{name} of the noise", noise[name])
        except (KeyError, TypeError, InputError) as error:
            raise InputError(f"{self.path}: what the store says of its noise cannot be read ({error})") from None

    @property
    def notes(self) -> dict[str, Any]:
        """Where the pixels come from, for the files that are made of them."""
        about = {name: self.attributes[name] for name in KEPT if name in self.attributes}
        return {"source": os.path.basename(self.path.rstrip("/")), **about, **self.beside}

    def __repr__(self) -> str:
        slow, fast = self.shape
        panels = f"{self.panels} panels of " if self.panels > 1 else ""
        rows = [
            f"Dataset {self.path} ({self.format})",
            f"  {counted(len(self), 'frame')}, {panels}{slow} x {fast} pixels (slow x fast), {self.units}",
        ]
        why = self.unknown
        return "\n".join([*rows, *(f"  {line}" for line in ([why] if why else repr(self.series).splitlines()))])


def _ranges(numbers: Sequence[int]) -> str:
    """Numbers, short: 0 to 4, 7."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in parts[:10]) + (", ..." if parts[10:] else "")


class _Array:
    """An image as something that dask can slice."""

    ndim = 2

    def __init__(self, image: Image) -> None:
        self.image, self.shape, self.dtype = image, tuple(image.shape), image.dtype

    def __getitem__(self, index: tuple[slice, slice]) -> np.ndarray:
        return self.image.block(*index)


def _lazy(image: Image) -> dask.array.Array:
    import dask.array as da

    chunks = image.chunk or (CHUNK, CHUNK)
    meta = np.empty((0, 0), image.dtype)
    lazy: dask.array.Array = da.from_array(
        _Array(image), chunks=chunks, name=False, asarray=False, lock=False, meta=meta
    )
    return lazy


def _stacked(images: Sequence[dask.array.Array]) -> dask.array.Array:
    import dask.array as da

    stacked: dask.array.Array = da.stack(images)
    return stacked


def checked(series: Series, path: str, shape: tuple[int, int], panels: int) -> Series:
    """The series, if it is one of such images. Raises InputError."""
    made = series.base.detector.panels
    if len(made) != panels or any(panel.shape != shape for panel in made):
        raise InputError(
            f"{printable(path)} holds {panels} panels of {shape} pixels (slow, fast), but its geometry is that of "
            f"{len(made)} of {made[0].shape}"
        )
    return series


def pair(shape: Sequence[int]) -> tuple[int, int]:
    """The last two of a shape: slow, fast."""
    slow, fast = shape[-2:]
    return (int(slow), int(fast))
