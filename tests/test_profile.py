"""bench.profile: what it makes of seconds, with a clock that the test holds. Nothing here is timed."""

import itertools
import sys

import pytest
from jobs import SMALL

from bench.errors import UserError
from bench.profile import __main__ as profile
from bench.profile import alone as processes
from bench.profile.alternating import alternating, ratio
from bench.profile.floor import Counts
from bench.profile.growth import exponent
from bench.report.document import Document

QUICK = [
    *SMALL,
    "model.size=48",
    "model.resize=48",
    "data.limit=2",
    "compute.batch_size=2",
    "metric=[unified,sparseness]",
    "metric.unified.step=1728",
]


class Clock:
    """Seconds that go by only when somebody works."""

    def __init__(self):
        self.seconds, self.done = 0.0, []

    def work(self, name, *takes):
        takes = itertools.cycle(takes)

        def work():
            self.done.append(name)
            self.seconds += next(takes)

        return work

    def __call__(self):
        return self.seconds


def test_works_alternate_and_the_first_time_does_not_count():
    clock = Clock()
    found = alternating({"a": clock.work("a", 100, 1, 2, 3), "b": clock.work("b", 100, 10)}, rounds=3, now=clock)
    assert found == {"a": [1, 2, 3], "b": [10, 100, 10]}
    assert clock.done == ["a", "b", "a", "b", "b", "a", "a", "b"]


def test_a_ratio_is_of_the_least_and_tells_its_spread():
    best, spread = ratio([2.0, 4.0, 3.0], [4.0, 16.0, 3.0])
    assert best == 2 / 3
    assert (spread.median, spread.low, spread.high) == (0.5, 0.25, 1.0)


@pytest.mark.parametrize(
    ("counts", "seconds"),
    [
        (Counts(5, 0), 5 * 1),  # scoring
        (Counts(3, 3), 3 * 10),  # a gradient each
        (Counts(7, 3), 3 * 10 + 4 * 1),
        (Counts(3, 5), 1 * 10 + 2 * 100),  # two passes with two gradients
        (Counts(7, 8), 6 * 10 + 1 * 100),
        (Counts(2, 7), 2 * 10 + 5 * 90),  # more than two
    ],
)
def test_the_floor_of_passes_is_that_of_as_many_gradients_of_their_own_as_can_be(counts, seconds):
    assert counts.seconds(forward=1, once=10, twice=100) == seconds


@pytest.mark.parametrize("e", [0.5, 1.0, 2.0])
def test_the_exponent_of_a_power_is_that_power(e):
    sizes = (3, 6, 24)
    assert exponent(sizes, [7 * n**e for n in sizes]) == pytest.approx(e)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A profile of two methods and two metrics, by a clock that says one second for whatever it is asked about."""
    folder = tmp_path_factory.mktemp("results")
    own = ["method=sm,ig", "rounds=2", "alone=false", "growth=images,steps,pixels", f"paths.results={folder}"]
    document, results = profile.make([*QUICK, *own], read=itertools.count().__next__)
    document.save(results / "report")
    return Document.load(results / "report" / "profile.json")


def test_each_method_and_each_metric_has_its_row(made):
    efficiency = next(table for table in made.tables if table.title == "Efficiency")
    subjects = ["method sm", "method ig", "metric unified", "metric sparseness"]
    assert [row[0].text for row in efficiency.rows] == subjects
    assert list(dict.fromkeys(made.numbers["subject"])) == subjects


def test_efficiency_is_the_floor_over_what_was_measured(made):
    """The floor is found at four images, twice the run's width: they take one second, so two of them half a second."""
    value = made.numbers.set_index(["subject", "quantity"])["value"]
    assert value["method sm", "efficiency"] == 2 * 1 / 4
    assert value["method ig", "efficiency"] == 2 * 50 / 4
    assert value["metric unified", "efficiency"] == 2 * 8 / 4  # 2 (S − 1) forward passes, and both ends: S = 4
    assert ("metric sparseness", "efficiency") not in value.index  # the network is not asked


def test_cost_that_does_not_grow_has_the_exponent_0(made):
    grown = made.numbers[made.numbers["quantity"] == "exponent"]
    axes = grown.groupby("subject", sort=False)["axis"].agg(list).to_dict()
    assert axes == {
        "method sm": ["images", "pixels"],
        "metric unified": ["images", "steps"],
        "metric sparseness": ["images"],
        "method ig": ["images", "steps", "pixels"],
    }
    assert grown["value"].to_numpy() == pytest.approx(0, abs=1e-12)


def test_steps_are_what_the_axis_says(made):
    steps = made.numbers[(made.numbers["axis"] == "steps") & (made.numbers["quantity"] == "seconds")]
    sizes = steps.groupby("subject")["size"].agg(list)
    assert sizes["method ig"] == [12, 25, 50]
    assert sizes["metric unified"] == [2, 4]


@pytest.mark.parametrize(
    ("key", "says"), [("rounds=0", "1 or more"), ("growth=time", "images"), ("alone=2", "true or false")]
)
def test_keys_of_its_own_are_checked(key, says):
    with pytest.raises(UserError, match=f"{key}.*{says}"):
        profile.make([key])


def test_a_process_tells_when_it_is_ready_and_what_it_held(tmp_path, capsys):
    processes.main([*SMALL, "data.limit=3", "compute.batch_size=2", "method=sm", f"paths.results={tmp_path}"])
    ready, *peaks = capsys.readouterr().out.splitlines()
    assert ready == "ready"
    assert len(peaks) == 2 and all(int(line.removeprefix("peak ")) > 2**20 for line in peaks)


def child(tmp_path, monkeypatch, script):
    """A process that says what the script says stands for Python."""
    file = tmp_path / "python"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(file))
    return processes.alone(["method=sm"])


def test_what_the_process_says_is_read(tmp_path, monkeypatch):
    found = child(tmp_path, monkeypatch, "echo warning; echo ready; echo peak 5; echo peak 7")
    assert found.peaks == [5, 7] and found.start > 0


def test_what_the_process_says_is_wrong_is_said(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="^no such thing$"):
        child(tmp_path, monkeypatch, "echo error: no such thing >&2; exit 1")
