"""Philox against the published answers, and what its words keep apart."""

import pytest
import torch

from tilesim.physics.philox import philox, uniforms

ONES = 0xFFFFFFFF
# the known-answer file of Random123 (kat_vectors), philox4x32 10
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES, ONES, ONES, ONES), (ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
@pytest.mark.parametrize("length", [1, 37])
def test_the_published_answers(counter, key, answer, length):
    words = philox(tuple(torch.full((length,), c) for c in counter), key)
    for word, expected in zip(words, answer, strict=True):
        assert word.tolist() == [expected] * length


def test_the_arguments_fill_the_documented_words():
    pixel, panel, frame, draw = 0x1234_89ABCDEF, 0x4321, 0xDEADBEEF, 0x765432
    seed, stream = 0xFEDC0BCD_87654321, 0xAB
    words = philox(
        tuple(torch.tensor([w]) for w in (0x89ABCDEF, 0x4321_1234, frame, 0xAB_765432)), (0x87654321, 0xFEDC0BCD)
    )
    u, v = uniforms(torch.tensor([pixel]), seed=seed, stream=stream, frame=frame, panel=panel, draw=draw)
    w0, w1, w2, w3 = (int(w) for w in words)
    assert float(u) == (2 * (w0 << 20 | w1 >> 12) + 1) / 2**53
    assert float(v) == (2 * (w2 << 20 | w3 >> 12) + 1) / 2**53


def test_uniforms_are_open_and_level():
    u, v = uniforms(torch.arange(100_000), seed=3)
    for x in (u, v):
        assert 0.0 < float(x.min()) < 1e-3
        assert 0.999 < float(x.max()) < 1.0
        counts = torch.histc(x, 100, 0.0, 1.0)
        chi_square = float(((counts - 1000.0) ** 2 / 1000.0).sum())
        assert abs(chi_square - 99.0) < 4.0 * (2 * 99.0) ** 0.5
    assert abs(float(torch.corrcoef(torch.stack([u, v]))[0, 1])) < 0.015
    assert abs(float(torch.corrcoef(torch.stack([u[1:], u[:-1]]))[0, 1])) < 0.015


def test_the_extreme_blocks_stay_inside_the_interval(monkeypatch):
    for word, expected in ((0, 2.0**-53), (ONES, 1.0 - 2.0**-53)):
        block = (torch.tensor([word]),) * 4
        monkeypatch.setattr("tilesim.physics.philox.philox", lambda counter, key, block=block: block)
        assert [float(x) for x in uniforms(torch.tensor([0]), seed=0)] == [expected, expected]


def test_every_argument_names_other_numbers():
    pixel = torch.tensor([5])
    base = {"seed": 1, "stream": 1, "frame": 1, "panel": 1, "draw": 1}
    changes = [
        {},
        *({name: 2} for name in base),
        {"seed": -1},
        {"seed": 1 + (1 << 32)},
        {"seed": 1 + (1 << 63)},
        {"frame": (1 << 32) - 1},
    ]
    seen = {float(uniforms(pixel, **{**base, **change})[0]) for change in changes}
    far = {float(uniforms(pixel + (1 << shift), **base)[0]) for shift in (1, 16, 31, 32, 33, 47)}
    assert len(seen | far) == len(changes) + 6


def test_a_negative_seed_is_its_two_s_complement():
    pixel = torch.arange(10)
    assert torch.equal(uniforms(pixel, seed=-3)[0], uniforms(pixel, seed=(1 << 64) - 3)[0])


@pytest.mark.parametrize(
    "bad",
    [
        {"seed": 1 << 64},
        {"seed": -(1 << 63) - 1},
        {"stream": 1 << 8},
        {"frame": 1 << 32},
        {"frame": -1},
        {"panel": 1 << 16},
        {"draw": 1 << 24},
    ],
)
def test_what_does_not_fit_its_word_is_refused(bad):
    [name] = bad
    with pytest.raises(ValueError, match=f"{name} is "):
        uniforms(torch.tensor([0]), **{"seed": 0, **bad})
