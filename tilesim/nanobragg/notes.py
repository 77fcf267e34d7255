"""What the user should know of a run: corrections that changed it (K numbers) and flags that surprise."""

from __future__ import annotations

from collections.abc import Sequence

from tilesim.files.outputs import Outputs
from tilesim.model import Experiment
from tilesim.model.beam import DEFAULT_FLUENCE
from tilesim.model.vectors import norm
from tilesim.nanobragg.background import background_surprises
from tilesim.nanobragg.factors import cell_warnings
from tilesim.nanobragg.sample import FINE, finest_oversample
from tilesim.nanobragg.sense import oddities
from tilesim.nanobragg.setup import FactorsFrom, Setup

USUAL_EDGE = (1.0, 10_000.0)
"""Edges of a unit cell outside these limits, angstrom, are most likely a mistake."""
UNSTATED_FLUENCE = (
    f"--crystal-size without -flux or -fluence: photons are those of nanoBragg's own fluence, {DEFAULT_FLUENCE:.3g}/m^2"
)
_SAMPLE_PIVOTED = ("xds", "dials")
_BEAM_PIVOTED = ("mosflm", "denzo", "adxv")


def applied_corrections(
    setup: Setup, experiment: Experiment, outputs: Outputs, parsed: Sequence[str] = ()
) -> tuple[str, ...]:
    """The corrections that affect this run, as far as known before rendering (docs/corrections.md).

    `parsed` are those that the arguments alone showed (K8). K3 shows while rendering.
    """
    if setup.strict_c:
        return ()
    settings = setup.settings
    angles = experiment.scan.angles
    several = experiment.evaluations > 1
    oversampled = settings.oversample_thick or settings.oversample_polar or settings.oversample_omega
    sensor = setup.sensor.range > 0.0
    water_off = experiment.steps > 1 or experiment.layers > 1 or settings.dmin > 0.0
    affected = {
        "K1": 0.0 in angles and any(angles),
        "K2": (oversampled and several) or (settings.oversample_thick and not sensor),
        "K4": sensor and (setup.sensor.count > 1 or (settings.thick_steps or 0) > 0),
        "K5": settings.water_size > 0.0 and (water_off or abs(experiment.photon_scale - 1.0) > 1e-9),
        "K6": setup.cell.corrected and not setup.cell_from_table,
        "K7": setup.sources.unequal_weights,
        "K8": "K8" in parsed,
        "K9": settings.nopolar and settings.oversample_polar,
        "K10": setup.read_differently,
        "K12": outputs.int_file is not None or outputs.noise_file is not None,
        "K13": setup.factors_from is FactorsFrom.DUMP,
        "K14": not any((settings.float_file, settings.int_file, outputs.noise_file, outputs.pgm_file)),
        "K15": setup.sample.corrected or (setup.flagged and setup.geometry.close_distance < 0.0),
        "K16": settings.mask_file is not None and experiment.rendered_pixels < experiment.region.pixels,
    }
    return tuple(number for number, yes in affected.items() if yes)


def surprises(setup: Setup, experiment: Experiment, arguments: Sequence[str]) -> tuple[str, ...]:
    """One line for every flag that does not do what it seems to say, in both modes."""
    odd = oddities(setup, experiment, arguments)
    own = (*_placement(setup, arguments), *_sampling(setup, experiment), *_content(setup, experiment))
    return (*setup.detector_notes, *own, *odd)


def _placement(setup: Setup, arguments: Sequence[str]) -> list[str]:
    """Flags about the detector's place (spec geometry, traps)."""
    settings, convention = setup.settings, setup.settings.convention
    lines = []
    if _given(arguments, "-pix0_vector"):
        lines.append("-pix0_vector only selects custom vectors; the origin comes from beam centre and distance")
    if _given(arguments, "-pivot") and convention != "custom":
        lines.append(f"-pivot is not used: the {convention} convention pivots around the {setup.geometry.pivot}")
    beam = settings.xbeam is not None or settings.ybeam is not None
    near = settings.xclose is not None or settings.yclose is not None
    origin = settings.orgx is not None or settings.orgy is not None
    # Headers of images say both, and mean one place.
    if ((beam and not origin) or _given(arguments, "-Xbeam", "-Ybeam")) and convention in _SAMPLE_PIVOTED:
        lines.append(f"Xbeam and Ybeam do not move the image in the {convention} convention; ORGX and ORGY do")
    if near and convention != "custom":
        lines.append(f"-Xclose and -Yclose do not move the image in the {convention} convention")
    if ((origin and not beam) or _given(arguments, "-ORG")) and convention in _BEAM_PIVOTED:
        lines.append(f"ORGX and ORGY do not move the image in the {convention} convention; Xbeam and Ybeam do")
    if settings.close_distance is not None and _given(arguments, "-distance"):
        lines.append("-distance is not used: a close distance (flag or image header) wins")
    elif settings.distance < 0.0 and _given(arguments, "-distance"):
        lines.append(f"-distance {settings.distance * 1000:g} is taken as {-settings.distance * 1000:g}")
    if settings.twotheta != 0.0:
        lines.append("the reported distance and Fbeam, Sbeam leave the -twotheta swing out")
        if norm(setup.geometry.twotheta_axis) != 1.0:
            lines.append("-twotheta_axis is not a unit vector and is not scaled; the swing distorts the detector")
    if settings.curved and abs(setup.geometry.beam[0]) < 0.5:
        lines.append("-curved_det is meaningful only for a beam along x")
    return lines


def _sampling(setup: Setup, experiment: Experiment) -> list[str]:
    """Flags about steps (spec command-line 4)."""
    settings, sample = setup.settings, setup.sample
    lines = []
    if settings.phisteps is not None and settings.phisteps > 0 and settings.phisteps != setup.phi.count:
        lines.append(f"-phisteps {settings.phisteps} with -phistep but no -osc: {setup.phi.count} steps are rendered")
    for name, extent, step, sweep, count in (
        ("hdiv", settings.hdiv_range, settings.hdiv_step, setup.hdiv, settings.hdiv_steps),
        ("vdiv", settings.vdiv_range, settings.vdiv_step, setup.vdiv, settings.vdiv_steps),
    ):
        if sweep.count > 1 and extent is None and step is None and count:
            lines.append(f"-{name}steps without -{name}range means a range of {sweep.range * 1000:g} mrad")
    if any(settings.sample_size) and settings.interpolate is None and setup.interpolate and min(sample.cells) > 2:
        lines.append("interpolation was chosen from -N, not from the sample size; see -nointerpolate")
    given = zip("abc", settings.cells, settings.sample_size, sample.cells, strict=True)
    few = [axis for axis, n, mm, taken in given if n < 1 and mm <= 0.0 and taken != n]
    if few:
        lines.append(f"fewer than one unit cell along {', '.join(few)} (-N, -Na, -Nb, -Nc) is taken as one")
    if setup.clipped:
        lines.append(f"the sample is cut to the beam size, {settings.beamsize * 1000:g} mm, along y and z")
    if sample.oversample < sample.recommended:
        lines.append(f"intensity may vary within a pixel; -oversample {sample.recommended} is recommended")
    wanted = finest_oversample(sample, experiment.lattice)
    if wanted > FINE * sample.oversample:
        lines.append(
            f"reflections of the shape {experiment.lattice.shape} are narrower than a sub-pixel and may fall between: "
            f"-oversample {wanted} resolves them, --crystal-shape {experiment.lattice.shape}-hkl has wider ones"
        )
    return lines


def _content(setup: Setup, experiment: Experiment) -> list[str]:
    """Flags about the crystal, the sensor and what is rendered."""
    settings = setup.settings
    cell, table = setup.cell, setup.table
    lines = [*table.notes, *cell_warnings(table, cell, setup.factors.source)]
    if cell.inverted:
        lines.append("the matrix is left-handed; with -cell the direct vectors are reversed")
    elif cell.volume < 0.0:
        lines.append(f"the matrix is left-handed: the unit cell has a volume of {cell.volume:g} A^3; check its rows")
    odd = [f"{name} = {edge:g}" for name, edge in zip("abc", cell.lengths, strict=True) if not _usual(edge)]
    if odd:
        advice = "; is -lambda that of the matrix?" if settings.matrix_file is not None else ""
        lines.append(f"the unit cell has an edge below 1 or above 10000 A: {', '.join(odd)}{advice}")
    if settings.misset == "random" and settings.misset_seed is None:
        lines.append("-misset random without -misset_seed takes its seed from the clock; -seed does not set it")
    if setup.sensor.range > 0.0 and setup.attenuation == 0.0:
        lines.append("-detector_abs inf with a sensor thickness: the sensor absorbs nothing and the image is zero")
    if settings.stol_file is not None and setup.background is None:
        lines.append("-stol, -4stol and -Q have no effect on the image without --background-thickness")
    if experiment.lattice.blocks != 1.0 and setup.fluence == DEFAULT_FLUENCE:
        lines.append(UNSTATED_FLUENCE)
    lines += background_surprises(experiment, settings.water_size > 0.0)
    if experiment.rendered_pixels == 0:
        lines.append("-roi and -mask leave no pixel to render; the image is zero")
    return lines


def _usual(edge: float) -> bool:
    return USUAL_EDGE[0] <= edge <= USUAL_EDGE[1]


def _given(arguments: Sequence[str], *flags: str) -> bool:
    return any(argument.startswith(flags) for argument in arguments)
