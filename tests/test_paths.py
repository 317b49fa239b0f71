"""The packing of paths: against walking them one after another, and what it promises of passes."""

import pytest
import torch

from bench.rng import Rng
from methods.parts.paths import InOrder, Slots, follow

IMAGES, RUNS, STEPS = 5, 7, 6


class Toy:
    """Paths of known lengths: step k of run r from image i leaves a number of its own, and adds 1 to the point."""

    def __init__(self, lengths: torch.Tensor):
        self.lengths = lengths  # [IMAGES, RUNS]; STEPS or more: never ends by itself
        self.shares = Rng(3, "shares", ["all"]).normal(IMAGES, RUNS, STEPS, 3, 2, 2)[0] * 1e3
        self.passes = []  # what was in each pass

    def step(self, now: Slots):
        self.passes.append(list(zip(now.image.tolist(), now.run.tolist(), now.taken.tolist(), strict=True)))
        assert torch.equal(now.origin[:, 0, 0, 0], now.image * 100.0)
        share = self.shares[now.image, now.run, now.taken.clamp(max=STEPS - 1)]
        return now.point + 1, share, now.taken >= self.lengths[now.image, now.run]

    def one_by_one(self, image: int):
        """fp32, in the order of runs and steps."""
        total = torch.zeros(3, 2, 2)
        for run in range(RUNS):
            path = torch.zeros(3, 2, 2)
            for k in range(min(int(self.lengths[image, run]), STEPS)):
                path = path + self.shares[image, run, k]
            total = total + path
        return total


@pytest.fixture
def toy():
    return Toy(Rng(5, "lengths", ["all"]).integers(STEPS + 3, IMAGES, RUNS)[0])


@pytest.fixture
def images():
    return torch.arange(IMAGES).float()[:, None, None, None].expand(IMAGES, 3, 2, 2) * 100


@pytest.mark.parametrize("width", [1, 2, 5, 13])
def test_every_packing_gives_the_sums_of_walking_one_by_one_to_the_last_bit(toy, images, width):
    journey = follow(images, toy.step, runs=RUNS, steps=STEPS, width=width)
    for i in range(IMAGES):
        assert torch.equal(journey.total[i], toy.one_by_one(i))
        assert torch.equal(journey.end[i], images[i] + min(int(toy.lengths[i, -1]), STEPS))


def test_fp32_sums_do_depend_on_the_order(toy):
    """Or the test above would say nothing."""
    paths = [toy.shares[0, r].sum(dim=0) for r in range(RUNS)]
    assert not torch.equal(sum(paths), sum(reversed(paths)))


@pytest.mark.parametrize("width", [1, 2, 5, 13])
def test_each_image_counts_its_own_passes_and_steps(toy, images, width):
    journey = follow(images, toy.step, runs=RUNS, steps=STEPS, width=width)
    assert journey.steps.tolist() == toy.lengths.clamp(max=STEPS).sum(dim=1).tolist()
    looks = torch.where(toy.lengths < STEPS, toy.lengths + 1, STEPS)  # the last look only sees that the path is over
    assert journey.looks.tolist() == looks.sum(dim=1).tolist()


def test_every_pass_has_the_same_width_and_is_full_until_the_queue_is_empty(images):
    toy = Toy(torch.tensor([[0, 9, 1, 0, 3, 0, 9]] * IMAGES))
    journey = follow(images, toy.step, runs=RUNS, steps=STEPS, width=4)
    assert {len(p) for p in toy.passes} == {4}
    assert len(toy.passes) <= -(-int(journey.looks.sum()) // 4) + STEPS


def test_a_path_that_holds_up_many_others_does_not_fill_the_memory(images, monkeypatch):
    """Every run 0 is long, all others are over at once: 2 maps a slot may wait, not one a path."""
    lengths, most = torch.zeros(IMAGES, RUNS, dtype=torch.long), [0]
    lengths[:, 0] = STEPS
    add = InOrder.add

    def watch(self, *args):
        add(self, *args)
        most[0] = max(most[0], len(self.waiting))

    monkeypatch.setattr(InOrder, "add", watch)
    toy = Toy(lengths)
    journey = follow(images[:3], toy.step, runs=RUNS, steps=STEPS, width=6)
    assert 0 < most[0] < 2 * 6 < 3 * (RUNS - 1)
    assert all(torch.equal(journey.total[i], toy.one_by_one(i)) for i in range(3))
