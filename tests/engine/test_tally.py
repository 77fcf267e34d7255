"""Statistics of a frame: the same to the last bit for any order of its tiles."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilesim.engine.statistics import Statistics
from tilesim.engine.tally import Tally


def part(number: int) -> Statistics:
    mean, deviation = 0.1 * number + 1 / 3, 0.7 / (number + 1)
    return Statistics(3 + number % 4, mean, deviation, 1.1**number, number / 7, (number, 0), 1e-9)


def added(order) -> Tally:
    tally = Tally(len(order))
    for number in order:
        assert not tally.complete
        tally.add(number, part(number))
    return tally


@given(st.integers(1, 70), st.randoms(use_true_random=False))
def test_the_total_does_not_depend_on_the_order_of_arrival(count, rng):
    order = list(range(count))
    rng.shuffle(order)
    assert added(order).total == added(range(count)).total


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13, 64, 65])
def test_the_total_is_that_of_all_tiles(count):
    total = added(range(count)).total
    assert total.pixels == sum(part(n).pixels for n in range(count))
    assert total.total == pytest.approx(sum(part(n).total for n in range(count)), rel=1e-12)
    assert total.maximum == part(count - 1).maximum


def test_memory_follows_the_tiles_that_are_out_of_order_and_not_those_done():
    count = 4096
    tally, order = Tally(count), list(range(count))
    order.remove(5)
    most = 0
    for number in order:
        tally.add(number, part(0))
        most = max(most, len(tally._parts))
    assert not tally.complete
    assert most <= 2 * 13


def test_a_shuffled_window_stays_small():
    rng, count, window = random.Random(4), 10_000, 20
    tally, waiting, most = Tally(count), [], 0
    for number in range(count):
        waiting.append(number)
        if len(waiting) == window:
            tally.add(waiting.pop(rng.randrange(window)), part(0))
            most = max(most, len(tally._parts))
    assert most < 300
