"""Streams: what an image is dealt depends on (seed, name, id) and on what was drawn before, on nothing else."""

import numpy as np
import pytest
import torch
from scipy import stats

from bench import rng as streams
from bench.rng import Rng

GOLDEN, WORD = 0x9E3779B97F4A7C15, (1 << 64) - 1


def splitmix(z: int) -> int:
    """SplitMix64's finaliser on Python's integers."""
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & WORD
    z = (z ^ z >> 27) * 0x94D049BB133111EB & WORD
    return z ^ z >> 31


def test_draws_are_splitmix_twice_on_a_counter():
    rng = Rng(3, "la", ["owl"])
    first, second = (int(key) & WORD for key in rng.keys[0])
    words = [splitmix(splitmix((first + n * GOLDEN) & WORD) ^ second) for n in range(1, 16)]
    assert rng.integers(1 << 62, 5)[0].tolist() == [word & (1 << 62) - 1 for word in words[:5]]
    uniform = [((word >> 41) + 0.5) / 2**23 for word in words[5:]]
    assert rng.uniform(5)[0].tolist() == uniform[:5]
    assert rng.normal(5)[0].tolist() == torch.special.ndtri(torch.tensor(uniform[5:])).tolist()


@pytest.mark.parametrize("block", [1, 8, 10**6])
def test_draws_do_not_depend_on_how_many_are_made_at_a_time(block, monkeypatch):
    kept, rng = Rng(0, "sg", ["cat", "dog", "fox"]), Rng(0, "sg", ["cat", "dog", "fox"])
    expected = [kept.uniform(4, 5), kept.normal(7), kept.integers(9, 3), kept.normal(1)]
    monkeypatch.setattr(streams, "BLOCK", block)
    found = [rng.uniform(4, 5), rng.normal(7), rng.integers(9, 3), rng.normal(1)]
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


def test_an_image_is_dealt_the_same_alone_and_in_any_batch():
    together = Rng(0, "sg", ["cat", "dog", "fox"])
    alone = Rng(0, "sg", ["fox"])
    for _ in range(3):
        assert torch.equal(together.normal(4, 5)[2], alone.normal(4, 5)[0])


def test_streams_differ_by_seed_name_and_image():
    draws = [Rng(*key).uniform(100) for key in [(0, "a", ["i"]), (1, "a", ["i"]), (0, "b", ["i"]), (0, "a", ["j"])]]
    correlations = np.corrcoef(torch.cat(draws).numpy())
    assert np.abs(correlations[np.triu_indices(4, 1)]).max() < 0.4


def test_draws_run_on():
    split, whole = Rng(0, "a", ["i"]), Rng(0, "a", ["i"])
    assert torch.equal(torch.cat([split.uniform(3), split.uniform(4)], dim=1), whole.uniform(7))


def test_part_of_a_batch_goes_on_where_it_was():
    whole = Rng(0, "a", ["i", "j", "k"])
    whole.uniform(2)
    part = whole.for_images(torch.tensor([2, 0, 2]))
    assert part.ids == ["k", "i", "k"]
    assert torch.equal(part.uniform(3), whole.uniform(3)[[2, 0, 2]])


def test_the_runs_stream_is_the_same_for_every_batch():
    assert torch.equal(Rng(0, "a", ["i"]).of_the_run().uniform(9), Rng(0, "a", ["j", "k"]).of_the_run().uniform(9))


def test_distributions():
    rng = Rng(0, "a", [str(i) for i in range(20)])
    assert stats.kstest(rng.uniform(2000).flatten(), "uniform").pvalue > 0.01
    assert stats.kstest(rng.normal(2000).flatten(), "norm").pvalue > 0.01
    counts = rng.integers(7, 2000).flatten().bincount(minlength=7)
    assert stats.chisquare(counts).pvalue > 0.01


def test_uniform_never_reaches_its_ends():
    u = Rng(0, "a", ["i"]).uniform(200_000)
    assert u.min() > 0
    assert u.max() < 1


def test_draws_at_hand_are_those_of_the_device():
    rng, plain = Rng(0, "view", ["cat", "dog"]), Rng(0, "view", ["cat", "dog"])
    assert (rng.uniform_at_hand(4) == plain.uniform(4).numpy()).all()
    assert (rng.for_images(torch.tensor([1])).uniform_at_hand(4) == plain.uniform(4)[1:].numpy()).all()


def test_a_gpu_deals_what_a_cpu_deals(device):
    """One fused kernel there, step by step here."""
    if device.type != "cuda":
        pytest.skip("asks for --device=cuda")
    there, here = (Rng(3, "sg", ["cat", "dog", "fox"], place) for place in (device, "cpu"))
    for shape in ((3, 50, 50), (7,), (), (1, 1)):
        assert torch.equal(there.uniform(*shape).cpu(), here.uniform(*shape))
        assert torch.equal(there.integers(1 << 62, *shape).cpu(), here.integers(1 << 62, *shape))
        torch.testing.assert_close(there.normal(*shape).cpu(), here.normal(*shape), rtol=1e-6, atol=1e-6)
