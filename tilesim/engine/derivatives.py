"""Derivatives of an image as a lazy array and as sums over pixels, by the same tiles as the image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tilesim.engine.job import Job, make_job
from tilesim.engine.slopes import GradientRunner
from tilesim.errors import InputError
from tilesim.frozen import frozen
from tilesim.gradients.parameters import Parameter, parse_parameters
from tilesim.gradients.reflections import FactorDerivatives
from tilesim.gradients.refusals import check_amplitudes, check_differentiable
from tilesim.model import Experiment, PixelMask
from tilesim.model.series import one_experiment
from tilesim.tiling.plan import TilePlan
from tilesim.tiling.tile import Tile

if TYPE_CHECKING:
    import dask.array as da

Array = npt.NDArray[np.float64]
FACTORS = "factors"
"""Name of the amplitudes of all reflections."""
Tiling = int | tuple[int, int] | None


@frozen
class NormalEquations:
    """Sums over the pixels of an image of what a least-squares step is made of, with weights of 1 / variance.

    Examples
    --------
    >>> import numpy as np
    >>> from tilesim import NormalEquations
    >>> sums = NormalEquations(("beam.fluence",), np.array([[4.0]]), np.array([2.0]), 7.0, 100)
    >>> np.linalg.solve(sums.matrix, sums.vector)  # how much the fluence is to be changed
    array([0.5])
    """

    names: tuple[str, ...]
    """Parameters, each as often as it has numbers, in the order of the sums."""
    matrix: Array
    """(numbers, numbers) sums of products of two derivatives: J^T W J."""
    vector: Array
    """(numbers,) sums of derivative times residual, data minus image: J^T W r."""
    chi_squared: float
    """Sum of squared residuals."""
    pixels: int
    """How many counted."""


def gradient(
    experiment: Experiment,
    wrt: str | Iterable[str],
    tile: Tiling = None,
    precision: str = "mixed",
    device: str = "cpu",
) -> da.Array:
    """The derivatives of an image as a lazy array: slicing it computes only the tiles that the slice touches.

    Parameters
    ----------
    experiment : Experiment
        What the image is of.
    wrt : str or sequence of str
        Parameters by name, such as "crystal.rotation" or "detector[0:4].distance"; docs/gradients.md lists them.
    tile : int or (int, int), optional
        Pixels (slow, fast) of a tile; chosen where it is not given.
    precision : str
        "mixed" or "double".
    device : str
        "cpu"; "cuda" or "cuda:N"; "auto", a GPU where there is one.

    Returns
    -------
    dask.array.Array
        Photons per unit of the parameter, float64 (number, slow, fast), or (number, panel, slow, fast) of several
        panels; a parameter of three numbers has three.

    Raises
    ------
    InputError, PlanError
        Where the image has no such derivative, or there is no such device, C++ compiler on a CPU, triton on a GPU.

    Examples
    --------
    >>> import tilesim
    >>> still = tilesim.from_nanobragg("-default_F 100 -cell 50 60 70 90 90 90 -N 5 -detpixels 64 -distance 100")
    >>> tilesim.gradient(still, ["crystal.rotation", "beam.wavelength"]).shape
    (4, 64, 64)
    """
    import dask.array as da

    job, parameters = _ready(experiment, wrt, tile, precision, device)
    plan, numbers = job.plan, sum(one.size for one in parameters)
    shape = plan.shape[1:]
    edges = (*(1 for _ in shape[:-2]), *plan.tile)
    chunks = tuple(_edges(length, edge) for length, edge in zip(shape, edges, strict=True))
    names = "-".join(one.name for one in parameters)
    array: da.Array = da.map_blocks(
        _block,
        plan,
        _lowered(job, parameters),
        chunks=((numbers,), *chunks),
        dtype=np.float64,
        meta=np.empty((0,) * (1 + len(shape)), np.float64),
        name=f"tilesim-gradient-{job.digest}-{names}",
    )
    return array


def normal_equations(
    experiment: Experiment,
    data: Any,
    variance: Any,
    wrt: str | Iterable[str],
    where: Any = None,
    tile: Tiling = None,
    precision: str = "mixed",
    device: str = "cpu",
) -> NormalEquations:
    """The normal equations of a least-squares fit of the image to measured pixels, for a step of Gauss and Newton.

    They are summed tile by tile in one order: the same to the bit for any number of threads and workers.

    Parameters
    ----------
    experiment : Experiment
        What the image is of.
    data : array_like or dask.array.Array
        Measured photons, of the shape of the image; NaN where there is no value: such pixels are left out.
    variance : array_like, dask.array.Array or float
        Their variance, above 0; pixels where it is NaN or infinite are left out.
    wrt : str or sequence of str
        Parameters, as for `gradient`.
    where : array_like of bool, optional
        Pixels that count, of the shape of the image, such as shoeboxes: the others are not computed.
    tile, precision, device
        As for `gradient`.

    Returns
    -------
    NormalEquations
        J^T W J, J^T W r and chi squared.

    Raises
    ------
    InputError, PlanError
        As `gradient`; where arrays have another shape than the image, a variance is not above 0, or data are infinite.

    Examples
    --------
    >>> import tilesim
    >>> still = tilesim.from_nanobragg("-default_F 100 -cell 50 60 70 90 90 90 -N 5 -detpixels 64 -distance 100")
    >>> equations = tilesim.normal_equations(still, tilesim.simulate_now(still), 1.0, ["crystal.rotation"])
    >>> equations.matrix.shape, equations.pixels
    ((3, 3), 4096)
    """
    job, parameters = _ready(masked_to(one_experiment(experiment), where), wrt, tile, precision, device)
    parts = _by_tile(job, parameters, _normal, {"data": data, "variance": variance})
    sums, pixels = (sum(part[1:], start=part[0]) for part in zip(*parts, strict=True))
    names = tuple(one.name for one in parameters for _ in one.value)
    return NormalEquations(names, sums[:-1, :-1].copy(), sums[:-1, -1].copy(), float(sums[-1, -1]), int(pixels))


def pullback(
    experiment: Experiment,
    cotangent: Any,
    wrt: str | Iterable[str],
    tile: Tiling = None,
    precision: str = "mixed",
    device: str = "cpu",
) -> dict[str, Array | FactorDerivatives]:
    """The derivatives of a function of the image, from its derivatives with the pixels: a vector-Jacobian product.

    Parameters
    ----------
    experiment : Experiment
        What the image is of.
    cotangent : array_like or dask.array.Array
        Derivative of the function with every pixel, of the shape of the image.
    wrt : str or sequence of str
        As for `gradient`; and "factors", the amplitudes of all reflections.
    tile, precision, device
        As for `gradient`.

    Returns
    -------
    dict
        Derivatives (numbers,) by the name of the parameter; `FactorDerivatives` of "factors".

    Raises
    ------
    InputError, PlanError
        As `gradient`; where the array has another shape than the image.

    Examples
    --------
    >>> import numpy as np, tilesim
    >>> still = tilesim.from_nanobragg("-default_F 100 -cell 50 60 70 90 90 90 -N 5 -detpixels 64 -distance 100")
    >>> slopes = tilesim.pullback(still, np.ones((64, 64)), ["crystal.rotation", "beam.fluence"])
    >>> {name: slope.shape for name, slope in slopes.items()}
    {'crystal.rotation': (3,), 'beam.fluence': (1,)}
    """
    names = [wrt] if isinstance(wrt, str) else list(wrt)
    others, arrays = [name for name in names if name != FACTORS], {"cotangent": cotangent}
    if len(names) > len(others) + 1:
        raise InputError(f"parameter {FACTORS} is listed twice; expected each once")
    found: dict[str, Array | FactorDerivatives] = {}
    if FACTORS in names:  # what is refused is so before anything is computed
        check_differentiable(one_experiment(experiment), ())
        check_amplitudes(experiment)
        whole = make_job(experiment, tile, precision, device, "fused", frames=1)
        _check_device(whole, [FACTORS])
    if others or not names:
        job, parameters = _ready(experiment, others, tile, precision, device)
        parts, start = _by_tile(job, parameters, _pulled_back, arrays), 0
        total = sum(parts[1:], start=parts[0])
        for one in parameters:
            found[one.name] = total[start : start + one.size]
            start += one.size
    if FACTORS in names:
        lists = _by_tile(whole, (), _pulled_to_reflections, arrays)
        found[FACTORS] = FactorDerivatives.total(lists, experiment.factors)
    return {name: found[name] for name in names}


def _ready(
    experiment: Experiment, wrt: str | Iterable[str], tile: Tiling, precision: str, device: str
) -> tuple[Job, tuple[Parameter, ...]]:
    """The job and the parameters. Raises InputError, PlanError."""
    job = make_job(one_experiment(experiment), tile, precision, device, "fused", frames=1)
    parameters = parse_parameters(wrt, experiment)
    check_differentiable(experiment, parameters)
    veiled = () if experiment.background is None else ("beam", "detector")
    moving = [one.name for one in parameters if one.part in veiled and one.field != "fluence"]
    _check_device(job, [one.name for one in parameters if one.part == FACTORS] + moving)
    return job, parameters


def _check_device(job: Job, names: Sequence[str]) -> None:
    """Raise InputError where derivatives that only the CPU computes are asked for on a GPU.

    names  parameters: of structure factors, and those that an amorphous background moves with
    """
    if names and job.device != "cpu":
        raise InputError(f"derivative with {names[0]} is not computed on {job.device}; expected device='cpu'")


def masked_to(experiment: Experiment, where: Any) -> Experiment:
    """The experiment with all pixels masked but those of `where`, of the shape of the image. Raises InputError."""
    if where is None:
        return experiment
    active = np.asarray(where, bool)
    shape = (len(experiment.detector.panels), *experiment.panel_shape)
    if active.shape not in (shape, shape[1:] if shape[0] == 1 else shape):
        raise InputError(f"where has the shape {active.shape}; expected that of the image, {shape}")
    if active.all():
        return experiment
    active = active.reshape(experiment.shape)
    return experiment.replace(mask=PixelMask(active if experiment.mask is None else active & experiment.mask.active))


def _lowered(job: Job, parameters: tuple[Parameter, ...]) -> Any:
    """One task that gives the runner, which the tiles share."""
    from dask.delayed import delayed

    names = tuple(one.name for one in parameters)
    return delayed(GradientRunner, pure=True, traverse=False)(
        job, names, dask_key_name=f"slope-{job.digest}-{'-'.join(names)}"
    )


def _by_tile(job: Job, parameters: tuple[Parameter, ...], function: Any, arrays: dict[str, Any]) -> Sequence[Any]:
    """function(runner, tile, arrays of the tile) of every tile, in the order of the plan, by dask."""
    from dask.base import compute
    from dask.delayed import delayed

    shape = job.plan.shape[1:]
    for name, array in arrays.items():
        if np.ndim(array) and np.shape(array) != shape:
            raise InputError(f"{name} has the shape {np.shape(array)}; expected that of the image, {shape}")
    lowered, task = _lowered(job, parameters), delayed(function)
    calls = []
    for tile in job.plan:
        index = job.plan.index(tile)[1:]
        calls.append(task(lowered, tile, *(one[index] if np.ndim(one) else one for one in arrays.values())))
    found: Sequence[Any] = compute(*calls)
    return found


def _normal(runner: GradientRunner, tile: Tile, data: Any, variance: Any) -> tuple[Array, int]:
    numbers, data, variance = runner.numbers(tile), runner.rendered(tile, data), runner.rendered(tile, variance)
    counted = np.isfinite(data) & (variance > 0.0) & (variance < np.inf)
    if not counted.all():
        where = ~np.isnan(data) & ~np.isnan(variance) & (variance != np.inf)
        _check(runner, tile, "data", data, where & np.isinf(data), "photons, or NaN where there is no value")
        _check(runner, tile, "variance", variance, where & (variance <= 0.0), "a number above 0, or NaN or infinity")
        numbers, data, variance = numbers[counted], data[counted], variance[counted]
    return runner.normal(tile, numbers, data, 1.0 / variance), len(numbers)


def _check(runner: GradientRunner, tile: Tile, name: str, values: Array, wrong: Any, expected: str) -> None:
    """Raise InputError at the first of the rendered pixels of a tile where a value is wrong."""
    if wrong.any():
        number = int(np.argmax(wrong))
        slow, fast = divmod(int(runner.numbers(tile)[number]), runner.job.experiment.panel_shape[1])
        panel = f" of panel {tile.panel}" if len(runner.job.experiment.detector.panels) > 1 else ""
        raise InputError(f"{name} is {values[number]:g} at pixel ({slow}, {fast}){panel}; expected {expected}")


def _pulled_back(runner: GradientRunner, tile: Tile, cotangent: Any) -> Array:
    return runner.pulled_back(tile, runner.numbers(tile), runner.rendered(tile, cotangent))


def _pulled_to_reflections(runner: GradientRunner, tile: Tile, cotangent: Any) -> FactorDerivatives:
    return runner.reflections(tile, cotangent)


def _block(plan: TilePlan, lowered: GradientRunner, block_id: tuple[int, ...] = ()) -> Array:
    place = block_id[1:]
    tile = plan[int(np.ravel_multi_index(place, plan.grid[1:]))]
    found = lowered.placed(tile)
    return found.reshape(len(found), *(1 for _ in place[2:]), *tile.shape)


def _edges(length: int, chunk: int) -> tuple[int, ...]:
    full, rest = divmod(length, chunk)
    return (chunk,) * full + ((rest,) if rest else ())
