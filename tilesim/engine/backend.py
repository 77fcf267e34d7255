"""Where and how the kernel runs: device and backend, chosen once per job and named in reports."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec

from tilesim.compute import KernelModule
from tilesim.errors import PlanError
from tilesim.kernels import library

BACKENDS = ("auto", "eager", "fused")
NO_FMA = "fused (no FMA)"
"""Backend of the fused CPU kernel where it multiplies and adds with two roundings: another image in its last digits."""
NO_TRITON = "the fused kernel needs triton on a GPU, which comes with torch for CUDA"
OTHER_ROUNDING = "its kernel rounds otherwise (FMA on one side alone); expected one TILESIM_LEVEL everywhere"
COMPILE_FROM = 3e7
"""Steps from which the fused kernel is worth compiling (about 2 s, once per machine): seconds of eager work."""


def resolve_device(name: str) -> str:
    """The torch device for auto, cpu, cuda or cuda:N. Raises PlanError where there is none such."""
    if name == "cpu":
        return "cpu"
    if name == "auto":
        return "cuda:0" if count_gpus() else "cpu"
    kind, _, number = name.partition(":")
    if kind != "cuda" or (number and not number.isdecimal()):
        raise PlanError(f"device is {name!r}; expected auto, cpu, cuda or cuda:N")
    count = count_gpus()
    if int(number or 0) >= count:
        raise PlanError(f"device {name} is not there; torch finds {count} CUDA devices")
    return f"cuda:{int(number or 0)}"


def count_gpus() -> int:
    """CUDA devices that this process may use; torch is imported only where there may be one."""
    if not _may_have_gpu():
        return 0
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def resolve_backend(
    name: str, steps: float, device: str = "cpu", say: Callable[[str], None] = lambda line: None
) -> str:
    """The backend of a job of that many steps on a device; the CPU's fused kernel is compiled if need be.

    name  one of BACKENDS, or the backend of an earlier job
    say   takes a line when compiling begins and ends

    Raises PlanError where the fused kernel is asked for and cannot be had.
    """
    if name not in (*BACKENDS, NO_FMA):
        raise PlanError(f"backend is {name!r}; expected one of {', '.join(BACKENDS)}")
    if device != "cpu":
        if name not in ("auto", "eager") and not has_triton():
            raise PlanError(NO_TRITON)
        return "fused" if name != "eager" and has_triton() else "eager"
    if name == "eager":
        return name
    fused = fused_here()
    if name != "auto":
        library.compile_library(say)
        library.load()
        return fused
    try:
        if not worth_fusing(steps):
            if wrong := library.flaw():
                raise PlanError(wrong)
            return "eager"
        library.compile_library(say)
        library.load()
    except PlanError as error:
        say(f"{error}; going on with the eager kernel, which is much slower")
        return "eager"
    return fused


def fused_here() -> str:
    """Backend of the fused kernel on this CPU: processors of one name give the same bytes. Raises PlanError."""
    return "fused" if library.has_fma() else NO_FMA


def worth_fusing(steps: float) -> bool:
    """Whether a job is best done by the fused kernel here: always where it is compiled already."""
    return library.cached() or (steps >= COMPILE_FROM and library.compiler() is not None)


def has_triton() -> bool:
    """Whether the fused GPU kernel can be compiled in this process."""
    return find_spec("triton") is not None


def rounds_otherwise(backend: str, device: str) -> bool:
    """Whether the kernel of this process gives other bytes than the backend of a job. Raises PlanError."""
    return backend != "eager" and device == "cpu" and backend != fused_here()


def check_rounding(backend: str, device: str) -> None:
    """Raise PlanError where the kernel of this process gives other bytes than the backend of a job."""
    if rounds_otherwise(backend, device):
        raise PlanError(f"this process cannot compute the job: {OTHER_ROUNDING}")


def kernels(backend: str, device: str) -> KernelModule:
    """The module of kernels for a resolved backend and device."""
    if backend == "eager":
        from tilesim.kernels import tensors

        return tensors
    if device == "cpu":
        from tilesim.kernels import fused

        return fused
    from tilesim.kernels import gpu

    return gpu


def one_thread_each() -> Callable[[], None]:
    """Have torch, where it is in use, compute on the calling thread alone; what comes back undoes it."""
    torch = sys.modules.get("torch")
    if torch is None:
        return lambda: None
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    return lambda: torch.set_num_threads(before)


def _may_have_gpu() -> bool:
    """Whether it is worth importing torch to look for a GPU: NVIDIA's driver shows itself in the file system."""
    import glob
    import os

    if os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return False
    return not sys.platform.startswith("linux") or bool(glob.glob("/dev/nvidia[0-9]*")) or os.path.exists("/dev/dxg")
