"""Experiments: every yaml composes, every published number has its cell, a sweep runs just the cells of its table."""

import csv
import functools
import os
import re
import subprocess
import sys

import pandas as pd
import pytest
from omegaconf import OmegaConf

from bench.choices import CONF, ROOT
from bench.config import chosen, load
from bench.errors import UserError
from bench.experiments import plan as experiments
from bench.experiments import sweep
from bench.papers import published
from bench.report import __main__ as report
from bench.running.job import build
from hydra_plugins.heatproof.sweeper import Cells, telling

TABLES = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))
CSVS = sorted(path.stem for path in published.FOLDER.glob("*_table*.csv"))


@functools.cache
def plan(name):
    return load([f"experiment={name}"]).cfg.experiment


def names(group):
    return {path.stem for path in (CONF / group).glob("*.yaml")}


def swept(name):
    """Galleries and such have sweeps of their own."""
    return "cell" in plan(name)


@pytest.mark.parametrize("name", TABLES)
def test_file_says_its_command_and_names_what_there_is(name):
    text = (CONF / "experiment" / f"{name}.yaml").read_text()
    assert f"# make {name.replace('_', '-')}:" in text
    table = plan(name)
    assert table.name == name
    if not swept(name):
        return
    assert set(table.models) <= names("model")
    assert set(table.metrics) <= names("metric")
    assert {row.method for row in experiments.rows(table)} <= names("method")
    assert table.images in (None, "A", "B", "mixed", "unknown")


@pytest.mark.parametrize("name", TABLES)
def test_settings_of_rows_are_those_of_their_methods(name):
    if not swept(name):
        return
    table = plan(name)
    told = {
        (cell.row.method, *cell.row.settings): cell
        for cell in experiments.cells(table)
        if cell.row.settings or cell.row.per_model
    }
    for cell in told.values():
        build(load([f"experiment={name}", *cell.overrides]).cfg.method, "method")


@pytest.mark.parametrize("source", CSVS)
def test_every_published_number_has_a_cell(source):
    table = plan(source)
    assert (table.paper, str(table.table)) == tuple(source.split("_table"))
    shown = []
    for cell in experiments.cells(table):
        row = cell.row.published
        if row:
            model = "" if cell.model == table.unnamed_model else cell.model
            shown.append((model, row["method"], row.get("param", ""), row.get("param_value", "")))
    printed = pd.read_csv(published.FOLDER / f"{source}.csv", dtype="str", keep_default_na=False)
    if source == "attexplore_table6":  # there the setting is the method
        printed = printed.assign(param="", param_value="")
    keys = printed[["model", "method", "param", "param_value"]].itertuples(index=False, name=None)
    assert set(keys) <= set(shown)
    assert len(shown) == len(set(shown))  # and no printed number stands beside two rows
    wanted = table.quantities
    for metric, quantity in set(printed[["metric", "quantity"]].itertuples(index=False, name=None)):
        assert metric in table.metrics or quantity == "fps"
        assert wanted is None or quantity in wanted


def row(text):
    return OmegaConf.create(text)


def labels(text):
    return [found.label for found in experiments.rows(row(text))]


def test_methods_narrow_a_table_by_method_or_label_and_widen_it():
    text = "rows: [sm, {method: la, label: short, set: {method.steps: 5}}, la]\nmethods: "
    assert labels(text + "null") == ["sm", "short", "la"]
    assert labels(text + "[la]") == ["short", "la"]
    assert labels(text + "[short, ig]") == ["short", "ig"]
    assert labels("methods: [ig, sm]") == ["ig", "sm"]


def test_controls_stand_below_every_table_whose_rows_are_not_named():
    text = "rows: [sm, {method: raster, label: scan}]\ncontrols: [random, raster]\nmethods: "
    assert labels(text + "null") == ["sm", "scan", "random"]
    assert labels(text + "[sm, random]") == ["sm", "random"]


@pytest.mark.parametrize("name", TABLES)
def test_the_file_says_how_many_rows_it_has(name):
    said = re.search(r"passes of (\d+) rows", (CONF / "experiment" / f"{name}.yaml").read_text())
    assert said is None or int(said[1]) == len(experiments.rows(plan(name)))


def test_a_printed_row_that_one_row_claims_is_not_set_beside_another():
    text = "rows: [eg, raster, sm, {method: gradcam, label: old, published: gradcam}, gradcam]\npublished: {raster: eg}"
    beside = {found.label: found.published and found.published["method"] for found in experiments.rows(row(text))}
    assert beside == {"eg": None, "raster": "eg", "sm": "sm", "old": "gradcam", "gradcam": None}
    narrowed = experiments.rows(row(text + "\nmethods: [eg]"))
    assert narrowed[0].published is None  # nor if the other is not wanted today


def test_what_is_varied_becomes_rows_with_the_printed_setting():
    (_, second, *_), *rest = [experiments.rows(row("""
        rows: [{method: aii, set: {method.sign: 1}, vary: {method.n_classes: [10, 15], method.steps: [5.0]}, param: M;T}]
    """))]  # fmt: skip
    assert not rest
    assert second.label == "M = 15, T = 5"
    assert second.settings == {"method.sign": 1, "method.n_classes": 15, "method.steps": 5.0}
    assert second.published == {"method": "aii", "param": "M;T", "param_value": "15;5"}


def test_a_network_can_have_settings_of_its_own():
    text = "{rows: [{method: gradcam, per_model: {b: {method.layer: x}}}], models: [a, b], metrics: [kl, fair]}"
    first, second = experiments.cells(row(text))
    assert first.overrides == ["model=a", "method=gradcam", "metric=[kl,fair]"]
    assert second.overrides == ["model=b", "method=gradcam", "metric=[kl,fair]", "method.layer=x"]


@pytest.mark.parametrize("text", ["rows: [{method: sm, sett: 1}]", "rows: [sm, sm]"])
def test_rows_that_say_nothing_sensible_are_refused(text):
    with pytest.raises(UserError, match="experiment"):
        labels(text)


def cell(*overrides):
    return sweep.of_cell(load(["experiment=attexplore_table3", *overrides]))


def test_a_cell_is_its_row_on_its_network():
    config = cell("experiment.cell=11")
    assert config.names == {"data": "imagenet", "model": "resnet50", "method": "attexplore"}
    assert (config.cfg.method.copies, config.cfg.data.sample) == (20, 1000)
    assert list(config.cfg.metric) == ["insertion_deletion"]
    assert cell("experiment.cell=11", "data=synthetic").cfg.data.sample is None  # only a large source is sampled
    assert cell("experiment.cell=11", "data.sample=5").cfg.data.sample == 5
    assert cell("experiment.cell=11", "data.ids=[a,b]").cfg.data.sample is None  # named images are all taken


def test_what_the_experiment_chooses_cannot_be_said_twice():
    with pytest.raises(UserError, match=r"experiment.models=\[tiny\]"):
        cell("experiment.cell=0", "model=tiny")


def test_without_a_cell_the_configuration_stays_as_it_is():
    config = load(["method=sm"])
    assert sweep.of_cell(config) is config
    assert chosen(config.cfg, config.cfg.hydra.runtime.choices)["method"] == "sm"


def test_a_sweep_reads_the_records_once_however_many_cells_it_has(monkeypatch, tmp_path):
    read = []
    monkeypatch.setattr(sweep.records, "load_runs", lambda results: read.append(results) or {})
    config = load(["method=sm", "model.size=32", "data.limit=1", "metric=[]", f"paths.results={tmp_path}"])
    sweep.outlook([config, config, config])
    assert read == [tmp_path]


def test_a_sweep_runs_the_cells_of_its_table_and_the_report_finds_them(tmp_path):
    choice = ["experiment=attexplore_table3", "experiment.models=[tiny]", "data=synthetic", "data.limit=1"]
    choice += ["experiment.methods=['N = 10','N = 20']", "model.size=32", "model.resize=32", "compute.device=cpu"]
    choice += ["compute.batch_size=1", "compute.workers=0", f"paths.results={tmp_path}", "report.bootstrap=100"]
    command = [sys.executable, "-m", "bench.run", *choice]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "2 cells of 1 image: 1,120 forward and 300 backward passes at most. About " in done.stderr  # 410 of scoring
    plan = load(choice)
    assert sweep._cost(plan).startswith("2 cells of 1 image, 2 of the 2 there already: 0 forward and 0 backward")
    assert sweep._cost(load([*choice, "data.limit=3"])).startswith("2 cells of 3 images, 2 of the 6 there already")
    report.main(choice)
    lines = csv.DictReader((tmp_path / "report" / "attexplore_table3.csv").read_text().splitlines())
    measured = [line for line in lines if (line["confidence"], line["quantity"]) == ("all", "gap")]
    assert [(line["row"], line["n"]) for line in measured] == [("N = 10", "1"), ("N = 20", "1")]
    assert len({line["run_id"] for line in measured}) == 2


def test_of_cells_that_differ_in_their_number_one_is_composed_beforehand():
    jobs = [[f"experiment.cell={k}", f"data.limit={n}"] for n in (1, 2) for k in range(5)]
    assert telling(jobs) == [jobs[0], jobs[5]]
    assert load(["experiment=la_table1"]).cfg.hydra.sweeper["_target_"] == f"{Cells.__module__}.Cells"
