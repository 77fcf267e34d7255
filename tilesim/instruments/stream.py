"""CrystFEL streams (indexamajig, partialator): the crystals and beams of their chunks, and the geometry they hold."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from tilesim.errors import InputError
from tilesim.files.reading import file_size, number, printable, quoted, unreadable
from tilesim.frozen import frozen
from tilesim.instruments.crystfel import NARROWEST, parse_geom
from tilesim.model.instrument import Instrument
from tilesim.model.materials import ENERGY_TIMES_WAVELENGTH
from tilesim.model.vectors import Vector, cross, dot, norm, reciprocal

VERSION = re.compile(rb"CrystFEL stream format (\d+)\.(\d+)")
READ = range(0, 4)
"""Minor numbers of version 2 that are understood."""
BEGIN_CHUNK, END_CHUNK = b"----- Begin chunk -----", b"----- End chunk -----"
BEGIN_CRYSTAL, END_CRYSTAL = b"--- Begin crystal", b"--- End crystal"
BEGIN_GEOMETRY, END_GEOMETRY = b"----- Begin geometry file -----", b"----- End geometry file -----"
STAR = re.compile(rb"([abc])star = +(\S+) +(\S+) +(\S+) nm\^-1")
LONGEST = 2**16
"""Bytes of a line."""
ALONG = 1e-6
"""How far the beam of a detector may be from +z, along which that of a stream runs."""
SAME_ENERGY = 1e-5
"""Relative difference of photon energies that counts as none."""


@frozen
class StreamCrystal:
    """One crystal of a chunk."""

    star: tuple[Vector, Vector, Vector]
    """a*, b*, c* in 1/m; incident beam along +z, y up."""
    centering: str = "P"
    shift: str = ""
    """Shift of the detector that refinement found, as the file has it."""


@frozen
class Chunk:
    """One image of a stream."""

    number: int
    """Counted from 0"""
    line: int
    """Where it begins"""
    image: str
    event: str
    wavelength: float
    """Metres"""
    bandwidth: float
    """Standard deviation of the photon energy, relative; 0 where the stream states none."""
    crystals: tuple[StreamCrystal, ...]

    @property
    def text(self) -> str:
        """For people."""
        return f"chunk {self.number} ({self.image}{f' {self.event}' if self.event else ''})"


@dataclass
class _Lines:
    """What was read of a chunk so far."""

    line: int
    values: dict[bytes, bytes] = field(default_factory=dict)
    crystals: list[StreamCrystal] = field(default_factory=list)


def read_chunks(path: str | os.PathLike[str]) -> Iterator[Chunk]:
    """The chunks of a stream one by one, whatever its size. Raises InputError, naming the line."""
    name, rows, count = printable(path), _rows(path), 0
    _header(rows, name)
    for place, row in rows:
        if row == BEGIN_CHUNK:
            yield _chunk(rows, count, place, name)
            count += 1


def read_chunk(path: str | os.PathLike[str], number: int | None = None) -> tuple[Chunk, tuple[str, ...]]:
    """A chunk with a crystal, and what to say of it.

    number  counted from 0; None: the first one that has a crystal

    Raises InputError where there is no such chunk, or no crystal in it.
    """
    name, count = printable(path), 0
    for count, chunk in enumerate(read_chunks(path), 1):  # noqa: B007
        if chunk.number == number or (number is None and chunk.crystals):
            break
    else:
        if number is None:
            raise InputError(f"{name}: expected a chunk with a crystal, found none among {count}")
        raise InputError(f"--experiment {number}; expected a number from 0 to {count - 1}: {name} holds {count} chunks")
    if not chunk.crystals:
        raise InputError(
            f"{name} line {chunk.line}: {chunk.text} has no crystal; expected --experiment of one that has"
        )
    notes = [] if number is not None else [f"{name}: {chunk.text} is taken; --experiment K takes another, from 0"]
    if len(chunk.crystals) > 1:
        notes.append(f"{name}: {chunk.text} has {len(chunk.crystals)} crystals; the first is taken")
    crystal = chunk.crystals[0]
    if crystal.shift:
        notes.append(f"{name}: {chunk.text}: the refined shift of the detector, {crystal.shift}, is not applied")
    return chunk, tuple(notes)


def with_crystal_of(instrument: Instrument, path: str | os.PathLike[str], number: int | None = None) -> Instrument:
    """An instrument with crystal and wavelength of a chunk. Raises InputError, also where its frame is another one."""
    chunk, notes = read_chunk(path, number)
    x, y, z = instrument.beam
    if z < 0.0 or abs(x) > ALONG or abs(y) > ALONG:
        raise InputError(
            f"{instrument.name} has the incident beam along {x + 0.0:g} {y + 0.0:g} {z:g}, a stream along 0 0 1; "
            "expected a geometry in the frame of CrystFEL, such as a .geom"
        )
    before, wavelength = instrument.wavelength, chunk.wavelength
    if before is not None and abs(before / wavelength - 1.0) > SAME_ENERGY:
        notes += (
            f"{instrument.name} has the wavelength {before * 1e10:.6g} A, {chunk.text} {wavelength * 1e10:.6g} A; that "
            "of the stream is taken",
        )
    a, b, c = reciprocal(*chunk.crystals[0].star)
    return instrument.replace(
        real_cell=(*a, *b, *c),
        wavelength=wavelength,
        bandwidth=chunk.bandwidth if chunk.bandwidth >= NARROWEST else instrument.bandwidth,
        scan_points=(),
        notes=(*instrument.notes, *notes),
    )


def stream_instrument(path: str | os.PathLike[str], number: int | None = None) -> Instrument:
    """The geometry that a stream holds, with crystal and wavelength of a chunk. Raises InputError."""
    rows, lines = _rows(path), []
    _header(rows, printable(path))
    inside = False
    for _, row in rows:
        if row == BEGIN_CHUNK:
            break
        if row == END_GEOMETRY:
            inside = False
        if inside:
            lines.append(row)
        inside = inside or row == BEGIN_GEOMETRY
    if not lines:
        raise InputError("the stream holds no geometry; expected --geometry FILE.geom and --stream")
    try:
        instrument = parse_geom(b"\n".join(lines), os.fspath(path))
    except InputError as error:
        raise InputError(f"the geometry in it: {error}; --geometry FILE.geom and --stream take another") from None
    return with_crystal_of(instrument, path, number)


def _rows(path: str | os.PathLike[str]) -> Iterator[tuple[int, bytes]]:
    """Lines without their ends, numbered from 1."""
    file_size(path)  # a pipe or a folder is refused: a stream is read more than once
    try:
        with open(path, "rb") as file:
            for place, row in enumerate(iter(partial(file.readline, LONGEST), b""), 1):
                yield place, row.strip()
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error


def _header(rows: Iterator[tuple[int, bytes]], name: str) -> None:
    _, row = next(rows, (1, b""))
    found = VERSION.fullmatch(row)
    if found is None or int(found[1]) != 2 or int(found[2]) not in READ:
        raise InputError(f"{name} line 1: expected CrystFEL stream format 2.0 to 2.3, found {quoted(row)}")


def _chunk(rows: Iterator[tuple[int, bytes]], number_of: int, line: int, name: str) -> Chunk:
    found = _Lines(line)
    for place, row in rows:
        if row == END_CHUNK:
            break
        if row == BEGIN_CHUNK:
            raise InputError(f"{name} line {place}: expected {END_CHUNK.decode()!r} before, found another chunk")
        if row == BEGIN_CRYSTAL:
            found.crystals.append(_crystal(rows, place, name))
            continue
        equals, colon = row.find(b" = "), row.find(b": ")
        cut = min(where for where in (equals, colon, len(row)) if where >= 0)
        found.values.setdefault(row[:cut], row[cut + (3 if cut == equals else 2) :])
    else:
        raise InputError(f"{name} line {line}: expected {END_CHUNK.decode()!r}, found the end of the file")
    values = found.values
    if b"Image filename" not in values or b"photon_energy_eV" not in values:
        raise InputError(f"{name} line {line}: expected Image filename and photon_energy_eV in the chunk, found less")
    energy = _positive(values[b"photon_energy_eV"], f"{name} line {line}: photon_energy_eV")
    width = values.get(b"beam_bandwidth", b"0").split()
    return Chunk(
        number_of,
        line,
        values[b"Image filename"].decode("utf-8", "replace"),
        values.get(b"Event", b"").decode("utf-8", "replace"),
        ENERGY_TIMES_WAVELENGTH / (energy * 1e-3),
        _not_negative(width[0] if width else b"", f"{name} line {line}: beam_bandwidth"),
        tuple(found.crystals),
    )


def _crystal(rows: Iterator[tuple[int, bytes]], line: int, name: str) -> StreamCrystal:
    star: dict[bytes, Vector] = {}
    centering, shift = "P", ""
    for place, row in rows:
        if row == END_CRYSTAL:
            break
        if row == END_CHUNK:
            raise InputError(f"{name} line {place}: expected {END_CRYSTAL.decode()!r} before the end of the chunk")
        if axis := STAR.fullmatch(row):
            try:
                x, y, z = (number(part) * 1e9 for part in axis.groups()[1:])
            except ValueError:
                raise InputError(f"{name} line {place}: expected three numbers, found {quoted(row)}") from None
            star[axis[1]] = (x, y, z)
        elif row.startswith(b"centering = "):
            centering = row[12:].decode("ascii", "replace")
        elif row.startswith(b"predict_refine/det_shift "):
            shift = row.removeprefix(b"predict_refine/det_shift ").decode("ascii", "replace")
    else:
        raise InputError(f"{name} line {line}: expected {END_CRYSTAL.decode()!r}, found the end of the file")
    if len(star) < 3:
        raise InputError(f"{name} line {line}: expected astar, bstar and cstar = x y z nm^-1 of the crystal")
    a, b, c = (star[axis] for axis in (b"a", b"b", b"c"))
    if not abs(dot(a, cross(b, c))) > 1e-6 * norm(a) * norm(b) * norm(c):
        raise InputError(f"{name} line {line}: astar, bstar and cstar lie in a plane; expected three that span space")
    return StreamCrystal((a, b, c), centering, shift)


def _positive(text: bytes, where: str) -> float:
    value = _not_negative(text, where)
    if not value > 0.0:
        raise InputError(f"{where}: expected a number above 0, found {quoted(text)}")
    return value


def _not_negative(text: bytes, where: str) -> float:
    try:
        value = number(text.strip())
    except ValueError:
        value = -1.0
    if not 0.0 <= value < 1e12:
        raise InputError(f"{where}: expected a number, found {quoted(text)}")
    return value
