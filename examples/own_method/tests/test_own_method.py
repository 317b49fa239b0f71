"""pytest, from the folder in which conf/ lies."""

import pytest

import heatproof
from heatproof.promises import method_keeps_its_promises

PICTURES = 16  # in pictures/: as many as a table takes to mark the best


def test_the_method_keeps_its_promises():
    method_keeps_its_promises("contrast")


def test_the_method_is_measured_beside_others(tmp_path):
    few = ["metric.unified.step=768", "compute.device=cpu", "compute.workers=0"]
    result = heatproof.evaluate(
        "lenet", "pictures", ["contrast", "sm", "random"], folder=tmp_path, settings=few, progress=False
    )
    assert list(result.table().index) == ["contrast", "sm", "random"]
    assert (result.rows["status"] == "ok").all() and len(result.rows) == 3 * PICTURES
    assert {"best"} <= {*result.numbers["standing"]}


def test_its_settings_are_checked():
    with pytest.raises(heatproof.UserError, match="method.reach=0"):
        heatproof.attribute("lenet", "pictures", "contrast method.reach=0")
