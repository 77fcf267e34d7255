"""What a flag does to the settings, given its values in internal units (spec command-line 2)."""

from __future__ import annotations

from collections.abc import Callable

from tilesim.nanobragg.settings import Settings
from tilesim.nanobragg.values import Value

Effect = Callable[..., None]
"""Called with the settings and the values of a flag."""

RANDOM = "random"


def put(targets: str, **fields: object) -> Effect:
    """Put the one value into every target, a field or an element of one as in "cells.0", and set other fields."""

    def effect(settings: Settings, value: Value) -> None:
        for target in targets.split():
            field, _, index = target.partition(".")
            if index:
                getattr(settings, field)[int(index)] = value
            else:
                setattr(settings, field, value)
        switch(**fields)(settings)

    return effect


def curve(unit: float) -> Effect:
    """Name the scattering curve and the unit of its angles, in 1/m of sin(theta)/lambda; the last one counts."""
    return put("stol_file", stol_unit=unit)


def place(field: str, pivot: str) -> Effect:
    """Put a position of the detector, which NaN leaves unset as in the reference, and choose the pivot."""

    def effect(settings: Settings, value: float) -> None:
        setattr(settings, field, value if value == value else None)
        settings.pivot = pivot

    return effect


def switch(**fields: object) -> Effect:
    """Set fields to fixed values."""

    def effect(settings: Settings) -> None:
        for field, value in fields.items():
            setattr(settings, field, value)

    return effect


def vector(name: str) -> Effect:
    """Set one of the seven vectors, which selects the custom convention."""

    def effect(settings: Settings, *components: float) -> None:
        settings.convention = "custom"
        settings.vectors[name] = components

    return effect


def unused_vector(settings: Settings, *_: float) -> None:
    """Select the custom convention; the numbers have no effect (spec command-line 7, trap 3)."""
    settings.convention = "custom"


def cell(settings: Settings, *values: float) -> None:
    """Set the first of a b c alpha beta gamma; the others keep what an earlier -cell said."""
    settings.cell = settings.cell or [0.0] * 6
    settings.cell[: len(values)] = values


def misset(settings: Settings, *values: Value) -> None:
    """Three angles, or RANDOM."""
    settings.misset = RANDOM if values == (RANDOM,) else values


def pivot(settings: Settings, value: str | None) -> None:
    settings.pivot = value or settings.pivot


def absorption(settings: Settings, attenuation: float | None) -> None:
    """Set mu in 1/m; None switches the sensor off, but not a thickness that is given later (spec 2.6)."""
    if attenuation is None:
        settings.thickness = settings.attenuation = 0.0
    else:
        settings.attenuation = attenuation


def region(settings: Settings, *limits: int) -> None:
    settings.roi = list(limits)


def printout_pixel(settings: Settings, fast: int, slow: int) -> None:
    settings.printout, settings.printout_pixel = True, (fast, slow)


def trace_pixel(settings: Settings, slow: int, fast: int) -> None:
    settings.trace_pixel = (slow, fast) if min(slow, fast) >= 0 else None


def nothing(settings: Settings, *_: Value) -> None:
    """The reference stores the value and never uses it."""
