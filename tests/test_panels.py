"""The picture of an experiment: maps and curves come from the run they belong to, and what is missing is said."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml

from bench.config import load
from bench.errors import UserError
from bench.images.source import ImageError
from bench.report.exhibits import heatmaps as panels
from bench.store import records

CELL = {"data": "toy", "model": "tiny", "method": "sm", "metric": "unified"}
PHOTO = np.linspace(0, 1, 3 * 8 * 8).reshape(3, 8, 8)
SOURCE = SimpleNamespace(load=lambda image_id: SimpleNamespace(pixels=PHOTO))


def leave(results, run_id, ids, value):
    """What a run with saved attributions leaves: `value` is every number of its maps and insertion curves."""
    record = {"run_id": run_id, "cell": CELL, "config": {"metric": {"readout": "kl"}}, "attribution_id": f"m{run_id}"}
    for folder in ("runs", f"attributions/m{run_id}"):
        (results / folder).mkdir(parents=True, exist_ok=True)
    (results / "runs" / f"{run_id}.yaml").write_text(yaml.safe_dump(record))
    for image_id in ids:
        np.save(results / "attributions" / f"m{run_id}" / f"{image_id}.npy", np.full((3, 8, 8), value, np.float32))
    folder = results / "rows" / "/".join(f"{key}={name}" for key, name in CELL.items())
    folder.mkdir(parents=True, exist_ok=True)
    curves = {"insertion_curve": [[value] * 5] * len(ids), "deletion_curve": [[0.0] * 5] * len(ids)}
    rows = pd.DataFrame({"run_id": run_id, "image_id": ids, "status": "ok"} | curves)
    rows.to_parquet(folder / f"{run_id}-0.parquet")


def collect(results, ids, rows):
    panel = panels.Panel()
    panel.add("tiny", SOURCE, ids, rows, records.load_runs(results), results)
    return panel


def test_maps_and_curves_come_from_one_run_that_has_all_the_images(tmp_path):
    leave(tmp_path, "r1", ["a"], 1.0)
    leave(tmp_path, "r2", ["a", "b", "c"], 2.0)
    panel = collect(tmp_path, ["b", "a"], {"mine": ["r1", "r2"]})
    blocks = panel.pages["tiny"]
    assert [block.title for block in blocks] == ["b", "a"]
    assert {float(block.maps["mine"].max()) for block in blocks} == {2.0}
    assert {float(block.curves["mine"][0].max()) for block in blocks} == {2.0}
    assert (panel.readout, panel.missing) == ("kl", [])


def test_what_is_missing_is_named_and_the_rest_is_drawn(tmp_path):
    leave(tmp_path, "r1", ["a", "b"], 1.0)
    (tmp_path / "attributions" / "mr1" / "a.npy").unlink()
    panel = collect(tmp_path, ["a", "b"], {"sm": ["r1"], "ig": []})
    assert panel.missing == ["sm on tiny (1 of 2 images)", "ig on tiny (2 of 2 images)"]
    assert panel.pages["tiny"][0].maps == {"sm": None, "ig": None}
    assert [file.name for file in panel.draw(tmp_path / "x", "grey")] == ["x.png", "x.pdf"]


def test_a_photograph_that_cannot_be_read_costs_no_other(tmp_path):
    leave(tmp_path, "r1", ["a", "b"], 1.0)

    def load(image_id):
        if image_id == "a":
            raise ImageError("a.png: not a picture")
        return SimpleNamespace(pixels=PHOTO)

    panel = panels.Panel()
    panel.add("tiny", SimpleNamespace(load=load), ["a", "b"], {"sm": ["r1"]}, records.load_runs(tmp_path), tmp_path)
    assert panel.missing == ["a (a.png: not a picture)"]
    assert [block.title for block in panel.pages["tiny"]] == ["b"]


def test_without_a_single_map_there_is_no_picture(tmp_path):
    leave(tmp_path, "r1", ["a"], 1.0)
    with pytest.raises(UserError, match="not one of its maps"):
        collect(tmp_path, ["b"], {"sm": ["r1"]}).draw(tmp_path / "x", "grey")
    with pytest.raises(UserError, match="grey"):
        collect(tmp_path, ["a"], {"sm": ["r1"]}).draw(tmp_path / "x", "gray")


def test_a_gallery_shows_the_first_images_of_its_first_metric_and_says_what_it_lacks(tmp_path):
    leave(tmp_path, "r", ["synthetic-00000", "synthetic-00001"], 1.0)
    runs = records.load_runs(tmp_path)
    runs["r"]["preprocessing"] = {"size": 32, "resize": 32}
    overrides = ["experiment=la_gallery", "data=synthetic", "data.limit=3", "experiment.panel=2"]
    overrides += ["experiment.models=[tiny,vgg16]", "experiment.methods=[sm]", f"paths.results={tmp_path}"]
    found = {("tiny", "unified"): {"sm": ["r"]}, ("tiny", "kl"): {"sm": []}, ("vgg16", "unified"): {"sm": []}}
    panel = panels.panel(load(overrides), runs, found)
    assert [block.title for block in panel.pages["tiny"]] == ["synthetic-00000", "synthetic-00001"]
    assert panel.missing == ["everything on vgg16"]
    assert "To make them: `python -m bench.run experiment=la_gallery" in panels.absent(panel, overrides)[0]
