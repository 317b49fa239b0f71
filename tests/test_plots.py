"""Curves and ablations: the numbers in them, and pictures that a page and a paper can hold."""

import numpy as np
import pandas as pd
import pytest

from bench.figures import lines as plots
from bench.report.exhibits import ablations
from bench.report.quantities import of_metric


def panel(names, points=9):
    x = np.linspace(0, 1, points)
    return plots.Panel("Insertion", "share", "p", [plots.Line(name, x, x, x - 0.1, x + 0.1) for name in names])


def test_the_band_is_the_means_own_interval_not_the_images_spread():
    curves = np.array([[0.0, 0.2], [1.0, 0.2], [0.0, 0.2], [1.0, 0.2]])
    line = plots.mean_curve("ig", curves)
    np.testing.assert_allclose(line.mean, [0.5, 0.2])
    np.testing.assert_allclose(line.high - line.mean, [1.96 * np.sqrt(1 / 3) / 2, 0], atol=1e-12)
    np.testing.assert_allclose(line.x, [0, 1])


def test_one_image_has_no_band():
    line = plots.mean_curve("ig", np.array([[0.1, 0.4, 0.9]]))
    assert np.isnan(line.low).all() and (line.mean == [0.1, 0.4, 0.9]).all()


def test_a_picture_on_the_page_takes_its_ink_and_leaves_its_names_alone():
    svg = plots.svg("one", panel(["steps=0.125", "b"]), {"steps=0.125": 3, "b": 4})
    assert svg.startswith("<svg ") and svg.endswith("</svg>")
    assert 'data-line="3"' in svg and 'data-line="4"' in svg
    assert "currentColor" in svg and plots.INK not in svg
    assert "http" not in svg and "font-family" not in svg and "width=" not in svg.split(">")[0]
    assert ">0.25<" in plots.svg("ticks", plots.Panel("t", "x", "y", [], True, ("0.25",)), {})  # text is not rounded


def test_two_pictures_share_no_ids():
    first, second = (plots.svg(name, panel(["a"]), {"a": 0}) for name in ("first", "second"))
    ids = [set(part.split('"')[0] for part in svg.split('id="')[1:]) for svg in (first, second)]
    assert ids[0] and not ids[0] & ids[1]


def test_a_long_curve_is_thinned_on_the_page_with_both_ends_kept():
    short, long = (len(plots.svg("x", panel(["a"], points=n), {"a": 0})) for n in (plots.POINTS, 2000))
    assert long < 1.2 * short


def test_24_lines_look_different():
    assert len({plots.look(i) for i in range(24)}) == 24


def test_files_for_a_paper_are_the_same_each_time(tmp_path):
    first, second = (plots.write(tmp_path / n / "a.b", [panel(["a", "b"])], {"a": 0, "b": 1}) for n in ("1", "2"))
    assert [file.name for file in first] == ["a.b.png", "a.b.pdf"]
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]


def record(model="tiny", device="cpu", seed=0, **method):
    config = {
        "model": {},
        "data": {},
        "method": method,
        "metric": {"_target_": "metrics.perturbation.perturbation"},
        "run": {"seed": seed, "target": "prediction"},
        "compute": {"precision": "fp32"},
    }
    cell = {"data": "toy", "model": model, "method": "la", "metric": "unified"}
    found = {"device": {"type": device, "name": device}, "weights": {"digest": model}}
    return {"cell": cell, "config": config, "versions": {"protocol": "1"}, **found}


def numbers(runs, mean):
    lines = [
        {"data": "toy", "model": runs[i]["cell"]["model"], "method": "la", "metric": "unified", "run_id": i}
        | {"kind": of_metric("unified")["insertion"]}
        | {"confidence": "all", "quantity": "insertion", "mean": mean(i), "ci_low": 0.0, "ci_high": 1.0, "n": 3}
        for i in runs
    ]
    return pd.DataFrame(lines)


def test_the_usual_run_is_the_one_that_the_others_depart_from():
    runs = {"a": record(n=5, s=1), "b": record(n=20, s=1), "c": record(n=20, s=2), "d": record(n=40, s=1)}
    assert ablations.typical(runs, runs, dict.fromkeys(runs, 10)) == "b"
    assert ablations.typical(runs, runs, dict.fromkeys(runs, 10) | {"c": 11}) == "c"  # more images say more


def test_runs_that_differ_in_one_setting_are_a_line_in_the_order_of_its_numbers():
    runs = {"a": record(n=20), "b": record(n=5), "c": record(n=100), "d": record(n=5, device="gpu")}
    (found,) = ablations.find(numbers(runs, {"a": 0.2, "b": 0.1, "c": 0.3, "d": 0.9}.get), runs)
    (line,) = found.lines["insertion"]
    assert (found.setting, found.values) == ("n", ())
    assert (line.x.tolist(), line.mean.tolist()) == ([5, 20, 100], [0.1, 0.2, 0.3])


def test_a_setting_in_words_has_its_words_for_ticks():
    runs = {"a": record(kind="linear"), "b": record(kind="constant")}
    (found,) = ablations.find(numbers(runs, {"a": 0.2, "b": 0.1}.get), runs)
    assert found.values == ("constant", "linear")
    assert found.lines["insertion"][0].mean.tolist() == [0.1, 0.2]


def test_a_grid_of_two_settings_is_a_line_for_each_value_of_the_other():
    runs = {f"{m}{t}": record(m=m, t=t) for m in (1, 2) for t in (3, 4)}
    found = {ablation.setting: ablation.lines["insertion"] for ablation in ablations.find(numbers(runs, float), runs)}
    assert {line.name: line.mean.tolist() for line in found["m"]} == {"tiny, t=3": [13, 23], "tiny, t=4": [14, 24]}
    assert {line.name: line.mean.tolist() for line in found["t"]} == {"tiny, m=1": [13, 14], "tiny, m=2": [23, 24]}


def test_other_seeds_are_one_figure_of_all_methods_a_line_per_seed():
    cells = {f"{method}{seed}": (method, seed) for method in ("la", "sg") for seed in (1, 2, 10)}
    cells.pop("sg1")
    runs = {i: record(n=5, seed=seed) for i, (_, seed) in cells.items()}
    means = {i: seed + (method == "sg") / 2 for i, (method, seed) in cells.items()}
    lines = numbers(runs, means.get).assign(method=[method for method, _ in cells.values()])
    (found,) = ablations.seeds_together(ablations.find(lines, runs))
    assert (found.method, found.setting, found.values) == ("", "seed", ("la", "sg"))
    drawn = {line.name: (line.x.tolist(), line.mean.tolist()) for line in found.lines["insertion"]}
    assert drawn == {"seed 1": ([0], [1]), "seed 2": ([0, 1], [2, 2.5]), "seed 10": ([0, 1], [10, 10.5])}
    assert list(drawn) == ["seed 1", "seed 2", "seed 10"]


@pytest.mark.parametrize("second", [record(n=9, s=9), record(n=5, device="gpu"), record(model="other", n=9)])
def test_runs_that_differ_in_more_or_in_the_machine_are_no_ablation(second):
    runs = {"a": record(n=5), "b": second}
    assert ablations.find(numbers(runs, {"a": 0.2, "b": 0.1}.get), runs) == []
