"""The fused CPU kernel as a shared library: compiled once per machine, kept in the user's cache."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from time import perf_counter

from tilesim.errors import PlanError

SOURCE = Path(__file__).with_name("cpp") / "fused.cpp"
OPTIONS = (
    "-O3 -std=c++17 -shared -fPIC -march=native -fopenmp-simd -fvisibility=hidden "
    # No -ffast-math: order, infinities and NaN stay as written. These only forget errno and floating-point traps.
    "-fno-math-errno -fno-trapping-math"
).split()
X86_OPTIONS = ("-mprefer-vector-width=512",)


def compiler() -> str | None:
    """The C++ compiler: $CXX, g++ or clang++; None where there is none."""
    return next(filter(None, map(shutil.which, filter(None, (os.environ.get("CXX"), "g++", "clang++")))), None)


def cached() -> bool:
    """Whether the library of this source and machine is there already."""
    return _path().is_file()


def compile_library(say: Callable[[str], None] = lambda line: None) -> None:
    """See to it that the library is there; of several processes one compiles. Raises PlanError.

    say  takes a line when compiling begins, and one when it is done
    """
    if cached():
        return
    found, path = compiler(), _path()
    if found is None:
        raise PlanError("the fused kernel needs a C++ compiler (CXX, g++ or clang++); none found")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if cached():
                return
            say(f"compiling the kernel for this machine, once, into {path.parent}")
            start = perf_counter()
            _compile(found, path)
            say(f"compiled in {perf_counter() - start:.1f} s")
    except OSError as error:
        raise PlanError(f"{error.filename}: cannot keep the compiled kernel there: {error.strerror}") from None


@cache
def load() -> ctypes.CDLL:
    """The library's functions, compiled if need be. Raises PlanError."""
    compile_library()
    try:
        library = ctypes.CDLL(str(_path()))
    except OSError as error:
        raise PlanError(f"cannot load the compiled kernel: {error}; remove it, or use --backend eager") from None
    library.tilesim_render.restype = ctypes.c_double
    library.tilesim_render.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p]
    return library


def _compile(found: str, path: Path) -> None:
    """Build beside the target and rename: whoever looks sees all of the library or none."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".building-", suffix=".so")
    os.close(handle)
    try:
        done = subprocess.run([found, *_options(), str(SOURCE), "-o", name], capture_output=True, text=True)
        if done.returncode:
            reason = next((line for line in done.stderr.splitlines() if "error" in line), f"status {done.returncode}")
            raise PlanError(f"{found} cannot compile the fused kernel: {reason}")
        os.replace(name, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def _options() -> tuple[str, ...]:
    return (*OPTIONS, *(X86_OPTIONS if platform.machine() in ("x86_64", "AMD64") else ()))


@cache
def _path() -> Path:
    """Where the library is kept: its name has digests of source, options, processor and system."""
    folder = os.environ.get("TILESIM_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "tilesim"
    )
    sources = [path.read_text() for path in sorted(SOURCE.parent.iterdir())]
    parts = (*sources, *_options(), sys.platform, platform.machine(), *_processor(), *_libc())
    return Path(folder, f"fused-{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}.so")


def _processor() -> tuple[str, ...]:
    """Model and abilities, as far as the system says."""
    try:
        with open("/proc/cpuinfo") as lines:
            first = next(iter("".join(lines).split("\n\n")), "")
    except OSError:
        return (platform.processor(),)
    return tuple(line for line in first.splitlines() if line.startswith(("model name", "flags", "Features")))


def _libc() -> tuple[str, ...]:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "",)
    except (ValueError, OSError):
        return ()
