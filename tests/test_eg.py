"""Expected Gradients, and the references that it is dealt."""

import pytest
import torch
from captum.attr import IntegratedGradients
from conftest import IDS, network
from jobs import complete, rows_of, small_job
from torch import nn

from bench.config import load
from bench.errors import UserError
from bench.images.references import References
from bench.images.source import ImageError, Sample
from bench.rng import Rng
from methods.eg import expected_gradients


class Source:
    """Plain images: image number i has the value i everywhere, so a reference tells whose it is."""

    def __init__(self, ids, broken=()):
        self.ids, self.broken, self.loaded = list(ids), broken, []

    def load(self, id):
        self.loaded.append(id)
        if id in self.broken:
            raise ImageError(f"{id} is broken")
        return Sample(id, torch.full((3, 16, 16), float(self.ids.index(id))), fingerprint=id)


def bound(n, source, seed=0):
    references = References(n)
    references.bind(source, seed)
    return references


def dealt(references, ids, draws, dtype=torch.float32):
    """Numbers of the images that `ids` met, [draws, B]."""
    rng, x = Rng(0, "eg", ids), torch.zeros(len(ids), 3, 16, 16, dtype=dtype)
    return torch.stack([references(rng, x)[:, 0, 0, 0] for _ in range(draws)]).long()


class Linear(nn.Module):
    """p_0 = 0.1 + w . x, so its gradient is w everywhere."""

    def __init__(self):
        super().__init__()
        w = Rng(3, "weights", [""]).uniform(3 * 16 * 16).double()
        self.w = nn.Parameter(0.8 * w / w.sum())

    def forward(self, x):
        p = 0.1 + x.flatten(1) @ self.w.T
        return torch.cat([p.log(), *[((1 - p) / 2).log()] * 2], dim=1)


def test_closed_form_where_the_probability_is_linear(x, rng):
    linear = network(Linear()).double()
    linear.mean.zero_(), linear.std.fill_(1)
    r = [Rng(n, "references", IDS).uniform(3, 16, 16).double() for n in range(7)]
    left = iter(r)
    zeros = torch.zeros(4, dtype=torch.long)
    found = expected_gradients(linear, x, zeros, rng, draws=7, references=lambda rng, x: next(left))
    expected = (x - sum(r) / 7) * linear.net.w.view(3, 16, 16)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-15)


class Grid(Rng):
    """In place of random numbers, alpha runs along the midpoints of a grid."""

    def __init__(self, steps):
        super().__init__(0, "grid", IDS)
        self.alphas = iter((torch.arange(steps, dtype=torch.float64) + 0.5) / steps)

    def uniform(self):
        return next(self.alphas).expand(4)


def test_from_black_along_a_grid_it_is_captums_integrated_gradients(cnn, x, target):
    """16 points: captum keeps alpha in float32, where these are exact."""
    found = expected_gradients(cnn, x, target, Grid(16), draws=16, references=lambda rng, x: torch.zeros_like(x))
    ig = IntegratedGradients(lambda images: cnn(images).softmax(dim=1))
    oracle = ig.attribute(x, 0.0, target, n_steps=16, method="riemann_middle")
    torch.testing.assert_close(found, oracle, rtol=1e-10, atol=1e-13)


def test_the_map_adds_up_in_expectation(cnn, x, target, rng):
    """sum A = p(x) - mean p(r), to the Monte Carlo error: that path, difference and mean belong together."""
    pool = Rng(5, "pool", list("abc")).uniform(3, 16, 16).double()

    def one_draw():
        return expected_gradients(cnn, x, target, rng, draws=1, references=lambda rng, x: pool[rng.integers(3)])

    def p(images):
        return cnn(images).softmax(dim=1).gather(1, target[:, None])[:, 0]

    sums = torch.stack([one_draw().flatten(1).sum(dim=1) for _ in range(600)])
    promised = p(x) - sum(p(r.expand_as(x)) for r in pool) / 3
    error = sums.std(dim=0) / 600**0.5
    assert (error < 0.03).all()
    assert ((sums.mean(dim=0) - promised).abs() < 4 * error).all()


def test_an_image_meets_all_others_alike_and_never_itself():
    met = dealt(bound(100, Source(IDS)), IDS, 3000)
    for own in range(4):
        share = torch.bincount(met[:, own], minlength=4) / 3000
        assert share[own] == 0
        assert (share[torch.arange(4) != own] - 1 / 3).abs().max() < 0.04


def test_whoever_is_in_the_pool_or_not_meets_n_images():
    ids = [f"i{k}" for k in range(30)]
    met = dealt(bound(10, Source(ids)), ids, 500)
    pool = set(met.flatten().tolist())
    assert len(pool) == 11
    for image in range(30):
        seen = set(met[:, image].tolist())
        assert len(seen) == 10
        assert image not in seen


def test_what_an_image_meets_does_not_depend_on_its_neighbours():
    together, alone = (dealt(bound(3, Source(IDS)), ids, 20) for ids in (IDS, IDS[2:3]))
    assert torch.equal(together[:, 2], alone[:, 0])


def test_the_pool_is_loaded_once_when_it_is_needed_and_passes_over_what_is_broken(capsys):
    ids = [f"i{k}" for k in range(40)]
    whole = Source(ids)
    first = set(dealt(bound(4, whole), ids, 300).flatten().tolist())
    assert len(whole.loaded) == 5, "n + 1 images, once"
    assert capsys.readouterr().err == ""
    source = Source(ids, broken=whole.loaded[:2])
    references = bound(4, source)
    assert source.loaded == []
    second = set(dealt(references, ids, 300).flatten().tolist())
    assert len(second) == 5
    assert source.loaded[:5] == whole.loaded, "the others stay"
    assert first - second == {ids.index(i) for i in whole.loaded[:2]}
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"warning: 2 images that would be references cannot be read, {whole.loaded[0]} for one")


def test_the_pool_is_the_seeds():
    ids = [f"i{k}" for k in range(40)]
    pools = [set(dealt(bound(4, Source(ids), seed), ids, 300).flatten().tolist()) for seed in (0, 0, 1)]
    assert pools[0] == pools[1] != pools[2]


def test_references_come_in_the_images_dtype_and_layout(x):
    references = bound(3, Source(IDS))
    for like in (x, x.float().contiguous(memory_format=torch.channels_last)):
        made = references(Rng(0, "eg", IDS), like)
        assert made.dtype == like.dtype
        assert made.stride() == like.stride()


@pytest.mark.parametrize("source", [Source(["one"]), Source(["one", "two"], broken=["two"])])
def test_one_image_has_no_others(source):
    with pytest.raises(UserError, match="2 that can be read"):
        dealt(bound(10, source), ["one"], 1)
    with pytest.raises(UserError, match="method.references.n=0: expected a whole number from 1"):
        load(["method=eg", "method.references.n=0"])


def test_a_row_does_not_depend_on_the_limit(tmp_path):
    choice = ["method=eg", "method.draws=3", "method.references.n=4", "metric=[unified]", "metric.unified.step=384"]
    rows = []
    for limit in (1, 3):
        complete(small_job(tmp_path / str(limit), *choice, f"data.limit={limit}", "compute.batch_size=2"))
        rows.append(rows_of(tmp_path / str(limit)).iloc[0])
    assert rows[0]["image_id"] == rows[1]["image_id"]
    assert rows[0]["insertion"] == rows[1]["insertion"]
    assert rows[0]["status"] == "ok"
