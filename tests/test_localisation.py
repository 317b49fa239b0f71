"""Localisation in closed form, and on drawings whose object is known."""

import pytest
import torch
from jobs import complete, rows_of

from bench.config import load
from bench.running.job import open_job
from metrics.batch import MapBatch, Unfit
from metrics.localisation import localisation


def score(maps: torch.Tensor, mask: torch.Tensor | None, game: str) -> list[float]:
    """maps: [B, 3, 2, 2]; the network is never asked."""
    ids = [str(i) for i in range(len(maps))]
    target = torch.zeros(len(maps), dtype=torch.long)
    trial = MapBatch(torch.nn.Identity(), maps, target, maps, ids=ids, seed=0, colour=lambda: torch.zeros(3), mask=mask)
    return localisation(trial, game=game)["score"].tolist()


LEFT = torch.tensor([[[True, False], [True, False]]])
MAPS = torch.tensor(
    [
        # red, green, blue; [[top left, top right], [bottom left, bottom right]]
        [[[4.0, 0], [0, 0]], [[0, 1], [0, 0]], [[0, 0], [0, 3.0]]],
        [[[5.0, 1], [0, 0]], [[-4, 1], [0, 0]], [[0, 1], [-9, 0]]],
        [[[-1.0, 0], [-2, 0]], [[0, -1], [0, -3]], [[0, 0], [0, 0]]],
    ]
)


@pytest.mark.parametrize(
    ("game", "expected"),
    [
        # sums over channels: 4 1 / 0 3; 1 3 / -9 0; -1 -1 / -2 -3, whose largest value comes twice: the first counts
        ("mass", [0.5, 0.25, 0.0]),
        ("pointing", [1.0, 0.0, 1.0]),
    ],
)
def test_scores_by_hand(game, expected):
    assert score(MAPS, LEFT.expand(3, 2, 2), game) == expected


def test_each_image_has_its_own_mask():
    masks = torch.cat([LEFT, ~LEFT, LEFT])
    assert score(MAPS, masks, "mass") == [0.5, 0.75, 0.0]
    assert score(MAPS, masks, "pointing") == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("game", ["mass", "pointing"])
def test_images_without_masks_are_refused_with_the_cure(game):
    with pytest.raises(Unfit, match="data=synthetic"):
        score(MAPS, None, game)


def test_la_finds_the_object_better_than_random_does(tmp_path):
    means = {}
    for method in ("la", "random"):
        small = ["method.n_classes=3", "method.steps=3"] if method == "la" else []
        choice = [f"method={method}", *small, "metric=[localisation,pointing]", "data=synthetic", "data.limit=8"]
        job = open_job(load([*choice, "model=tiny", "compute.device=cpu", f"paths.results={tmp_path / method}"]))
        assert complete(job) == 8
        rows = rows_of(tmp_path / method)
        assert (rows["status"] == "ok").all() and rows["score"].between(0, 1).all()
        means[method] = [rows[rows["run_id"] == job.run_id(m)]["score"].mean() for m in ("localisation", "pointing")]
    assert means["la"][0] > means["random"][0] + 0.05
    assert means["la"][1] > means["random"][1]
    covered = torch.stack([job.source.load(image).mask.double().mean() for image in job.ids]).mean().item()
    assert abs(means["random"][0] - covered) < 0.02, "chance finds the object by its size"
