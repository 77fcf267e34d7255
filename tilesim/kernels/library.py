"""The fused CPU kernel and its derivatives as shared libraries: those of the package, or compiled once per machine."""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from time import perf_counter

from tilesim.errors import PlanError
from tilesim.kernels import levels
from tilesim.kernels.compiling import FACTORS, GRADIENT, IMAGE, build, is_whole, name_of
from tilesim.kernels.compiling import compiler as compiler

PACKAGED = Path(__file__).with_name("compiled")
"""Where a wheel has the libraries, for each level of x86-64 (setup.py)."""


def level() -> str:
    """What the kernel in use is compiled for: TILESIM_LEVEL, or the best level in the package, or this machine.

    Raises PlanError where TILESIM_LEVEL is none that this processor has.
    """
    return _choice(IMAGE)[0]


def has_fma() -> bool:
    """Whether the kernel in use multiplies and adds with one rounding. Raises PlanError as `level` does."""
    return levels.has_fma(level(), levels.flags_here())


def cached(name: str = IMAGE) -> bool:
    """Whether the library of this source and machine is there already, and whole."""
    path = _path(name)
    return path is not None and os.path.isfile(path) and not flaw(name)


def usable() -> bool:
    """Whether it is there and can be loaded."""
    try:
        return cached() and load() is not None
    except PlanError:
        return False


def flaw(name: str = IMAGE) -> str:
    """What is wrong with the library that is there, and so as good as absent; empty where nothing is."""
    path = _path(name)
    return "" if path is None else _flaw_of(path)


def compile_library(say: Callable[[str], None] = lambda line: None, name: str = IMAGE) -> None:
    """See to it that the library is there; of several processes one compiles. Raises PlanError.

    say  takes a line when compiling begins, and one when it is done
    """
    if cached(name):
        return
    found, path = compiler(), _path(name)
    if path is None:
        raise PlanError(
            "there is no folder for the compiled kernel: HOME is no path; expected TILESIM_CACHE to name one"
        )
    if found is None:
        raise PlanError(flaw(name) or "the fused kernel needs a C++ compiler (CXX, g++ or clang++); none found")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if cached(name):
                return
            if wrong := flaw(name):
                say(f"{wrong}; it is made again")
            say(f"compiling the kernel for this machine, once, into {path.parent}")
            start = perf_counter()
            build(found, name, _choice(name)[0], path)
            say(f"compiled in {perf_counter() - start:.1f} s")
    except OSError as error:
        where = error.filename2 or error.filename or path.parent
        raise PlanError(f"{where}: cannot keep the compiled kernel there: {error.strerror}") from None


@cache
def load(name: str = IMAGE) -> ctypes.CDLL:
    """The library's functions, compiled if need be. Raises PlanError."""
    compile_library(name=name)
    try:
        library = ctypes.CDLL(str(_path(name)))
    except OSError as error:
        raise PlanError(f"cannot load the compiled kernel: {error}; remove it, or use --backend eager") from None
    pointers, count = ctypes.c_void_p, ctypes.c_int64
    if name == GRADIENT:
        shared = (pointers, pointers, count, pointers, count, count, pointers, pointers)
        for function, own in (
            (library.tilesim_gradient, (pointers, pointers, count)),
            (library.tilesim_normal, (pointers, pointers, count, pointers, pointers)),
            (library.tilesim_pullback, (pointers, pointers)),
        ):
            function.restype, function.argtypes = ctypes.c_double, [*shared, *own]
        library.tilesim_products.restype = None
        library.tilesim_products.argtypes = [count, count, *[pointers] * 4]
        return library
    if name == FACTORS:
        library.tilesim_entries_new.restype = pointers
        library.tilesim_entries_new.argtypes = []
        library.tilesim_entries_free.restype = None
        library.tilesim_entries_free.argtypes = [pointers]
        library.tilesim_entries_count.restype = count
        library.tilesim_entries_count.argtypes = [pointers]
        library.tilesim_entries_take.restype = None
        library.tilesim_entries_take.argtypes = [pointers] * 3
        library.tilesim_entries_add.restype = count
        library.tilesim_entries_add.argtypes = [pointers, pointers, count, pointers, pointers]
        library.tilesim_anomalous.restype = count
        library.tilesim_anomalous.argtypes = [pointers, count, pointers, count, count, pointers, pointers, pointers]
        return library
    library.tilesim_render.restype = ctypes.c_double
    library.tilesim_render.argtypes = [pointers, count, count, pointers, pointers, count]
    library.tilesim_truth.restype = ctypes.c_double
    library.tilesim_truth.argtypes = [pointers, count, pointers, pointers]
    library.tilesim_sums.restype = None
    library.tilesim_sums.argtypes = [pointers, count, pointers]
    return library


def _path(library: str = IMAGE) -> Path | None:
    """Where the library is kept; None without a home."""
    return _choice(library)[1]


@cache
def _choice(library: str) -> tuple[str, Path | None]:
    """The level that a library is compiled for, and where it is kept: in the package, or else in the cache."""
    asked = levels.asked_level()
    for found in _packaged_levels(asked):
        path = PACKAGED / name_of(library, found)
        if path.is_file() and not _flaw_of(path):
            return found, path
    folder, chosen = _folder(), asked or levels.NATIVE
    return chosen, None if folder is None else Path(folder, name_of(library, chosen, *_machine()))


def _flaw_of(path: Path) -> str:
    try:
        content = path.read_bytes() if path.is_file() or not path.exists() else b""  # a pipe would be waited for
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        return f"{path}: the compiled kernel cannot be read: {error.strerror}"
    # The dynamic linker would crash on some damaged ones.
    return "" if is_whole(content) else f"{path}: the compiled kernel is damaged"


def _packaged_levels(asked: str) -> tuple[str, ...]:
    """Levels to look for in the package, best first."""
    if not PACKAGED.is_dir():
        return ()
    return (asked,) if asked else levels.levels_here()


def _folder() -> str | None:
    """TILESIM_CACHE, or tilesim's folder in the user's cache."""
    if chosen := os.environ.get("TILESIM_CACHE"):
        return chosen
    caches = (os.environ.get("XDG_CACHE_HOME", ""), os.path.expanduser("~/.cache"))
    return next((os.path.join(found, "tilesim") for found in caches if os.path.isabs(found)), None)


def _machine() -> tuple[str, ...]:
    """What a library that is compiled here depends on, beside sources and options."""
    return (sys.platform, platform.machine(), *levels.processor(), *_libc())


def _libc() -> tuple[str, ...]:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "",)
    except (ValueError, OSError):
        return ()
