"""Where and how the kernel runs: device and backend, chosen once per job and named in reports."""

from __future__ import annotations

import dataclasses
import os
import shutil

from tilesim.errors import PlanError

BACKENDS = ("auto", "eager", "compiled")
COMPILE_FROM = 4e9
"""Steps from which compiling (10 to 30 s, once per machine) is sure to pay: minutes of eager work."""


def resolve_device(name: str) -> str:
    """The torch device for auto, cpu, cuda or cuda:N. Raises PlanError where there is none such."""
    import torch

    if name == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return name
    kind, _, number = name.partition(":")
    if kind != "cuda" or (number and not number.isdecimal()):
        raise PlanError(f"device is {name!r}; expected auto, cpu, cuda or cuda:N")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(number or 0) >= count:
        raise PlanError(f"device {name} is not there; torch finds {count} CUDA devices")
    return f"cuda:{int(number or 0)}"


def resolve_backend(name: str, steps: float) -> str:
    """Eager or compiled for a job of that many steps. Raises PlanError where compiling is asked for and impossible."""
    if name not in BACKENDS:
        raise PlanError(f"backend is {name!r}; expected one of {', '.join(BACKENDS)}")
    if name == "auto":
        return "compiled" if steps >= COMPILE_FROM and compiler() else "eager"
    if name == "compiled" and not compiler():
        raise PlanError("backend compiled needs a C++ compiler (CXX, g++ or clang++); none found")
    return name


def make_accumulate(backend: str):
    """The kernel's innermost step for a resolved backend."""
    if backend == "compiled":
        return Compiled()
    from tilesim.physics.intensity import accumulate

    return accumulate


class Compiled:
    """`intensity.accumulate`, compiled by torch at its first call; a process that it is sent to compiles anew."""

    def __init__(self) -> None:
        import torch

        # One thread per call: tiles, not loops, are what runs in parallel.
        self._step = torch.compile(_accumulate_tensors, dynamic=True, options={"cpp.threads": 1})

    def __call__(self, total, q, cell, lattice, allowed=None):
        import torch

        cell = torch.tensor(cell, dtype=torch.float64, device=total.device)
        return self._step(total, *q, cell, lattice, allowed)

    def __reduce__(self):
        return (Compiled, ())


def _accumulate_tensors(total, x, y, z, cell, lattice, allowed):
    """`intensity.accumulate` with the cell as a tensor: compiled code would bake numbers in."""
    from tilesim.physics.intensity import evaluate

    return total + evaluate(tuple(x * v[0] + y * v[1] + z * v[2] for v in cell.unbind()), lattice, allowed)


def as_tensors(lattice, device):
    """The lattice with every number a tensor of no dimension, so that compiled code serves any experiment."""
    import torch

    def convert(value):
        if isinstance(value, tuple):
            return tuple(convert(v) for v in value)
        return torch.tensor(value, dtype=torch.float64, device=device) if isinstance(value, float | int) else value

    def fields(noun, names):
        return dataclasses.replace(noun, **{n: convert(getattr(noun, n)) for n in names})

    table = fields(lattice.table, ("lowest", "highest", "rows", "length", "origin"))
    return dataclasses.replace(fields(lattice, ("cells", "volume", "fudge", "reciprocal")), table=table)


def compiler() -> str | None:
    """The C++ compiler that torch would use; None where there is none."""
    return next(filter(None, map(shutil.which, filter(None, (os.environ.get("CXX"), "g++", "clang++")))), None)
