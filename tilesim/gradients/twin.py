"""The differentiable twin of the definition: the image as a torch function of parameters, in float64, for small images.

It is the definition itself (physics/intensity.py) with tensors in place of the numbers that are varied, through which
torch's own derivatives go. What the fused derivatives are held to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from tilesim.gradients.parameters import Parameter, attenuation_slope, parse_parameters
from tilesim.gradients.refusals import check_amplitudes, check_differentiable
from tilesim.kernels.tables import bordered_parts, channels_of
from tilesim.kernels.tensors import TensorKernel, lower, pixels_of
from tilesim.model import AnomalousFactors, Crystal, Experiment, MosaicFrame
from tilesim.physics.factors import FactorTable, make_table
from tilesim.physics.geometry import dot
from tilesim.physics.intensity import Grain, KernelSetup, photons
from tilesim.physics.lattice import Lattice
from tilesim.physics.rotate import rotation_matrix, spindle_cells

Lowered = TypeVar("Lowered", KernelSetup, Grain, Lattice)
Values = Mapping[str, Tensor]
"""Parameters by name, each a tensor (size,) float64; "factors" is the grid of structure factors."""

HALVINGS, TERMS = 4, 12
"""How often the angle is halved, and the terms of the series for what is left of it."""


def values_of(experiment: Experiment, names: list[str]) -> dict[str, Tensor]:
    """The values that an experiment has of these parameters."""
    return {one.name: _tensor(one.value) for one in parse_parameters(names, experiment)}


def twin_image(experiment: Experiment, values: Values) -> Tensor:
    """Photons (slow, fast), or (panel, slow, fast), float64, of an experiment with these values. Raises InputError."""
    named = [name for name in values if name != "factors"]
    parameters = parse_parameters(named, experiment) if named else ()
    check_differentiable(experiment, parameters)
    count = len(experiment.detector.panels)
    panels = [_panel_image(experiment, place, parameters, values) for place in range(count)]
    return panels[0] if count == 1 else torch.stack(panels)


def jacobian(experiment: Experiment, values: Values) -> tuple[Tensor, dict[str, Tensor]]:
    """The image, and by name its derivatives (size, slow, fast) with each number of the parameters."""
    inputs = {name: value.detach().requires_grad_() for name, value in values.items()}
    image = twin_image(experiment, inputs)
    # A product with the transposed Jacobian is linear in its cotangent: what it is made of are the derivatives.
    cotangent = torch.ones_like(image).requires_grad_()
    products = torch.autograd.grad(image, list(inputs.values()), cotangent, create_graph=True, materialize_grads=True)
    flat = torch.cat([product.reshape(-1) for product in products])
    [rows] = torch.autograd.grad(
        flat, cotangent, torch.eye(len(flat), dtype=torch.float64), is_grads_batched=True, materialize_grads=True
    )
    parts = torch.split(rows, [value.numel() for value in inputs.values()])
    return image.detach(), dict(zip(inputs, parts, strict=True))


def _panel_image(experiment: Experiment, place: int, parameters: tuple[Parameter, ...], values: Values) -> Tensor:
    alone = experiment.of_panel(place)
    if alone.background is not None:
        raise NotImplementedError("the twin has no amorphous background")
    lowered = lower(alone, "double")
    # What is added to a field: of panels that share a parameter each may have a value of its own.
    fields: dict[tuple[str, int, str], Tensor] = {}
    for one in parameters:
        for key in ((one.part, n, one.field) for n in one.places):
            fields[key] = fields.get(key, torch.zeros(())) + values[one.name].reshape(-1) - _tensor(one.value)
    setup = _VariedSetup(alone, place, lowered, fields, values.get("factors")).setup()
    numbers = np.arange(alone.shape[0] * alone.shape[1])
    values_found, _ = photons(setup, pixels_of(numbers, lowered))
    return values_found[: len(numbers)].reshape(alone.shape)


class _VariedSetup:
    """The setup of one panel of an experiment with something added to some fields, by (part, place, field)."""

    def __init__(
        self,
        experiment: Experiment,
        panel: int,
        lowered: TensorKernel,
        fields: Mapping[tuple[str, int, str], Tensor],
        factors: Tensor | None,
    ) -> None:
        self.experiment, self.place, self.lowered, self.fields, self.factors = (
            experiment,
            panel,
            lowered,
            fields,
            factors,
        )

    def get(self, part: str, field: str, default: object = 0.0, place: int = 0) -> Tensor:
        """The value of a field, as a tensor; that of one number without a dimension."""
        shift, value = self.fields.get((part, place, field)), _tensor(default)
        return value if shift is None else value + shift.reshape(value.shape)

    def has(self, part: str, field: str, place: int = 0) -> bool:
        return (part, place, field) in self.fields

    def setup(self) -> KernelSetup:
        setup, beam = self.lowered.setup, self.experiment.beam
        ratio = self.get("beam", "wavelength", beam.wavelength) / beam.wavelength
        brightness = self.get("beam", "fluence", beam.fluence) / beam.fluence
        turn = _exponential(self.get("beam", "rotation", (0.0, 0.0, 0.0)))
        water = self.experiment.water_size
        wetness = self.get("", "water_size", water) / water if water else torch.ones(())
        stronger, aside = self.get("beam", "kahn_factor"), self.get("beam", "polarization_axis", (0.0, 0.0, 0.0))
        setup = _with(
            setup,
            incident=setup.incident @ turn.T,
            beam=turn @ setup.beam,
            wavelengths=_tensor(setup.wavelengths) * ratio,
            polarizations=tuple((_tensor(kahn) + stronger, axis + aside) for kahn, axis in setup.polarizations),
            scale=setup.scale * brightness,
            background=setup.background * brightness * wetness**3,
        )
        return self._on_panel(_with(setup, grains=tuple(self._grains())), ratio)

    def _on_panel(self, setup: KernelSetup, ratio: Tensor) -> KernelSetup:
        panel = self.experiment.detector.panels[0]

        def get(field: str, default: object) -> Tensor:
            return self._of_panel(field, default)

        turn = _exponential(get("rotation", (0.0, 0.0, 0.0)))
        shift = get("translation", (0.0, 0.0, 0.0)) + get("distance", 0.0) * _tensor(self.experiment.beam.direction)
        origin = turn @ get("origin", panel.origin) + shift
        normal = turn @ get("normal", panel.normal)
        close = panel.distance + dot(origin, normal) - dot(_tensor(panel.origin), _tensor(panel.normal))
        radius = panel.curved_radius
        setup = _with(
            setup,
            origin=origin,
            fast_axis=turn @ get("fast", panel.fast),
            slow_axis=turn @ get("slow", panel.slow),
            normal=normal,
            close_distance=close,
            pixel_size=get("pixel_size", panel.pixel_size),
            curved_radius=radius if radius is None else get("curved_radius", radius),
        )
        sensor = panel.sensor
        if sensor is None:
            return setup
        power = attenuation_slope(panel, self.experiment.beam.wavelength)
        return _with(
            setup,
            layer_thickness=get("sensor.layer_thickness", setup.layer_thickness),
            attenuation=get("sensor.attenuation", setup.attenuation) * ratio**power,
        )

    def _of_panel(self, field: str, default: object) -> Tensor:
        return self.get("detector", field, default, self.place)

    def _grains(self) -> list[Grain]:
        found, grains = [], iter(self.lowered.setup.grains)
        for place, crystal in enumerate(self.experiment.crystals):
            cell, angles = self._cell(crystal, place), self._angles()
            for growth in (1.0,) if crystal.sizes is None else crystal.sizes.factors:
                found.append(self._grain(next(grains), crystal, place, cell, angles, growth))
        return found

    def _grain(self, grain: Grain, crystal: Crystal, place: int, cell: Tensor, angles: Tensor, growth: float) -> Grain:
        share = self.get("crystal", "share", crystal.share, place) / crystal.share if crystal.share else 1.0
        return _with(
            grain,
            lattices=tuple(
                self._lattice(one, channel, crystal, place, cell, growth) for channel, one in enumerate(grain.lattices)
            ),
            cell=cell,
            turned=spindle_cells(cell, self.experiment.scan.axis, angles),
            mosaic=self._mosaic(grain.mosaic, crystal, place, angles),
            weight=grain.weight * share,
        )

    def _angles(self) -> Tensor:
        scan = self.experiment.scan
        step = (
            self.get("scan", "oscillation", scan.oscillation) / scan.steps
            - scan.step
            + self.get("scan", "step", scan.step)
        )
        return self.get("scan", "start", scan.start) + step * torch.arange(scan.steps, dtype=torch.float64)

    def _cell(self, crystal: Crystal, place: int) -> Tensor:
        """Rows a, b, c."""
        rows = _tensor((crystal.a, crystal.b, crystal.c))
        if self.has("crystal", "cell", place):
            rows = _standard(self.get("crystal", "cell", crystal.cell, place)) @ _tensor(crystal.orientation).T
        xx, yy, zz, yz, xz, xy = self.get("crystal", "strain", (0.0,) * 6, place)
        strain = torch.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz]).reshape(3, 3)
        turn = _exponential(self.get("crystal", "rotation", (0.0,) * 3, place))
        return rows @ (torch.eye(3, dtype=torch.float64) + strain) @ turn.T

    def _lattice(
        self, lattice: Lattice, channel: int, crystal: Crystal, place: int, cell: Tensor, growth: float
    ) -> Lattice:
        na, nb, nc = self.get("crystal", "cells", crystal.cells, place) * growth
        nd, ne, nf = self.get("crystal", "cells_off_diagonal", crystal.cells_off_diagonal, place) * growth
        matrix = torch.stack([na, nd, nf, nd, nb, ne, nf, ne, nc]).reshape(3, 3)
        volume = torch.ones(()) if crystal.unit_height else torch.linalg.det(matrix)
        # Those that were given beside the cell vectors are strained and turned alike.
        star = _tensor(crystal.star) @ (torch.linalg.inv(cell) @ _tensor((crystal.a, crystal.b, crystal.c))).T
        return _with(
            lattice,
            cells=(na, nb, nc),
            matrix=matrix,
            volume=volume,
            fudge=self.get("crystal", "fudge", crystal.fudge, place),
            reciprocal=star * 1e-10,
            table=self._table(lattice.table, channel),
        )

    def _table(self, table: FactorTable, channel: int) -> FactorTable:
        if any(part == "factors" for part, _, _ in self.fields):
            return self._mixed(table, channel)
        if self.factors is None:
            return table
        check_amplitudes(self.experiment)
        factors = self.experiment.factors
        return make_table(self.factors, factors.minimum, factors.default, torch.float64, torch.device("cpu"))

    def _mixed(self, table: FactorTable, channel: int) -> FactorTable:
        """Amplitudes of one channel by f' and f''."""
        factors = self.experiment.factors
        assert isinstance(factors, AnomalousFactors)
        waves = channels_of(factors, [source.wavelength for source in self.experiment.beam.waves]).wavelengths
        bordered = torch.from_numpy(bordered_parts(factors)).reshape(-1, len(factors.parts))
        total = bordered[:, 0]
        for place, curve in enumerate(factors.curves):
            known = curve.over(waves)
            f1, f2 = self.get("factors", "f1", known.real, place), self.get("factors", "f2", known.imag, place)
            total = total + torch.complex(f1, f2)[channel] * bordered[:, 1 + place]
        squares = total.real**2 + total.imag**2
        some = squares > 0  # a root has no derivative at 0
        values = torch.where(some, torch.sqrt(torch.where(some, squares, 1.0)), 0.0)
        return replace(table, values=values, squares=squares, parts=None, mixture=None)

    def _mosaic(self, mosaic: Tensor, crystal: Crystal, place: int, angles: Tensor) -> Tensor:
        spread = crystal.mosaic_spread
        moving = self.has("scan", "start") or self.has("scan", "step") or self.has("scan", "oscillation")
        in_crystal = crystal.mosaic_frame == MosaicFrame.CRYSTAL
        if not (self.has("crystal", "mosaic_spread.sigma", place) or (in_crystal and moving)):
            return mosaic
        matrices = _tensor(crystal.mosaic_matrices)
        if spread is not None:
            sigma = self.get("crystal", "mosaic_spread.sigma", spread.sigma[: 3 if spread.anisotropic else 1], place)
            about, deviates, shares = (_tensor(found) for found in spread.draws(crystal._axes if in_crystal else None))
            angles_found = deviates * ((shares / sigma**2).sum(dim=1) ** -0.5 if spread.anisotropic else sigma)
            matrices = torch.stack([_exponential(u * t) for u, t in zip(about, angles_found, strict=True)])
        if not in_crystal:
            return matrices[None]
        spindle = torch.stack([rotation_matrix(self.experiment.scan.axis, angle) for angle in angles])
        return torch.stack([turn @ matrices @ turn.T for turn in spindle])


def _with(values: Lowered, **changes: Any) -> Lowered:
    """A copy with tensors in place of some of the definition's numbers, which do not care."""
    return replace(values, **changes)


def _tensor(values: object) -> Tensor:
    return torch.tensor(np.array(values, dtype=np.float64))


def _exponential(vector: Tensor) -> Tensor:
    """The rotation (3, 3) of a rotation vector: a power series, since torch's own is right to 1e-11 only."""
    x, y, z = vector / 2.0**HALVINGS
    nothing = torch.zeros_like(x)
    across = torch.stack([nothing, -z, y, z, nothing, -x, -y, x, nothing]).reshape(3, 3)
    rotation = one = torch.eye(3, dtype=torch.float64)
    for power in range(TERMS, 0, -1):
        rotation = one + across @ rotation / power
    for _ in range(HALVINGS):
        rotation = rotation @ rotation
    return rotation


def _standard(cell: Tensor) -> Tensor:
    """Rows a, b, c of a unit cell as `Crystal.from_cell` places it."""
    a, b, c, alpha, beta, gamma = cell
    cos, sin, nothing = torch.cos, torch.sin, torch.zeros_like(a)
    y = (cos(gamma) - cos(beta) * cos(alpha)) / sin(alpha)
    x = torch.sqrt(1.0 - cos(beta) ** 2 - y * y)
    rows = [a * x, a * y, a * cos(beta), nothing, b * sin(alpha), b * cos(alpha), nothing, nothing, c]
    return torch.stack(rows).reshape(3, 3)
