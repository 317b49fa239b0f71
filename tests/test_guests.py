"""Methods and metrics of somebody else's on the command line: what would make a number wrong is refused in a sentence."""

import functools
import importlib
import itertools
import sys

import pytest
from jobs import complete, rows_of, small_job

from bench.errors import UserError
from bench.running import guests
from bench.running.forecast import forecast
from bench.store import code

NUMBER = itertools.count()  # a module is imported once
HEAD = "import random\nimport numpy as np\nimport torch\n"
METHODS = {  # what it does; what is said
    "return x - x.mean(0, keepdim=True)": "another map among other images than by itself",
    "return x / x.amax()": "another map among other images than by itself",
    "return x[torch.randperm(len(x))]": "draws from a global random generator",
    "return x + np.random.rand()": "draws from a global random generator",
    "return x + random.random()": "draws from a global random generator",
    "with torch.random.fork_rng(): return torch.randn(x.shape[1:]).expand_as(x)": "global random generator, which it puts",
    "torch.set_autocast_enabled('cpu', True); return x": "leaves torch's autocast on cpu changed",
    "model.forward = lambda x: x.flatten(1)[:, :10]; return x": "changes the network",
    "return np.ma.masked_less(x.numpy(), 0.5)": "returned a MaskedArray: expected maps",
    "return x.double() + 1e9": "most of whose values are one in torch.float32: take off what they share",
    "[p.data.mul_(0.9) for p in model.parameters()]; return x": "changes the network",
    "model.register_forward_hook(lambda *a: None); return x": "changes the network",
    "g = torch.Generator().manual_seed(0); return torch.randn(x.shape, generator=g) * x": "at another place of its batch",
    "return x * torch.arange(1, len(x) + 1).view(-1, 1, 1, 1)": "at another place of its batch",
    "return x ** len(x)": "in a batch of one",
    "model.mean.zero_(); return x": "changes the network",
    "model.train(); return x": "changes the network",
    "torch.set_grad_enabled(False); return x": "leaves torch's grad mode changed",
    "return None": "returned a NoneType: expected maps",
    "return list(x)": "returned a list: expected maps",
    "return x.to(torch.complex64)": "complex64: expected maps",
    "return x[:, :, :-1]": "or [B, H, W]",
    "return x.nothing": ".py, line 5: AttributeError: 'Tensor' object has no attribute 'nothing'",
    "return x @ x[0, 0, :3]": ".py, line 5: RuntimeError: ",
    "exit(3)": ".py, line 5: SystemExit: 3",
}
METRICS = {
    "return {'banana': batch.x.mean((1, 2, 3))}": "gives 'banana': expected one of score, ",
    "return {}": "returned a dict",
    "return batch.x.mean((1, 2, 3))": "returned a tensor",
    "return {'score': batch.x.mean()}": "gives a tensor [], torch.float32 as score",
    "return {'score': batch.x.mean((2, 3))}": "as score: expected a real tensor [B]",
    "return {'score': np.array(['a', 'b'])}": "gives a ndarray as score",
    "return {'score': np.ones((3, 2))[::-1, 0][:1]}": "gives a tensor [1], torch.float64 as score",
    "return {'score': [1.0, 2.0]}": "gives a list as score",
    "batch.x.zero_(); return {'score': batch.x.mean((1, 2, 3))}": "changes images, classes or maps",
    "return {'score': batch.x.mean((1, 2, 3)) - batch.x.mean()}": "another score among other images than by itself",
    "return {'insertion_curve': batch.x.mean((1, 2)) / batch.x.max()}": "another insertion_curve among other images",
    "return {'score': batch.x.mean((1, 2, 3)) + torch.rand(2)}": "let it draw from batch.rng(NAME)",
    "return {'score': torch.rand(len(batch.x), generator=torch.Generator().manual_seed(0))}": "at another place",
    "return {'score': batch.x.mean((1, 2, 3)) * len(batch.x)}": "another score in a batch of one",
    "[p.data.mul_(0.9) for p in batch.model.parameters()]; return {'score': batch.x.mean((1, 2, 3))}": "changes the net",
    "batch.model.register_forward_hook(lambda *a: None); return {'score': batch.x.mean((1, 2, 3))}": "changes the network",
    "batch.attribution = batch.x * 0; return {'score': batch.x.mean((1, 2, 3))}": "changes images, classes or maps",
    "return {'score': batch.nothing}": ".py, line 7: AttributeError: 'MapBatch' object has no attribute 'nothing'",
    "batch.attribution.zero_(); return {'score': batch.x.mean((1, 2, 3))}": "changes images, classes or maps",
}


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A job of three images in batches of two, of a method and a metric with these bodies."""
    monkeypatch.syspath_prepend(tmp_path)

    def of(method="return x", metric=None, folder="results", takes="model, x, target, rng"):
        code.version.cache_clear()
        name = f"guest_{next(NUMBER)}"
        (tmp_path / f"{name}.py").write_text(
            f"{HEAD}def mine({takes}):\n    {method}\ndef metric(batch):\n    {metric or 'pass'}\n"
        )
        own = ["method=random", f"method._target_={name}.mine", "metric=[unified]", "data.limit=3"]
        made = small_job(tmp_path / folder, *own, "compute.batch_size=2")
        if metric:
            made.config.cfg.metric.unified._target_ = f"{name}.metric"
            made.metrics["unified"] = functools.partial(importlib.import_module(name).metric)
        return made

    return of


@pytest.mark.parametrize("body", METHODS)
def test_a_method_that_breaks_a_promise_is_refused_before_a_row_is_written(body, job, monkeypatch):
    monkeypatch.setattr("bench.running.guests.DRAWING", ())
    of = job(body)
    with pytest.raises(UserError) as refused:
        forecast(of, ["unified"])
        complete(of)
    assert METHODS[body] in str(refused.value)
    assert str(refused.value).startswith("mine ") and "\n" not in str(refused.value)
    assert not list(of.results.rglob("*.parquet"))


@pytest.mark.parametrize("body", METRICS)
def test_a_metric_whose_numbers_fit_no_row_is_refused(body, job):
    with pytest.raises(UserError) as refused:
        complete(job(metric=body))
    assert METRICS[body] in str(refused.value)
    assert str(refused.value).startswith("metric unified ")


def test_what_is_given_to_a_method_stays_as_it_is(job):
    complete(job("return x + 1", folder="plain"))
    last = job("y = x + 1; x.zero_(); target.zero_(); return y", folder="zeroed")
    complete(last)
    one, other = (rows_of(last.results.parent / folder) for folder in ("plain", "zeroed"))
    assert list(one["insertion"]) == list(other["insertion"]) and list(one["target"]) == list(other["target"])


@pytest.mark.parametrize(
    "body",
    ["return x.sum(1)", "return x.sum(1, keepdim=True)", "return x.sum(1).numpy()[:, ::-1][:, ::-1].astype('>f4')"],
)
def test_a_map_of_one_channel_holds_for_all_three_and_streams_need_not_be_taken(body, job):
    complete(job("return x.sum(1, keepdim=True).expand_as(x)", folder="three"))
    last = job(body, folder="one", takes="model, x, target")
    complete(last)
    three, one = (rows_of(last.results.parent / folder) for folder in ("three", "one"))
    assert list(three["deletion"]) == list(one["deletion"])


def test_numbers_that_are_none_are_said_to_be_the_metrics(job):
    of = job(metric="return {'score': batch.x.mean((1, 2, 3)) / 0}")
    complete(of)
    assert set(rows_of(of.results)["error"]) == {"what unified says of it is NaN or infinity"}


def test_a_map_that_is_none_fails_its_image(job):
    of = job("return x / 0 - x / 0 + x.sum() / 0")
    complete(of)
    assert set(rows_of(of.results)["error"]) == {"the map holds NaN or infinity"}


def test_what_checks_types_may_draw_from_pythons_generator(job):
    assert {*guests.DRAWING} <= {*sys.modules}
    complete(job("random.random(); return x"))
    with pytest.raises(UserError, match="than by itself"):
        complete(job("return x + random.random()"))


def test_a_metric_that_draws_from_the_streams_of_the_images_is_none_that_mixes_them(job):
    of = job(metric="return {'score': batch.rng('mine').uniform(3).mean(1)}")
    assert complete(of) == 3


def test_draws_from_the_streams_of_the_images_are_no_offence_and_passes_are_counted_once(job):
    of = job("model(x); return rng.normal(*x.shape[1:])")
    complete(of)
    assert list(rows_of(of.results)["forward_passes"]) == [1.0] * 3


def test_a_method_that_takes_too_little_is_refused(job):
    with pytest.raises(UserError, match="mine takes 2 arguments"):
        job("return x", takes="model, x")
