"""Compiling the C++ of cpp/: with which compiler and options, under which name, and with which seal."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from tilesim.errors import PlanError
from tilesim.kernels.levels import is_x86

SOURCES = Path(__file__).with_name("cpp")
IMAGE, GRADIENT, FACTORS = LIBRARIES = "fused", "gradient", "factors"
"""Names of the libraries, each a source of that name."""
OPTIONS = (
    "-O3 -std=c++17 -shared -fPIC -fopenmp-simd -fvisibility=hidden "
    # No -ffast-math: order, infinities and NaN stay as written. These only forget errno and floating-point traps.
    "-fno-math-errno -fno-trapping-math"
).split()
X86_OPTIONS = ("-mprefer-vector-width=512",)
DIGEST_BYTES = hashlib.sha256().digest_size


def compiler() -> str | None:
    """The C++ compiler: $CXX, g++ or clang++; None where there is none."""
    from shutil import which

    return next(filter(None, map(which, filter(None, (os.environ.get("CXX"), "g++", "clang++")))), None)


def options_for(level: str) -> tuple[str, ...]:
    """Options of the compiler for a level of x86-64, or the native one."""
    return (*OPTIONS, f"-march={level}", *(X86_OPTIONS if is_x86() else ()))


def name_of(library: str, level: str, *machine: str) -> str:
    """File name of a compiled library: it has a digest of sources, options and what else it depends on."""
    sources = [path.read_text(encoding="utf-8") for path in sorted(SOURCES.iterdir())]
    parts = (*sources, *options_for(level), "sealed", *machine)
    return f"{library}-{level}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}.so"


def build(found: str, library: str, level: str, path: Path) -> None:
    """Compile beside the target and rename: whoever looks sees all of a library or none. Raises PlanError, OSError."""
    import subprocess
    import tempfile

    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".building-") as folder:
        built = Path(folder, path.name)  # made by the linker, and so as umask has it
        command = [found, *options_for(level), str(SOURCES / f"{library}.cpp"), "-o", str(built)]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", env={**os.environ, "LC_ALL": "C"}
        )
        if done.returncode:
            reason = next((line for line in done.stderr.splitlines() if "error" in line), f"status {done.returncode}")
            raise PlanError(f"{found} cannot compile the fused kernel: {reason}")
        content = built.read_bytes()
        with open(built, "r+b") as file:
            file.write(sealed(content))
        os.replace(built, path)


def sealed(content: bytes) -> bytes:
    """The library with its digest behind it, which the dynamic linker passes over."""
    return content + hashlib.sha256(content).digest()


def is_whole(content: bytes) -> bool:
    """Whether a library is as it was compiled."""
    return content == sealed(content[:-DIGEST_BYTES])
