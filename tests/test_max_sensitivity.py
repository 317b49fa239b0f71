"""Max-sensitivity beside captum's, in closed form, and through the loop."""

import math

import pytest
import torch
from conftest import IDS
from jobs import complete, rows_of, small_job

from bench.errors import UserError
from bench.notes import note
from bench.rng import Rng
from bench.running.forecast import forecast
from metrics.batch import MapBatch, Unfit
from metrics.max_sensitivity import max_sensitivity

DRAWS, RADIUS = 5, 0.02


def batch_of(x, explain, ids=IDS, given=True):
    target = torch.zeros(len(x), dtype=torch.long)
    colour = torch.zeros(3)
    again = explain if given else None
    return MapBatch(torch.nn.Identity(), x, target, explain(x), ids=ids, seed=0, colour=lambda: colour, explain=again)


def bent(x):
    """A map of each image that bends, differently in every value."""
    return torch.sin(9 * x) * x.flip(3) + x.mean(dim=(1, 2, 3), keepdim=True)


def moved(x, draws, radius):
    """The images that the metric explains, draw by draw: [draws, B, 3, H, W]."""
    rng = Rng(0, "max_sensitivity", IDS)
    noise = torch.stack([rng.uniform(*x.shape[1:]).to(x.dtype) for _ in range(draws)])
    return (x + radius * (2 * noise - 1)).clamp(0, 1)


def test_agrees_with_captum_on_the_same_perturbations(x):
    captum = pytest.importorskip("captum.metrics")
    perturbed = moved(x, DRAWS, RADIUS).transpose(0, 1).flatten(0, 1)  # captum has all draws of an image in a row

    def theirs_of(images):
        return (bent(images[0]),) if isinstance(images, tuple) else bent(images)

    theirs = captum.sensitivity_max(theirs_of, x, perturb_func=lambda images: perturbed, n_perturb_samples=DRAWS)
    made = max_sensitivity(batch_of(x, bent), draws=DRAWS, radius=RADIUS)["score"]
    torch.testing.assert_close(made, theirs.double())
    assert made.unique().numel() == 4 and (made > 0).all(), "all alike would agree with anything"


def test_images_stay_images_and_within_reach(x):
    seen = []
    x = x.round()  # at both ends of the range
    max_sensitivity(batch_of(x, lambda images: seen.append(images) or images), draws=3, radius=0.1)
    perturbed = torch.stack(seen[1:])
    assert perturbed.min() == 0 and perturbed.max() == 1
    assert 0.09 < (perturbed - x).abs().max() <= 0.1
    assert (perturbed[0] != perturbed[1]).any()


def test_what_never_moves_has_none_and_a_map_of_zeros_is_measured_against_one(x):
    assert max_sensitivity(batch_of(x, torch.ones_like), draws=2, radius=0.1)["score"].tolist() == [0] * 4
    calls = []

    def zeros_then_twos(images):
        calls.append(0)
        return torch.full_like(images, 0.0 if len(calls) == 1 else 2.0)

    made = max_sensitivity(batch_of(x, zeros_then_twos), draws=1, radius=0.1)["score"]
    assert made.tolist() == pytest.approx([2 * math.sqrt(3 * 16 * 16)] * 4)


def test_maps_that_nobody_can_make_again_are_unfit(x):
    with pytest.raises(Unfit, match="read from files"):
        max_sensitivity(batch_of(x, bent, given=False), draws=1, radius=0.1)


SOME = ["data.limit=5", "metric=[max_sensitivity]", "metric.max_sensitivity.draws=3"]


def test_a_method_that_draws_is_dealt_the_same_again(tmp_path):
    """`random` knows nothing of the image: with other draws its map would move."""
    job = small_job(tmp_path, "method=random", *SOME)
    assert complete(job) == 5
    assert rows_of(tmp_path)["score"].tolist() == [0] * 5


def test_scores_do_not_depend_on_batches_and_shards(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    complete(small_job(whole, "method=sg", "method.draws=2", *SOME, "compute.batch_size=4"))
    for shard in ("1/2", "0/2"):
        complete(small_job(parts, "method=sg", "method.draws=2", *SOME, f"run.shard={shard}", "compute.batch_size=4"))
    scores = rows_of(whole)["score"]
    assert (scores > 0).all() and scores.equals(rows_of(parts)["score"])


def test_the_forecast_counts_what_is_explained_again(tmp_path):
    job = small_job(tmp_path, "method=ig", "method.steps=4", *SOME, "data.limit=2", "compute.batch_size=2")
    said = forecast(job, list(job.metrics))
    job.network.forward_passes = job.network.backward_passes = 0
    complete(job)
    width = job.compute.batch_size
    assert said.again == 3 and "3 times as many again" in said.line(2, width)
    assert job.network.backward_passes / width == 4 * said.backward
    assert job.network.forward_passes / width == said.passes + 1  # and what the network says of the clean image


def test_post_processed_maps_are_compared_with_such(tmp_path):
    job = small_job(tmp_path, "method=random", "method.post=[sign]", *SOME)
    complete(job)
    assert rows_of(tmp_path)["score"].tolist() == [0] * 5


def test_precomputed_maps_are_refused_by_name_before_anything_is_computed(tmp_path):
    maps = tmp_path / "maps"
    maps.mkdir()
    job = small_job(tmp_path / "results", "method=precomputed", f"method.root={maps}", *SOME)
    with pytest.raises(UserError, match="metric=max_sensitivity: .*read from files"):
        forecast(job, list(job.metrics))


def test_an_image_whose_second_explanation_fails_is_a_failed_row(tmp_path, monkeypatch):
    job = small_job(tmp_path, "method=sm", *SOME)
    plain, calls = job.method, []

    def fails(model, x, target, rng):
        calls.append(0)
        if len(calls) > 1:
            note(error=["no way out" if image == job.ids[1] else None for image in rng.ids])
        return plain(model, x, target, rng)

    monkeypatch.setattr(job, "method", fails)
    complete(job)
    rows = rows_of(tmp_path).set_index("image_id")
    assert (rows["status"] == "failed").tolist() == [image == job.ids[1] for image in rows.index]
