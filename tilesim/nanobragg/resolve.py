"""From settings to a command: every rule of the reference in the reference's order (spec command-line 3)."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tilesim.errors import InputError
from tilesim.files.columns import read_columns
from tilesim.geometry.completeness import Shell, shells
from tilesim.geometry.resolution import resolution_limits
from tilesim.model import Beam, Experiment, Panel
from tilesim.model.instrument import Instrument
from tilesim.model.vectors import IDENTITY, Matrix
from tilesim.nanobragg.argv import read_settings, settings_differ
from tilesim.nanobragg.background import Slab, resolve_background, slab_of
from tilesim.nanobragg.bandwidth import with_bandwidth
from tilesim.nanobragg.cell import resolve_cell
from tilesim.nanobragg.command import Command, Stage
from tilesim.nanobragg.crystal import chosen_crystals, chosen_mosaic, size_lines, with_crystal
from tilesim.nanobragg.crystfel import with_cell_file
from tilesim.nanobragg.draws import Draws
from tilesim.nanobragg.factors import ReadTable, cell_of, read_structure_factors
from tilesim.nanobragg.geometry import Geometry, detector_geometry
from tilesim.nanobragg.instrument import (
    ChosenDetector,
    both,
    check_settings,
    chosen_detector,
    crystal_of,
    instrument_geometry,
    sensor_attenuation,
    stacked,
)
from tilesim.nanobragg.notes import applied_corrections, surprises
from tilesim.nanobragg.nouns import cache_of, experiment_of, outputs_of, panel_of
from tilesim.nanobragg.options import NOTHING, Options, check_strict, split_options
from tilesim.nanobragg.rendered import images_read, inclusive_roi, mask_of
from tilesim.nanobragg.report import setup_lines
from tilesim.nanobragg.sample import clip_to_beam, fluence, pixel_reach, resolve_sample
from tilesim.nanobragg.sense import check_axes
from tilesim.nanobragg.settings import Settings
from tilesim.nanobragg.setup import FactorsFrom, Setup
from tilesim.nanobragg.sources import SourceList, resolve_sources
from tilesim.nanobragg.spectrum import presets_for, spectrum_choice, spectrum_request
from tilesim.nanobragg.steps import MAX_STEPS, angular_sweep, mosaic_domains, phi_sweep, sensor_sweep
from tilesim.physics.watch import Watch
from tilesim.reflections.tables import known_points, read_factors

if TYPE_CHECKING:
    from tilesim.spectra.choice import SpectrumChoice


def read_command(
    args: Sequence[str],
    strict_c: bool = False,
    *,
    write_fdump: bool = False,
    read_table: ReadTable = read_factors,
    completeness: bool | None = None,
    options: Options = NOTHING,
    background: Slab | None = None,
    instrument: Instrument | None = None,
) -> Command:
    """Resolve a nanoBragg argument list: its experiment, the files it asks for, and the messages for the user.

    Parameters
    ----------
    args
        Arguments without the program's name, as a shell passes them; options such as --model FILE may be among them.
    strict_c
        Whether to read arguments and files as the reference does, and to reproduce its defects.
    write_fdump
        Whether to ask for the cache of the structure factors (-dump).
    read_table
        Reader of structure factors; commands that share a file may share what it gives.
    completeness
        Whether to say how much of what the detector sees is listed: True always, False where a file states its
        symmetry, None never.
    options
        Options beside those among the arguments, over which they win.
    background
        Amorphous slab in the beam, in place of --background.
    instrument
        Panels, incident beam and spindle, in place of --geometry and --detector.

    Returns
    -------
    Command
        With `experiment`, `outputs`, `report` (lines of the reference's standard output), `warnings` (of flags that may
        surprise) and `corrections` (numbers of docs/corrections.md that affect the image).

    Raises
    ------
    InputError
        Naming the flag, or the file and line.

    Examples
    --------
    >>> from tilesim import read_command
    >>> flags = "-cell 50 60 70 90 90 90 -default_F 1 -N 1 -detpixels 4 -phi 0 -osc 1 -phisteps 2 -floatfile f.bin"
    >>> command = read_command(flags.split())
    >>> command.corrections, command.outputs.float_file
    (('K1',), 'f.bin')
    """
    check_strict(options, strict_c)
    flags, among = split_options(args, strict_c)
    options = options.over(among).check()
    chosen, slab = chosen_detector(options, strict_c, instrument), slab_of(options)
    if slab is not None and background is not None:
        raise InputError("--background among the arguments and a background beside them; expected one of them")
    request, presets = spectrum_request(options), (chosen and chosen.presets) or {}
    settings = read_settings(flags, strict_c=strict_c, presets=presets_for(request, presets))
    spectra = request and spectrum_choice(request, settings, presets)
    if spectra is not None:
        settings = replace(settings, wavelength=spectra.wavelength)
    check_settings(chosen, settings)
    settings, said = with_cell_file(settings, options)
    parsed = () if strict_c or not settings_differ(flags) else ("K8",)
    command = resolve(
        settings,
        strict_c=strict_c,
        arguments=(*flags, *options.tokens()),
        write_fdump=write_fdump,
        parsed=parsed,
        options=options,
        read_table=read_table,
        completeness=completeness,
        background=background if slab is None else slab,
        chosen=chosen,
        spectra=spectra,
    )
    return replace(command, warnings=(*said, *command.warnings))


def resolve(
    settings: Settings,
    *,
    strict_c: bool = False,
    arguments: Sequence[str] = (),
    write_fdump: bool = False,
    parsed: Sequence[str] = (),
    options: Options = NOTHING,
    read_table: ReadTable = read_factors,
    completeness: bool | None = None,
    background: Slab | None = None,
    chosen: ChosenDetector | None = None,
    spectra: SpectrumChoice | None = None,
) -> Command:
    """Settings to a command (spec command-line 3). Reads the files that the settings name; writes none.

    `arguments` are kept and searched for flags worth a warning. `write_fdump` asks for the cache of the structure
    factors outside strict mode (K13). `parsed` are corrections that parsing found (K8); `options`, `completeness` and
    `background` as for `read_command`, `chosen` is a detector that is not nanoBragg's, `spectra` are those of the beam,
    of which the experiment has the one of frame 0. Raises InputError.
    """
    draws, clock = Draws(), -int(time.time())
    stages: list[Stage] = []

    def watch(name, *values):
        stages.append((name, values))

    settings = with_crystal(settings, options)
    setup = _setup(settings, draws, clock, strict_c, options, read_table, watch, background, chosen, spectra)
    experiment = experiment_of(setup, _mosaic_rotations(setup, draws))
    first, *others = chosen_crystals(experiment.lattice, settings, options)
    experiment = experiment.replace(crystal=first, other_crystals=tuple(others))
    outputs, cache = outputs_of(setup), cache_of(setup, write_fdump)
    return Command(
        experiment=experiment,
        outputs=outputs,
        cache_file=cache,
        geometry=setup.geometry,
        settings=settings,
        oscillation=setup.phi.range,
        corrections=applied_corrections(setup, experiment, outputs, parsed),
        warnings=surprises(setup, experiment, arguments),
        report=(*setup_lines(setup, outputs, cache), *size_lines(experiment, settings, options)),
        noise_state=draws.snapshot(),
        arguments=tuple(arguments),
        stages=tuple(stages),
        completeness=_completeness(setup, experiment, completeness),
        spectra=spectra if spectra is not None and spectra.varies else None,
    )


def _completeness(setup: Setup, experiment: Experiment, wanted: bool | None) -> tuple[Shell, ...]:
    """How much of what the detector sees the structure factors list, where that is wanted."""
    known = setup.table.known
    if wanted is None or (known is None and not wanted):
        return ()
    if known is None and setup.factors_from is FactorsFrom.HKL:
        known = known_points(setup.factors, setup.strict_c)
    elif known is None:  # a cache does not tell
        known = setup.factors.grid != setup.factors.default
    return shells(experiment, known)


def _setup(
    settings: Settings,
    draws: Draws,
    clock: int,
    strict_c: bool,
    options: Options,
    read_table: ReadTable,
    watch: Watch,
    slab: Slab | None,
    chosen: ChosenDetector | None,
    spectra: SpectrumChoice | None,
) -> Setup:
    """Everything but the mosaic matrices. `clock` is the default of both seeds."""
    _check_angles(settings)
    size, clipped = clip_to_beam(settings)
    phi = phi_sweep(settings.osc, settings.phistep, settings.phisteps)
    hdiv = angular_sweep("hdiv", settings.hdiv_range, settings.hdiv_step, settings.hdiv_steps)
    vdiv = angular_sweep("vdiv", settings.vdiv_range, settings.vdiv_step, settings.vdiv_steps)
    dispersion = angular_sweep("dispersion", settings.dispersion, None, settings.dispersion_steps)
    sensor = sensor_sweep(settings.thickness, settings.thick_steps, strict_c=strict_c)
    known = sensor_attenuation(chosen, settings)
    unset = known is None and (settings.attenuation is None or settings.attenuation < 0.0)
    assumed = sensor.range > 0.0 and unset
    mosaic = chosen_mosaic(settings, options) or mosaic_domains(settings.mosaic_spread, settings.mosaic_domains)
    chosen = chosen and chosen.during(settings.phi, phi.range)
    if chosen is not None and chosen.instrument is not None:
        geometry = instrument_geometry(chosen.instrument)
        panels = chosen.instrument.panels
    else:
        geometry = detector_geometry(settings, watch)
        if not strict_c:
            check_axes(geometry)
        panels = (panel_of(settings, geometry, strict_c),)
        if chosen is not None:
            panels, geometry = chosen.layout.panels(panels[0]), stacked(chosen, geometry)
    interpolate = settings.interpolate
    if interpolate is None:
        interpolate = min(settings.cells) <= 2

    misset = settings.misset
    if misset == "random":
        misset = draws.misset_angles(clock if settings.misset_seed is None else settings.misset_seed)
    spectrum = spectra and spectra.of_frame(0)
    sources = resolve_sources(settings, geometry, hdiv, vdiv, dispersion, strict_c=strict_c, spectrum=spectrum)
    sources, spread = (sources, ()) if spectra is not None else with_bandwidth(sources, chosen, settings)
    table, factors_from = read_structure_factors(
        settings,
        options,
        strict_c,
        lambda: _finest_spacing(settings, panels, geometry, sources),
        read_table,
        [source.wavelength for source in sources.sources] if spectra is None else spectra.wavelengths,
    )
    unnamed = settings.cell is None and settings.matrix_file is None
    oriented = crystal_of(chosen) if unnamed else None
    from_table = table.cell is not None and unnamed and oriented is None
    placed = replace(settings, cell=cell_of(table)) if from_table else settings
    cell = resolve_cell(
        placed, misset, random=settings.misset == "random", strict_c=strict_c, watch=watch, given=oriented
    )
    own = geometry.distance / geometry.pixel_size  # the reference's
    reach = own if strict_c else pixel_reach(panels, geometry.beam)
    flagged = chosen is None or chosen.instrument is None
    fewest = 0 if options.ncells is not None else 1
    sample = resolve_sample(settings, size, cell.real, reach, own if flagged else None, fewest)
    background = resolve_background(slab, settings, strict_c)
    stol_differs = background is None and _check_stol(settings, strict_c)
    steps = len(sources.sources) * mosaic.domains * phi.count * sample.oversample**2
    if steps > MAX_STEPS:
        chosen = "as given" if settings.oversample > 0 else "chosen from the crystal size"
        raise InputError(
            "expected at most 2^31 - 1 steps per pixel (sources x phi steps x domains x oversample^2); "
            f"-oversample is {min(sample.oversample, 10**9)}, {chosen}"
        )
    return Setup(
        settings=settings,
        strict_c=strict_c,
        images_read=images_read(settings, strict_c),
        geometry=geometry,
        clipped=clipped,
        fluence=fluence(settings),
        phi=phi,
        hdiv=hdiv,
        vdiv=vdiv,
        dispersion=dispersion,
        sensor=sensor,
        attenuation=1.0 / sensor.range if assumed else _attenuation(known, settings),
        attenuation_assumed=assumed,
        attenuation_known=known is not None and chosen.sensor.attenuation is None,
        material=chosen.sensor.material if chosen is not None and chosen.sensor is not None else None,
        detector_name=chosen.detector_name if chosen is not None else "",
        detector_notes=(*(chosen.notes if chosen is not None else ()), *spread),
        mosaic=mosaic,
        interpolate=interpolate,
        cell=cell,
        sample=sample,
        table=table,
        factors_from=factors_from,
        cell_from_table=from_table,
        sources=sources,
        roi=inclusive_roi(settings, geometry),
        mask=both(mask_of(settings, geometry, strict_c), chosen),
        panels=panels,
        flagged=flagged,
        background=background,
        seed=clock if settings.seed is None else settings.seed,
        read_differently=table.differs or stol_differs or sources.read_differently or cell.read_differently,
    )


def _attenuation(known: float | None, settings: Settings) -> float:
    """Attenuation depth of the detector's material, or as given; negative where it is not stated."""
    if known is not None:
        return known
    return -1.0 if settings.attenuation is None else settings.attenuation


def _check_angles(settings: Settings) -> None:
    """Raise InputError on an infinite angle or NaN, from which the reference makes an image of NaN."""
    angles = {
        "-twotheta": (settings.twotheta,),
        "-detector_rotx, _roty or _rotz": settings.detector_rotation,
        "-misset": settings.misset if isinstance(settings.misset, tuple) else (),
        "-hdivrange": (settings.hdiv_range or 0.0,),
        "-vdivrange": (settings.vdiv_range or 0.0,),
        "-cell": settings.cell or (),
    }
    for flag, values in angles.items():
        if not all(map(math.isfinite, values)):
            raise InputError(f"{flag} holds NaN or infinity; expected finite numbers")


def _finest_spacing(settings: Settings, panels: Sequence[Panel], geometry: Geometry, sources: SourceList) -> float:
    """The smallest d-spacing in metres that any wavelength of the beam brings to the detector."""
    beam = Beam(direction=geometry.beam, wavelength=min((settings.wavelength, *sources.wavelengths)))
    return min(resolution_limits(panel, beam)[1] for panel in panels)


def _check_stol(settings: Settings, strict_c: bool) -> bool:
    """The reference reads this table, insists on a row, and never uses it (spec files 5.2)."""
    if settings.stol_file is None:
        return False
    return read_columns(settings.stol_file, 2, strict=strict_c)[1]


def _mosaic_rotations(setup: Setup, draws: Draws) -> tuple[Matrix, ...]:
    if setup.mosaic.kind:
        return (IDENTITY,)
    return draws.mosaic_rotations(setup.settings.mosaic_seed, setup.mosaic.spread, setup.mosaic.domains)
