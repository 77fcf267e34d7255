"""The experiments of a store's frames: base, columns, structure factors, masks and scattering curves, exactly.

experiments/base            JSON of the first frame's experiment, in which tables are named by their digest
experiments/columns/NAME    what varies: numbers (frame, ...), or JSON of one value for each frame
experiments/factors/DIGEST  amplitudes (h, k, l), each distinct table once; likewise masks and curves; of structure
                            factors by energy (channel, h, k, l), or parts (part, h, k, l, 2) with f' and f'' beside
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec

from tilesim.errors import InputError
from tilesim.model import (
    AnomalousCurve,
    AnomalousFactors,
    Background,
    ChannelFactors,
    Experiment,
    PixelMask,
    ScatteringCurve,
    Series,
    StructureFactors,
)
from tilesim.model.experiment import PARTS
from tilesim.model.factors import AbsentFactors
from tilesim.model.serial import from_plain, to_plain
from tilesim.model.series import WHOLE
from tilesim.store.metadata import is_extent, open_array, open_group
from tilesim.store.place import ROOT, names_beside

GROUP = "experiments"
COLUMNS, FACTORS, MASKS, CURVES = "columns", "factors", "masks", "curves"
CHUNK_BYTES = 2**22
"""Largest chunk of a table, about."""


def write_series(root: zarr.Group, series: Series, tables: bool = True) -> None:
    """Put a series into a new store.

    tables  False leaves the structure factors out: they are named by their digests, as are those that are absent
    """
    distinct = _distinct(series)
    tables = tables and not any(isinstance(table, AbsentFactors) for table in distinct[FACTORS].values())
    group = root.create_group(GROUP, attributes={"frames": len(series), "tables": tables})
    _write_json(group, "base", series.base.to_dict())
    for name, values in series.columns.items():
        columns = group.require_group(COLUMNS)
        if isinstance(values, np.ndarray):
            _write(columns, name, values, ("frame", *(f"{name}_{n}" for n in range(1, values.ndim))))
        else:
            _write_json(columns, name, [_named(value) for value in values])
    for kind, found in distinct.items():
        for digest, value in found.items():
            if tables or kind != FACTORS:
                _write_table(group.require_group(kind), digest, value)


def read_series(root: zarr.Group, numbers: Iterable[int], names: Iterable[str] = (), where: str = "it") -> Series:
    """The series of a store, `where` being its name for messages.

    Raises InputError where it does not hold what it takes, and what reading raises.
    """
    try:
        group = group_in(root, GROUP, where)
        base = array_in(group, "base", where)
        arrays = _arrays(group_in(group, COLUMNS, where), where) if COLUMNS in names_of(group) else {}
    except KeyError as error:
        raise InputError(f"its {error.args[0]} is gone") from None
    found = {kind: _Tables(group, kind, where) for kind in _READ}
    first = _experiment(_read_json(base), found)
    columns: dict[str, Any] = {}
    for name, array in arrays.items():
        part, _, field = name.partition(".")
        columns[name] = _whole(array) if "json" not in array.attrs else _values(array, part, field, found)
    return Series(first, columns, numbers=list(map(int, numbers)), names=tuple(names))


def _whole(array: zarr.Array[Any]) -> Any:
    """All of an array. Raises InputError where a chunk is gone, for which zarr would give zeros."""
    if gone := array.nchunks - array.nchunks_initialized:
        raise InputError(f"its {array.path} is damaged: {gone} of {array.nchunks} chunks are gone")
    return array[...]


def _arrays(group: zarr.Group, where: str) -> dict[str, zarr.Array[Any]]:
    return {name: array_in(group, name, where) for name in names_of(group)}


def _values(array: zarr.Array[Any], part: str, field: str, tables: Mapping[str, _Tables]) -> list[Any]:
    plain = _read_json(array)
    if not isinstance(plain, list):
        raise InputError(f"its {array.path} holds {plain!r:.40}; expected a list of values")
    return [_value(part, field, value, tables) for value in plain]


class _Tables:
    """Tables of one kind by digest, each read once, when it is first asked for; structure factors may be absent."""

    def __init__(self, group: zarr.Group, kind: str, where: str) -> None:
        self._group, self._kind, self._where = group, kind, where
        self._found: dict[str, Any] = {}

    def __getitem__(self, described: Mapping[str, Any]) -> Any:
        digest = described.get("digest") if isinstance(described, dict) else None
        if not isinstance(digest, str):
            raise InputError(f"its {self._kind} are {described!r:.40}; expected an object with their digest")
        if digest not in self._found:
            try:
                array = array_in(group_in(self._group, self._kind, self._where), digest, self._where)
                self._found[digest] = _READ[self._kind](array)
            except KeyError:
                if self._kind != FACTORS:
                    raise InputError(f"its {self._kind} {digest[:12]} are gone") from None
                self._found[digest] = StructureFactors.described(described, self._where)
        return self._found[digest]


def _experiment(plain: Mapping[str, Any], tables: Mapping[str, _Tables]) -> Experiment:
    if not isinstance(plain, dict):
        raise InputError(f"its {GROUP}/base is {plain!r:.40}; expected an object")
    if gone := [name for name in ("factors", "mask", "background") if name not in plain]:
        raise InputError(f"its {GROUP}/base has no {gone[0]}")
    mask, background = plain["mask"], plain["background"]
    whole = {
        "factors": tables[FACTORS][plain["factors"]],
        "mask": mask and tables[MASKS][mask],
        "background": background and _background(background, tables),
    }
    return from_plain(Experiment, {**plain, **whole})


def _background(plain: Mapping[str, Any], tables: Mapping[str, _Tables]) -> Background:
    if not isinstance(plain, dict) or "curve" not in plain:
        raise InputError(f"its background is {plain!r:.40}; expected an object with its curve")
    return from_plain(Background, {**plain, "curve": tables[CURVES][plain["curve"]]})


def _value(part: str, field: str, plain: Any, tables: Mapping[str, _Tables]) -> Any:
    """A value of a column as `Series` takes it."""
    if field or part not in WHOLE or plain is None:
        return plain
    if part == "background":
        return _background(plain, tables)
    kind = {"factors": FACTORS, "mask": MASKS}.get(part)
    return tables[kind][plain] if kind else from_plain(PARTS[part], plain)


def _named(value: Any) -> Any:
    """A value of a column as JSON has it, tables by their description."""
    return value.to_dict() if hasattr(value, "to_dict") else to_plain(value)


def _distinct(series: Series) -> dict[str, dict[str, Any]]:
    """Every table of the series by kind and digest."""
    backgrounds = _of(series, "background")
    found = {
        FACTORS: _of(series, "factors"),
        MASKS: _of(series, "mask"),
        CURVES: [background.curve for background in backgrounds],
    }
    return {kind: {value.digest: value for value in values} for kind, values in found.items()}


def _of(series: Series, part: str) -> list[Any]:
    values = (getattr(series.base, part), *series.columns.get(part, ()))
    return list({id(value): value for value in values if value is not None}.values())


# --- groups and arrays


def group_in(parent: zarr.Group, name: str, where: str = "it") -> zarr.Group:
    """A group by name, its metadata checked. Raises KeyError where there is none, InputError where it is no group."""
    return open_group(parent.store, f"{parent.path}/{name}".strip("/"), where)


def array_in(parent: zarr.Group, name: str, where: str = "it") -> zarr.Array[Any]:
    """An array by name, to be read whole. Raises KeyError where there is none, InputError where it is no array."""
    return open_array(parent.store, f"{parent.path}/{name}".strip("/"), where, whole=True)


def names_of(group: zarr.Group) -> list[str]:
    """Names of what is in a group, sound or not."""
    names = (name.strip("/") for name in names_beside(group.store, group.path))
    return sorted(name for name in names if name != ROOT)


def _write(group: zarr.Group, name: str, values: np.ndarray, dimensions: tuple[str, ...], **about: Any) -> None:
    rows = max(1, CHUNK_BYTES // max(1, values.nbytes // max(1, len(values)))) if values.ndim else 1
    array = group.create_array(
        name,
        shape=values.shape,
        dtype=values.dtype,
        chunks=tuple(max(1, n) for n in (min(rows, len(values)), *values.shape[1:])),
        compressors=[ZstdCodec(level=3), Crc32cCodec()],
        dimension_names=dimensions,
        attributes=about,
    )
    # Zeros are stored too: an object that is not there is damage.
    array.with_config({"write_empty_chunks": True})[...] = values


def _write_json(group: zarr.Group, name: str, plain: Any) -> None:
    text = json.dumps(plain, allow_nan=True).encode()
    _write(group, name, np.frombuffer(text, np.uint8), (f"{name}_byte",), json=True)


def _read_json(array: zarr.Array[Any]) -> Any:
    try:
        return json.loads(np.asarray(array[...]).tobytes())
    except (ValueError, RecursionError):
        raise InputError(f"its {array.path} is damaged; expected JSON") from None


def _write_table(group: zarr.Group, digest: str, value: StructureFactors | PixelMask | ScatteringCurve) -> None:
    if isinstance(value, AnomalousFactors):
        # Real and imaginary part last. F0 comes first, then the parts of the elements.
        parts = value.parts.view(np.float64).reshape(*value.parts.shape, 2)
        names = (*(f"{axis}_{digest[:8]}" for axis in ("part", "h", "k", "l")), f"complex_{digest[:8]}")
        curves = [{"element": curve.element, **_lists(curve)} for curve in value.curves]
        _write(group, digest, parts, names, units="electrons", curves=curves, **value.to_dict())
    elif isinstance(value, ChannelFactors):
        names = tuple(f"{axis}_{digest[:8]}" for axis in ("channel", "h", "k", "l"))
        _write(group, digest, value.stack, names, units="electrons", **value.to_dict())
    elif isinstance(value, StructureFactors):
        about = {"units": "electrons", **value.to_dict()}
        _write(group, digest, value.grid, tuple(f"{axis}_{digest[:8]}" for axis in "hkl"), **about)
    elif isinstance(value, PixelMask):
        packed = np.packbits(value.active, axis=1)
        _write(group, digest, packed, (f"slow_{digest[:8]}", f"byte_{digest[:8]}"), shape=list(value.active.shape))
    else:
        columns = np.stack([value.stol, value.amplitude], axis=1)
        _write(group, digest, columns, (f"point_{digest[:8]}", f"column_{digest[:8]}"), source=value.source)


def _lists(curve: AnomalousCurve) -> dict[str, Any]:
    return {name: getattr(curve, name).tolist() for name in ("energies", "f1", "f2")}


def _read_factors(array: zarr.Array[Any]) -> StructureFactors:
    about, grid = _about(array, "minimum", "default", "reflections", "source"), np.asarray(array[...])
    minimum, axes = about["minimum"], 3 + 2 * ("curves" in about) + ("wavelengths" in about)
    if grid.ndim != axes or not isinstance(minimum, list) or len(minimum) != 3:
        raise InputError(f"its {array.path} has {grid.ndim} axes from {minimum!r:.40}; expected {axes} with h k l")
    grid.setflags(write=False)
    given: dict[str, Any] = {name: about[name] for name in ("default", "reflections", "source")}
    given["minimum"] = tuple(minimum)
    if "wavelengths" in about:
        return ChannelFactors.stacked(grid, about["wavelengths"], **given)
    if "curves" in about:
        return _read_anomalous(array, grid, about, given)
    return StructureFactors(grid, **given)


def _read_anomalous(
    array: zarr.Array[Any], grid: np.ndarray, about: dict[str, Any], given: dict[str, Any]
) -> AnomalousFactors:
    curves = about["curves"]
    if grid.shape[-1] != 2 or grid.dtype != np.float64 or not isinstance(curves, list):
        raise InputError(f"its {array.path} has the shape {grid.shape}; expected real and imaginary parts, and curves")
    parts = np.ascontiguousarray(grid).view(np.complex128)[..., 0]
    found = [from_plain(AnomalousCurve, curve) for curve in curves]
    return AnomalousFactors(parts, found, _about(array, "wavelength")["wavelength"], **given)


def _read_mask(array: zarr.Array[Any]) -> PixelMask:
    shape = _about(array, "shape")["shape"]
    packed = isinstance(shape, list) and len(shape) == 2 and all(map(is_extent, shape)) and array.ndim == 2
    if not packed or array.shape != (shape[0], -(-shape[1] // 8)):
        raise InputError(f"its {array.path} has shape {shape!r:.40} of {array.shape} bytes; expected two numbers")
    width = shape[1]
    return PixelMask(np.unpackbits(np.asarray(array[...]), axis=1, count=width).astype(bool))


def _read_curve(array: zarr.Array[Any]) -> ScatteringCurve:
    if array.ndim != 2 or array.shape[1] != 2:
        raise InputError(f"its {array.path} has the shape {array.shape}; expected two columns")
    stol, amplitude = np.asarray(array[...]).T
    return ScatteringCurve(stol, amplitude, str(_about(array, "source")["source"]))


def _about(array: zarr.Array[Any], *names: str) -> dict[str, Any]:
    """The attributes of a table. Raises InputError where one is gone."""
    about: dict[str, Any] = dict(array.attrs)
    if gone := [name for name in names if name not in about]:
        raise InputError(f"its {array.path} lacks the attribute {gone[0]}")
    return about


_READ = {FACTORS: _read_factors, MASKS: _read_mask, CURVES: _read_curve}
