"""Outputs: which files are made of every frame, and how its photons become the numbers in them."""

from __future__ import annotations

from tilesim.files.templates import check_template, fields_of, fill, one_for_many
from tilesim.frozen import frozen
from tilesim.model import checks
from tilesim.model.noun import Noun

FILES = {
    "float_file": "-floatfile",
    "int_file": "-intfile",
    "noise_file": "-noisefile",
    "pgm_file": "-pgmfile",
    "preview": "--preview",
}
"""Fields that name a file of each frame, and the option of each."""


@frozen(repr=False)
class Outputs(Noun):
    """Files to make of every frame, each None where it is not wanted.

    In a name {frame} or {frame:05d} and {name} are filled in with the number and the name of the frame.

    >>> from tilesim import Outputs
    >>> Outputs(float_file="img_{frame:05d}.bin").filled(7).float_file
    'img_00007.bin'
    """

    float_file: str | None = None
    """Photons as headerless little-endian float32."""
    int_file: str | None = None
    """SMV image of 16-bit integers without noise."""
    noise_file: str | None = None
    """SMV image of 16-bit integers with photon noise."""
    pgm_file: str | None = None
    """8-bit picture."""
    preview: str | None = None
    """PNG for the eye, with resolution rings."""
    scale: float = 0.0
    """Counts per photon of the SMV image without noise; zero or negative is automatic."""
    pgm_scale: float = 0.0
    """The same of the 8-bit picture."""
    adc: float = 40.0
    """Offset of both SMV images."""
    seed: int = 1
    """Random seed of the photon noise."""

    def __post_init__(self) -> None:
        for name in FILES:
            if getattr(self, name) is not None:
                checks.text(name, getattr(self, name))
        checks.coerce(
            self,
            scale=checks.number("scale", self.scale),
            pgm_scale=checks.number("pgm_scale", self.pgm_scale),
            adc=checks.number("adc", self.adc),
            seed=checks.whole_number("seed", self.seed),
        )

    @property
    def named(self) -> tuple[str, ...]:
        """The files that will be written."""
        return tuple(name for name in (getattr(self, field) for field in FILES) if name is not None)

    def filled(self, number: int, name: str = "") -> Outputs:
        """The outputs of one frame: {frame} and {name} in file names filled in."""
        names = {field: getattr(self, field) for field in FILES}
        return self.replace(**{field: fill(n, number, name=name) for field, n in names.items() if n and "{" in n})

    def check(self, frames: int) -> None:
        """Raise InputError unless the names of files distinguish `frames` frames where there is more than one."""
        for field, option in FILES.items():
            template = getattr(self, field)
            if template is None:
                continue
            check_template(option, template, ("frame", "name"))
            if frames > 1 and "frame" not in fields_of(template) and not template.startswith("/dev/"):
                raise one_for_many(option, template, frames)

    def summary(self) -> dict[str, str]:
        rows = {field.replace("_", " "): getattr(self, field) for field in FILES if getattr(self, field) is not None}
        return rows or {"files": "none"}
