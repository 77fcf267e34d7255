"""Normal deviates: the right distribution, each a pure function of its index."""

import math

import torch

from tilesim.physics.normal import normal_deviates

N = 100_000


def test_moments_and_shares_are_those_of_the_normal_distribution():
    drawn = normal_deviates(torch.arange(N), seed=3, stream=2)
    assert abs(float(drawn.mean())) < 4 / math.sqrt(N)
    assert abs(float(drawn.var()) - 1.0) < 4 * math.sqrt(2 / N)
    assert abs(float((drawn**3).mean())) < 4 * math.sqrt(15 / N)
    for limit in (-2.0, -1.0, 0.0, 0.5, 3.0):
        share = 0.5 * math.erfc(-limit / math.sqrt(2))
        assert abs(float((drawn < limit).double().mean()) - share) < 4 * math.sqrt(share * (1 - share) / N)


def test_streams_seeds_frames_panels_and_neighbours_are_independent():
    index = torch.arange(20_000)
    source = {"seed": 1, "stream": 2}
    sets = [
        normal_deviates(index, **{**source, **change})
        for change in ({}, {"stream": 3}, {"seed": 2}, {"frame": 1}, {"panel": 1})
    ]
    correlations = torch.corrcoef(torch.stack([*sets, sets[0].roll(1)]))
    assert (correlations - torch.eye(len(correlations))).abs().max() < 0.03


def test_a_deviate_does_not_depend_on_its_neighbours():
    index = torch.arange(5000) + (1 << 40)
    whole = normal_deviates(index, seed=5, stream=2)
    for start, stop in ((0, 1), (17, 18), (3, 1030), (1024, 3000)):
        assert torch.equal(normal_deviates(index[start:stop], seed=5, stream=2), whole[start:stop])
