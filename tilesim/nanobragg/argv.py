"""A nanoBragg argument list to settings: matching flags, by our rules or the reference's (spec command-line 1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any

from tilesim.errors import InputError
from tilesim.model.detector import MAX_PIXELS
from tilesim.nanobragg.effects import RANDOM
from tilesim.nanobragg.flags import FLAGS, Flag, Form
from tilesim.nanobragg.settings import RTD, Settings
from tilesim.nanobragg.values import Kind, Read, Value, as_reference, checked, checked_or_as_reference, usable

_QUOTED = 60
WAVELENGTHS = (0.999e-14, 1.001e-5)
"""Metres."""

Firing = tuple[Flag, tuple[Value, ...]]
"""A flag and its values in internal units."""


def read_settings(args: Sequence[str], *, strict_c: bool = False, presets: Mapping[str, Any] | None = None) -> Settings:
    """The settings of an argument list (without the program's name), image headers included.

    presets  values of settings that count unless a header or flag says otherwise

    Strict: by the reference's rules to the letter. Otherwise (K8, K11) an argument with a dash is the longest known
    name that it begins with, alone, and takes its values with it; what is left over, missing or senseless is an
    error. Raises InputError, one line that names the flag.
    """
    if strict_c:
        return _settings(list(_reference_firings(args, as_reference)), strict_c=True, presets=presets)
    settings = _settings(list(_firings(args)), strict_c=False, presets=presets)
    _check_detector(settings)
    return settings


def settings_differ(args: Sequence[str]) -> bool:
    """Whether the reference's way of matching flags sets something else than ours does (K8).

    How numbers are spelled makes no difference here. Raises InputError where `args` are wrong for our rules.
    """
    settings = _settings(list(_firings(args)), strict_c=False)
    try:
        return settings != _settings(list(_reference_firings(args, checked_or_as_reference)), strict_c=True)
    except InputError:
        return False


def _settings(firings: list[Firing], *, strict_c: bool, presets: Mapping[str, Any] | None = None) -> Settings:
    """Image headers first, the mask's before the image's, then all flags in order (spec command-line 1.1)."""
    settings = Settings(**(presets or {}))
    for flag, values in firings:
        if flag.header:
            flag.effect(settings, *values)
    if settings.mask_file is not None:
        _import_header(settings, settings.mask_file, is_mask=True, strict_c=strict_c)
    if settings.image_file is not None:
        _import_header(settings, settings.image_file, is_mask=False, strict_c=strict_c)
    for flag, values in firings:
        flag.effect(settings, *values)
    return settings


# --- our rules


def _firings(args: Sequence[str]) -> Iterator[Firing]:
    position, before = 0, ""
    while position < len(args):
        token = args[position]
        if not token.startswith("-") or _is_number(token):
            raise InputError(f"expected a flag{before}; found {_quoted(token)}")
        flag, name = _flag(token, before)
        values, taken = _checked_values(flag, name, args[position + 1 :])
        yield flag, values
        position += 1 + taken
        before = f" after {_quoted(' '.join((name, *args[position - taken : position])))}"


def _flag(token: str, before: str) -> tuple[Flag, str]:
    """The flag that `token` means and its name."""
    found = max(
        ((name, flag) for flag in FLAGS for name in flag.names if _begins(token, name, flag.exact)),
        key=lambda item: len(item[0]),
        default=None,
    )
    if found is None:
        raise InputError(f"unknown flag {_quoted(token)}{before}; {_nearest(token)}")
    name, flag = found
    if "=" in token:
        expected = "its value as the next argument" if flag.takes else "no value"
        raise InputError(f"{name} takes {expected}; found {_quoted(token)}")
    return flag, name


def _nearest(token: str) -> str:
    from difflib import get_close_matches

    names = [name for flag in FLAGS for name in flag.names]
    longer = [name for name in names if len(token) > 2 and name.startswith(token)]
    close = get_close_matches(token[:_QUOTED], names, 3, 0.7)
    found = list(dict.fromkeys(longer + close))[:4]
    return f"the nearest known: {', '.join(found)}" if found else "no known flag is like it"


def _begins(token: str, name: str, exact: bool) -> bool:
    return token == name if exact else token.startswith(name)


def _checked_values(flag: Flag, name: str, rest: Sequence[str]) -> tuple[tuple[Value, ...], int]:
    """The values in internal units and how many arguments they take up."""
    if flag.form is Form.CURVED:
        return (), int(bool(rest) and _is_number(rest[0]))
    if flag.form is Form.MISSET and rest and "rand" in rest[0]:
        return (RANDOM,), 1
    tokens = rest[: len(flag.takes)]
    if flag.form is Form.CELL:
        tokens = list(takewhile(lambda token: not token.startswith("-") or _is_number(token), tokens))
    if len(tokens) < (1 if flag.form is Form.CELL else len(flag.takes)):
        raise _wrong(flag, name, " ".join(tokens))
    values = []
    for measure, token in zip(flag.takes, tokens, strict=False):
        try:
            values.append(checked(measure.kind, token))
        except ValueError:
            raise _wrong(flag, name, token) from None
    if flag.limit is not None and not flag.limit.holds(*values):
        raise _wrong(flag, name, " ".join(tokens))
    return _converted(flag, values), len(tokens)


def _is_number(token: str) -> bool:
    try:
        checked(Kind.REAL, token)
    except ValueError:
        return False
    return True


def _wrong(flag: Flag, name: str, found: str) -> InputError:
    kind, count = flag.takes[0].kind, len(flag.takes)
    if flag.form is Form.CELL:
        expected = "1 to 6 numbers"
    elif flag.form is Form.MISSET:
        expected = "random or 3 numbers"
    else:
        expected = kind if count == 1 else f"{count} {kind.removeprefix('a ')}s"
    if flag.limit is not None:
        expected += flag.limit.text
    units = ", ".join(dict.fromkeys(measure.unit for measure in flag.takes if measure.unit))
    return InputError(
        f"{name} expects {expected}{f' [{units}]' if units else ''}; found {_quoted(found) if found else 'nothing'}"
    )


def _converted(flag: Flag, values: Sequence[Value]) -> tuple[Value, ...]:
    return tuple(measure.convert(value) for measure, value in zip(flag.takes, values, strict=False))


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _QUOTED else text[: _QUOTED - 3] + "...")


# --- the reference's rules


def _reference_firings(args: Sequence[str], read: Read) -> Iterator[Firing]:
    """Every rule is tried on every argument with a dash, and nothing is consumed."""
    for position, token in enumerate(args):
        if not token.startswith("-"):
            continue
        rest = args[position + 1 :]
        for flag in FLAGS:
            if not any(_matches(token, name, flag.exact) for name in flag.names):
                continue
            values = _reference_values(flag, token, rest, read)
            if values is not None:
                yield flag, values
                # A word instead of angles, or a cell with a number missing, ends the search as well.
                if flag.last or (flag.form in (Form.MISSET, Form.CELL) and len(values) < len(flag.takes)):
                    break


def _matches(token: str, name: str, exact: bool) -> bool:
    return token == name if exact else name in token


def _reference_values(flag: Flag, token: str, rest: Sequence[str], read: Read) -> tuple[Value, ...] | None:
    """The values, in internal units; None where the rule does not fire."""
    tokens = rest[: len(flag.takes)]
    if flag.form is Form.MISSET and rest and "rand" in rest[0]:
        return (RANDOM,)
    if flag.form is Form.CELL:
        tokens = list(takewhile(lambda word: not word.startswith("-"), tokens))
    elif len(tokens) < len(flag.takes):
        if flag.crashes:
            raise InputError(f"{_quoted(token)} expects a value; found nothing (nanoBragg crashes here)")
        return None
    if flag.form in (Form.CELL, Form.CURVED) and not rest:
        return None
    return _converted(flag, [read(measure.kind, word) for measure, word in zip(flag.takes, tokens, strict=False)])


# --- image headers


def _import_header(settings: Settings, path: str, *, is_mask: bool, strict_c: bool) -> None:
    """Apply the keys of an SMV header (spec files 4). Raises InputError, naming file and key."""
    from tilesim.files.reading import printable
    from tilesim.images.smv import read_smv_header

    header = read_smv_header(path, strict=strict_c)
    if header.header_bytes == 0:
        return

    def value(key: str) -> float | None:
        number = header.value(key)
        if not (strict_c or number is None or usable(number)):
            raise InputError(f"{printable(path)}: expected a finite number for {key}; found {number:g}")
        return number

    def take(key: str, field: str, factor: float) -> None:
        number = value(key)
        if number is not None:
            setattr(settings, field, number / factor)

    settings.pixels_fast, settings.pixels_slow = header.size
    take("PIXEL_SIZE", "pixel_size", 1000.0)
    settings.detsize_fast = settings.pixel_size * settings.pixels_fast
    settings.detsize_slow = settings.pixel_size * settings.pixels_slow
    take("DISTANCE", "distance", 1000.0)
    take("CLOSE_DISTANCE", "close_distance", 1000.0)
    take("WAVELENGTH", "wavelength", 1e10)
    take("BEAM_CENTER_X", "xbeam", 1000.0)
    ybeam = value("BEAM_CENTER_Y")
    if ybeam is not None:
        settings.ybeam = settings.detsize_slow - ybeam / 1000.0 if is_mask else ybeam / 1000.0
    take("ORGX", "orgx", 1.0)
    take("ORGY", "orgy", 1.0)
    take("PHI", "phi", RTD)
    take("OSC_RANGE", "osc", RTD)


def _check_detector(settings: Settings) -> None:
    """Refuse what no single flag shows: a header's senseless numbers, a detector beyond all sizes (K11)."""
    if not settings.pixel_size > 0.0:
        raise InputError(f"the image header's PIXEL_SIZE is {settings.pixel_size * 1e3:g}; expected -pixel above 0")
    # NaN is one that is still to be asked for.
    if settings.wavelength < WAVELENGTHS[0] or settings.wavelength > WAVELENGTHS[1]:
        raise InputError(
            f"the image header's WAVELENGTH is {settings.wavelength * 1e10:g}; expected -lambda above 0, from 0.0001 to"
            " 100000 angstrom"
        )
    if settings.close_distance == 0.0 or (settings.close_distance is None and settings.distance == 0.0):
        raise InputError("the image header's distance is 0; expected -distance or -close_distance other than 0")
    fast = settings.pixels_fast or settings.detsize_fast / settings.pixel_size
    slow = settings.pixels_slow or settings.detsize_slow / settings.pixel_size
    if not fast * slow <= MAX_PIXELS:
        raise InputError(
            f"the detector has {fast:.4g} x {slow:.4g} pixels (-detpixels, -detsize, -pixel); expected at most 2^40"
        )
    if min(fast, slow) <= 0.5:
        raise InputError("the detector is smaller than half a pixel; expected a larger -detsize or a smaller -pixel")
