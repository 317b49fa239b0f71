"""What an experiment varies, as plots: the numbers of its table, each over its value."""

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from bench.experiments import plan as experiments
from bench.report.exhibits import settings as variation
from bench.report.quantities import of_metric


def rows(text):
    return experiments.rows(OmegaConf.create({"rows": OmegaConf.create(text)}))


def numbers(rows, models=("tiny",), published=None):
    """insertion i and gap of row i, ± 0.5."""
    lines = [
        {"model": model, "metric": "unified", "row": row.label, "confidence": confidence, "quantity": quantity}
        | {
            "kind": of_metric("unified")[quantity],
            "mean": float(i),
            "ci_low": i - 0.5,
            "ci_high": i + 0.5,
            "n": 2,
            "published": published,
        }
        for model in models
        for i, row in enumerate(rows)
        for confidence in ("all", "low")
        for quantity in ("insertion", "deletion", "gap")
    ]
    return pd.DataFrame(lines)


def test_a_panel_per_network_with_insertion_and_deletion_over_the_setting():
    table = rows("[{method: la, vary: {method.steps: [5, 20, 10]}, param: N}, sm]")
    drawn = variation.panels(numbers(table, ["vgg16", "tiny"]), table, figure=False)
    assert [(panel.title, panel.x, panel.ticks) for panel in drawn] == [("vgg16", "N", ()), ("tiny", "N", ())]
    insertion, deletion = drawn[0].lines
    assert (insertion.name, deletion.name) == ("insertion", "deletion")
    assert insertion.x.tolist() == [5, 20, 10] and insertion.mean.tolist() == [0, 1, 2]
    assert insertion.low.tolist() == [-0.5, 0.5, 1.5] and insertion.high.tolist() == [0.5, 1.5, 2.5]


def test_settings_have_panels_of_their_own():
    text = "[{method: la, vary: {method.steps: [5, 9]}, param: N}, {method: la, vary: {method.n_classes: [4, 7]}, param: M}]"
    table = rows(text)
    assert [panel.x for panel in variation.panels(numbers(table), table, figure=True)] == ["N", "M"]


def test_rows_without_a_setting_are_bars_in_a_figure_and_nothing_in_a_table():
    table = rows("[{label: linear, method: la}, {label: constant, method: la}]")
    assert variation.panels(numbers(table), table, figure=False) == []
    (panel,) = variation.panels(numbers(table), table, figure=True)
    assert panel.ticks == ("linear", "constant")
    assert panel.lines[0].x.tolist() == [0, 1]


def test_what_was_not_run_is_not_drawn():
    table = rows("[{method: la, vary: {method.steps: [5, 20, 10]}, param: N}]")
    there = numbers(table, ["tiny", "vgg16"])
    there.loc[there["model"] == "vgg16", "n"] = 0
    there.loc[there["row"] == "N = 20", "n"] = 0
    (panel,) = variation.panels(there, table, figure=False)
    assert (panel.title, panel.lines[0].x.tolist()) == ("tiny", [5, 10])


def test_what_is_published_stands_beside_it_without_an_interval():
    table = rows("[{method: la, vary: {method.steps: [5, 20]}, param: N}]")
    (panel,) = variation.panels(numbers(table, published="0.25"), table, figure=False)
    assert [line.name for line in panel.lines] == [
        "insertion", "insertion, published", "deletion", "deletion, published"
    ]  # fmt: skip
    assert panel.lines[1].mean.tolist() == [0.25, 0.25] and np.isnan(panel.lines[1].low).all()


def test_a_grid_is_a_line_for_each_value_of_its_first_setting():
    table = rows("[{method: aii, vary: {method.n_classes: [1, 2], method.steps: [3, 4]}, param: M;T}]")
    (panel,) = variation.panels(numbers(table), table, figure=False)
    assert panel.x == "T"
    assert {line.name: (line.x.tolist(), line.mean.tolist()) for line in panel.lines[:2]} == {
        "insertion, M = 1": ([3, 4], [0, 1]),
        "insertion, M = 2": ([3, 4], [2, 3]),
    }


def test_colours_tell_quantities_apart_and_in_a_grid_its_lines():
    table = rows("[{method: la, vary: {method.steps: [5, 20]}, param: N}]")
    found = variation.styles(variation.panels(numbers(table, published="0.25"), table, figure=False))
    assert list(found.values()) == [0, 6, 1, 7]
    table = rows("[{method: aii, vary: {method.n_classes: [1, 2], method.steps: [3, 4]}, param: M;T}]")
    found = variation.styles(variation.panels(numbers(table), table, figure=False))
    assert found == {"insertion, M = 1": 0, "insertion, M = 2": 1, "deletion, M = 1": 6, "deletion, M = 2": 7}
