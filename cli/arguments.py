"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click

from tilesim_cli.command import FILE

LONGEST = 60
"""Characters of a word that an error shows."""
_SPELLED = re.compile(r" *[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+|inf|nan)(?:e[+-]?[0-9]+)? *", re.IGNORECASE | re.ASCII)
"""Numbers as everybody spells them; Python would take 1_0 and digits of other scripts, too."""


def plainly_spelled(command: click.Command) -> click.Command:
    """The command, whose options refuse numbers that only Python understands, and show a bad one in part."""
    for parameter in command.params:
        convert = parameter.type.convert
        numeric = isinstance(parameter.type, click.types.IntParamType | click.types.FloatParamType)
        if numeric and not isinstance(convert, _Plainly):
            parameter.type.convert = _Plainly(convert)
    return command


class _Plainly:
    """A conversion that is tried on numbers of a plain spelling only."""

    def __init__(self, convert: Callable[[Any, Any, Any], Any]) -> None:
        self._convert = convert

    def __call__(self, value: Any, parameter: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, str) and (len(value) > LONGEST or not _SPELLED.fullmatch(value)):
            shown = value if len(value) <= LONGEST else f"{value[:LONGEST]}..."
            raise click.BadParameter(f"{shown!r}; expected a number", ctx, parameter)
        return self._convert(value, parameter, ctx)


def parse_tile(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """`256` or `128x512` (slow x fast) pixels."""
    if value is None:
        return None
    edges = value.lower().split("x")
    if len(edges) not in (1, 2) or not all(e.isascii() and e.isdecimal() and int(e) > 0 for e in edges):
        raise click.BadParameter(f"{value[:LONGEST]!r}; expected pixels such as 512 or 256x1024 (slow x fast)")
    return (int(edges[0]), int(edges[-1]))


def _parse_compression(ctx: click.Context, parameter: click.Parameter, value: str | None):
    """What the pixels of a store are compressed by; None where nobody chose."""
    if value is None:
        return None
    from tilesim.store.compression import parse_compression

    return parse_compression(value)


def detectors_beginning(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of detectors, for a shell."""
    from tilesim.instruments.library import library

    return [name for name in library() if name.startswith(incomplete.lower())]


COMPRESSION = click.option(
    "--compression",
    metavar="none|lz4|zstd[:LEVEL]",
    callback=_parse_compression,
    help="Compression of a store [lz4; of whole numbers zstd].",
)
ENGINE = [
    click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Compute in N processes of this machine."),
    click.option("--scheduler", metavar="ADDRESS", help="Compute on the workers of a dask scheduler, tcp://host:8786."),
    click.option(
        "--scheduler-file", metavar="FILE", type=FILE, help="The same, found by the file that a scheduler wrote."
    ),
    click.option(
        "--tls-ca", metavar="FILE", type=FILE, help="Authority for a scheduler with TLS (PEM), with the next two."
    ),
    click.option("--tls-cert", metavar="FILE", type=FILE, help="Certificate."),
    click.option("--tls-key", metavar="FILE", type=FILE, help="Key."),
    click.option(
        "--timeout",
        "--patience",  # its earlier name
        "timeout",
        type=float,
        default=300.0,
        metavar="S",
        help="Seconds to wait for a worker where there is none [300].",
    ),
]
"""Where tiles are computed; by default in threads of this process."""
ASSEMBLE = click.option(
    "--assemble",
    type=click.Choice(["client", "workers"]),
    default="client",
    help="Who makes float files and images from stored tiles; workers then need their folder too [client].",
)


KERNEL = [
    click.option(
        "--tile", metavar="N|SxF", callback=parse_tile, help="Pixels of a tile, slow x fast [equal, up to 512]."
    ),
    click.option("--device", metavar="auto|cpu|cuda[:n]", default="auto", help="Where the kernel runs [auto]."),
    click.option(
        "--precision",
        type=click.Choice(["mixed", "double"]),
        default="mixed",
        help="Sums in float32, or all float64 [mixed].",
    ),
    click.option(
        "--backend",
        type=click.Choice(["auto", "eager", "fused"]),
        default="auto",
        help="Form of the kernel [auto].",
    ),
    click.option("--strict-c", is_flag=True, help="Reproduce nanoBragg's defects too (`tilesim corrections`)."),
]
"""How tiles are computed."""
FACTORS = [
    click.option("--column", metavar="LABEL", help="Column of an MTZ or CIF file of -hkl; two with a comma."),
    click.option("--symmetry", metavar="GROUP", help="Point group of a list of h k l F or I: 422, 4/mmm, 2/m_uab, ..."),
    click.option(
        "--hkl-by-energy",
        metavar="FILE",
        type=FILE,
        help="Lines of energy, file[, column]: -hkl of each photon energy.",
    ),
    click.option(
        "--model", metavar="FILE", type=FILE, help="Compute structure factors of a PDB or mmCIF model, instead of -hkl."
    ),
    click.option("--dmin", metavar="D", help="Finest d-spacing of --model, angstrom [-dmin, else the detector's]."),
    click.option("--k-sol", metavar="X", help="Solvent of --model, electrons per cubic angstrom; 0 is none [0.35]."),
    click.option(
        "--fp-fdp", metavar="EL=FILE,...", type=FILE, help="Files of energy, f' and f'' of elements of --model."
    ),
    click.option("--b-sol", metavar="X", help="B factor of the solvent, square angstrom [46]."),
]
"""Where structure factors come from, beyond nanoBragg's own flags."""
CRYSTFEL = [
    click.option(
        "--cell-file", metavar="FILE.cell", type=FILE, help="Unit cell of a CrystFEL file, in place of -cell."
    ),
    click.option("--stream", metavar="FILE", type=FILE, help="Crystal and wavelength of a chunk of a CrystFEL stream."),
]
"""Crystals of other programs' files (docs/crystfel.md)."""
BACKGROUND = [
    click.option("--background", metavar="water|air|ice", help="Material of a slab in the beam, at the sample."),
    click.option("--background-thickness", metavar="MM", help="How thick it is; with -stol of its curve."),
    click.option("--background-density", metavar="G_CM3", help="Its density [that of the material]."),
    click.option("--background-mw", metavar="G_MOL", help="Its molar mass [that of the material]."),
]
"""What scatters besides the crystal (docs/background.md)."""
DETECTOR = [
    click.option(
        "--geometry", metavar="FILE", type=FILE, help="Panels from a DIALS .expt, CrystFEL .geom, NXmx or TOML file."
    ),
    click.option("--experiment", metavar="K", help="Which one of a .expt, or chunk of a stream, counted from 0 [0]."),
    click.option(
        "--detector",
        metavar="NAME",
        shell_complete=detectors_beginning,
        help="A detector by name, such as eiger2-16m; see docs/detectors.md.",
    ),
]
"""Detectors as they are (docs/detectors.md)."""
CRYSTAL = [
    click.option(
        "--crystal-shape",
        metavar="NAME",
        help="square, round, gauss, tophat as of nanoBragg's flags; gauss-hkl, tophat-hkl of simtbx and diffBragg: as "
        "wide as 1/N in h, k, l, while gauss and tophat (-gauss_xtal, -tophat_spots) are round in 1/angstrom [square].",
    ),
    click.option("--ncells", metavar="NA[,NB,NC[,ND,NE,NF]]", help="Unit cells, real numbers, instead of -N."),
    click.option("--node-height", metavar="cells|one", help="Lattice factor on a node of a *-hkl shape [cells]."),
    click.option(
        "--mosaic-matrices", metavar="FILE", type=FILE, help="Rotation of every mosaic domain, nine numbers a row."
    ),
    click.option(
        "--mosaic-sigma",
        metavar="DEG[,DEG,DEG]",
        help="Gaussian mosaic spread, standard deviation; of three angles see --mosaic-frame.",
    ),
    click.option(
        "--mosaic-frame",
        metavar="lab|crystal",
        help="Frame of the three angles and of the rotations: about x, y, z and fixed in the laboratory, or about "
        "a, b, c and turning with the crystal [lab].",
    ),
    click.option("--mosaic-axes", metavar="spiral|random", help="How --mosaic-sigma spreads rotation axes [spiral]."),
    click.option("--spread-seed", metavar="N", help="Random seed of --mosaic-sigma [8675309]."),
    click.option(
        "--domain-sizes",
        metavar="lognormal:SD[:COUNT]|FILE",
        type=FILE,
        help="Sizes of domains relative to N: a distribution, or rows of factor and number of domains.",
    ),
    click.option(
        "--crystal-size",
        metavar="UM[,UM,UM]",
        help="Edges of the whole crystal, along the beam and across it, of which -N is then one mosaic block.",
    ),
    click.option(
        "--lattices",
        metavar="FILE",
        type=FILE,
        help="Several lattices: rows of a share and angles x y z, or a rotation matrix.",
    ),
    click.option("--diffuse-gamma", metavar="A[,A,A]", help="Diffuse scattering: correlation length of motions."),
    click.option("--diffuse-sigma", metavar="A[,A,A]", help="Diffuse scattering: displacement, root mean square."),
    click.option("--diffuse-symmetry", metavar="222|...", help="Rotations that it is averaged over [1]."),
    click.option("--diffuse-stencil", metavar="N", help="Nodes on each side of the nearest one that count [1]."),
    click.option("--diffuse-frame", metavar="lab|crystal", help="Axes of three lengths; must be stated with them."),
]
"""The crystal beyond nanoBragg's own flags (docs/crystals.md)."""
SPECTRUM = [
    click.option(
        "--spectrum",
        metavar="FILE|KIND:...",
        type=FILE,
        help="Wavelengths of the beam: a file, or such as sase:energy=9000,bandwidth=0.003; see docs/spectra.md.",
    ),
    click.option("--channels", metavar="N", help="Channels of the spectrum [those of the file, or the generator's]."),
    click.option("--channel-width", metavar="EV", help="Energy from one channel to the next, instead."),
]
"""Spectra of the incident beam (docs/spectra.md)."""
EXPERIMENT = [*FACTORS, *CRYSTFEL, *CRYSTAL, *BACKGROUND, *DETECTOR, *SPECTRUM]
"""All that decides a pixel beyond nanoBragg's own flags."""
ENDING = [
    click.option(
        "--json", "json_file", metavar="FILE", type=FILE, help="Write what was done as JSON; - is standard output."
    ),
    COMPRESSION,
    click.option("--overwrite", is_flag=True, help="Replace an existing store."),
    click.option("--resume", is_flag=True, help="Resume the store of an interrupted run; repair damaged tiles."),
    click.option("--tables/--no-tables", default=True, help="Keep the structure factors in the store [yes]."),
    click.option(
        "--truth", is_flag=True, help="Mean wavelength and h, k, l of every pixel in the store (docs/truth.md)."
    ),
    click.option("--quiet", is_flag=True, help="Print errors and the NOTE only."),
]


DESCRIBED = [
    *DETECTOR,
    click.option("--shape", metavar="SxF", callback=parse_tile, help="Pixels of a float file, slow x fast [square]."),
    click.option("--strict-c", is_flag=True, help="Read the flags with nanoBragg's defects, as the run did."),
]
"""How an image that does not state its geometry is described."""


def described_options(function: Callable) -> Callable:
    """The options that describe an image."""
    return _with_options(function, DESCRIBED)


def simulation_options(function: Callable) -> Callable:
    """The options that `run` and `plan` share."""
    own = [
        click.option(
            "--zarr",
            metavar="DIR",
            type=FILE,
            help="Write a zarr store: a folder, or a URL such as s3://bucket/x.zarr.",
        ),
        click.option("--preview", metavar="FILE.png", type=FILE, help="Draw the image for the eye."),
        click.option("--write-fdump", is_flag=True, help="Write the structure factor cache (-dump, Fdump.bin)."),
        click.option("--completeness", is_flag=True, help="Say how much of what the detector sees -hkl lists."),
        click.option("--frames", type=click.IntRange(min=1), default=1, metavar="N", help="A series of N images [1]."),
        click.option("--frame-osc", type=float, metavar="DEG", help="Advance of phi from frame to frame [-osc]."),
    ]
    return _with_options(function, [*own, *EXPERIMENT, *KERNEL, *ENGINE, ASSEMBLE, *ENDING])


def engine_options(function: Callable) -> Callable:
    """The options that say where tiles are computed."""
    return _with_options(function, ENGINE)


def experiment_options(function: Callable) -> Callable:
    """The options that decide a pixel."""
    return _with_options(function, EXPERIMENT)


def batch_options(function: Callable) -> Callable:
    """The options of `batch`, whose outputs stand in its file."""
    return _with_options(function, [*CRYSTAL, *BACKGROUND, *DETECTOR, *SPECTRUM, *KERNEL, *ENGINE, ASSEMBLE, *ENDING])


def _with_options(function: Callable, options: list[Callable]) -> Callable:
    for option in reversed(options):
        function = option(function)
    return function
