"""bench.benchmark: who computes the same is timed, who does not is named. Nothing here is timed."""

import itertools
from types import SimpleNamespace

import pytest
import torch

from bench.benchmark import __main__ as benchmark
from bench.benchmark import tables
from bench.benchmark.contest import ABSENT, DIFFERS, FAILS, SAME, Contest, Library, Peer, difference, judge
from bench.benchmark.contests import CONTESTS
from bench.benchmark.tables import OURS, Result
from bench.errors import UserError
from bench.report.document import Document

pytestmark = pytest.mark.filterwarnings("ignore")  # of other libraries
TINY = ["model=tiny", "data=synthetic", "data.limit=2", "compute.batch_size=2", "compute.device=cpu"]
TINY += ["model.size=32", "model.resize=36", "rounds=1", "engine=none"]
POOLLESS = ["model=efficientnet_lite0", "model.weights=random"]
HERE = Library("somebody", "", "", "")
NOBODY = Library("nobody", "nobody", "no_such_library", '"nobody>=2"')
OTHERWISE = {  # who computes something else on the tiny network
    "scorecam": "pytorch-grad-cam",  # enlarges masks in another way
    "deeplift": "captum",  # its rule for softmax mixes the images of a batch
    "deeplift_released": "captum",  # knows ReLU where it is a module
}
MADE = torch.tensor([[1.0, 2.0], [3.0, 4.0]])


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """All contests on the tiny network, by a clock that says one second for whatever it is asked about; Guided IG's on one
    without max pools, whose ties rounding breaks, on a black image as it happens."""

    def compete(*network):
        of_all = [*TINY, *network, f"paths.results={tmp_path_factory.mktemp('results')}"]
        return benchmark.compete(of_all, read=itertools.count().__next__)

    found, *more = compete()
    without_pools = compete(*POOLLESS, "only=guided_ig")[0]
    return [*(result for result in found if result.contest.name != "guided_ig"), *without_pools], *more


@pytest.mark.parametrize("name", [contest.name for contest in CONTESTS])
def test_who_computes_the_same_is_timed(results, name):
    result = next(result for result in results[0] if result.contest.name == name)
    for peer in result.contest.peers:
        if peer.library.module:
            pytest.importorskip(peer.library.module)
    others = {OTHERWISE.get(name)}
    expected = {p.library.name: DIFFERS if p.library.name in others else SAME for p in result.contest.peers}
    assert {by: verdict.word for by, verdict in result.verdicts.items()} == expected, result.verdicts
    timed = {OURS, *result.verdicts} - others
    assert set(result.seconds) == (timed if len(timed) > 1 else set())


class Clock:
    """Seconds that go by only when somebody works."""

    seconds = 0.0

    def __call__(self):
        return self.seconds

    def work(self, takes, made):
        def compute(material):
            self.seconds += takes
            return made

        return compute


def material():
    job = SimpleNamespace(compute=SimpleNamespace(synchronise=lambda: None))
    return SimpleNamespace(job=job, width=2)


def contest(*peers, ours=lambda material: MADE, **settings):
    return Contest("c", "A contest", lambda size: [], ours, peers, tolerance=0.01, **settings)


def test_who_computes_something_else_is_refused_and_not_timed():
    clock = Clock()
    same, other = Peer(HERE, clock.work(6, MADE)), Library("another", "", "", "")
    peers = same, Peer(other, clock.work(1, MADE.flip(0)), why="it turns them round")
    result = benchmark.held(contest(*peers, ours=clock.work(2, MADE)), material(), {}, rounds=3, read=clock)
    assert result.verdicts["another"].word == DIFFERS
    assert result.verdicts["another"].why == "it turns them round"
    assert result.seconds == {OURS: [2, 2, 2], "somebody": [6, 6, 6]}


def test_an_engine_of_ours_is_asked_too():
    """Material as its job's engine would make of it: MADE, and something else."""
    ours = lambda of: of.made  # noqa: E731
    right, wrong = (SimpleNamespace(**vars(material()), made=made) for made in (MADE, MADE.flip(0)))
    found = benchmark.held(contest(ours=ours), right, {"quick": right, "wrong": wrong}, rounds=1, read=Clock())
    assert {name: verdict.word for name, verdict in found.verdicts.items()} == {"quick": SAME, "wrong": DIFFERS}
    assert set(found.seconds) == {OURS, "quick"}


def test_where_nobody_computes_the_same_nothing_is_timed():
    clock = Clock()
    peer = Peer(HERE, clock.work(1, 2 * MADE))
    result = benchmark.held(contest(peer, ours=clock.work(2, MADE)), material(), {}, rounds=3, read=clock)
    assert result.seconds == {}
    assert clock.seconds == 3


@pytest.mark.parametrize(
    ("theirs", "word"),
    [(MADE * 1.009, SAME), (MADE * 1.011, DIFFERS), (MADE * torch.nan, DIFFERS), (MADE[:, :1], DIFFERS)],
)
def test_the_tolerance_is_a_share_of_a_maps_length(theirs, word):
    assert (
        judge(contest(Peer(HERE, lambda material: theirs)), Peer(HERE, lambda material: theirs), MADE, None).word
        == word
    )


def test_the_worst_image_counts_and_numbers_are_taken_as_they_are():
    apart = MADE + torch.tensor([[0.0, 0.0], [0.3, 0.4]])
    assert difference(MADE, apart, absolute=True) == pytest.approx(0.4)
    assert difference(MADE, apart, absolute=False) == pytest.approx(0.1)


def test_draws_are_ours_in_the_check_alone():
    peer = Peer(HERE, lambda material: MADE.flip(0), checked=lambda material: MADE)
    assert judge(contest(peer), peer, MADE, None).word == SAME


def test_a_library_that_is_not_here_is_named_with_its_line_and_not_asked():
    peer = Peer(NOBODY, lambda material: pytest.fail("asked"))
    verdict = judge(contest(peer), peer, MADE, None)
    assert (verdict.word, verdict.why) == (ABSENT, 'pip install "nobody>=2"')


def test_a_library_that_fails_is_named_with_what_it_said():
    def broken(material):
        raise AttributeError("numpy has no trapz\nand more")

    verdict = judge(contest(Peer(HERE, broken)), Peer(HERE, broken), MADE, None)
    assert (verdict.word, verdict.why) == (FAILS, "AttributeError: numpy has no trapz")


def test_the_document_tells_ratios_differences_and_who_is_not_here(tmp_path):
    clock, other = Clock(), Library("another", "", "", "")
    peers = Peer(HERE, clock.work(6, MADE), help="called twice"), Peer(other, clock.work(1, -MADE)), Peer(NOBODY, None)
    made = contest(*peers, ours=clock.work(2, MADE))
    results = [benchmark.held(made, material(), {}, rounds=2, read=clock)]
    document, chart = tables.document(results, ["a fact"])
    document.save(tmp_path)
    found = Document.load(tmp_path / "benchmark.json").numbers.set_index("by")
    assert found.loc["somebody", ["ratio", "ratio_low", "seconds_median"]].tolist() == [3, 3, 3]
    assert found["computes"].to_dict() == {OURS: SAME, "somebody": SAME, "another": DIFFERS, "nobody": ABSENT}
    assert [(point.name, point.x) for point in chart.points] == [("c · somebody", 3), (OURS, 1)]
    text = (tmp_path / "benchmark.md").read_text()
    assert "3.00 (3.00; 3.00 to 3.00)" in text and 'pip install "nobody>=2"' in text
    assert "A contest: somebody was called twice." in text


def test_the_command_writes_document_and_picture(tmp_path, capsys, monkeypatch):
    result = Result(contest(Peer(HERE, None)), {}, {OURS: [1.0], "somebody": [2.0]}, images=2)
    monkeypatch.setattr(benchmark, "compete", lambda arguments: ([result], tmp_path, []))
    benchmark.main([])
    endings = {file.suffix for file in (tmp_path / "report").glob("benchmark.*")}
    assert endings == {".md", ".csv", ".tex", ".json", ".png", ".pdf"}


@pytest.mark.parametrize(
    ("key", "says"),
    [("rounds=0", "1 or more"), ("only=lime", "unified"), ("method=ig", "only="), ("+metric.unified.step=3", "only=")],
)
def test_keys_of_its_own_are_checked(key, says):
    with pytest.raises(UserError, match=says):
        benchmark.compete([key])
