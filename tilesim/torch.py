"""The image as a torch function of parameters of an experiment, which `backward` and `torch.func` differentiate.

`import tilesim` does not import torch; this module does, when it is first used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tilesim.engine.derivatives import FACTORS, pullback
from tilesim.engine.lazy import simulate as simulate_lazily
from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.gradients.changed import checked, with_values
from tilesim.gradients.parameters import parse_parameters
from tilesim.gradients.refusals import check_amplitudes, check_differentiable
from tilesim.gradients.shifted import tangent
from tilesim.model import Experiment
from tilesim.model.checks import shown
from tilesim.model.series import one_experiment

__all__ = ["simulate"]
FLOATS = (torch.float32, torch.float64)


def simulate(
    parameters: Mapping[str, Tensor | float | Sequence[float]],
    experiment: Experiment,
    tile: int | tuple[int, int] | None = None,
    precision: str = "mixed",
) -> Tensor:
    """The image of an experiment at some values of its parameters, as a tensor that knows its derivatives.

    The image is that of `tilesim.simulate`, its derivatives are those of `tilesim.pullback`: exact, at the values
    given, in one more pass over the image for all parameters together. Both are computed by dask, on the workers of a
    `dask.distributed.Client` where there is one. Second derivatives and forward-mode ones are refused.

    Parameters
    ----------
    parameters : mapping of str to Tensor
        Values by name (docs/gradients.md lists the names), of the shape (numbers,), or () of one number, float64 or
        float32. Derivatives have the type of the tensor; float64 is advised. What is not a tensor is a constant.
        "factors" are the amplitudes of all reflections, of the shape of `experiment.factors.grid`.
    experiment : Experiment
        What the image is of. Rotations, strains and shifts count from it, whatever their values are.
    tile : int or (int, int), optional
        Pixels (slow, fast) of a tile; chosen where it is not given.
    precision : str
        "mixed" or "double", of image and derivatives.

    Returns
    -------
    Tensor
        Photons per pixel (slow, fast), or (panel, slow, fast) of several panels: float64, of values that are float32.

    Raises
    ------
    InputError, PlanError
        Where there is no such parameter, value or derivative, or there is no C++ compiler.

    Examples
    --------
    >>> import tilesim, torch
    >>> still = tilesim.from_nanobragg("-default_F 100 -cell 50 60 70 90 90 90 -N 5 -detpixels 64 -distance 100")
    >>> rotation = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    >>> image = tilesim.torch.simulate({"crystal.rotation": rotation}, still)
    >>> image[20:40, 20:40].square().sum().backward()
    >>> rotation.grad.shape
    torch.Size([3])
    """
    one_experiment(experiment)
    if not isinstance(parameters, Mapping):
        raise InputError(f"parameters are {shown(parameters)}; expected a mapping of names to tensors")
    tensors = {name: value for name, value in parameters.items() if isinstance(value, Tensor)}
    for name, tensor in tensors.items():
        if tensor.dtype not in FLOATS:
            raise InputError(f"parameter {name} is a tensor of {tensor.dtype}; expected float64 or float32")
    named = [name for name in parameters if name != FACTORS]
    parsed = parse_parameters(named, experiment) if named else ()
    check_differentiable(experiment, parsed)
    constants = {one.name: checked(one, parameters[one.name]) for one in parsed if one.name not in tensors}
    if FACTORS in parameters:
        check_amplitudes(experiment)
        experiment = experiment if FACTORS in tensors else _with_amplitudes(experiment, parameters[FACTORS])
    call = _Simulation(experiment, tuple(tensors), constants, tile, precision)
    image: Tensor = _Simulated.apply(call, *tensors.values())
    return image


def _with_amplitudes(experiment: Experiment, values: Any) -> Experiment:
    """The experiment with other amplitudes of the reflections of its table. Raises InputError."""
    grid, factors = np.asarray(values, np.float64), experiment.factors
    if grid.shape != factors.grid.shape or not np.isfinite(grid).all():
        raise InputError(
            f"parameter {FACTORS} has the shape {grid.shape}; expected finite numbers of the shape of "
            f"experiment.factors.grid, {factors.grid.shape}"
        )
    return experiment.replace(factors=factors.replace(grid=grid))


@frozen
class _Simulation:
    """What is simulated but for the values of tensors."""

    experiment: Experiment
    names: tuple[str, ...]
    """Parameters that are tensors."""
    constants: Mapping[str, tuple[float, ...]]
    tile: int | tuple[int, int] | None
    precision: str

    def at(self, tensors: Sequence[Tensor]) -> tuple[Experiment, dict[str, Any]]:
        """The experiment with the amplitudes, and the values of all other parameters."""
        arrays = [tensor.detach().cpu().numpy().astype(np.float64) for tensor in tensors]
        values, experiment = {**self.constants, **dict(zip(self.names, arrays, strict=True))}, self.experiment
        if FACTORS in values:
            experiment = _with_amplitudes(experiment, values.pop(FACTORS))
        return experiment, values

    def image(self, tensors: Sequence[Tensor]) -> Tensor:
        lazy = simulate_lazily(with_values(*self.at(tensors)), self.tile, self.precision, "cpu", "fused")
        return torch.from_numpy(lazy.compute().astype(np.float64))

    def derivatives(self, cotangent: Tensor, tensors: Sequence[Tensor], wanted: Sequence[str]) -> list[Tensor]:
        there, amplitudes = tangent(*self.at(tensors), wanted), [FACTORS] * (FACTORS in wanted)
        pixels = cotangent.detach().cpu().numpy()
        pulled: dict[str, Any] = pullback(
            there.experiment, pixels, [*there.names, *amplitudes], self.tile, self.precision
        )
        found, by_name = there.derivatives(pulled), dict(zip(self.names, tensors, strict=True))
        if amplitudes:
            found[FACTORS] = pulled[FACTORS].grid(there.experiment.factors)
        return [torch.from_numpy(found[name]).to(by_name[name]).reshape(by_name[name].shape) for name in wanted]


class _Reverse(torch.autograd.Function):
    """What has derivatives backward only."""

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> None:
        raise InputError("forward-mode derivatives of an image are not computed; expected backward(), or vjp")

    @staticmethod
    def vmap(info: Any, in_dims: Any, *inputs: Any) -> None:
        raise InputError("an image is not computed by vmap; expected one at a time, or tilesim.gradient for a Jacobian")


class _Simulated(_Reverse):
    """The image of tensors."""

    @staticmethod
    def forward(call: _Simulation, *tensors: Tensor) -> Tensor:
        return call.image(tensors)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.call, *tensors = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        wanted = [name for name, needed in zip(ctx.call.names, ctx.needs_input_grad[1:], strict=True) if needed]
        found = dict(zip(wanted, _PulledBack.apply(ctx.call, wanted, cotangent, *ctx.saved_tensors), strict=True))
        return None, *(found.get(name) for name in ctx.call.names)


class _PulledBack(_Reverse):
    """The vector-Jacobian product of the image, a node of its own: a second derivative is no silent zero."""

    @staticmethod
    def forward(call: _Simulation, wanted: Sequence[str], cotangent: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(call.derivatives(cotangent, tensors, wanted))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> None:
        raise InputError("second derivatives of an image are not computed; expected create_graph=False")
