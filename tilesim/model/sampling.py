"""How finely the image is sampled and which effects are recomputed per sample."""

from __future__ import annotations

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.model import checks
from tilesim.model.noun import Noun, counted, quantity

FLAGS = ("interpolate", "oversample_thick", "oversample_polar", "oversample_omega", "point_pixel", "strict_c")


@frozen(repr=False)
class Region(Noun):
    """A half-open rectangle of pixels, zero-based: start <= index < stop; it may be empty.

    Raises
    ------
    InputError
        Where a bound is no whole number.

    Examples
    --------
    >>> from tilesim import Region
    >>> Region(slow_start=-5, slow_stop=20, fast_start=10, fast_stop=900).clipped(100, 200)
    Region
      slow  slow 0:20
      fast  fast 10:200
    """

    slow_start: int
    """First row."""
    slow_stop: int
    """Row after the last."""
    fast_start: int
    """First column."""
    fast_stop: int
    """Column after the last."""

    def __post_init__(self) -> None:
        for name in ("slow_start", "slow_stop", "fast_start", "fast_stop"):
            checks.coerce(self, **{name: checks.whole_number(f"{name} of a region", getattr(self, name))})

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return max(0, self.slow_stop - self.slow_start) * max(0, self.fast_stop - self.fast_start)

    def clipped(self, slow: int, fast: int) -> Region:
        """The part of this region on a panel of slow x fast pixels."""
        return Region(
            max(0, self.slow_start), min(slow, self.slow_stop), max(0, self.fast_start), min(fast, self.fast_stop)
        )

    def summary(self) -> dict[str, str]:
        return {"slow": f"slow {self.slow_start}:{self.slow_stop}", "fast": f"fast {self.fast_start}:{self.fast_stop}"}


@frozen(repr=False)
class Sampling(Noun):
    """Sub-pixels, cut-offs and options of the sum over a pixel (spec intensity 2, 5, 6).

    Raises
    ------
    InputError
        Where oversample is below 1, dmin is negative, or an option is neither True nor False.

    Examples
    --------
    >>> from tilesim import Region, Sampling
    >>> Sampling(oversample=2, dmin=2e-10, roi=Region(0, 100, 50, 80))
    Sampling
      oversample  4 sub-pixels
      dmin        to 2 Å
      region      slow 0:100, fast 50:80
    """

    oversample: int = 1
    """Sub-pixels along each edge of a pixel."""
    dmin: float = 0.0
    """Contributions of smaller d-spacing, in metres, are left out; 0 keeps all."""
    interpolate: bool = False
    """Tricubic interpolation between structure factors instead of the nearest one."""
    oversample_thick: bool = False
    """Recompute the capture fraction for every sub-pixel."""
    oversample_polar: bool = False
    """Recompute the polarisation factor for every sub-pixel and source."""
    oversample_omega: bool = False
    """Recompute the solid angle for every layer and sub-pixel."""
    point_pixel: bool = False
    """Solid angle 1/R^2 without pixel area and obliquity."""
    roi: Region | None = None
    """Only these pixels are rendered; the others are zero."""
    strict_c: bool = False
    """Reproduce the reference's defects K1 to K5 and K9 (docs/corrections.md)."""

    def __post_init__(self) -> None:
        dmin = checks.number("dmin", self.dmin)
        if not dmin >= 0.0:  # infinity is a cut-off too
            raise InputError(f"dmin is {dmin:g}; expected metres, 0 or more")
        checks.coerce(
            self,
            oversample=checks.whole_number("oversample", self.oversample, at_least=1),
            dmin=dmin,
            roi=None if self.roi is None else checks.instance("roi", self.roi, Region),
        )
        for name in FLAGS:
            checks.coerce(self, **{name: checks.flag(name, getattr(self, name))})

    def summary(self) -> dict[str, str]:
        rows = {"oversample": counted(self.oversample**2, "sub-pixel")}
        if self.dmin > 0.0:
            rows["dmin"] = f"to {quantity(self.dmin, 1e10, 'Å')}"
        if self.roi is not None:
            rows["region"] = self.roi.text
        if options := [name for name in FLAGS if getattr(self, name)]:
            rows["options"] = ", ".join(options)
        return rows
