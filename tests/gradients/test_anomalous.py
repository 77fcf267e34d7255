"""Derivatives with structure factors that follow the photon energy, and with f' and f'' of their elements."""

import dask
import numpy as np
import pytest
from experiments import plain
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from varied import RNG, SHAPES, TABLE, experiments, names_of, rendered

import tilesim
from tilesim import AnomalousCurve, AnomalousFactors, ChannelFactors, InputError, Source
from tilesim.gradients.twin import jacobian, values_of
from tilesim.kernels import library

pytestmark = pytest.mark.skipif(library.compiler() is None, reason="no C++ compiler")
PRECISIONS = {"double": 1e-8, "mixed": 1e-4}
"""With the error that is allowed, relative to the largest derivative."""
F_NAMES = [f"factors.{field}[{element}]" for element in ("Se", "Fe") for field in ("f1", "f2")]


def parts():
    """F0 and two elements, over the indices of the table of real amplitudes."""
    shape = (3, *TABLE.grid.shape)
    return (
        RNG.normal(size=shape) * np.array([60.0, 4.0, 3.0])[:, None, None, None] * np.exp(2j * RNG.uniform(size=shape))
    )


SELENIUM = AnomalousCurve("Se", [12.0, 12.3, 12.6], [-7.0, -9.0, -5.5], [0.5, 3.5, 3.8])
IRON = AnomalousCurve("Fe", [12.0, 12.6], [0.3, 0.4], [1.5, 1.4])
ANOMALOUS = AnomalousFactors(parts(), [SELENIUM, IRON], 1e-10, TABLE.minimum, default=9.0)
CHANNELS = ChannelFactors({1e-10: TABLE, 1.01e-10: TABLE.replace(grid=TABLE.grid[::-1] + 30.0)})


@pytest.fixture(autouse=True)
def here():
    with dask.config.set(scheduler="synchronous"):
        yield


def of_all(experiment, names, precision):
    """(numbers, pixels)"""
    found = tilesim.gradient(experiment, names, precision=precision).compute()
    return found.reshape(len(found), -1)


def agree(experiment, names):
    """Whether derivatives are those of the twin; those that are not zero everywhere."""
    seen = set()
    image, slopes = jacobian(experiment, values_of(experiment, names))
    labels = [(name, place) for name in names for place in range(len(slopes[name]))]
    expected = np.concatenate([slopes[name].numpy() for name in names]).reshape(len(labels), -1)
    assert image.max() > 0
    for precision, allowed in PRECISIONS.items():
        for label, one, other in zip(labels, of_all(experiment, names, precision), expected, strict=True):
            largest = np.abs(other).max()
            off = np.abs(one - other).max()
            assert off <= allowed * largest, f"{label} {precision}: {off / largest:.1e}"
            seen.update({label[0]} if largest else set())
    return seen


@pytest.mark.parametrize(
    ("factors", "few"), [(ANOMALOUS, True), (ANOMALOUS, False), (CHANNELS, True)], ids=["tables", "mixed", "channels"]
)
def test_derivatives_of_crystal_and_geometry(factors, few, monkeypatch):
    monkeypatch.setattr(AnomalousFactors, "tabulated", lambda self, count: few)
    seen = set()

    @settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(SHAPES).flatmap(experiments))
    def check(experiment):
        experiment = experiment.replace(factors=factors)
        seen.update(agree(experiment, [name for name in names_of(experiment) if name != "beam.wavelength"]))

    check()
    assert {"crystal.rotation", "crystal.cell", "crystal.cells", "detector.distance"} <= seen


@pytest.mark.parametrize("few", [True, False], ids=["tables", "mixed"])
@pytest.mark.parametrize("shape", SHAPES)
def test_derivatives_with_f_prime_and_f_double_prime(shape, few, monkeypatch):
    monkeypatch.setattr(AnomalousFactors, "tabulated", lambda self, count: few)
    seen = set()

    @settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
    @given(experiments(shape))
    def check(experiment):
        seen.update(agree(experiment.replace(factors=ANOMALOUS), ["crystal.share", *F_NAMES, "beam.fluence"]))

    check()
    assert set(F_NAMES) <= seen


def test_f_prime_of_every_channel_is_varied():
    sources = [Source((0.0, 0.0, 1.0), wave * 1e-10) for wave in (1.01, 1.0)]
    experiment = plain(factors=ANOMALOUS, beam=plain().beam.replace(sources=sources))
    start = tilesim.Parameters(experiment, ["factors.f1[Se]"]).start
    assert start.parameters.labels == ("factors.f1[Se].0", "factors.f1[Se].1")
    moved = start.moved([0.5, -0.25])
    found = moved.experiment.factors.curves[0].over([1e-10, 1.01e-10])
    np.testing.assert_allclose(found.real, moved.values, rtol=1e-12)
    assert np.abs(moved.values - start.values).min() > 0.1
    assert moved.experiment.factors.curves[1] == IRON


def test_the_twin_has_the_central_difference_of_f_double_prime():
    def with_curve(step):
        curve = SELENIUM.replace(f2=np.array(SELENIUM.f2) + step)
        return plain(factors=AnomalousFactors(ANOMALOUS.parts, [curve, IRON], 1e-10, TABLE.minimum, default=9.0))

    (low, _), (high, _) = (rendered(with_curve(step)) for step in (-1.0, 1.0))
    found = jacobian(with_curve(0.0), values_of(with_curve(0.0), ["factors.f2[Se]"]))[1]["factors.f2[Se]"].numpy()
    assert np.abs(found).max() > 0  # the image is of second order in f''
    np.testing.assert_allclose((high - low).ravel() / 2.0, found.ravel(), atol=1e-10 * np.abs(found).max())


def test_sums_have_f_prime_in_its_place_among_the_others():
    experiment, data = plain(factors=ANOMALOUS), RNG.uniform(size=(23, 31))
    names = ["factors.f1[Se]", "crystal.rotation", "factors.f2[Fe]"]
    slopes = of_all(experiment, names, "double")
    assert (np.abs(slopes).max(axis=1) > 0).all()
    assert (slopes[0] == of_all(experiment, names[:1], "double")).all()
    assert (slopes[1:4] == of_all(experiment, names[1:2], "double")).all()
    found = tilesim.normal_equations(experiment, data, 0.5, names, precision="double")
    np.testing.assert_allclose(found.matrix, 2.0 * slopes @ slopes.T, rtol=1e-9)
    pulled = tilesim.pullback(experiment, data, names, precision="double")
    np.testing.assert_allclose(np.concatenate(list(pulled.values())), slopes @ data.ravel(), rtol=1e-9)


@pytest.mark.parametrize(
    ("factors", "name", "named"),
    [
        (TABLE, "factors.f1[Se]", "expected AnomalousFactors"),
        (ANOMALOUS, "factors.f1[S]", "no f' and f'' of S; expected one of Se, Fe"),
        (ANOMALOUS, "factors.f3[Se]", "is not known"),
    ],
)
def test_elements_that_are_not_there_are_refused(factors, name, named):
    with pytest.raises(InputError) as error:
        tilesim.gradient(plain(factors=factors), name)
    assert named in str(error.value) and "\n" not in str(error.value)
