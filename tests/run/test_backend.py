"""The compiled kernel against the eager one, and the choice between them."""

import numpy as np
import pytest
from experiments import ALL

from tilesim.errors import PlanError
from tilesim.run import backend
from tilesim.run.backend import COMPILE_FROM, resolve_backend
from tilesim.run.inline import run_inline
from tilesim.run.job import make_job
from tilesim.run.lazy import simulate_now

compiler = pytest.mark.skipif(backend.compiler() is None, reason="no C++ compiler")


@compiler
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["plain", "rich"])
def test_the_compiled_kernel_agrees_with_the_eager_one(name):
    eager = simulate_now(ALL[name], "mixed", "cpu", "eager").astype(np.float64)
    compiled = simulate_now(ALL[name], "mixed", "cpu", "compiled")
    error = np.abs(compiled - eager) / np.maximum(eager, 1e-6 * eager.max())
    assert error.max() < 1e-5


@compiler
@pytest.mark.filterwarnings("ignore")
def test_the_compiled_kernel_gives_the_same_bytes_for_any_tiling():
    def image_of(tile):
        image = np.empty(ALL["plain"].shape, np.float32)
        for _ in run_inline(
            make_job(ALL["plain"], tile, "mixed", "cpu", "compiled"), [lambda t, v: image.__setitem__(t.slices, v)]
        ):
            pass
        return image

    np.testing.assert_array_max_ulp(image_of((23, 31)), image_of((5, 12)), maxulp=2)


@compiler
@pytest.mark.filterwarnings("ignore")
def test_the_compiled_kernel_can_be_sent_to_another_process():
    import pickle

    assert isinstance(pickle.loads(pickle.dumps(backend.make_accumulate("compiled"))), backend.Compiled)


def test_small_jobs_never_start_a_compiler():
    assert resolve_backend("auto", 128 * 128 * 100) == "eager"


@compiler
def test_jobs_of_minutes_are_compiled():
    assert resolve_backend("auto", COMPILE_FROM) == "compiled"


def test_without_a_compiler_everything_is_eager_and_asking_for_more_is_refused(monkeypatch):
    monkeypatch.setattr(backend, "compiler", lambda: None)
    assert resolve_backend("auto", 1e12) == "eager"
    with pytest.raises(PlanError, match="compiler"):
        resolve_backend("compiled", 1e12)
