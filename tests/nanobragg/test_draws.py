"""The reference's random numbers, bit for bit (rng-vectors.json comes from the reference itself)."""

import json
import math
import pickle
import struct
import time
from pathlib import Path

import numpy as np
import pytest

from tilesim.model.sampling import Region
from tilesim.model.vectors import IDENTITY
from tilesim.nanobragg.draws import Draws, draw_rotation, rotation_angles, single
from tilesim.nanobragg.noise import Deviates, NoiseReplay, ln_gamma

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "rng-vectors.json").read_text())
MOSAIC_SEED = -12345678
RTD = 180.0 / math.pi


def bits(value):
    return struct.pack(">f", value).hex()


def cases(name):
    return [pytest.param(case, id=f"{name}-{number}") for number, case in enumerate(VECTORS[name])]


@pytest.mark.parametrize("case", cases("uniform"))
def test_uniform(case):
    draws = Draws()
    if not case["fresh_table"]:
        take(draws.stream(MOSAIC_SEED), 3)
    stream = draws.stream(case["seed_passed"])
    states = []
    for expected in case["float32_hex"]:
        assert bits(stream.uniform()) == expected
        states.append(stream.state)
    assert states[: len(case["lcg_state_after"])] == case["lcg_state_after"]


def take(stream, n):
    return [stream.uniform() for _ in range(n)]


def lorentzian(uniform):
    return math.tan(math.pi * (uniform() - 0.5))


def triangular(uniform):
    u = uniform()
    return math.sqrt(2.0 * (u - 0.5)) - 1.0 if u > 0.5 else 1.0 - math.sqrt(2.0 * u)


def exponential(uniform):
    u = 0.0
    while u == 0.0:
        u = uniform()
    return -math.log(u)


@pytest.mark.parametrize(
    ("name", "deviate"), [("lorentzian", lorentzian), ("triangular", triangular), ("exponential", exponential)]
)
def test_deviates_that_the_program_never_calls(name, deviate):
    for case in VECTORS[name]:
        uniform = Draws().stream(case["seed_passed"]).uniform
        assert [bits(deviate(uniform)) for _ in case["value"]] == case["float32_hex"]


def test_unit_vectors():
    for case in VECTORS["unit_vector_3d"]:
        uniform = Draws().stream(case["seed_passed"]).uniform
        for expected in case["rows_dx_dy_dz_radius"]:
            radius = 0.0
            while not 0.01 <= radius <= 1.0:
                vector = [single(2.1 * (uniform() - 0.5)) for _ in range(3)]
                xx, yy, zz = (single(v * v) for v in vector)
                radius = single(math.sqrt(single(single(xx + yy) + zz)))
            drawn = [*(v / radius for v in vector), radius]
            assert [bits(v) for v in drawn] == [bits(v) for v in expected]


@pytest.mark.parametrize("case", cases("gaussian"))
def test_gaussian(case):
    deviates = Deviates(Draws().stream(case["seed_passed"]))
    assert [bits(deviates.gauss()) for _ in case["value"]] == case["float32_hex"]


@pytest.mark.parametrize("case", cases("ln_gamma"))
def test_ln_gamma(case):
    assert bits(ln_gamma(case["x"])) == case["float32_hex"]


@pytest.mark.parametrize("case", cases("poisson"))
def test_poisson(case):
    deviates = Deviates(Draws().stream(case["seed_passed"]))
    drawn = [deviates.poisson(single(case["mean"])) for _ in case["value"]]
    assert [bits(k) for k in drawn] == [bits(k) for k in case["value"]]


@pytest.mark.parametrize(
    ("mean", "count", "draws"), [(0.0, 0.0, 1), (-5.0, 0.0, 1), (-1e30, 0.0, 1), (math.nan, None, 2)]
)
def test_odd_means_draw_as_many_numbers_as_the_reference(mean, count, draws):
    drawn, counted = Draws(), Draws()
    result = Deviates(drawn.stream(-1)).poisson(mean)
    take(counted.stream(-1), draws)
    assert drawn.snapshot() == counted.snapshot()
    assert result == count or (count is None and math.isnan(result))


@pytest.mark.parametrize("case", cases("mosaic_matrices"))
def test_mosaic_matrices_as_drawn(case):
    stream = Draws().stream(case["seed_passed"])
    spread = case["mosaic_deg"] / RTD
    expected = [tuple(matrix) for matrix in case["row_major_drawn"]]
    drawn = [draw_rotation(stream, spread) for _ in expected]
    for ours, theirs in zip(drawn, expected, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-15)
    used = Draws().mosaic_rotations(case["seed_passed"], spread, len(expected))
    assert used == (IDENTITY, *drawn[1:])


@pytest.mark.parametrize("case", cases("misset_random"))
def test_random_misset(case):
    drawn = draw_rotation(Draws().stream(case["seed_passed"]), 90.0)
    assert drawn == pytest.approx(case["umat_row_major"], abs=1e-15)
    draws = Draws()
    assert draws.misset_angles(case["seed_passed"]) == pytest.approx(case["misset_rad"], abs=1e-15)
    counted = Draws()
    take(counted.stream(case["seed_passed"]), 3)
    assert draws.snapshot() == counted.snapshot()


def test_angles_of_a_quarter_turn_about_y():
    assert rotation_angles((0.0, 0.0, 1.0, 0.0, 1.0, 0.0, -1.0, 0.0, 0.0)) == (
        math.pi,
        math.pi / 2.0,
        math.atan2(0.0, -1.0),
    )


def test_every_domain_draws_three_numbers_even_without_a_spread():
    draws, counted = Draws(), Draws()
    assert draws.mosaic_rotations(MOSAIC_SEED, 0.0, 4) == (IDENTITY,) * 4
    take(counted.stream(MOSAIC_SEED), 12)
    assert draws.snapshot() == counted.snapshot()


def test_ten_thousand_domains_take_no_time():
    start = time.process_time()
    assert len(Draws().mosaic_rotations(MOSAIC_SEED, 0.01, 10_000)) == 10_000
    assert time.process_time() - start < 1.0


def test_the_shared_state_travels():
    draws = Draws()
    draws.mosaic_rotations(MOSAIC_SEED, 0.01, 5)
    snapshot = draws.snapshot()
    assert len({snapshot, pickle.loads(pickle.dumps(snapshot))}) == 1
    copy = Draws.restore(json.loads(json.dumps(snapshot)))
    assert copy.snapshot() == snapshot
    assert take(copy.stream(7), 50) == take(draws.stream(7), 50)
    assert take(draws.stream(7), 50) != take(Draws.restore(snapshot).stream(7), 50)
    with pytest.raises(ValueError, match="2 integers; expected 33"):
        Draws.restore((1, 2))


def noise_case(case):
    image = np.frombuffer(bytes.fromhex("".join(case["floatimage_float32_hex"])), ">f4").reshape(case["shape"])
    draws = Draws()
    draws.mosaic_rotations(MOSAIC_SEED, 0.0, case["uniform_draws_before_noise"] // 3)
    words = case["command"].split()
    region = Region(0, image.shape[0], 0, image.shape[1])
    if "-roi" in words:
        at = words.index("-roi")
        fast0, fast1, slow0, slow1 = (int(word) for word in words[at + 1 : at + 5])
        region = Region(slow0, slow1 + 1, fast0, fast1 + 1)
    replay = NoiseReplay(region, case["adc_offset"], case["noise_seed_passed"], draws.snapshot())
    return image.astype(np.float32), replay


@pytest.mark.parametrize("rows", [1, 3, 100])
@pytest.mark.parametrize("case", cases("noise_image"))
def test_noise_image(case, rows):
    image, replay = noise_case(case)
    bands = list(replay.bands(image[start : start + rows] for start in range(0, len(image), rows)))
    assert all(band.dtype == np.uint16 for band in bands)
    assert np.concatenate(bands).ravel().tolist() == case["noise_pixels"]
    report = f"{replay.photons:.0f} photons on noise image ({replay.overloads} overloads)"
    assert report == case["report"]


def test_noise_of_negative_seed_arguments_follows_the_mosaic_draws():
    [case] = [case for case in VECTORS["noise_image"] if case["noise_seed_passed"] > 0]
    image, _ = noise_case(case)
    other = NoiseReplay(Region(0, 8, 0, 8), 40.0, case["noise_seed_passed"], Draws().snapshot())
    [pixels] = other.bands([image])
    assert pixels.ravel().tolist() != case["noise_pixels"]


def test_a_second_image_continues_the_stream():
    image = np.full((4, 5), 3.0, np.float32)
    empty = Draws().snapshot()
    two = NoiseReplay(Region(0, 4, 0, 5), 0.0, -1, empty)
    [first], [second] = list(two.bands([image])), list(two.bands([image]))
    [both] = NoiseReplay(Region(0, 8, 0, 5), 0.0, -1, empty).bands([np.concatenate([image, image])])
    assert np.concatenate([first, second]).tolist() == both.tolist()
    assert two.photons == both.sum()
