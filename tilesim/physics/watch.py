"""Telling an onlooker the intermediate values of a calculation as they come about."""

from __future__ import annotations

from collections.abc import Callable

Watch = Callable[..., None]
"""watch(event, ...): what has just been computed. The values are the calculation's own: not to be changed or kept."""


def unwatched(event: str, *values: object) -> None:
    """Nothing is recorded."""
