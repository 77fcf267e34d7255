"""Names of files with {frame}, {image}, {panel} and {name} in braces, which are filled in for each file."""

from __future__ import annotations

import os
import re
from collections.abc import Collection

from tilesim.errors import InputError
from tilesim.files.reading import printable

FIELD = re.compile(r"\{(frame|image|panel)(?::(0?\d{0,2})d?)?\}|\{(name)\}")
"""Name and width of what is filled in; an image's number is its frame's plus one."""


def fill(template: str, frame: int, panel: int = 0, name: str = "") -> str:
    """The name of one file."""
    numbers = {"frame": frame, "image": frame + 1, "panel": panel}
    return FIELD.sub(lambda m: name if m[3] else f"{numbers[m[1]]:{m[2] or ''}d}", template)


def fill_panel(template: str, panel: int) -> str:
    """The template with the number of the panel filled in."""
    return FIELD.sub(lambda m: f"{panel:{m[2] or ''}d}" if m[1] == "panel" else m[0], template)


def fields_of(template: str) -> set[str]:
    """What is filled into a template."""
    return {match[1] or match[3] for match in FIELD.finditer(template)}


def check_template(option: str, template: str, among: Collection[str]) -> None:
    """Raise InputError unless all braces of a template are fields, and of those in `among`; `option` names it."""
    rest = FIELD.sub("", template)
    if "{" in rest or "}" in rest or not fields_of(template) <= set(among):
        expected = " or ".join(f"{{{field}}}" for field in among)
        raise InputError(
            f"{option} {printable(template)}: expected {expected} in braces only, with a width as in {{frame:05d}}"
        )


def one_for_many(option: str, template: str, count: int, what: str = "frame", or_else: str = "") -> InputError:
    """The error for one name of several files; `or_else` is another way out."""
    stem, suffix = os.path.splitext(template)
    return InputError(
        f"{option} {printable(template)} is one file for {count} {what}s; expected a name with {{{what}}}, such as "
        f"{stem}_{{{what}:05d}}{suffix}{or_else}"
    )
