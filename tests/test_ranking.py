"""Ranks on a network that a paper does not print, beside those of the networks that it does."""

import pandas as pd
import pytest

from bench.papers import published
from bench.report import means, ranking
from bench.report.quantities import of_metric
from bench.store.rows import PARTITIONS

UNIFIED = of_metric("unified")
PRINTED = {"la": {"method": "la"}, "ours": {"method": "agi"}, "sm": {"method": "sm"}, "random": None}
SCORES = {"la": (0.9, 0.8, 0.7), "ours": (0.5, 0.6, 0.4), "random": (0.3, 0.3, 0.3), "sm": (0.1, 0.2, 0.1)}


def table(model: str):
    rows = pd.DataFrame(
        [
            {
                "data": "d",
                "model": model,
                "method": m,
                "metric": "unified",
                "run_id": m,
                "image_id": str(i),
                "status": "ok",
            }
            | {
                "confidence": 0.9,
                "insertion": value,
                "deletion": 0.0,
                "seconds_attribution": 1.0,
                "score": float("nan"),
            }
            for m, values in SCORES.items()
            for i, value in enumerate(values)
        ]
    )
    cells = rows[[*PARTITIONS, "run_id"]].drop_duplicates()
    cells = cells.assign(row=cells["method"], quantities=[UNIFIED] * len(cells))
    return means.measure(rows, cells, 0.7, 100), rows


def test_rows_stand_by_rank_and_controls_have_none():
    numbers, rows = table("tiny")
    insertion, gap = ranking.beside(numbers, rows, "la", 1, PRINTED, 0.7, 100)["d", "tiny", "unified", "all"]
    assert [column.name for column in insertion.columns][:3] == ["Method", "Insertion, tiny", "rank"]
    assert gap.title == "Ranks by GAP: tiny · unified · all images · d"
    found = [[cell.text for cell in row][:4] for row in insertion.rows]
    printed = pd.read_csv(published.FOLDER / "la_table1.csv").query(
        "model == 'inception_v3' and quantity == 'insertion'"
    )
    values = printed.set_index("method")["value"]
    ranks = values[["la", "agi", "sm"]].rank(ascending=False)
    assert [row[0] for row in found] == ["la", "ours", "random", "sm"]
    assert [row[2] for row in found] == ["1", "2", "–", "3"]
    expected = [f"{ranks[m]:.0f} ({values[m]:.4f})" for m in ("la", "agi", "sm")]
    assert [row[3] for row in found] == [*expected[:2], "–", expected[2]]


def test_tau_is_one_where_the_order_is_the_papers():
    numbers, rows = table("tiny")
    (line,) = ranking.beside(numbers, rows, "la", 1, PRINTED, 0.7, 100)["d", "tiny", "unified", "all"][0].below
    assert "(3 rows, 3 images)" in line
    assert "resnet50 1.00, no interval at this n; " in line


def test_a_network_of_the_paper_needs_no_such_table():
    numbers, rows = table("resnet50")
    assert ranking.beside(numbers, rows, "la", 1, PRINTED, 0.7, 100) == {}


def test_ranks_are_over_the_images_that_all_rows_share():
    numbers, rows = table("tiny")
    rows = rows[~((rows["method"] == "ours") & (rows["image_id"] == "0"))]
    rows.loc[(rows["method"] == "la") & (rows["image_id"] == "0"), "insertion"] = -9.0  # would put la last
    insertion = ranking.beside(numbers, rows, "la", 1, PRINTED, 0.7, 100)["d", "tiny", "unified", "all"][0]
    assert insertion.rows[0][0].text == "la"
    assert "(3 rows, 2 images)" in insertion.below[0]


def test_a_row_with_other_images_than_most_is_left_out_and_told():
    numbers, rows = table("tiny")
    rows.loc[rows["method"] == "sm", "image_id"] = ["8", "9", "2"]
    insertion = ranking.beside(numbers, rows, "la", 1, PRINTED, 0.7, 100)["d", "tiny", "unified", "all"][0]
    assert [row[0].text for row in insertion.rows] == ["la", "ours", "random"]
    assert "(2 rows, 3 images)" in insertion.below[0]
    assert insertion.below[1] == "Left out, as they have other images than these 3: sm."


def test_networks_whose_values_cannot_be_right_are_left_out():
    there = published.elsewhere("la", 3, PRINTED, "unified", "all", "insertion", UNIFIED["insertion"])
    assert "vgg16" in there
    assert "maxvit_t" not in there
    assert "random" not in there.index


@pytest.mark.parametrize("metric", ["localisation", "pixel"])
def test_a_metric_that_the_paper_has_not_gives_nothing(metric):
    assert published.elsewhere("la", 1, PRINTED, metric, "all", "insertion", UNIFIED["insertion"]).empty
