"""What an overview draws (an atlas): faithfulness over cost, and ranks by metric; and the cells that it passes over."""

import numpy as np
import pandas as pd
import pytest
from jobs import SMALL, rows_of
from test_exhibits import written
from test_page import leave

from bench.config import load
from bench.errors import UserError
from bench.experiments import plan
from bench.figures import scatter
from bench.report.exhibits import by_metric, cost
from bench.run import one_run
from metrics.quantities import Quantity

HIGH, LOW = Quantity("Score", better="high"), Quantity("Score", better="low")
GAP = Quantity("GAP", better="high", minus=("insertion", "deletion"))


def line(row, metric, quantity, kind, mean, standing=""):
    return {
        "row": row,
        "metric": metric,
        "quantity": quantity,
        "kind": kind,
        "mean": mean,
        "standing": standing,
        "run_id": f"{row}-{metric}",
    }


def test_ranks_are_of_means_in_each_metrics_own_direction():
    """a is best by GAP though c has the highest insertion; b and c share the two last places of infidelity."""
    gaps = {"a": (0.4, "best"), "b": (0.2, ""), "c": (0.3, "")}
    lines = pd.DataFrame(
        [line(r, "unified", "insertion", HIGH, m) for r, m in zip("abc", (0.5, 0.4, 0.9), strict=True)]
        + [line(r, "unified", "gap", GAP, *gap) for r, gap in gaps.items()]
        + [line(r, "infidelity", "score", LOW, m) for r, m in zip("abc", (1.0, 2.0, 2.0), strict=True)]
        + [line("c", "sparseness", "score", HIGH, 0.3)]
    )
    costs = pd.DataFrame({"passes": [1161.0, 0.0], "seconds": [0.01234, 4.0]}, index=["a-unified", "b-unified"])
    drawn = by_metric.of_network(lines, costs, "net · toy")
    assert drawn.rows == ["a", "c", "b"] and drawn.columns == ["unified", "infidelity", "sparseness"]
    np.testing.assert_array_equal(drawn.values, [[1, 1, np.nan], [2, 2.5, 1], [3, 2.5, np.nan]])
    assert drawn.bold.tolist() == [[True, False, False], [False] * 3, [False] * 3]
    assert drawn.beside == {
        "mean rank": ["1.0", "1.8", "2.8"],
        "passes": ["1,161", "–", "0"],
        "seconds": ["0.012", "–", "4"],
    }


def test_costs_are_means_over_the_images_that_were_scored():
    rows = {
        "run_id": ["a", "a", "a", "b"],
        "status": ["ok", "ok", "failed", "ok"],
        "forward_passes": [10.0, 20.0, 900.0, 0.0],
        "backward_passes": [1.0, 3.0, 900.0, 0.0],
        "seconds_attribution": [1.0, 2.0, 900.0, 0.5],
    }
    found = cost.of_runs(pd.DataFrame(rows))
    assert found.loc["a"].to_dict() == {"passes": 17.0, "seconds": 1.5}
    assert found.loc["b"].to_dict() == {"passes": 0.0, "seconds": 0.5}


def test_names_stand_beside_their_points_and_never_on_each_other():
    places = np.array([[50.0, 100.0]] * 12 + [[80.0, 104.0], [300.0, 20.0]])
    names = [f"method_{k}" for k in range(len(places))]
    offsets = scatter.beside(places, names)
    assert offsets[-1] == (5.0, 0.0)
    boxes = [
        (x + dx, y + dy, x + dx + scatter.LETTER * len(name), y + dy + scatter.LINE)
        for (x, y), (dx, dy), name in zip(places, offsets, names, strict=True)
    ]
    for k, (x0, y0, x1, y1) in enumerate(boxes):
        for u0, v0, u1, v1 in boxes[:k]:
            assert x1 <= u0 or u1 <= x0 or y1 <= v0 or v1 <= y0


def figure_of(document, start):
    return next(figure for figure in document.figures if figure.title.startswith(start))


def test_the_pictures_are_of_experiments_that_ask_for_them(tmp_path):
    for method, level in (("sm", 0.3), ("ig", 0.6), ("random", 0.2)):
        for metric in ("unified", "kl"):
            step = f"metric.{metric}.step=439"  # as the atlas has it
            leave(tmp_path, f"{method}-{metric}", method, level, step, metric=metric)
    tiny = ["experiment.models=[tiny]", "data=synthetic", "experiment.metrics=[unified,kl]"]
    document, paths = written(tmp_path, "experiment=atlas", *tiny)
    names = {path.name for path in paths}
    assert {"atlas.png", "atlas.pdf", "atlas_by_metric_tiny.png", "atlas_by_metric_tiny.pdf"} <= names
    titles = [figure.title for figure in document.figures]
    assert "Faithfulness and what it costs" in titles and "Ranks by metric: tiny · synthetic" in titles
    picture = figure_of(document, "Faithfulness").svg[0][1]
    assert ">ig</text>" in picture and ">random</text>" in picture and "<image" not in picture
    assert len(figure_of(document, "Faithfulness").svg) == 1  # no row says its seconds
    document, paths = written(tmp_path, "experiment=la_table1", *tiny[:2])
    assert not {path.name for path in paths} & {"la_table1.png", "la_table1_by_metric_tiny.png"}


def test_settings_of_all_rows_give_way_to_narrower_ones_and_to_the_metrics_that_there_are():
    table = {
        "models": ["tiny", "vgg16"],
        "metrics": ["unified"],
        "set": {"metric.unified.step": 9, "metric.kl.step": 9, "method.layer": "x"},
        "per_model": {"tiny": {"metric.unified.step": 5, "metric.kl.step": 5}},
        "rows": ["sm", {"method": "gradcam", "set": {"method.layer": "y"}}],
    }
    found = [cell.overrides[3:] for cell in plan.cells(table)]
    assert found == [
        ["metric.unified.step=5", "method.layer=x"],
        ["metric.unified.step=5", "method.layer=y"],
        ["metric.unified.step=9", "method.layer=x"],
        ["metric.unified.step=9", "method.layer=y"],
    ]


def test_a_method_that_refuses_the_network_is_passed_over_where_the_experiment_says_so(tmp_path, capsys):
    few = [
        "experiment.models=[tiny]",
        "experiment.methods=[rollout,sm]",
        "experiment.metrics=[unified]",
        "data=synthetic",
    ]
    small = [o for o in SMALL if o != "model=tiny"] + ["data.limit=2", f"paths.results={tmp_path}", *few]
    for cell in (0, 1):
        one_run(load(["experiment=atlas", f"experiment.cell={cell}", *small]))
    assert "Left out: rollout on tiny. rollout and generic_attention follow" in capsys.readouterr().out
    assert len(rows_of(tmp_path)) == 2
    with pytest.raises(UserError, match="rollout and generic_attention follow"):
        one_run(load(["experiment=atlas", "experiment.cell=0", "experiment.pass_over=false", *small]))
    wrong = [o for o in small if "methods" not in o and "feature_layer" not in o]
    wrong += ["experiment.methods=[gradcam]", "model.feature_layer=nowhere"]
    with pytest.raises(UserError, match="no layer"):  # a setting that fits nothing is said all the same
        one_run(load(["experiment=atlas", "experiment.cell=0", *wrong]))
