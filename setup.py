"""The wheel carries the kernels compiled, for every level of x86-64 that the compiler at hand knows.

TILESIM_WHEEL_LEVELS names the levels instead, or `all` of them, which must then be compiled, or is `none`.
Where there is no compiler the wheel has none either: the kernel is compiled where it runs, as from a source checkout.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import product
from pathlib import Path
from shutil import rmtree

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py
from setuptools.dist import Distribution

sys.path.insert(0, str(Path(__file__).parent))  # the very modules that compile at run time

from tilesim.kernels.compiling import LIBRARIES, build, compiler, name_of
from tilesim.kernels.levels import LEVELS, is_x86


@cache
def levels():
    """Levels of x86-64 to compile for."""
    asked = os.environ.get("TILESIM_WHEEL_LEVELS", "").split()
    if asked == ["none"]:
        return []
    if asked and compiler() is None:
        raise SystemExit("TILESIM_WHEEL_LEVELS asks for kernels, but there is no C++ compiler (CXX, g++ or clang++)")
    if asked:
        return [*LEVELS] if asked == ["all"] else asked
    return [level for level in LEVELS if is_x86() and compiler() and knows(level)]


def knows(level):
    """Whether the compiler has code for a level: GCC 11 and clang 12 are the first to have all."""
    command = [compiler(), f"-march={level}", "-x", "c++", "-fsyntax-only", os.devnull]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


class CompiledPackage(build_py):
    """The package with its kernels; an editable one compiles on first use."""

    def run(self):
        super().run()
        folder = Path(self.build_lib, "tilesim", "kernels", "compiled")
        rmtree(folder, ignore_errors=True)  # left by an earlier build
        if self.editable_mode or not levels():
            return
        folder.mkdir()
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            for done in [threads.submit(compile_one, folder, *one) for one in product(LIBRARIES, levels())]:
                done.result()


def compile_one(folder, library, level):
    """Compile a library for a level."""
    path = folder / name_of(library, level)
    print(f"compiling {path.name}", flush=True)
    build(compiler(), library, level, path)


class PlatformWheel(bdist_wheel):
    """A wheel for any Python: kernels know nothing of it."""

    def get_tag(self):
        return ("py3", "none", super().get_tag()[2])


class Compiled(Distribution):
    """A distribution for one platform, where it has kernels."""

    def has_ext_modules(self):
        return bool(levels())


setup(distclass=Compiled, cmdclass={"build_py": CompiledPackage, "bdist_wheel": PlatformWheel})
