"""What all nouns share: a changed copy, and a summary in the units that people use."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Self


class Noun:
    """Base class of the frozen dataclasses of the model."""

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed, checked as a new one is. Raises InputError.

        What depends on a changed field follows it: the sources of a beam keep their place around its direction and
        wavelength, and what was given beside the vectors of a crystal or panel is derived from the new ones.
        """
        return dataclasses.replace(self, **{**self._following(changes), **changes})  # type: ignore[type-var]

    def _following(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Other fields that the changes carry with them."""
        return {}

    def summary(self) -> dict[str, str]:
        """What there is to know, in few words, by name."""
        return {}

    @property
    def text(self) -> str:
        """The summary in one line."""
        return ", ".join(self.summary().values())

    def __repr__(self) -> str:
        rows = self.summary()
        width = max(map(len, rows), default=0)
        return "\n".join([type(self).__name__, *(f"  {name:<{width}}  {text}" for name, text in rows.items())])

    def _picture(self) -> str:
        """An SVG that shows it; nothing where there is nothing to see."""
        return ""

    def _repr_html_(self) -> str:
        """The summary as a table, for notebooks."""
        from html import escape

        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th><td style='text-align:left'>{escape(text)}</td></tr>"
            for name, text in self.summary().items()
        )
        return f"<div><strong>{type(self).__name__}</strong>{self._picture()}<table>{rows}</table></div>"


def quantity(value: float, per: float, unit: str) -> str:
    """A number of SI units in another unit, of which there are `per` in the SI one."""
    return f"{value * per:.6g} {unit}"


def vector(values: tuple[float, ...]) -> str:
    """Components, short."""
    return "(" + " ".join(f"{x + 0.0:.5g}" for x in values) + ")"


def counted(number: int, what: str) -> str:
    """`1 domain`, `3 domains`."""
    return f"{number} {what}{'' if number == 1 else 's'}"
