"""A cell's settings as they are read are those that Hydra composes."""

import pytest
from omegaconf import OmegaConf

from bench.choices import CONF
from bench.config import load
from bench.errors import UserError
from bench.experiments import cells, plan
from bench.settings import GROUPS

EXPERIMENTS = sorted(file.stem for file in (CONF / "experiment").glob("*.yaml"))
METHODS = sorted(file.stem for file in (CONF / "method").glob("*.yaml"))
PAIRS = sorted(file.stem for file in (CONF / "pair").glob("*.yaml"))


def assert_composed(overrides, some=slice(None)):
    """Of all cells, or of some."""
    base = load(overrides, builders=False)
    read = cells.Cells(base)
    for cell in plan.cells(base.cfg.experiment)[some]:
        mine, theirs = read.of(cell), load([*overrides, *cell.overrides])
        assert mine.names == theirs.names
        for group in cells.CHOSEN + cells.KEPT:
            assert OmegaConf.to_container(mine.cfg[group], resolve=True) == OmegaConf.to_container(
                theirs.cfg[group], resolve=True
            ), (cell, group)
        assert as_run(read.whole(cell)) == as_run(theirs), cell
    return read


def as_run(config):
    """All that a run is told, to the type of every number."""
    return config.names, OmegaConf.to_yaml(OmegaConf.masked_copy(config.cfg, [*GROUPS, "metric"]), sort_keys=True)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_last_cell_of_every_experiment(experiment):
    assert assert_composed([f"experiment={experiment}"], slice(-1, None)).exact


def test_every_method_with_settings_of_the_command_line():
    methods = f"experiment.methods=[{','.join(METHODS)}]"
    model = ["experiment.models=[tiny]", "model.size=64", "data.limit=3", "run.seed=4", "metric.unified.step=6720"]
    assert assert_composed(["experiment=la_table1", methods, *model]).exact


@pytest.mark.parametrize("pair", PAIRS)
def test_every_pair(pair):
    models = sorted((file.stem for file in (CONF / "model").glob("*.yaml")), key=len, reverse=True)
    model = next(model for model in models if pair.startswith(f"{model}_"))
    names = [f"experiment.models=[{model}]", f"experiment.methods=[{pair.removeprefix(f'{model}_')}]"]
    assert assert_composed(["experiment=la_table1", *names], slice(1)).exact


def test_what_an_override_takes_away_is_composed_and_what_fits_nothing_is_an_error():
    choice = ["experiment=la_table1", "experiment.models=[tiny]", "experiment.methods=[sm]"]
    assert not assert_composed([*choice, "data=synthetic", "~data.seed"]).exact
    rows = ["experiment.methods=null", "experiment.rows=[{method: sm, set: {method.nobody: 1}}]"]
    base = load([*choice, *rows], builders=False)
    with pytest.raises(UserError, match="nobody"):
        cells.Cells(base).of(plan.cells(base.cfg.experiment)[0])


def test_a_network_that_is_chosen_by_name_carries_it():
    choice = ["experiment=la_table1", "experiment.methods=[sm]", "experiment.models=[timm]", "model=timm"]
    read = assert_composed([*choice, "model.name=resnet18"])
    assert read.of(plan.cells(read.config.cfg.experiment)[0]).names["model"] == "timm-resnet18"


@pytest.mark.parametrize("words", ["[]", "[abs,pool]"])
def test_post_processing_is_there_where_it_says_something(words):
    choice = ["experiment=la_table1", "experiment.methods=[sm]", "experiment.models=[tiny]"]
    assert assert_composed([*choice, "method=sm", f"method.post={words}"]).exact


def test_a_word_for_a_switch_means_the_switch():
    choice = ["experiment=la_table1", "experiment.methods=[la]", "experiment.models=[tiny]"]
    base = load([*choice, "method=la", "method.clip=off"], builders=False)
    found = cells.Cells(base).of(plan.cells(base.cfg.experiment)[0])
    assert found.cfg.method.clip is False


@pytest.mark.parametrize("experiment", ["la_table1", "trust"])  # trust: its rows are post-processed, too
def test_no_cell_is_composed(monkeypatch, experiment):
    base = load([f"experiment={experiment}"], builders=False)
    read = cells.Cells(base)
    monkeypatch.setattr(cells, "load", lambda _: pytest.fail("composed"))
    for cell in plan.cells(base.cfg.experiment):
        read.of(cell)
        read.whole(cell)
