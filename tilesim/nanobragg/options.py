"""Options with two dashes: what a command line says beyond nanoBragg's own flags, as typed values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from tilesim.errors import InputError
from tilesim.files.structured import shown_value
from tilesim.frozen import frozen
from tilesim.model.diffuse import Rotations
from tilesim.model.mosaic import MosaicAxes, MosaicFrame
from tilesim.model.shape import Shape
from tilesim.nanobragg.values import Kind, checked

FINEST = 0.1
"""Angstrom; nobody computes structure factors of a model to less."""


@frozen
class Options:
    """What such options say, in the units that they are given in; None where one is missing.

    column, symmetry, model, dmin, ...,
    hkl_by_energy                          structure factors (docs/structure-factors.md)
    cell_file, stream                      a cell or an oriented crystal of CrystFEL's files (docs/crystfel.md)
    background, background_thickness, ...  an amorphous slab in the beam (docs/background.md)
    geometry, detector, experiment         a detector as it is (docs/detectors.md)
    crystal_shape, ncells, node_height,    the crystal (docs/crystals.md)
    mosaic_matrices, mosaic_sigma, ...,
    domain_sizes, crystal_size, lattices,
    diffuse_gamma, ...
    spectrum, channels, channel_width      wavelengths of the incident beam (docs/spectra.md)
    """

    column: str | None = None
    symmetry: str | None = None
    """Point group of a list of reflections"""
    hkl_by_energy: str | None = None
    cell_file: str | None = None
    stream: str | None = None
    model: str | None = None
    dmin: float | None = None
    """Angstrom"""
    k_sol: float | None = None
    """Electrons per cubic angstrom"""
    b_sol: float | None = None
    """Square angstrom"""
    fp_fdp: str | None = None
    """Such as Fe=fe.txt,Se=se.txt"""
    background: str | None = None
    background_thickness: float | None = None
    """Millimetres"""
    background_density: float | None = None
    """Grams per cubic centimetre"""
    background_mw: float | None = None
    """Grams per mole"""
    geometry: str | None = None
    detector: str | None = None
    experiment: int | None = None
    """Number among those of a file, counted from 0"""
    crystal_shape: str | None = None
    ncells: tuple[float, ...] | None = None
    """One number, Na Nb Nc, or Na Nb Nc Nd Ne Nf"""
    node_height: str | None = None
    """cells or one"""
    mosaic_matrices: str | None = None
    mosaic_sigma: tuple[float, ...] | None = None
    """Degrees, one or three"""
    mosaic_frame: str | None = None
    """lab or crystal"""
    mosaic_axes: str | None = None
    """spiral or random"""
    spread_seed: int | None = None
    domain_sizes: str | None = None
    """lognormal:SD, lognormal:SD:COUNT or a file"""
    crystal_size: tuple[float, ...] | None = None
    """Micrometres, one edge or three"""
    lattices: str | None = None
    diffuse_gamma: tuple[float, ...] | None = None
    """Angstrom, one or three; as the next"""
    diffuse_sigma: tuple[float, ...] | None = None
    diffuse_symmetry: str | None = None
    diffuse_stencil: int | None = None
    diffuse_frame: str | None = None
    """lab or crystal"""
    spectrum: str | None = None
    channels: float | None = None
    channel_width: float | None = None
    """Electronvolts"""

    def check(self) -> Options:
        """The options themselves. Raises InputError where one goes without another, or not beside it."""
        alone = [option for option in self.given if option in ("--dmin", "--k-sol", "--b-sol", "--fp-fdp")]
        if self.model is None and alone:
            raise InputError(f"{alone[0]} goes with --model; expected --model FILE")
        if self.model is not None and self.column is not None:
            raise InputError("--column goes with -hkl and an MTZ or CIF file; expected without --model")
        if self.model is not None and self.symmetry is not None:
            raise InputError("--symmetry goes with -hkl and a list of reflections; expected without --model")
        if self.hkl_by_energy is not None and self.model is not None:
            raise InputError("--hkl-by-energy and --model exclude each other; expected one of them")
        if self.hkl_by_energy is not None and self.column is not None:
            raise InputError("--column goes with -hkl; expected columns in the lines of --hkl-by-energy")
        if self.stream is not None and self.geometry is None:
            raise InputError("--stream goes with --geometry, whose frame its crystals are in; expected --geometry FILE")
        if self.stream is not None and self.cell_file is not None:
            raise InputError("--stream and --cell-file exclude each other; expected one of them")
        if self.geometry is not None and self.detector is not None:
            raise InputError("more than one detector (--geometry, --detector); expected one of them")
        if self.experiment is not None and self.geometry is None:
            raise InputError("--experiment goes with --geometry; expected --geometry FILE.expt or a stream")
        self._check_mosaic()
        self._check_diffuse()
        self._check_spectrum()
        return self

    def _check_mosaic(self) -> None:
        """Raise InputError where options of mosaic domains contradict, or lack, each other."""
        if self.mosaic_sigma is not None and self.mosaic_matrices is not None:
            raise InputError("--mosaic-sigma and --mosaic-matrices; expected one of them")
        spread = [option for option in self.given if option in ("--mosaic-axes", "--spread-seed")]
        if spread and self.mosaic_sigma is None:
            raise InputError(f"{spread[0]} goes with --mosaic-sigma; expected --mosaic-sigma DEG")
        if self.mosaic_frame is not None and self.mosaic_sigma is None and self.mosaic_matrices is None:
            raise InputError("--mosaic-frame goes with --mosaic-sigma or --mosaic-matrices; expected one of them")
        if self.mosaic_sigma is not None and len(set(self.mosaic_sigma)) > 1 and self.mosaic_frame is None:
            raise InputError(
                "--mosaic-sigma of three angles without --mosaic-frame; expected lab (about x, y, z of the laboratory) "
                "or crystal (about a, b, c)"
            )

    def _check_spectrum(self) -> None:
        """Raise InputError where options of the channels have no spectrum, or contradict each other."""
        channelling = [option for option in self.given if option in ("--channels", "--channel-width")]
        if channelling and self.spectrum is None:
            raise InputError(f"{channelling[0]} goes with --spectrum; expected --spectrum FILE or a generator")
        if len(channelling) > 1:
            raise InputError("--channels and --channel-width; expected one of them")

    def _check_diffuse(self) -> None:
        """Raise InputError where options of diffuse scattering lack each other."""
        if (self.diffuse_gamma is None) != (self.diffuse_sigma is None):
            raise InputError("--diffuse-gamma and --diffuse-sigma go together; expected both of them")
        if self.diffuse_gamma is None and (more := [one for one in self.given if one.startswith("--diffuse")]):
            raise InputError(f"{more[0]} goes with --diffuse-gamma and --diffuse-sigma; expected these")
        directed = len({*(self.diffuse_gamma or ())}) > 1 or len({*(self.diffuse_sigma or ())}) > 1
        if directed and self.diffuse_frame is None:
            raise InputError(
                "--diffuse-gamma or --diffuse-sigma of three lengths without --diffuse-frame; expected lab or crystal"
            )

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Options:
        """From texts or numbers by option (`--dmin`) or field (`dmin`); others, and None, are left out.

        Raises InputError, naming the option.
        """
        known = {name: _typed(option, value) for option, name, value in _named(values)}
        return cls(**known)

    @property
    def given(self) -> tuple[str, ...]:
        """The options that are there, as they are spelled."""
        return tuple(option for option, name in OPTIONS.items() if getattr(self, name) is not None)

    def over(self, others: Options) -> Options:
        """These where they say something, else the others."""
        own = {field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None}
        return replace(others, **own) if own else others

    def tokens(self) -> list[str]:
        """A command line that says the same, for people."""
        return [text for option in self.given for text in (option, _text(getattr(self, OPTIONS[option])))]


OPTIONS = {f"--{field.name.replace('_', '-')}": field.name for field in fields(Options)}
"""Spelling of each, and its field."""
NOTHING = Options()
NEGATIVE = ("-1", "-4", "-42m", "-4m2", "-3_R", "-3m_R", "-3_H", "-3m1_H", "-31m_H", "-6", "-62m", "-6m2", "-43m")
"""Point groups whose symbols begin as flags do."""
Bound = tuple[str, Callable[[float], bool]]
BOUNDS: dict[str, Bound] = {
    "--dmin": (f"a number of {FINEST:g} or more [angstrom]", lambda x: x >= FINEST),
    "--k-sol": ("a number of 0 or more [electrons per cubic angstrom]", lambda x: x >= 0),
    "--b-sol": ("a number of 0 or more [square angstrom]", lambda x: x >= 0),
    "--background-thickness": ("a number of 0 or more [mm]", lambda x: x >= 0),
    "--background-density": ("a number of 0 or more [g/cm^3]", lambda x: x >= 0),
    "--background-mw": ("a number above 0 [g/mol]", lambda x: x > 0),
    "--channels": ("a whole number of 1 or more", lambda x: x >= 1 and x == math.floor(x)),
    "--channel-width": ("a number above 0 [eV]", lambda x: x > 0),
}
"""Options that are numbers, and what they must be; the others are names."""
LISTS: dict[str, tuple[tuple[int, ...], Bound]] = {
    "--mosaic-sigma": ((1, 3), ("1 or 3 angles from 0 to below 360, with commas [degree]", lambda x: 0 <= x < 360)),
    "--diffuse-gamma": (
        (1, 3),
        ("1 or 3 lengths above 0 to 100000, with commas [angstrom]", lambda x: 0 < x <= 1e5),
    ),
    "--diffuse-sigma": ((1, 3), ("1 or 3 lengths above 0 to 100, with commas [angstrom]", lambda x: 0 < x <= 100)),
    "--crystal-size": (
        (1, 3),
        ("1 or 3 edges above 0 to 100000, with commas [micrometre]", lambda x: 0 < x <= 1e5),
    ),
    "--ncells": ((1, 3, 6), ("1, 3 or 6 numbers with commas, the first three above 0", math.isfinite)),
}
"""Options of several numbers: how many there may be, and what each must be."""
CHOICES: dict[str, tuple[str, ...]] = {
    "--crystal-shape": tuple(map(str, Shape)),
    "--node-height": ("cells", "one"),
    "--mosaic-frame": tuple(map(str, MosaicFrame)),
    "--mosaic-axes": tuple(map(str, MosaicAxes)),
    "--diffuse-symmetry": tuple(map(str, Rotations)),
    "--diffuse-frame": tuple(map(str, MosaicFrame)),
}
"""Options that are one of some names."""
COUNTED = ("--experiment", "--spread-seed", "--diffuse-stencil")
"""Options that are whole numbers, counted from 0."""


def split_options(args: Sequence[str], strict_c: bool) -> tuple[list[str], Options]:
    """The arguments without the options among them, and what these say, the last of each.

    A value is the next argument or stands after an equals sign. Raises InputError, also where nanoBragg is to be
    reproduced, which has no such options.
    """
    rest, found = [], {}
    tokens = iter(args)
    for token in tokens:
        name, assigned, value = token.partition("=")
        if name not in OPTIONS:
            rest.append(token)
            continue
        if not assigned:
            value = next(tokens, "")
        found[name] = value
    options = Options.read(found) if found else NOTHING
    check_strict(options, strict_c)
    return rest, options


def check_strict(options: Options, strict_c: bool) -> None:
    """Raise InputError where there are options that nanoBragg, which is to be reproduced, does not have."""
    if strict_c and options.given:
        raise InputError(f"{options.given[0]} is tilesim's own; expected no --strict-c with it")


def _named(values: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    """Option, field and value of what is given."""
    both = [(option, name, (option, name)) for option, name in OPTIONS.items()]
    return [(o, name, values[key]) for o, name, keys in both for key in keys if values.get(key) is not None]


def _typed(option: str, value: Any) -> str | float | int | tuple[float, ...]:
    if option in COUNTED:
        text = str(value)
        if isinstance(value, bool) or not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise InputError(f"{option} expects a whole number, counted from 0; found {value!r}")
        return int(text)
    if option in LISTS:
        return _listed(option, value)
    if option == "--diffuse-symmetry" and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # as a batch file may have it
    if option in CHOICES and value not in CHOICES[option]:
        raise InputError(f"{option} expects one of {', '.join(CHOICES[option])}; found {shown_value(value)}")
    if option not in BOUNDS:
        group = option == "--symmetry" and value in NEGATIVE
        if not isinstance(value, str) or not value or (value.startswith("-") and not group):
            raise InputError(f"{option} needs a value; found {shown_value(value)}")
        return value
    expected, holds = BOUNDS[option]
    try:
        number = checked(Kind.REAL, value) if isinstance(value, str) else float(value)
    except (ValueError, TypeError):
        number = math.nan
    if not holds(number):
        raise InputError(f"{option} expects {expected}; found {shown_value(value)}")
    return number


def _listed(option: str, value: Any) -> tuple[float, ...]:
    """Numbers with commas between them, or a list of numbers."""
    counts, (expected, holds) = LISTS[option]
    if isinstance(value, list | tuple):
        parts = list(value)
    else:
        parts = str(value).split(",") if not isinstance(value, bool) else []
    try:
        numbers = tuple(checked(Kind.REAL, part) if isinstance(part, str) else float(part) for part in parts)
    except (ValueError, TypeError):
        numbers = ()
    if len(numbers) not in counts or not all(map(holds, numbers)):
        raise InputError(f"{option} expects {expected}; found {shown_value(value)}")
    return tuple(map(float, numbers))


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_text, value))
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
