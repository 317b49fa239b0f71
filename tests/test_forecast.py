"""The forecast counts what the run will count."""

import pytest
from jobs import SMALL, complete, rows_of, small_job
from omegaconf import OmegaConf

from bench.config import load
from bench.running import forecast as forecasts
from bench.running.forecast import Forecast, Pace, costs, forecast, timed, total
from bench.text import duration


@pytest.mark.parametrize("method", ["ig", "sm", "gradcam", "random", "la", "attexplore_naa"])
def test_passes_are_those_that_the_rows_will_show(method, tmp_path):
    job = small_job(tmp_path, f"method={method}", "metric=[unified,kl,pixel]", "data.limit=2", "compute.batch_size=2")
    said = forecast(job, list(job.metrics))
    complete(job)
    rows = rows_of(tmp_path)
    assert set(rows["forward_passes"]) == {said.forward}
    assert set(rows["backward_passes"]) == {said.backward}
    points = len(rows["insertion_curve"][0]) - 2
    assert said.scoring == 2 * 2 * points + 2


def test_games_that_are_the_same_on_some_maps_alone_are_forecast_as_several(tmp_path):
    metrics = "metric=[unified,ties,insertion_deletion,channel,pixel,grey,fair]"
    for more, games in (([], 7), (["model.confusion=[0.5,0.5,0.5]"], 6)):  # where fair is grey: known before it starts
        job = small_job(tmp_path, "method=random", metrics, *more)
        frames = forecast(job, ["unified"]).scoring - 2  # without both ends
        ends = 1 + len({"black", "grey", "confusion"}) - (games == 6)
        assert forecast(job, list(job.metrics)).scoring == games * frames + ends


def test_methods_that_stop_early_are_forecast_at_their_most(tmp_path):
    assert forecast(small_job(tmp_path, "method=mfaba"), []).backward == 50


@pytest.mark.parametrize(
    ("method", "waiting"), [("ig", 0.0), ("sm", 1.0), ("guided_ig", 1.0), ("agi", 0.0), ("big", 0.5)]
)
def test_few_images_are_forecast_at_the_places_that_they_fill(tmp_path, method, waiting):
    job = small_job(tmp_path, f"method={method}", "metric=[unified]", "compute.batch_size=4", "data.limit=1")
    said = forecast(job, ["unified"], job.ids)
    assert said.waiting == pytest.approx(waiting, abs=0.1)
    whole, few = said.seconds(4, 4), said.seconds(1, 4)
    of_method = said.seconds_a_batch - said.of_scoring
    assert few == pytest.approx(whole / 4 + said.waiting * of_method * 3 / 4)
    assert said.scoring <= said.filled <= said.passes
    assert forecast(job, ["unified"], [*"abcd"]).waiting == 1  # a whole batch


def test_durations_read_well():
    assert [duration(s) for s in (7.4, 180, 36000)] == ["7 s", "3 min", "10.0 h"]


def total_of(left, monkeypatch):
    """The sentence of two cells of sm on a network of one second a forward and two a backward pass of an image."""
    config = load([*SMALL, "model.weights=/nowhere.pth", "method=sm", "metric=[kl]", "metric.kl.step=1536"])
    monkeypatch.setattr(forecasts, "timed", lambda *_: Pace(32, 8, 1.0, 2.0, 1.0))
    configs = [config, config]
    return total(configs, costs(configs, lambda *_: None, left))


def test_a_sweeps_hours_count_what_is_left_in_whole_batches(monkeypatch):
    said = total_of([2, 0], monkeypatch)
    assert said.startswith("10 forward and 2 backward passes at most.")  # 1, and 4 of scoring
    assert (
        "About 32 s here" in said
    )  # 8 places, each 1 forward and 1 backward of the method; 2 images, each 4 of scoring


def test_a_sweeps_hours_count_no_empty_place_of_a_method_that_fills_its_passes(monkeypatch):
    config = load([*SMALL, "model.weights=/nowhere.pth", "method=ig", "method.steps=10", "metric=[]"])
    config.cfg.run.save_attributions = True
    monkeypatch.setattr(forecasts, "timed", lambda *_: Pace(32, 8, 1.0, 2.0, 1.0))
    (few,), (whole,) = (costs([config], lambda *_: None, [images]) for images in (2, 8))
    assert few.seconds == pytest.approx(whole.seconds / 4)


def test_a_network_is_timed_without_its_weights(monkeypatch):
    monkeypatch.setattr("bench.networks.weights.read_weights", lambda file: pytest.fail("weights were read"))
    config = load([*SMALL, "model.weights=/nowhere.pth"]).cfg
    pace = timed(*(OmegaConf.to_yaml(node, resolve=True) for node in (config.model, config.compute)))
    assert (pace.size, pace.batch_size) == (32, 8)
    assert pace.forward > 0 and pace.backward > 0


def test_where_a_network_cannot_be_timed_the_passes_are_said_all_the_same():
    config = load([*SMALL, "method=sm", "metric=[kl]", "compute.device=cuda:99"])
    said = total([config], costs([config], lambda *_: None, [1]))
    assert "1 backward pass at most. Hours are not known: tiny: compute.device=cuda:99" in said


@pytest.mark.parametrize(
    ("forward", "scoring", "said"),
    [
        (0, 0, "2 images, each no pass of the network, 8 images a pass"),
        (0, 9, "2 images, each no pass of the method and 9 of scoring, 8 images a pass"),
        (3, 0, "2 images, each 3 forward and 1 backward pass of the method (at most), 8 images a pass"),
    ],
)
def test_what_is_nothing_is_not_counted(forward, scoring, said):
    cost = Forecast(forward, min(forward, 1), scoring, 0, 0, False, 1.0, 0.5)
    assert cost.line(2, 8).startswith(said)
