"""The fused CPU kernel and its derivatives as shared libraries: compiled once per machine, kept in the user's cache."""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import platform
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from time import perf_counter

from tilesim.errors import PlanError

SOURCES = Path(__file__).with_name("cpp")
IMAGE, GRADIENT, FACTORS = "fused", "gradient", "factors"
"""Names of the libraries, each a source of that name."""
OPTIONS = (
    "-O3 -std=c++17 -shared -fPIC -march=native -fopenmp-simd -fvisibility=hidden "
    # No -ffast-math: order, infinities and NaN stay as written. These only forget errno and floating-point traps.
    "-fno-math-errno -fno-trapping-math"
).split()
X86_OPTIONS = ("-mprefer-vector-width=512",)
DIGEST_BYTES = hashlib.sha256().digest_size


def compiler() -> str | None:
    """The C++ compiler: $CXX, g++ or clang++; None where there is none."""
    from shutil import which

    return next(filter(None, map(which, filter(None, (os.environ.get("CXX"), "g++", "clang++")))), None)


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
    try:
        content = path.read_bytes() if path is not None else b""
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        return f"{path}: the compiled kernel cannot be read: {error.strerror}"
    # The dynamic linker would crash on some damaged ones.
    return (
        "" if path is None or content == _sealed(content[:-DIGEST_BYTES]) else f"{path}: the compiled kernel is damaged"
    )


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
            _compile(found, path)
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


def _compile(found: str, path: Path) -> None:
    """Build beside the target and rename: whoever looks sees all of the library or none."""
    import subprocess
    import tempfile

    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".building-") as folder:
        built = Path(folder, path.name)  # made by the linker, and so as umask has it
        source = SOURCES / f"{path.name.rpartition('-')[0]}.cpp"
        command = [found, *_options(), str(source), "-o", str(built)]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", env={**os.environ, "LC_ALL": "C"}
        )
        if done.returncode:
            reason = next((line for line in done.stderr.splitlines() if "error" in line), f"status {done.returncode}")
            raise PlanError(f"{found} cannot compile the fused kernel: {reason}")
        content = built.read_bytes()
        with open(built, "r+b") as file:
            file.write(_sealed(content))
        os.replace(built, path)


def _sealed(content: bytes) -> bytes:
    """The library with its digest behind it, which the dynamic linker passes over."""
    return content + hashlib.sha256(content).digest()


def _options() -> tuple[str, ...]:
    return (*OPTIONS, *(X86_OPTIONS if platform.machine() in ("x86_64", "AMD64") else ()))


@cache
def _path(library: str = IMAGE) -> Path | None:
    """Where the library is kept: its name has digests of source, options, processor and system. None without a home."""
    folder = _folder()
    sources = [path.read_text(encoding="utf-8") for path in sorted(SOURCES.iterdir())]
    parts = (*sources, *_options(), "sealed", sys.platform, platform.machine(), *_processor(), *_libc())
    name = f"{library}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}.so"
    return None if folder is None else Path(folder, name)


def _folder() -> str | None:
    """TILESIM_CACHE, or tilesim's folder in the user's cache."""
    if chosen := os.environ.get("TILESIM_CACHE"):
        return chosen
    caches = (os.environ.get("XDG_CACHE_HOME", ""), os.path.expanduser("~/.cache"))
    return next((os.path.join(found, "tilesim") for found in caches if os.path.isabs(found)), None)


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
