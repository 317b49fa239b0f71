"""What results/report/README.md says of its tables is in them: every number with its cell, every rank correlation."""

import re

import pandas as pd
import pytest
from scipy.stats import kendalltau

from bench.config import ROOT

REPORT = ROOT / "results" / "report"
TEXT = " ".join((REPORT / "README.md").read_text(encoding="utf-8").split())
CELL = re.compile(r"(-?\d\.\d{3}) \((\w+)(?:/(\w+))?: (\w+), (all|low|high), (insertion|deletion|gap)\)")
RELEASED = {f"{name}_as_published": name for name in ("fast_ig", "deeplift", "guided_ig", "big")}
CHOICES = {  # our row: the printed one, where they differ
    "as published (": RELEASED | {"raster": "eg"},
    "the methods done right": {},
    "as published, `eg`": RELEASED,
    "as published, without EG": RELEASED | {"eg": None},
    "as published, by deletion": RELEASED | {"raster": "eg"},
}


@pytest.mark.parametrize("cell", CELL.findall(TEXT), ids=", ".join)
def test_a_number_is_that_of_its_cell(cell):
    said, table, metric, row, confidence, quantity = cell
    lines = pd.read_csv(REPORT / f"{table}.csv")
    of = lines[(lines["row"] == row) & (lines["confidence"] == confidence) & (lines["quantity"] == quantity)]
    of = of[of["metric"] == metric] if metric else of
    assert [f"{value:.3f}" for value in of["mean"]] == [said]


def test_there_are_numbers():
    assert len(CELL.findall(TEXT)) >= 30


@pytest.mark.parametrize("choice", CHOICES)
def test_a_rank_correlation_is_that_of_the_two_tables(choice):
    quantity = "deletion" if "deletion" in choice else "insertion"
    ours = pd.read_csv(REPORT / "la_table1.csv")
    ours = ours[(ours["confidence"] == "all") & (ours["quantity"] == quantity)].set_index("row")["mean"]
    printed = pd.read_csv(ROOT / "results" / "published" / "la_table1.csv")
    printed = printed[printed["quantity"] == quantity].pivot(index="method", columns="model", values="value")
    stand = {row: CHOICES[choice].get(row, row) for row in ours.index}
    claimed = {CHOICES[choice][row] for row in CHOICES[choice]} - {None}
    pairs = {row: name for row, name in stand.items() if name in printed.index and (row != name or row not in claimed)}
    row = next(part for part in TEXT.split(" | ") if part.startswith(("| " + choice, choice)))
    said = re.findall(r"\d\.\d\d", TEXT[TEXT.index(row) + len(row) :])[:4]
    assert f"{len(pairs)} rows" in row
    for model, value in zip(("vgg16", "resnet50", "inception_v3", "maxvit_t"), said, strict=True):
        tau = kendalltau(ours[list(pairs)], printed.loc[list(pairs.values()), model]).statistic
        assert f"{tau:.2f}" == value, (model, tau)
