"""What a store holds, in plain values."""

from __future__ import annotations

import math
import os
from typing import Any

from tilesim.errors import InputError
from tilesim.geometry.resolution import beam_centre, resolution_limits
from tilesim.model import Experiment
from tilesim.store.experiments import COLUMNS, GROUP, group_in, names_of
from tilesim.store.finish import count_present
from tilesim.store.layout import FrameCoordinate
from tilesim.store.metadata import check_attributes
from tilesim.store.place import is_url
from tilesim.store.store import CREATING, Store, read_attributes

UNVARIED = ("frame", "name")
"""Coordinates that number and name frames."""
GEOMETRY = ("wavelength_angstrom", "distance_mm", "pixel_mm", "beam_centre_pixel", "resolution_angstrom")


def describe_store(store: Store) -> dict[str, Any]:
    """All that is worth knowing of a store, as plain JSON-able values, None where it does not say; reads no pixels."""
    from tilesim.store.levels import levels_there

    attributes, image, layout = store.attributes, store.array, store.layout
    return {
        "path": store.name,
        "status": attributes.get("status"),
        "missing": attributes.get("missing") or [],
        "shape": list(image.shape),
        "dimensions": list(layout.dimensions),
        "dtype": str(image.dtype),
        "units": image.attrs.get("units"),
        "compression": attributes.get("compression"),
        "chunks": list(image.chunks),
        "shards": list(image.shards) if image.shards else None,
        "tiles": {
            "present": count_present(store.place, image.ndim),
            "total": len(store.plan),
            "shape": list(store.plan.tile),
            "frames": store.plan.frames,
        },
        "levels": [list(level.shape) for level in levels_there(store)[1:]],
        "bytes_on_disk": None if is_url(store.place) else _bytes_below(store.place),
        **_geometry(store),
        "experiments": _experiments(store),
        "varies": {one.name: _range(one) for one in store.coordinates if one.name not in UNVARIED},
        "statistics": attributes.get("statistics"),
        "command_line": attributes.get("command_line"),
        "strict_c": attributes.get("strict_c"),
        "corrections": attributes.get("corrections"),
        "seeds": attributes.get("seeds"),
        "precision": attributes.get("precision"),
        "device": attributes.get("device"),
        "backend": attributes.get("backend"),
        "versions": attributes.get("versions") or {},
        "digests": {k: v for k, v in attributes.items() if k.endswith("digest")},
        "format": store.format,
    }


def describe_frame(store: Store, number: int) -> dict[str, Any]:
    """What a store says of one frame: its coordinates, figures and experiment, as plain values and as text.

    Raises InputError where there is no such frame, or its experiment is not known.
    """
    if number not in store.numbers:
        raise InputError(
            f"{store.name}: there is no frame {number}; expected {store.numbers[0]} to {store.numbers[-1]}"
        )
    place = store.numbers.index(number)
    experiment = store.series[place]
    known = (*store.coordinates, *store.figures)
    coordinates = {one.name: list(v) if isinstance(v := one.values[place], tuple) else v for one in known}
    return {
        "path": store.name,
        "frame": number,
        "coordinates": coordinates,
        "units": {one.name: one.units for one in known if one.units},
        **geometry_of(experiment),
        "digest": experiment.digest,
        "experiment": experiment.to_dict(),
        "text": repr(experiment),
    }


def stored_choices(place: str) -> dict[str, Any]:
    """What a run chose for a store that is there: the pixels (slow, fast) of its tiles, and the backend."""
    attributes = read_attributes(place)
    if attributes is None or attributes.get("status") == CREATING:
        return {}
    check_attributes(attributes, place)
    tile = attributes.get("tile")
    chosen: dict[str, Any] = {"tile": tuple(tile) if tile else Store.open(place).plan.tile}
    chosen["tile_frames"] = attributes.get("tile_frames", 1)
    return chosen | {name: attributes[name] for name in ("backend",) if name in attributes}


def _geometry(store: Store) -> dict[str, Any]:
    """Wavelength, distance, pixel, beam centre and resolution of the first frame, in the units of the field.

    All are None where that frame's experiment is not known.
    """
    try:
        return geometry_of(store.series[0])
    except InputError:
        return dict.fromkeys(GEOMETRY)


def geometry_of(experiment: Experiment) -> dict[str, Any]:
    """The same of an experiment."""
    panels, beam = experiment.detector.panels, experiment.beam
    panel = panels[0]
    # Between several panels the beam may well pass, and rings are not complete.
    centre = beam_centre(panel, beam) if len(panels) == 1 else None
    limits = [resolution_limits(one, beam) for one in panels]
    complete, corner = limits[0][0] if len(panels) == 1 else None, min(corner for _, corner in limits)
    values = (
        beam.wavelength * 1e10,
        panel.distance * 1e3,
        panel.pixel_size * 1e3,
        {"slow": centre[0], "fast": centre[1]} if centre else None,
        {"complete": complete * 1e10 if complete else None, "corner": corner * 1e10},
    )
    return dict(zip(GEOMETRY, values, strict=True))


def _range(one: FrameCoordinate) -> dict[str, Any]:
    """Units, number of different values, and for plain numbers the least and the greatest.

    A frame that has no value, as a blank shot has no cell, does not count.
    """
    there = [value for value in one.values if not _is_absent(value)]
    about: dict[str, Any] = {"units": one.units, "different": len(set(there))}
    numbers = [value for value in there if isinstance(value, int | float)]
    if numbers and len(numbers) == len(there):
        about |= {"minimum": min(numbers), "maximum": max(numbers)}
    return about


def _is_absent(value: Any) -> bool:
    """Whether a value is NaN, all of a tuple are, or a text is empty."""
    if isinstance(value, tuple):
        return all(map(_is_absent, value))
    return value == "" or (isinstance(value, float) and math.isnan(value))


def _experiments(store: Store) -> dict[str, Any] | None:
    """Whether the store can compute its frames again, and what varies between them."""
    if store.format == 1:
        return None
    if GROUP not in names_of(store.group):
        return None
    try:
        group = group_in(store.group, GROUP, store.name)
        columns = names_of(group_in(group, COLUMNS, store.name)) if COLUMNS in names_of(group) else []
    except KeyError as error:
        raise InputError(f"{store.name}: its {error.args[0]} is gone") from None
    return {"tables": group.attrs.get("tables") is True, "columns": columns}


def _bytes_below(path: str) -> int:
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names)
