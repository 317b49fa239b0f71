"""A run's seed is three, unless told apart: of what an image is dealt, of what all share, of which images are taken."""

import pytest
import torch
from jobs import small_job

from bench.rng import Rng
from bench.seeds import Seeds
from bench.store.identity import differences

FAST = ["model.size=32", "data.limit=2", "method=agi", "method.n_classes=2", "method.steps=2"]


def test_a_shared_seed_moves_what_all_images_share_and_nothing_else():
    plain, shared = Rng(1, "agi", ["a", "b"]), Rng(1, "agi", ["a", "b"], shared=2)
    assert torch.equal(plain.uniform(3), shared.uniform(3))
    assert not torch.equal(plain.of_the_run().uniform(3), shared.of_the_run().uniform(3))
    other = Rng(2, "agi", ["c"]).of_the_run().uniform(3)
    for made in (shared.named("agi"), shared.for_images(torch.tensor([1]))):
        assert torch.equal(made.of_the_run().uniform(3), other)


def test_one_seed_is_one_and_several_are_told():
    assert Seeds.of({"seed": 3}).told() == Seeds.of({"seed": 3, "class_seed": 3, "image_seed": 3}).told() == 3
    assert Seeds.of({"seed": 3, "class_seed": 4}).told() == {"draws": 3, "classes": 4, "images": 3}


@pytest.mark.parametrize("key", ["class_seed", "image_seed"])
def test_a_seed_of_its_own_is_another_run_which_may_be_compared_all_the_same(tmp_path, key):
    plain, same, apart = (small_job(tmp_path, *FAST, f"run.{key}={seed}").identity("unified") for seed in (0, 0, 5))
    assert plain == same and plain.seed == 0
    assert plain.id != apart.id
    for drawn in (False, True):
        assert plain.conditions(drawn) == apart.conditions(drawn)


def test_runs_are_told_apart_by_the_seeds_that_differ(tmp_path):
    """A row of the same images and another seed is "seed=1", whatever way its seeds are written down."""

    def told(*seeds):
        runs = [
            small_job(tmp_path, *FAST, *(f"run.{word}" for word in words.split())).identity("unified")
            for words in seeds
        ]
        return [*differences(dict(enumerate(runs))).values()]

    assert told("seed=0", "seed=1 image_seed=0", "seed=2 image_seed=0") == ["seed=0", "seed=1", "seed=2"]
    assert told("seed=0", "seed=0 image_seed=1") == ["images=0", "images=1"]


def test_a_run_without_what_the_others_have_says_so(tmp_path):
    runs = [small_job(tmp_path, *FAST, f"method.post=[{post}]").identity("unified") for post in ("", "abs", "abs,pool")]
    assert [*differences(dict(enumerate(runs))).values()] == ["post=none", "post=abs", "post=abs+pool"]


def test_the_seed_of_classes_picks_the_classes_and_that_of_images_the_images(tmp_path):
    def picked(*overrides):
        return small_job(tmp_path, *FAST, "data.limit=null", "data.sample=5", *overrides)

    plain, classes, images = picked(), picked("run.class_seed=1"), picked("run.image_seed=1")
    assert plain.ids == classes.ids != images.ids
    maps = [
        job.method(job.network, torch.full((1, 3, 32, 32), 0.4), torch.tensor([0]), job.rng(["x"], torch.device("cpu")))
        for job in (plain, classes, images)
    ]
    assert torch.equal(maps[0], maps[2]) and not torch.equal(maps[0], maps[1])
