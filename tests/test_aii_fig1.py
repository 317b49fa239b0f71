"""AII's Figure 1: how composites are made, and shares whose values are known."""

import pandas as pd
import pytest
import torch

from bench.studies import aii_fig1 as a


def images(*targets):
    return [a.Image(f"i{k}", target) for k, target in enumerate(targets)]


def test_pairs_have_two_classes_and_use_every_image_once():
    found = a.pairs(images(*[0, 0, 0, 1, 2, 0, 1, 2, 2]), seed=0)
    used = [image.id for pair in found for image in pair]
    assert len(found) == 4 and len(set(used)) == 8
    assert all(left.target != right.target for left, right in found)


def test_pairs_depend_on_the_seed_and_not_on_the_order_of_the_images():
    some = images(*[0, 1, 2, 3] * 4)
    assert a.pairs(some, 0) == a.pairs(some[::-1], 0)
    assert a.pairs(some, 0) != a.pairs(some, 1)
    assert a.pairs(images(3, 3, 3), 0) == []


@pytest.mark.parametrize("width", [4, 7])
def test_a_composite_is_the_middle_half_of_either(width):
    columns = torch.arange(float(width)).expand(3, 2, width)
    made = a.side_by_side(columns, 10 + columns)
    expected = {4: [1, 2, 11, 12], 7: [2, 3, 4, 11, 12, 13, 14]}[width]
    assert made.shape == (3, 2, width)
    assert made[0, 0].tolist() == expected


def test_only_positive_attribution_counts_and_none_is_no_share():
    maps = torch.zeros(3, 3, 2, 4)
    maps[0, :, 0, 0], maps[0, :, 0, 3], maps[0, :, 1, 3] = 1, 3, -5
    maps[1] = -1
    maps[2, 0, 0, 0], maps[2, 1, 0, 0], maps[2, 0, 0, 2] = 9, -8, 1  # channels are summed first
    share = a.left_share(maps)
    assert share[0] == 0.25 and share[1].isnan() and share[2] == 0.5


def test_shares_are_of_the_half_of_the_class_that_is_explained():
    share = torch.tensor([[0.9, 0.6], [0.2, 0.6]])  # of the left half, explaining the left, then the right class
    p = torch.tensor([[0.1, 0.7], [0.8, 0.2]])  # the network prefers the right class, then the left one
    found = a.judged(share, p)
    torch.testing.assert_close(found["likelier"], torch.tensor([0.8, 0.6]))
    torch.testing.assert_close(found["other"], torch.tensor([0.9, 0.4]))
    torch.testing.assert_close(found["weaker"], torch.tensor([0.15, 0.4]))


def interval(low, high):
    return {"ci_low": low, "ci_high": high}


@pytest.mark.parametrize(
    ("likelier", "other", "says"),
    [
        ((0.6, 0.7), (0.51, 0.6), "the target"),
        ((0.6, 0.7), (0.3, 0.4), "the likelier class"),
        ((0.6, 0.7), (0.4, 0.6), "–"),
        ((float("nan"),) * 2, (0.6, 0.7), "–"),
    ],
)
def test_what_a_map_follows(likelier, other, says):
    assert a.follows({"likelier": interval(*likelier), "other": interval(*other)}) == says


def test_the_command_writes_table_and_figure(tmp_path):
    small = ["model.size=32", "data.limit=6", "compute.device=cpu", "compute.batch_size=2", "report.bootstrap=50"]
    choice = ["method=sm,random", *small, f"paths.results={tmp_path}"]
    a.main(choice)
    found = {file.suffix: file for file in (tmp_path / "report").iterdir()}
    assert set(found) == {".md", ".csv", ".tex", ".json", ".png", ".pdf"}
    numbers = pd.read_csv(found[".csv"])
    of_all = numbers[numbers["composites"] == "all"]
    assert len(of_all) == 2 * 3 and (of_all["n"] == 3).all()  # padding is not counted
    random = of_all[of_all["method"] == "random"]
    assert random["mean"].between(0.45, 0.55).all()
    sm = of_all[of_all["method"] == "sm"].set_index("quantity")["mean"]
    assert sm["weaker"] < 0.5


def test_images_of_one_class_make_no_composite(tmp_path):
    with pytest.raises(a.UserError, match="one class"):
        a.make(["method=sm", "data.limit=1", "compute.device=cpu", f"paths.results={tmp_path}"])
