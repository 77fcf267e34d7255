"""Names of the files of a series: {frame}, {image} and {panel} in braces, with a width as in {frame:05d}."""

from __future__ import annotations

import re

FIELD = re.compile(r"\{(frame|image|panel)(?::0(\d)d)?\}")
"""Name and width of what is filled in; an image's number is its frame's plus one."""


def fill(template: str, frame: int, panel: int) -> str:
    """The name of one file."""
    numbers = {"frame": frame, "image": frame + 1, "panel": panel}
    return FIELD.sub(lambda m: f"{numbers[m[1]]:0{m[2] or 1}d}", template)
