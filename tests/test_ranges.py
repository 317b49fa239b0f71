"""A setting is what it is meant to be, or is refused."""

from typing import Annotated, Literal, TypedDict

import pytest
import torch
from jobs import SMALL, small_job

from bench.config import load
from bench.errors import UserError
from bench.ranges import Between, Classes, Colour, Count, Form, checked
from bench.running.forecast import forecast
from methods.parts.paths import follow


class Keys(TypedDict):
    switch: bool
    count: Count
    share: Annotated[float, Between(0, 1)]
    above: Annotated[float, Between(0, 1, above=True)]
    word: Literal["a", "b"]
    sign: Literal[1, -1]
    size: Literal["auto"] | Count
    layer: str | None
    colour: Colour | None
    classes: Classes
    part: Annotated[str, Form(r"\d+/\d+", "i/n")]
    labels: dict[str, int | None]


@pytest.mark.parametrize(
    ("key", "value", "meant"),
    [
        *[("switch", word, True) for word in (True, "true", "on", "yes", "Yes")],
        *[("switch", word, False) for word in (False, "false", "off", "no", "OFF")],
        ("count", 5.0, 5),
        ("share", 1, 1.0),
        ("sign", -1.0, -1),
        ("size", "auto", "auto"),
        ("layer", 0, "0"),
        ("layer", None, None),
        ("colour", [0, 1, 0.5], [0.0, 1.0, 0.5]),
        ("part", "0/4", "0/4"),
        ("labels", {"cat": 3.0, "dog": None}, {"cat": 3, "dog": None}),
        ("count", "???", "???"),
        ("unknown", object, object),
    ],
)
def test_values_are_taken_as_they_are_meant(key, value, meant):
    found = checked(Keys, {key: value}, "method")[key]
    assert found == meant and type(found) is type(meant)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("switch", 1, "method.switch=1: expected true or false."),
        ("switch", "maybe", "method.switch=maybe: expected true or false."),
        ("count", 0, "method.count=0: expected a whole number from 1 to 10,000."),
        ("count", True, "method.count=true: expected a whole number from 1 to 10,000."),
        ("count", 2.5, "method.count=2.5: expected a whole number from 1 to 10,000."),
        ("count", 10**400, "expected a whole number"),
        ("share", float("nan"), "method.share=nan: expected a number from 0 to 1."),
        ("share", float("inf"), "method.share=inf: expected a number from 0 to 1."),
        ("above", 0, "method.above=0: expected a number above 0 and at most 1."),
        ("word", "c\nd", "method.word=c d: expected a or b."),
        ("sign", True, "method.sign=true: expected 1 or -1."),
        ("size", None, "method.size=null: expected auto or a whole number from 1 to 10,000."),
        ("layer", [1], "method.layer=[1]: expected text or null."),
        ("layer", "", "method.layer=: expected text or null."),
        ("colour", [0.1], "method.colour=[0.1]: expected a list of 3, each a number from 0 to 1, or null."),
        ("classes", [], "method.classes=[]: expected a list of at least 1, each a whole number of at least 0."),
        ("part", "1/2/3", "method.part=1/2/3: expected i/n."),
        ("labels", {"cat": "x"}, "method.labels.cat=x: expected a whole number or null."),
    ],
)
def test_others_are_refused_in_a_line_that_says_what_there_is(key, value, sentence):
    with pytest.raises(UserError) as refused:
        checked(Keys, {key: value}, "method")
    assert sentence in str(refused.value) and "\n" not in str(refused.value)


def test_the_same_setting_said_otherwise_is_the_same_run(tmp_path):
    ids = {
        small_job(tmp_path, "method=sm", f"method.absolute={word}").run_id("unified") for word in ("off", "no", "false")
    }
    assert len(ids) == 1
    assert small_job(tmp_path, "method=sm").run_id("unified") not in ids
    ids = {small_job(tmp_path, "method=sg", f"method.sigma={number}").run_id("unified") for number in ("1", "1.0")}
    assert len(ids) == 1


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("method=[sm,ig]", r"method=\[sm,ig\]: expected one"),
        ("method=null", "method=null: expected one"),
        ("metric=null", "metric=null: expected names"),
        ("run=null", "run=null: expected keys"),
        ("model.interpolation=area", "model.interpolation=area: expected nearest, "),
        ("+method.foo=1", "method.foo: .* takes no such key"),
        ("method._target_=nowhere.blank", "method._target_=nowhere.blank: cannot be imported"),
        ("method._target_=methods.parts", "method._target_=methods.parts: expected a function"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused_when_it_is_composed(override, sentence):
    with pytest.raises(UserError, match=sentence):
        load([*SMALL, override])


def test_ones_own_method_takes_anything_unless_it_says_what(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_kinds.py").write_text(
        "from bench.ranges import Count\n\n"
        "def free(model, x, target, rng, *, level):\n    return x\n\n"
        "def bound(model, x, target, rng, *, level: Count):\n    return x\n"
    )
    own = [*SMALL, "method=random", "+method.level=many"]
    assert load([*own, "method._target_=my_kinds.free"]).cfg.method.level == "many"
    with pytest.raises(UserError, match="method.level=many: expected a whole number"):
        load([*own, "method._target_=my_kinds.bound"])


@pytest.mark.parametrize(("order", "values"), [("element", 3072), ("pixel", 1024)])
def test_a_step_that_takes_the_whole_image_is_refused_before_the_run(order, values, tmp_path):
    choice = ["method=random", "metric=[unified]", f"metric.unified.order={order}"]
    forecast(small_job(tmp_path, *choice, f"metric.unified.step={values - 1}"), ["unified"])
    with pytest.raises(UserError, match=f"metric.unified.step: {values} .* fewer than {values}"):
        forecast(small_job(tmp_path, *choice, f"metric.unified.step={values}"), ["unified"])


def test_settings_that_fit_alone_but_not_together_are_refused(tmp_path):
    with pytest.raises(UserError, match="method.blur_std=0"):
        forecast(small_job(tmp_path, "method=attexplore_noattack", "method.blur=7"), [])
    with pytest.raises(UserError, match="method.classes: there is no class 6, the network has 6"):
        forecast(small_job(tmp_path, "method=agi", "method.classes=[0,6]"), [])


def test_a_method_without_an_end_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.running.forecast.MOST_PASSES", 100)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_loop.py").write_text("def loop(model, x, target, rng):\n    while True:\n        model(x)\n")
    with pytest.raises(UserError, match="more than 100 forward passes"):
        forecast(small_job(tmp_path, "method=random", "method._target_=my_loop.loop"), [])


def test_a_path_of_no_steps_ends(x):
    def step(now):
        return now.point, now.point, torch.zeros(len(now.point), dtype=torch.bool)

    assert follow(x, step, runs=1, steps=0, width=2).steps.tolist() == [1] * len(x)
