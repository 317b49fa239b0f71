"""The demo picture: what it paints, and that it takes maps and curves from the run they belong to."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from bench import figures
from bench.errors import UserError

CELL = {"data": "toy", "model": "tiny", "method": "sm", "metric": "unified"}
PHOTO = np.linspace(0, 1, 3 * 8 * 8).reshape(3, 8, 8)


def block(title="a cat"):
    ramp = np.linspace(0, 1, 11)
    return figures.Block(title, PHOTO, {"sm": PHOTO, "ig": -PHOTO}, {"sm": (ramp, 1 - ramp), "ig": (ramp, ramp)})


def test_heat_is_clipped_at_the_80th_and_99th_percentile_of_the_mean_over_channels():
    scores = np.arange(101.0).reshape(1, 1, 101)
    found = figures.heat(np.concatenate([scores - 7, scores, scores + 7]))[0]
    assert (found[:81] == 0).all()
    assert found[90] == pytest.approx(10 / 19)
    assert found[99:] == pytest.approx(1.0)


def test_a_flat_map_is_dark_and_not_nan():
    assert (figures.heat(np.full((3, 4, 4), -2.0)) == 0).all()


def test_overlay_is_the_dimmed_photograph_where_the_map_is_low_and_colour_where_it_is_high():
    attribution = np.zeros((3, 10, 10))
    attribution[:, 0, :2] = 1.0  # 2 of 100 pixels
    painted = figures.overlay(np.full((3, 10, 10), 0.5), attribution)
    np.testing.assert_allclose(painted[5, 5], 0.4 * 0.5)  # grey
    assert painted[0, 0, 0] > 0.9 and painted[0, 0, 2] < 0.7  # yellow
    assert painted.min() >= 0 and painted.max() <= 1


def test_panel_has_room_for_every_photograph(tmp_path):
    with Image.open(figures.panel(tmp_path / "one.png", [block()])) as picture:
        one = picture.size
    with Image.open(figures.panel(tmp_path / "new" / "two.png", [block("µ_1"), block()])) as picture:
        two = picture.size
    assert two[0] == one[0]
    assert two[1] > 1.6 * one[1]


def test_the_same_panel_is_the_same_file(tmp_path):
    first, second = (figures.panel(tmp_path / name, [block()]).read_bytes() for name in ("1.png", "2.png"))
    assert first == second


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


def draw(results, ids, monkeypatch):
    """The blocks that would be painted."""
    monkeypatch.setattr(figures, "panel", lambda path, blocks, readout: (blocks, readout))
    source = SimpleNamespace(load=lambda image_id: SimpleNamespace(pixels=PHOTO))
    cell = {"data": "toy", "model": "tiny", "methods": ["sm"], "metric": "unified"}
    return figures.panel_from_results(results / "x.png", results, source, **cell, image_ids=ids, names={"b": "a bee"})


def test_maps_and_curves_come_from_one_run_that_has_all_the_images(tmp_path, monkeypatch):
    leave(tmp_path, "r1", ["a"], 1.0)
    leave(tmp_path, "r2", ["a", "b", "c"], 2.0)
    blocks, readout = draw(tmp_path, ["b", "a"], monkeypatch)
    assert [block.title for block in blocks] == ["a bee", "a"]
    assert {float(block.maps["sm"].max()) for block in blocks} == {2.0}
    assert {float(block.curves["sm"][0].max()) for block in blocks} == {2.0}
    assert readout == "kl"


def test_what_is_missing_is_said_with_the_command_that_makes_it(tmp_path, monkeypatch):
    leave(tmp_path, "r1", ["a"], 1.0)
    with pytest.raises(UserError, match=r"method=sm 'metric=\[unified\]' run.save_attributions=true"):
        draw(tmp_path, ["a", "b"], monkeypatch)
    (tmp_path / "attributions" / "mr1" / "a.npy").unlink()
    with pytest.raises(UserError, match="saved attribution"):
        draw(tmp_path, ["a"], monkeypatch)
