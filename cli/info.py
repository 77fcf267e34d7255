"""`tilesim info`: what a store holds, for people or as JSON."""

from __future__ import annotations

import json
import shlex

import click

from tilesim_cli.command import ExampledCommand

_UNITS = {
    "max_I": "photons/pixel",
    "mean": "photons/pixel",
    "rms": "photons/pixel",
    "rmsd": "photons/pixel",
    "solid_angle": "sr",
    "total": "photons",
}
_IN_METRES = ("max_x", "max_y")
GEOMETRY = ("beam", "detector", "direction", "distance", "spectrum", "wavelength")
"""How names of columns begin that move the beam centre or change the resolution."""
_DIGESTS = {"digest": "digest (physics)", "job_digest": "job digest (bytes)"}
"""The first names the experiment on any machine; the second also how it was computed, and so the image's bytes."""


@click.command(
    "info",
    cls=ExampledCommand,
    examples=(
        "out.zarr",
        "series.zarr --frame 12",
        "out.zarr --json",
    ),
)
@click.argument("store", type=click.Path())
@click.option("--frame", type=click.IntRange(min=0), metavar="N", help="Describe the experiment of one frame instead.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(store: str, frame: int | None, as_json: bool) -> None:
    """Say what the image in STORE is and how it was made."""
    from tilesim.store.describe import describe_frame, describe_store
    from tilesim.store.store import Store

    found = Store.open(store)
    description = describe_store(found) if frame is None else describe_frame(found, frame)
    if frame is not None and not as_json:
        rows = [(name, _plain(value)) for name, value in description["coordinates"].items()]
        width = max((len(name) for name, _ in rows), default=0)
        click.echo("\n".join([*(f"{name:<{width}}  {value}" for name, value in rows), description.pop("text")]))
        return
    if as_json:
        description.pop("text", None)
        click.echo(json.dumps(description, indent=2))
        return
    rows = info_rows(description)
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        click.echo(f"{name:<{width}}  {value}")


def info_rows(d: dict) -> list[tuple[str, str]]:
    """The description of a store as (name, value) lines; what it does not say is left out."""
    tiles = d["tiles"]
    frames = f"{tiles['frames']} frames x " if tiles["frames"] > 1 else ""
    size = frames + " x ".join(map(str, tiles["shape"]))
    stored = f"one shard each, of {' x '.join(map(str, d['chunks'][1:]))} chunks" if d["shards"] else "one chunk each"
    rows = [
        ("store", d["path"]),
        ("status", d["status"]),
        ("shape", " x ".join(map(str, d["shape"])) + f" ({', '.join(d['dimensions'])})"),
        ("values", f"{d['dtype']}, {d['units']}"),
        ("tiles", f"{tiles['present']} of {tiles['total']} present, {size} pixels, {stored}"),
        ("coarser levels", ", ".join(" x ".join(map(str, shape)) for shape in d["levels"])),
        ("missing", _missing(d["missing"])),
        ("compression", d["compression"]),
        ("size on disk", _bytes(d["bytes_on_disk"])),
        *_geometry(d),
    ]
    rows += [_statistic(name, value) for name, value in (d["statistics"] or {}).items()]
    rows += [(name, d[name]) for name in ("precision", "device", "backend")]
    rows += [("strict-c", _yes(d["strict_c"])), ("corrections", _corrections(d["corrections"], d["strict_c"]))]
    rows += [("seeds", _seeds(d["seeds"]))]
    rows += [("versions", ", ".join(f"{name} {version}" for name, version in d["versions"].items()))]
    rows += [(_DIGESTS.get(name, name.replace("_", " ")), str(value)) for name, value in d["digests"].items()]
    rows += [("command line", shlex.join(d["command_line"]) if d["command_line"] else None)]
    return [(name, str(value)) for name, value in rows if value not in (None, "")]


def _geometry(d: dict) -> list[tuple[str, str | None]]:
    """Rows for what the geometry says, and for what varies from frame to frame."""
    # The wavelengths of channels are there also where their photons alone vary.
    different = {name: about for name, about in d["varies"].items() if about.get("different") != 1}
    varies = {name.replace("_", " "): _range(about) for name, about in different.items()}
    moved = any(column.startswith(GEOMETRY) for column in (d["experiments"] or {}).get("columns", ()))
    first = " in the first frame" if moved else ""
    rows = {
        "wavelength": _number(d["wavelength_angstrom"], "A"),
        "distance": _number(d["distance_mm"], "mm"),
        "pixel": _number(d["pixel_mm"], "mm"),
        "beam centre": _suffixed(_centre(d["beam_centre_pixel"]), first),
        "resolution": _suffixed(_resolution(d["resolution_angstrom"]), first),
    }
    return list({**rows, **varies}.items())


def _range(about: dict) -> str:
    """The range of a coordinate, or how many values it takes."""
    units = f" {about['units']}" if about["units"] else ""
    if "minimum" in about:
        return f"{about['minimum']:.7g} to {about['maximum']:.7g}{units}, by frame"
    return f"{about['different']} different ones, by frame"


def _suffixed(text: str | None, suffix: str) -> str | None:
    return text and text + suffix


def _number(value: float | None, unit: str) -> str | None:
    return None if value is None else f"{value:.7g} {unit}"


def _plain(value: object) -> object:
    if isinstance(value, list):
        return ", ".join(str(_plain(v)) for v in value)
    if isinstance(value, dict):
        return ", ".join(f"{k} {_plain(v)}" for k, v in value.items())
    return f"{value:.7g}" if isinstance(value, float) else value


def _statistic(name: str, value: object) -> tuple[str, object]:
    """A row for one figure of the image, with its unit."""
    row = name.replace("_", " ")
    if value is None:
        return row, None
    if name == "brightest":
        return row, f"slow {value[0]}, fast {value[1]} (pixel)"
    if name in _IN_METRES:
        return row, f"{value * 1e3:.7g} mm"
    return row, f"{_plain(value)} {_UNITS.get(name, '')}".rstrip()


def _yes(value: bool | None) -> str | None:
    return None if value is None else "yes" if value else "no"


def _corrections(numbers: list[str] | None, strict_c: bool | None) -> str | None:
    """Which departures from nanoBragg affect the image; a store that does not say gets no row."""
    if numbers is None or strict_c:
        return None
    return f"{', '.join(numbers)} (`tilesim corrections`)" if numbers else "none"


def _seeds(seeds: dict | None) -> str | None:
    return seeds and ", ".join(f"{name} {value}" for name, value in seeds.items() if value is not None)


def _centre(centre: dict | None) -> str | None:
    return centre and f"{centre['fast']:.2f} fast, {centre['slow']:.2f} slow (pixels)"


def _resolution(limits: dict | None) -> str | None:
    if limits is None:
        return None
    complete = f", rings complete to {limits['complete']:.3f} A" if limits["complete"] else ""
    return f"{limits['corner']:.3f} A at the corner{complete}"


def _missing(missing: list[dict]) -> str | None:
    """Which frames lack tiles, and why the first one does."""
    if not missing:
        return None
    frames = sorted({one["frame"] for one in missing})
    shown = ", ".join(map(str, frames[:10])) + (", ..." if len(frames) > 10 else "")
    return f"{len(missing)} tiles of frame {shown}; {missing[0]['why']}"


def _bytes(count: int | None) -> str | None:
    if count is None:
        return None
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
