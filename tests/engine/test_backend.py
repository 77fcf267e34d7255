"""The fused kernel against the definition, and the choice between them."""

import dataclasses
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from experiments import ALL
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tilesim.engine.backend import COMPILE_FROM, resolve_backend
from tilesim.engine.inline import run_inline
from tilesim.engine.job import lower_job, make_job
from tilesim.engine.lazy import simulate_now
from tilesim.errors import PlanError
from tilesim.kernels import compiling, fused, library, tensors
from tilesim.model import StructureFactors
from tilesim.model.shape import Shape

compiler = pytest.mark.skipif(library.compiler() is None, reason="no C++ compiler")
EVERY_PIXEL = np.arange(23 * 31)


def metric(image, reference):
    """The golden metric."""
    return (np.abs(image - reference) / np.maximum(np.abs(reference), 1e-6 * np.abs(reference).max())).max()


@compiler
@pytest.mark.parametrize("precision, tolerance", [("mixed", 1e-5), ("double", 1e-9)])
@pytest.mark.parametrize("name", ALL)
def test_the_fused_kernel_agrees_with_the_definition(name, precision, tolerance):
    values, solid_angle = fused.lower(ALL[name], precision).photons(EVERY_PIXEL)
    wanted, angles = tensors.lower(ALL[name], "double").photons(EVERY_PIXEL)
    assert wanted.max() > 0
    assert metric(values, wanted) < tolerance
    assert solid_angle == pytest.approx(angles, rel=1e-12)


@st.composite
def experiments(draw):
    """Crystals, sampling options and scans of all kinds on a small detector."""
    base = ALL[draw(st.sampled_from(["plain", "rich", "interpolated"]))]
    axis = draw(st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 0.1))
    strict = draw(st.booleans())
    shape = draw(st.sampled_from([shape for shape in Shape if not (strict and shape.in_hkl)]))
    crystal = dataclasses.replace(
        base.crystal,
        shape=shape,
        cells=draw(st.tuples(*[st.integers(1, 60) if strict else st.integers(1, 60) | st.floats(0.5, 60)] * 3)),
        fudge=draw(st.sampled_from([0.5, 1.0, 2.0])),
    )
    if shape.in_hkl:
        least = min(crystal.cells) / 2
        off = draw(st.tuples(*[st.floats(-least, least)] * 3))
        crystal = dataclasses.replace(crystal, cells_off_diagonal=off)
    scan = dataclasses.replace(
        base.scan,
        axis=tuple(np.array(axis) / np.linalg.norm(axis)),
        start=draw(st.floats(-3, 3)),
        steps=draw(st.integers(1, 3)),
    )
    sampling = dataclasses.replace(
        base.sampling,
        oversample=draw(st.integers(1, 2)),
        dmin=draw(st.sampled_from([0.0, 2.5e-10])),
        interpolate=draw(st.booleans()),
        point_pixel=draw(st.booleans()),
        oversample_thick=draw(st.booleans()),
        oversample_polar=draw(st.booleans()),
        oversample_omega=draw(st.booleans()),
        strict_c=strict,
    )
    beam = dataclasses.replace(base.beam, kahn_factor=draw(st.sampled_from([None, 0.0, 0.95])))
    return base.replace(crystal=crystal, scan=scan, sampling=sampling, beam=beam)


@compiler
@given(experiments(), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_it_agrees_on_drawn_experiments(experiment, latch):
    latch = latch if experiment.sampling.strict_c else None
    wanted, _ = tensors.lower(experiment, "double", latch=latch).photons(EVERY_PIXEL)
    values, _ = fused.lower(experiment, "double", latch=latch).photons(EVERY_PIXEL)
    # What no image of float32 can show there is no relative precision to hold to.
    assume(not 0 < wanted.max() < 1e-44)
    assert not wanted.any() or metric(values, wanted) < 1e-8
    mixed, _ = fused.lower(experiment, "mixed", latch=latch).photons(EVERY_PIXEL)
    assert not wanted.any() or metric(mixed, wanted) < 1e-5


@compiler
@pytest.mark.parametrize(
    "shape, fudge", [(Shape.GAUSS, 1.0), (Shape.TOPHAT, 1e-3), (Shape.GAUSS_HKL, 1.0), (Shape.TOPHAT_HKL, 0.1)]
)
@pytest.mark.parametrize("precision", ["mixed", "double"])
def test_leaving_out_exact_zeros_changes_no_bit(shape, fudge, precision):
    crystal = dataclasses.replace(ALL["plain"].crystal, shape=shape, cells=(14, 14, 14), fudge=fudge)
    experiment = ALL["plain"].replace(crystal=crystal)
    all_lanes, _ = fused.lower(experiment, precision, skip=False).photons(EVERY_PIXEL)
    values, _ = fused.lower(experiment, precision).photons(EVERY_PIXEL)
    assert (all_lanes == 0).any() and all_lanes.any()
    np.testing.assert_array_equal(values, all_lanes)


@compiler
def test_a_gaussian_ends_where_no_image_shows_it_and_goes_on_strictly():
    crystal = dataclasses.replace(ALL["plain"].crystal, shape=Shape.GAUSS, cells=(14, 14, 14))
    experiment = ALL["plain"].replace(crystal=crystal)
    wanted, _ = tensors.lower(experiment, "double").photons(EVERY_PIXEL)
    values, _ = fused.lower(experiment, "double").photons(EVERY_PIXEL)
    ended = (values == 0) & (wanted > 0)
    assert ended.any() and wanted[ended].max() < 1e-45  # the smallest number of float32
    strict = experiment.replace(sampling=experiment.sampling.replace(strict_c=True))
    values, _ = fused.lower(strict, "double").photons(EVERY_PIXEL)
    assert (values[ended] > 0).any()


@compiler
def test_a_blank_shot_has_the_water_alone():
    experiment = ALL["plain"].replace(factors=StructureFactors.constant(0.0), water_size=2e-5)
    wanted, _ = tensors.lower(experiment, "double").photons(EVERY_PIXEL)
    values, _ = fused.lower(experiment, "double").photons(EVERY_PIXEL)
    assert values.min() > 0 and metric(values, wanted) < 1e-12
    assert not fused.lower(experiment.replace(water_size=0.0)).photons(EVERY_PIXEL)[0].any()


@compiler
@given(st.lists(st.integers(0, 23 * 31 - 1), min_size=1, max_size=40, unique=True))
@settings(max_examples=20, deadline=None)
def test_a_pixel_is_the_same_in_any_list(numbers):
    kernel = fused.lower(ALL["rich"])
    every, _ = kernel.photons(EVERY_PIXEL)
    some, _ = kernel.photons(np.array(numbers))
    np.testing.assert_array_equal(some, every[numbers])


@compiler
def test_any_tiling_and_number_of_threads_give_the_same_bytes():
    def image_of(tile, threads):
        image = np.empty(ALL["plain"].shape, np.float32)
        job = make_job(ALL["plain"], tile, "mixed", "cpu", "fused")
        for report in run_inline(job, [lambda t, v: image.__setitem__(t.slices, v)], threads):
            assert (report.backend, report.dtype, report.device) == ("fused", "float32", "cpu")
        return image

    np.testing.assert_array_equal(image_of((23, 31), 1), image_of((5, 12), 3))


@compiler
def test_a_kernel_can_be_sent_to_another_process():
    kernel = lower_job(make_job(ALL["strict rich"], None, "mixed", "cpu", "fused"))
    sent, _ = pickle.loads(pickle.dumps(kernel)).photons(EVERY_PIXEL)
    np.testing.assert_array_equal(sent, kernel.photons(EVERY_PIXEL)[0])


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TILESIM_CACHE", str(tmp_path))
    library._choice.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    library._choice.cache_clear()


def test_small_jobs_never_start_a_compiler(empty_cache, monkeypatch):
    monkeypatch.setattr(library, "build", lambda *a: pytest.fail("a compiler was started"))
    assert resolve_backend("auto", 128 * 128 * 100) == "eager"


@compiler
def test_large_jobs_are_compiled_once_and_small_ones_use_what_is_there(empty_cache):
    said = []
    assert resolve_backend("auto", COMPILE_FROM, say=said.append) == "fused"
    assert said[0].startswith("compiling the kernel") and said[1].startswith("compiled in ")
    assert resolve_backend("auto", 1, say=said.append) == "fused"
    assert len(said) == 2
    assert [path.suffix for path in sorted(empty_cache.iterdir())] == [".lock", ".so"]


@compiler
def test_processes_that_begin_together_compile_once(empty_cache):
    code = "from tilesim.kernels import library; library.compile_library(print); library.load()"
    both = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=dict(os.environ))
        for _ in range(3)
    ]
    said = "".join(process.communicate()[0] for process in both)
    assert [process.returncode for process in both] == [0, 0, 0]
    assert said.count("compiled in") == 1


def test_without_a_compiler_everything_is_eager_and_asking_for_more_is_refused(empty_cache, monkeypatch):
    monkeypatch.setattr(library, "compiler", lambda: None)
    assert resolve_backend("auto", 1e12) == "eager"
    with pytest.raises(PlanError, match="compiler"):
        resolve_backend("fused", 1e12)


@compiler
def test_a_compiler_that_fails_is_named_and_the_work_goes_on(empty_cache, monkeypatch):
    monkeypatch.setattr(compiling, "options_for", lambda level: ("-no-such-option",))
    library._choice.cache_clear()
    said = []
    assert resolve_backend("auto", 1e12, say=said.append) == "eager"
    assert "cannot compile" in said[-1]
    with pytest.raises(PlanError, match="no-such-option"):
        resolve_backend("fused", 1)


@compiler
def test_a_cache_that_cannot_be_written_is_named(empty_cache, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TILESIM_CACHE", str(tmp_path / "file" / "cache"))
    library._choice.cache_clear()
    with pytest.raises(PlanError, match="cannot keep the compiled kernel"):
        resolve_backend("fused", 1)


@pytest.fixture(scope="module")
def built():
    """The library in the cache of whoever runs the tests."""
    library.compile_library()
    return library._path()


@pytest.fixture
def compiled(built, empty_cache):
    """The library in a cache of its own."""
    return Path(shutil.copy(built, empty_cache))


@compiler
def test_a_damaged_kernel_is_compiled_again_and_follows_umask(empty_cache, monkeypatch):
    monkeypatch.setattr(compiling, "options_for", lambda level: ("-O0", "-std=c++17", "-shared", "-fPIC"))
    path, said, before = library._path(), [], os.umask(0o027)
    path.write_bytes(b"damaged")
    try:
        library.compile_library(said.append)
    finally:
        os.umask(before)
    assert said[0] == f"{path}: the compiled kernel is damaged; it is made again"
    assert path.stat().st_mode & 0o777 == 0o750
    assert library.cached() and library.load.__wrapped__().tilesim_render


@compiler
@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b[:9000] + b"x" + b[9001:]])
def test_a_damaged_kernel_is_as_good_as_absent(compiled, damage, monkeypatch):
    whole, said = compiled.read_bytes(), []
    assert library.cached()
    compiled.write_bytes(damage(whole))
    assert not library.cached() and not library.usable()
    monkeypatch.setattr(library, "build", lambda *a: pytest.fail("a compiler was started"))
    assert resolve_backend("auto", 1.0, say=said.append) == "eager"
    assert said == [f"{compiled}: the compiled kernel is damaged; going on with the eager kernel, which is much slower"]


@compiler
def test_a_kernel_that_cannot_be_read_is_as_good_as_absent(compiled, monkeypatch):
    def refused(path):
        raise PermissionError(13, "Permission denied", str(path))

    said = []
    monkeypatch.setattr(library.Path, "read_bytes", refused)
    assert resolve_backend("auto", 1.0, say=said.append) == "eager"
    assert said[0].startswith(f"{compiled}: the compiled kernel cannot be read: Permission denied")


@compiler
def test_a_kernel_that_cannot_be_loaded_is_an_error_only_where_it_is_asked_for(compiled, monkeypatch):
    said = []
    monkeypatch.setattr(library, "load", library.load.__wrapped__)
    compiled.write_bytes(compiling.sealed(b"no library"))
    assert resolve_backend("auto", 1.0, say=said.append) == "eager"
    assert "cannot load the compiled kernel" in said[0] and not library.usable()
    with pytest.raises(PlanError, match="cannot load the compiled kernel"):
        resolve_backend("fused", 1.0)


@compiler
def test_without_a_home_folder_nothing_is_kept_in_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TILESIM_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setattr(library.os.path, "expanduser", lambda path: path)  # as of a user whom the system does not know
    library._choice.cache_clear()
    said = []
    assert resolve_backend("auto", COMPILE_FROM, say=said.append) == "eager"
    with pytest.raises(PlanError, match="TILESIM_CACHE"):
        resolve_backend("fused", 1.0)
    assert "TILESIM_CACHE" in said[0] and list(tmp_path.iterdir()) == []
    library._choice.cache_clear()


@compiler
def test_the_simulated_image_is_that_of_the_definition():
    eager = simulate_now(ALL["plain"], "mixed", "cpu", "eager").astype(np.float64)
    assert metric(simulate_now(ALL["plain"], "mixed", "cpu", "fused"), eager) < 1e-5
