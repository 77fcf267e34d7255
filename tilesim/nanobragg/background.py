"""What lies in the beam besides the crystal: a slab (--background), with the curve of -stol, -4stol or -Q."""

from __future__ import annotations

from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.geometry.resolution import resolution_limits
from tilesim.model import Background, Experiment, checks
from tilesim.model.noun import Noun
from tilesim.nanobragg.options import Options
from tilesim.nanobragg.settings import Settings
from tilesim.reflections.curves import material, material_curve, read_curve


@frozen
class Slab(Noun):
    """An amorphous slab in the beam of a nanoBragg command line, as its --background options describe it.

    Raises
    ------
    InputError
        Where a value is no number; what is missing or contradicts the flags is found by `from_nanobragg`.

    Examples
    --------
    >>> from tilesim import Slab, from_nanobragg
    >>> flags = "-cell 79 79 38 90 90 90 -default_F 100 -N 10 -detpixels 64 -beamsize 0.1"
    >>> from_nanobragg(flags, background=Slab("water", thickness=1e-4)).background.density
    1000.0
    """

    material: str | None = None
    """water, air or ice; None: the curve is that of -stol, -4stol or -Q."""
    thickness: float | None = None
    """Metres along the beam; must be given."""
    density: float | None = None
    """Kilograms per cubic metre; None: that of the material."""
    molar_mass: float | None = None
    """Kilograms per mole; None: that of the material."""

    def __post_init__(self) -> None:
        for field in ("thickness", "density", "molar_mass"):
            value = getattr(self, field)
            if value is not None:
                checks.coerce(self, **{field: checks.number(f"{field} of the background", value)})


def slab_of(options: Options) -> Slab | None:
    """The slab that options describe; None where they describe none."""
    if not any(option.startswith("--background") for option in options.given):
        return None

    def si(value: float | None, unit: float) -> float | None:
        return None if value is None else value * unit

    return Slab(
        options.background,
        si(options.background_thickness, 1e-3),
        si(options.background_density, 1e3),
        si(options.background_mw, 1e-3),
    )


def resolve_background(slab: Slab | None, settings: Settings, strict_c: bool) -> Background | None:
    """The background of an experiment, with its curve read and the area of the beam. Raises InputError."""
    if slab is None:
        return None
    checks.instance("background", slab, Slab)
    if strict_c:
        raise InputError("a background with --strict-c; expected one of them: nanoBragg has none like it")
    if slab.thickness is None:
        raise InputError("a background without its thickness; expected --background-thickness MM")
    if not settings.beamsize > 0.0:
        raise InputError(f"-beamsize is {settings.beamsize * 1e3:g} mm; a background needs a beam size above 0")
    if slab.material is not None:
        if settings.stol_file is not None:
            raise InputError(f"--background {slab.material} with -stol, -4stol or -Q; expected one scattering curve")
        usual = material(slab.material)
        density = usual.density if slab.density is None else slab.density
        molar_mass = usual.molar_mass if slab.molar_mass is None else slab.molar_mass
        curve = material_curve(slab.material)
    else:
        if settings.stol_file is None:
            raise InputError("a background without its scattering curve; expected --background water or -stol FILE")
        if slab.density is None or slab.molar_mass is None:
            raise InputError(
                f"{settings.stol_file} does not say what it is of; expected --background-density G_CM3 and "
                "--background-mw G_MOL (water: 1 and 18)"
            )
        density, molar_mass = slab.density, slab.molar_mass
        curve = read_curve(settings.stol_file, settings.stol_unit)
    return Background(curve, slab.thickness, density, molar_mass)


def background_line(background: Background, size: float) -> str:
    """Line of the report; `size` is the edge of the beam, metres."""
    return (
        f"amorphous background: {background.curve.source}, {background.thickness:g} m thick, "
        f"{background.density / 1e3:g} g/cm^3, {background.molar_mass * 1e3:g} g/mol "
        f"({background.molecules(size):g} molecules)"
    )


def background_surprises(experiment: Experiment, with_water: bool) -> list[str]:
    """One line for each thing about the background that may surprise."""
    background, lines = experiment.background, []
    if background is None:
        return []
    if with_water:
        lines.append("-water and --background both add scattering")
    curve = background.curve
    end, edge = 0.5e10 / curve.stol[-1], resolution_limits(experiment.detector.panels[0], experiment.beam)[1] * 1e10
    if edge < end and curve.amplitude[-1] > 0.0:
        lines.append(
            f"the scattering curve of {curve.source} ends at {end:.3g} A; its last value is held from there "
            f"to {edge:.3g} A at the edge of the detector"
        )
    return lines
