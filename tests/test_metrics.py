"""The perturbation family against a slow rewrite of protocol: one image, one frame, one value at a time."""

import math
from contextlib import nullcontext

import pytest
import torch
from conftest import IDS, SIZE

from metrics.baselines import baseline_image
from metrics.batch import MapBatch
from metrics.orders import reveal_index
from metrics.perturbation import area, perturbation

ORDERS = ["channel_union", "channel", "element", "element_spread", "pixel"]


@pytest.fixture
def maps(x):
    """Signed, different in every channel, with ties."""
    return (torch.sin(37 * x) + x.flip(1)).mul(20).round().div(20)


def trial(model, x, target, maps, **more):
    return MapBatch(
        model, x, target, maps, ids=IDS[: len(x)], seed=0, **{"colour": lambda: torch.tensor([0.2, 0.6, 0.9])} | more
    )


def slow_ranking(values: list[float], spread: bool = False) -> list[int]:
    """Indices, the most important first; of equal values the one with the larger index first, or all over."""
    return sorted(range(len(values)), key=lambda i: (-values[i], i * 2654435769 % 2**32 if spread else -i))


def slow_sets(attribution: torch.Tensor, order: str, step: int) -> list[list[tuple[int, int]]]:
    """What goes at each step, as (channel, pixel)."""
    channels = attribution.flatten(1).tolist()
    n = len(channels[0])
    if order.startswith("element"):
        ranking = slow_ranking([v for channel in channels for v in channel], spread=order == "element_spread")
        chunks = [ranking[i : i + step] for i in range(0, 3 * n, step)]
        return [[divmod(i, n) for i in chunk] for chunk in chunks]
    if order == "pixel":
        means = [(channels[0][i] + channels[1][i] + channels[2][i]) / 3 for i in range(n)]
        ranking = slow_ranking(means)
        return [[(k, i) for i in ranking[s : s + step] for k in range(3)] for s in range(0, n, step)]
    rankings = [slow_ranking(channel) for channel in channels]
    if order == "channel":
        return [[(k, i) for k in range(3) for i in rankings[k][s : s + step]] for s in range(0, n, step)]
    union = [{i for ranking in rankings for i in ranking[s : s + step]} for s in range(0, n, step)]
    return [[(k, i) for i in pixels for k in range(3)] for pixels in union]


def slow_game(model, x, target, attribution, order, step, blank, readout):
    """Insertion and deletion curves of one image, [3, H, W], by overwriting a frame step after step."""
    sets = slow_sets(attribution, order, step)
    curves = []
    for start, end in [(blank, x), (x, blank)]:
        frame = start.clone()
        frames = [frame.clone()]
        for values in sets:
            for k, i in values:
                frame.view(3, -1)[k, i] = end.reshape(3, -1)[k, i]
            frames.append(frame.clone())
        p = model(torch.stack(frames)).softmax(dim=1)
        if readout == "probability":
            curves.append(p[:, target])
        else:
            uniform = torch.full_like(p, 1 / p.shape[1])
            curves.append((uniform * (uniform / p).log()).sum(dim=1))
    return curves


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("baseline", "readout"), [("black", "probability"), ("confusion", "kl"), ("grey", "probability")]
)
def test_curves_equal_the_slow_game(cnn, x, target, maps, order, baseline, readout):
    step = 93 if order.startswith("element") else 31  # does not divide 256
    scores = perturbation(trial(cnn, x, target, maps), order=order, baseline=baseline, readout=readout, step=step)
    colour = {"black": [0, 0, 0], "grey": [0.5] * 3, "confusion": [0.2, 0.6, 0.9]}[baseline]
    blank = torch.tensor(colour, dtype=x.dtype).view(3, 1, 1).expand(3, SIZE, SIZE)
    for i in range(len(x)):
        insertion, deletion = slow_game(cnn, x[i], target[i], maps[i], order, step, blank, readout)
        torch.testing.assert_close(scores["insertion_curve"][i], insertion, rtol=1e-5, atol=1e-6, check_dtype=False)
        torch.testing.assert_close(scores["deletion_curve"][i], deletion, rtol=1e-5, atol=1e-6, check_dtype=False)
        points = len(insertion)
        expected = (insertion.sum() - insertion[0] / 2 - insertion[-1] / 2) / (points - 1)
        torch.testing.assert_close(scores["insertion"][i], expected, check_dtype=False)


class Given:
    """As torch-cam's extractors are asked, for a map that is there already: float [B, H, W]."""

    def __init__(self, model, cam):
        self.model, self.cam = model, cam

    def __call__(self, class_idx, scores):
        return [self.cam]

    def fuse_cams(self, cams):
        return cams[0]

    def _hooks_off(self):
        return nullcontext()


@pytest.mark.parametrize("step", [32, 8])
def test_areas_agree_with_torch_cam(cnn, x, target, step):
    """It ranks positions, as `pixel` does, and integrates with torch.trapezoid."""
    theirs_of = pytest.importorskip("torchcam.metrics").DeletionInsertionMetric
    maps = torch.sin(1000 * x[:, :1]).expand_as(x)  # no ties, which it takes the other way round
    ours = perturbation(trial(cnn, x, target, maps), order="pixel", baseline="black", readout="probability", step=step)
    for i in range(len(x)):
        theirs = theirs_of(Given(cnn, maps[[i], 0]), lambda logits: logits.softmax(dim=1), steps=SIZE * SIZE // step)
        theirs.update(x[[i]], target[i].item())
        areas = theirs.summary()
        assert ours["insertion"][i].item() == pytest.approx(areas["insertion_auc"], rel=1e-5)
        assert ours["deletion"][i].item() == pytest.approx(areas["deletion_auc"], rel=1e-5)


def test_at_224_pixels_there_are_225_points():
    x = torch.rand(1, 3, 224, 224)

    class Mean(torch.nn.Module):
        def forward(self, x):
            return x.mean(dim=(2, 3))

    for order, step in [("element", 672), ("channel_union", 224), ("pixel", 224), ("channel", 224)]:
        curves = perturbation(
            trial(Mean(), x, torch.tensor([0]), x), order=order, baseline="black", readout="probability", step=step
        )
        assert curves["insertion_curve"].shape == curves["deletion_curve"].shape == (1, 225)


def test_area_is_the_trapezoid_on_the_unit_interval():
    torch.testing.assert_close(area(torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]])), torch.tensor([0.75, 0.5]))


@pytest.mark.parametrize("order", ["channel", "element", "pixel"])
def test_deletion_is_insertion_of_the_negative_read_backwards(cnn, x, target, order):
    maps = torch.sin(1000 * x)  # no ties
    step = 32 if order != "element" else 96
    options = {"order": order, "baseline": "black", "readout": "probability", "step": step}
    one = perturbation(trial(cnn, x, target, maps), **options)
    other = perturbation(trial(cnn, x, target, -maps), **options)
    torch.testing.assert_close(one["deletion_curve"], other["insertion_curve"].flip(1))


def test_ends_are_the_clean_image_and_the_baseline(cnn, x, target, maps):
    at = lambda images: cnn(images).softmax(dim=1).gather(1, target[:, None]).squeeze(1)  # noqa: E731
    curves = perturbation(
        trial(cnn, x, target, maps), order="element", baseline="black", readout="probability", step=96
    )
    for curve, first, last in [("insertion_curve", 0 * x, x), ("deletion_curve", x, 0 * x)]:
        torch.testing.assert_close(curves[curve][:, 0], at(first))
        torch.testing.assert_close(curves[curve][:, -1], at(last))


def test_a_grey_map_makes_channel_union_and_pixel_the_same(cnn, x, target):
    maps = torch.sin(1000 * x[:, :1]).expand_as(x)
    options = {"baseline": "black", "readout": "probability", "step": 32}
    one, other = (perturbation(trial(cnn, x, target, maps), order=o, **options) for o in ("channel_union", "pixel"))
    torch.testing.assert_close(one["insertion_curve"], other["insertion_curve"])


@pytest.mark.parametrize("order", ORDERS)
def test_only_the_ranking_counts(cnn, x, target, maps, order):
    options = {"order": order, "baseline": "black", "readout": "probability", "step": 32}
    scaled = maps * 8 if order == "pixel" else (maps * 2).exp()
    one, other = (perturbation(trial(cnn, x, target, m), **options) for m in (maps, scaled))
    torch.testing.assert_close(one["insertion_curve"], other["insertion_curve"])


def test_equal_values_go_from_the_last_to_the_first():
    x = torch.rand(1, 3, 4, 4)
    seen = []

    class Watch(torch.nn.Module):
        def forward(self, frames):
            seen.append(frames.clone())
            return frames.mean(dim=(2, 3))

    perturbation(
        trial(Watch(), x, torch.tensor([0]), torch.zeros_like(x)),
        order="element",
        baseline="black",
        readout="kl",
        step=1,
    )
    first = next(f for f in seen if (f == 0).sum() == 47)
    assert first[0, 2, 3, 3] == x[0, 2, 3, 3]


def test_kl_of_a_known_prediction():
    class Fixed(torch.nn.Module):
        def forward(self, x):
            return torch.tensor([[0.7, 0.2, 0.1]]).log().expand(len(x), 3)

    x = torch.rand(2, 3, 4, 4)
    made = perturbation(
        trial(Fixed(), x, torch.tensor([0, 1]), x), order="pixel", baseline="black", readout="kl", step=4
    )
    expected = -math.log(3) - (math.log(0.7) + math.log(0.2) + math.log(0.1)) / 3
    torch.testing.assert_close(made["insertion"], torch.full((2,), expected))


def test_metrics_that_share_a_game_play_it_once(cnn, x, target, maps):
    def passes(*games):
        before = cnn.forward_passes
        shared = trial(cnn, x, target, maps)
        for order, baseline, readout in games:
            perturbation(shared, order=order, baseline=baseline, readout=readout, step=32 if order != "element" else 96)
        return (cnn.forward_passes - before) / len(x)

    assert passes(("element", "black", "probability")) == 2 * 7 + 2
    assert passes(("element", "black", "probability"), ("element", "black", "kl")) == 2 * 7 + 2
    assert passes(("element", "black", "probability"), ("pixel", "black", "kl")) == 4 * 7 + 2
    assert passes(("element", "black", "probability"), ("element", "grey", "kl")) == 4 * 7 + 3


def test_games_that_come_out_the_same_are_played_once(cnn, x, target, maps):
    """Of a map without ties, of one with three equal channels, and where the confusion colour is grey: and only there."""
    grey, tied = {"colour": lambda: torch.full((3,), 0.5)}, maps
    x = x.contiguous(memory_format=torch.channels_last)  # as images of a run lie
    flat, untied = (
        tied[:, :1].expand_as(tied).contiguous(),
        torch.rand(x.shape, generator=torch.Generator().manual_seed(0)),
    )
    half = torch.cat([untied[:1], tied[1:]])
    all_over = [("element", "black"), ("element_spread", "black")]
    channels = [("channel_union", "black"), ("channel", "black")]
    baselines = [("element", "grey"), ("element", "confusion")]
    for maps, games, colour, once in (
        (untied, all_over, {}, True),
        (tied, all_over, {}, False),
        (half, all_over, {}, False),  # one image is not all
        (flat, channels, {}, True),
        (tied, channels, {}, False),
        (tied, baselines, grey, True),
        (tied, baselines, {}, False),
        (tied, [("element", "black"), ("element", "linear")], grey, False),
    ):
        before, together = cnn.forward_passes, trial(cnn, x, target, maps, **colour)
        for order, baseline in games:
            settings = {"order": order, "baseline": baseline, "readout": "probability"}
            settings["step"] = 96 if order.startswith("element") else 32
            made, alone = (perturbation(one, **settings) for one in (together, trial(cnn, x, target, maps, **colour)))
            assert all(torch.equal(made[name], alone[name]) for name in made)
        ends = 1 + len({baseline for _, baseline in games}) - (once and baselines == games)
        of_alone = (2 * 7 + 2) * len(games)
        played = (cnn.forward_passes - before) / len(x) - of_alone
        assert played == 2 * 7 * (1 if once else len(games)) + ends


def test_an_unknown_name_is_refused(x, maps):
    with pytest.raises(ValueError, match="elements.*expected channel_union, "):
        reveal_index(maps, "elements", 96)
    with pytest.raises(ValueError, match="white.*expected black, "):
        baseline_image("white", x, lambda: torch.zeros(3))
