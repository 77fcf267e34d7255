"""What has no derivative, or none that is computed: refused with the reason."""

from __future__ import annotations

from collections.abc import Sequence

from tilesim.errors import InputError
from tilesim.gradients.parameters import Parameter
from tilesim.model import Experiment, MosaicFrame
from tilesim.model.source import polarized

METRIC = ("rotation", "cell", "strain")
SCALES = ("share", "fluence", "background.thickness")
"""Fields whose derivatives are in proportion to what they scale."""
POLARIZATION = ("kahn_factor", "polarization_axis")


def check_differentiable(experiment: Experiment, parameters: Sequence[Parameter]) -> None:
    """Raise InputError where the image of an experiment has no derivative with respect to some of these."""
    if experiment.sampling.strict_c:
        raise InputError("derivatives with strict_c: the reference's defects jump; expected strict_c=False")
    if experiment.crystal is None:
        raise InputError("derivatives of an experiment without a crystal; expected one")
    if (shape := experiment.crystal.shape.value).startswith("tophat"):
        raise InputError(
            f"derivatives with the shape {shape}, whose edge is a jump; expected square, round, gauss, gauss-hkl"
        )
    if any(crystal.diffuse is not None for crystal in experiment.crystals):
        raise InputError("derivatives with diffuse scattering are not computed; expected diffuse=None")
    for parameter in parameters:
        _check(experiment, parameter)


def check_amplitudes(experiment: Experiment) -> None:
    """Raise InputError where reflections have no amplitude that is one number."""
    if experiment.factors.by_energy:
        raise InputError(
            "derivatives with factors that follow the photon energy are not computed: a reflection has an amplitude in "
            "every channel; expected StructureFactors"
        )


def _check(experiment: Experiment, parameter: Parameter) -> None:
    name = parameter.name
    if parameter.field in SCALES and parameter.value == (0.0,):
        raise InputError(f"derivative with {name} is not computed where it is 0; expected a value above 0")
    if experiment.background is not None and parameter.part in ("beam", "detector") and parameter.field != "fluence":
        raise InputError(f"derivative of a background with {name} is not computed; expected background=None")
    if parameter.field in POLARIZATION and any(map(polarized, experiment.beam.sources)):
        raise InputError(f"derivative with {name}: sources have a polarisation of their own; expected that of the beam")
    if name == "beam.wavelength" and experiment.factors.by_energy:
        raise InputError(f"derivative with {name} of structure factors that follow the photon energy is not computed")
    if parameter.part != "crystal":
        return
    crystal = experiment.crystals[parameter.places[0]]
    spread = crystal.mosaic_spread
    turning = crystal.mosaic_frame == MosaicFrame.CRYSTAL and spread is not None and spread.anisotropic
    if turning and parameter.field in METRIC:
        raise InputError(
            f"derivative with {name} of an anisotropic mosaic spread in the frame of the crystal, which it "
            "turns, is not computed; expected the frame lab"
        )
