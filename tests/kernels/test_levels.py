"""Which level of x86-64 a processor has, and which library is taken for it."""

from pathlib import Path

import pytest

from tilesim.errors import PlanError
from tilesim.kernels import compiling, levels, library

# As /proc/cpuinfo has them, of a desktop of 2004, a virtual machine without AVX, Haswell, Skylake-SP and Zen 4.
OPTERON = "fpu tsc cx8 cmov mmx fxsr sse sse2 syscall nx lm pni"
WESTMERE = f"{OPTERON} ssse3 cx16 sse4_1 sse4_2 popcnt lahf_lm"
PILEDRIVER = f"{WESTMERE} avx fma fma4 f16c xsave abm bmi1"  # without AVX2
HASWELL = f"{PILEDRIVER} avx2 bmi2 movbe"
SKYLAKE_SP = f"{HASWELL} avx512f avx512dq avx512cd avx512bw avx512vl"
BEST = [
    (OPTERON, "x86-64"),
    (WESTMERE, "x86-64-v2"),
    (PILEDRIVER, "x86-64-v2"),
    (HASWELL, "x86-64-v3"),
    (f"{HASWELL} avx512f avx512cd", "x86-64-v3"),  # Xeon Phi
    (SKYLAKE_SP, "x86-64-v4"),
]


@pytest.mark.parametrize("flags, best", BEST)
def test_the_best_level_is_the_last_of_which_a_processor_has_all(flags, best):
    found = levels.levels(flags.split())
    assert found[0] == best
    assert found == tuple(reversed(levels.LEVELS[: levels.LEVELS.index(best) + 1]))


def test_levels_with_fma_are_those_that_say_so():
    assert [levels.has_fma(level, ()) for level in levels.LEVELS] == [False, False, True, True]


@pytest.mark.skipif(not levels.is_x86(), reason="another kind of processor")
def test_what_is_compiled_for_this_processor_has_its_fma(monkeypatch):
    assert levels.has_fma(levels.NATIVE, HASWELL.split()) and not levels.has_fma(levels.NATIVE, WESTMERE.split())


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with libraries for two levels, on a Haswell, and an empty cache."""
    (tmp_path / "compiled").mkdir()
    for level in ("x86-64-v2", "x86-64-v3"):
        content = compiling.sealed(level.encode())
        Path(tmp_path, "compiled", compiling.name_of(library.IMAGE, level)).write_bytes(content)
    monkeypatch.setattr(library, "PACKAGED", tmp_path / "compiled")
    monkeypatch.setattr(levels, "is_x86", lambda: True)
    monkeypatch.setattr(levels, "flags_here", lambda: HASWELL.split())
    monkeypatch.setenv("TILESIM_CACHE", str(tmp_path / "cache"))
    library._choice.cache_clear()
    yield tmp_path / "compiled"
    monkeypatch.undo()
    library._choice.cache_clear()


def test_the_best_level_of_the_package_is_taken(package):
    assert library.level() == "x86-64-v3" and library.cached() and library.has_fma()
    assert library._path().parent == package


@pytest.mark.parametrize("asked, packaged", [("x86-64-v2", True), ("x86-64", False), ("native", False)])
def test_another_level_is_taken_where_it_is_asked_for(package, monkeypatch, asked, packaged):
    monkeypatch.setenv("TILESIM_LEVEL", asked)
    assert library.level() == asked and library.cached() == packaged
    assert library.has_fma() == (asked == "native")


def test_a_level_that_the_processor_has_not_is_refused(package, monkeypatch):
    monkeypatch.setenv("TILESIM_LEVEL", "x86-64-v4")
    with pytest.raises(PlanError, match="=x86-64-v4, but not the processor; expected one of native, x86-64,"):
        library.level()


def test_damaged_libraries_of_the_package_are_as_good_as_absent(package):
    best = library._path()
    best.write_bytes(best.read_bytes()[:-1])
    library._choice.cache_clear()
    assert library.level() == "x86-64-v2"


def test_libraries_of_other_sources_are_as_good_as_absent(package, monkeypatch):
    monkeypatch.setattr(compiling, "OPTIONS", (*compiling.OPTIONS, "-DOTHER"))
    assert library.level() == levels.NATIVE and not library.cached()
