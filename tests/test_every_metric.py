"""What every metric promises. A new file in conf/metric is tested here without a line of test code."""

import inspect

import pytest
import torch
from conftest import IDS
from hydra.utils import instantiate
from mps import THERE, Mps
from waits import Waits

from bench.choices import CONF
from bench.config import load
from bench.errors import UserError
from bench.store.rows import SCHEMA
from metrics import quantities
from metrics.batch import MapBatch

METRICS = sorted(path.stem for path in (CONF / "metric").glob("*.yaml"))


@pytest.fixture(params=METRICS)
def metric(request):
    cfg = load([f"metric=[{request.param}]"]).cfg.metric
    assert list(cfg) == [request.param], "a file of conf/metric holds the one metric that it is named after"
    return instantiate(cfg[request.param], _convert_="all")


def target_of(metric):
    return f"{metric.func.__module__}.{metric.func.__qualname__}"


def judge(metric, cnn, x, target, index, seed=0):
    maps = torch.sin(37 * x)
    mask = x[:, 0] > 0.5
    batch = MapBatch(
        cnn,
        x[index],
        target[index],
        maps[index],
        ids=[IDS[i] for i in index],
        seed=seed,
        colour=lambda: torch.tensor([0.1, 0.5, 0.7], device=x.device),
        mask=mask[index],
        explain=lambda images: torch.sin(37 * images),
    )
    return metric(batch)


def test_yaml_sets_every_hyperparameter_and_no_other(metric):
    parameters = inspect.signature(metric.func).parameters.values()
    assert set(metric.keywords) == {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert all(p.default is p.empty for p in parameters), "numbers live in the yaml"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("A = 1", "does not say what its numbers are"),
        ("QUANTITIES = {'score': dict(title='S', better='high')}", "must be written out"),
        ("QUANTITIES = {'score': {'title': 'S', 'better': 'more'}}", "expected high, low or none"),
        ("QUANTITIES = 'score'", 'expected {"score": {"title"'),
        ("QUANTITIES = {'score': 'high'}", 'expected {"score": {"title"'),
        ("QUANTITIES = {'score': {'title': 'S'}}", "expected title and better, of title, better, unit"),
        ("QUANTITIES = {'score': {'title': 'S', 'better': 'low', 'colour': 1}}", "expected title and better"),
        ("QUANTITIES = {'banana': {'title': 'S', 'better': 'low'}}", "QUANTITIES['banana'] is no number of a row"),
        ("QUANTITIES = {1: {'title': 'S', 'better': 'low'}}", "QUANTITIES[1] is no number of a row"),
        ("QUANTITIES: dict = {}", "expected {"),
        ("QUANTITIES =", "line 1: invalid syntax"),
    ],
)
def test_a_metric_that_does_not_say_what_its_numbers_are_is_refused(tmp_path, monkeypatch, text, complaint):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_mute.py").write_text(text)
    quantities.said.cache_clear()
    with pytest.raises(UserError) as refused:
        quantities.said("my_mute.mute")
    assert complaint in str(refused.value) and "\n" not in str(refused.value)


def test_what_a_metric_says_of_draws_is_so(metric, cnn, x, target):
    first, second = (judge(metric, cnn, x, target, [0, 1], seed=seed) for seed in (0, 1))
    same = all(torch.equal(first[name], second[name]) for name in first)
    assert quantities.said(target_of(metric)).draws is not same


def test_scores_are_per_image_and_depend_on_that_image_alone(metric, cnn, x, target):
    together = judge(metric, cnn, x, target, [0, 1, 2, 3])
    said = quantities.said(target_of(metric)).quantities
    own = {name for name, quantity in said.items() if not quantity.minus}
    assert own == {name for name in together if not name.endswith("_curve")} <= set(SCHEMA.names)
    assert all(set(quantity.minus) <= own for quantity in said.values() if quantity.minus)
    for name, values in together.items():
        assert values.shape[0] == len(x)
        assert values.ndim == (2 if name.endswith("_curve") else 1)
        assert values.isfinite().all()
    pairs = [judge(metric, cnn, x, target, index) for index in ([3, 1], [0, 2])]
    for name, values in together.items():
        made = torch.cat([pair[name] for pair in pairs])
        torch.testing.assert_close(made, values[[3, 1, 0, 2]], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("places", [[2, 0, 1, 1], [3, 3, 3, 3]])
def test_a_pass_that_few_images_fill_gives_them_the_same_scores(metric, cnn, x, target, places):
    """Who repeats the last image at the end only fills the pass up; frames of the others stand there."""
    cnn, x = cnn.float(), x.float()
    whole = judge(metric, cnn, x, target, [0, 1, 2, 3])
    every = cnn.forward_passes
    for name, values in judge(metric, cnn, x, target, places).items():
        assert torch.equal(values, whole[name][places]), name
    few = cnn.forward_passes - every
    assert few < 0.9 * every or every <= 12 or "max_sensitivity" in target_of(metric)  # which asks the method


def test_images_maps_and_network_are_left_as_they_were(metric, cnn, x, target):
    images, state = x.clone(), {name: value.clone() for name, value in cnn.state_dict().items()}
    judge(metric, cnn, x, target, [0, 1, 2, 3])
    assert torch.equal(x, images)
    assert all(torch.equal(value, state[name]) for name, value in cnn.state_dict().items())


def test_a_game_does_not_wait_for_the_device(metric, cnn, x, target):
    with Waits() as waits:
        judge(metric, cnn, x, target, [0, 1, 2, 3])
    assert not waits.count, waits.seen


def test_on_apples_gpu_its_numbers_are_those_of_a_cpu(metric, cnn, x, target):
    if x.device.type != "cpu":
        pytest.skip("a CPU poses as one")
    cnn, x = cnn.float(), x.float()
    expected = judge(metric, cnn, x, target, [0, 1])
    with Mps():
        made = judge(metric, cnn.to(THERE), x.to(THERE), target.to(THERE), [0, 1])
        for name, values in made.items():
            torch.testing.assert_close(values.cpu().double(), expected[name].double(), rtol=1e-4, atol=1e-5)
