"""A printed cell is judged only by numbers of its own network, weights, size and images, and by enough of them."""

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from bench.papers import published
from bench.report import verdicts
from bench.report.quantities import SPEEDS, of_metric

MODEL = {"name": "resnet50", "version": "IMAGENET1K_V1", "weights": None, "size": 224}
RANDOM = np.random.default_rng(7)


def said(n=1000, mean=0.32, spread=0.3, images="A", data="la_release", quantity="insertion", classes=20, **model):
    """The verdict on IG's row of LA's Table 1, of n images whose mean is exactly that; and the notes."""
    scores = RANDOM.normal(0, spread, n)
    scores += mean - scores.mean()
    rows = pd.DataFrame({
        "run_id": "r", "image_id": [f"{i}" for i in range(n)], "status": "ok", "confidence": 0.9,
        "insertion": scores, "deletion": 0.1, "seconds_attribution": 1.0, "label": np.arange(n) % classes * 7,
    })  # fmt: skip
    kind = (of_metric("unified") | SPEEDS)[quantity]
    line = {"model": "resnet50", "row": "ig", "metric": "unified", "confidence": "all", "quantity": quantity}
    line |= {"kind": kind, "mean": mean, "n": n, "run_id": "r"}
    plan = OmegaConf.create({"paper": "la", "table": 1, "images": images, "rows": ["ig"]})
    numbers = published.beside(pd.DataFrame([line]), "la", 1, {"ig": {"method": "ig"}})
    run = {"cell": {"model": "resnet50", "data": data}, "config": {"model": MODEL | model}}
    found, notes = verdicts.judged(numbers, rows, {"r": run}, plan, 0.7)
    return found.iloc[0], " ".join(notes)


PRINTED = published.column("la", 1, "resnet50", "unified", "insertion", "all")


def printed():
    return float(said()[0]["published"])


def test_equal_numbers_on_the_papers_own_images_agree_and_another_methods_differ():
    found, notes = said(mean=printed())
    assert found["verdict"] == "agrees" and not notes
    assert -found["margin"] < found["difference_low"] < found["difference_high"] < found["margin"]
    assert said(mean=printed() + 0.2)[0]["verdict"] == "differs"


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"weights": "/mine.pth"}, "another weights than the table's"),
        ({"version": "IMAGENET1K_V2"}, "another weights than the table's"),
        ({"size": 96}, "another input size than the table's"),
        ({"data": "synthetic"}, "another data than the table's"),
        ({"data": "imagenet"}, "another data than the table's"),  # these rows are of the released images
        ({"images": "mixed"}, "another data than the table's"),  # IG's row is of the other set there
        ({"images": "unknown", "data": "imagenet"}, "another data than the table's"),
        ({"name": "resnet101"}, "another network than the table's"),
        ({"n": 99}, "99 images, a verdict takes 100"),
        ({"classes": 10}, "images of 10 classes, a verdict takes 15"),
    ],
)
def test_what_is_not_the_tables_gets_no_verdict_and_is_told_why(how, why):
    found, notes = said(mean=printed(), **how)
    assert found["verdict"] == "design only"
    assert np.isnan(found["difference_low"])
    assert f"No verdict on 1 cell: {why}." in notes


def test_other_images_bring_their_own_error():
    same, other = said(mean=printed())[0], said(mean=printed(), images="B", data="imagenet", classes=1000)[0]
    assert other["difference_high"] - other["difference_low"] > 5 * (same["difference_high"] - same["difference_low"])
    assert other["verdict"] == "cannot tell"


def test_a_difference_that_is_not_printed_has_no_verdict_of_its_own():
    assert said(quantity="gap")[0]["verdict"] == "derived"


def below(paper, table, n, *cells):
    """The lines under a table whose cells (model, metric, quantity) have n images each and no verdict yet."""
    numbers = pd.DataFrame([
        {"data": "d", "model": model, "metric": metric, "confidence": "all", "quantity": quantity, "n": n}
        | {"kind": SPEEDS.get(quantity) or of_metric(metric)[quantity]}
        for model, metric, quantity in cells
    ])  # fmt: skip
    return verdicts.margins(numbers, OmegaConf.create({"paper": paper, "table": table}))


def test_the_margin_of_each_quantity_stands_below_its_table():
    cells = [("resnet50", "unified", quantity) for quantity in ("insertion", "deletion", "gap")]
    lines = below("la", 1, 3, *cells)["d", "resnet50", "unified", "all"]
    distances = [abs(a - b) for k, a in enumerate(PRINTED) for b in PRINTED[:k]]
    most = f"{np.median(distances) / 2:.2g}, half of what parts two rows."
    insertion, deletion = lines  # no gap is printed
    assert insertion == f"Margin of insertion: 5 % of the printed value, no less than 0.003 and no more than {most}"
    assert deletion.startswith("Margin of deletion: 5 % of the printed value, no less than 0.002")
    assert not any(below("la", 1, 0, *cells).values())


def test_a_narrow_column_is_said_to_be_one_whatever_its_verdicts_are():
    narrow = [("resnet50", "insertion_deletion", "insertion")]
    for n in (0, 3):
        *_, last = below("attexplore", 3, n, *narrow)["d", "resnet50", "insertion_deletion", "all"]
        assert last.startswith("Insertion cannot fail: all printed values lie within 0.0041")
    assert not any(below("attexplore", 5, 0, *narrow).values())
    assert below("attexplore", 2, 3, ("resnet50", "unified", "fps")) == {}
