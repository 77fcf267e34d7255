"""Where and how the kernel runs: device and backend, chosen once per job and named in reports."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec

from tilesim.compute import KernelModule
from tilesim.errors import PlanError
from tilesim.kernels import library

BACKENDS = ("auto", "eager", "fused")
NO_TRITON = "the fused kernel needs triton on a GPU, which comes with torch for CUDA"
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
    """Eager or fused for a job of that many steps on a device; the CPU's fused kernel is compiled if need be.

    say  takes a line when compiling begins and ends

    Raises PlanError where the fused kernel is asked for and cannot be had.
    """
    if name not in BACKENDS:
        raise PlanError(f"backend is {name!r}; expected one of {', '.join(BACKENDS)}")
    if device != "cpu":
        if name == "fused" and not has_triton():
            raise PlanError(NO_TRITON)
        return name if name != "auto" else "fused" if has_triton() else "eager"
    if name == "fused":
        library.compile_library(say)
        library.load()
    if name != "auto":
        return name
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
    return "fused"


def worth_fusing(steps: float) -> bool:
    """Whether a job is best done by the fused kernel here: always where it is compiled already."""
    return library.cached() or (steps >= COMPILE_FROM and library.compiler() is not None)


def has_triton() -> bool:
    """Whether the fused GPU kernel can be compiled in this process."""
    return find_spec("triton") is not None


def kernels(backend: str, device: str) -> KernelModule:
    """The module of kernels for a resolved backend and device."""
    if backend == "fused" and device == "cpu":
        from tilesim.kernels import fused

        return fused
    if backend == "fused":
        from tilesim.kernels import gpu

        return gpu
    from tilesim.kernels import tensors

    return tensors


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
