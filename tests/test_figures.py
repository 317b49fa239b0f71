"""Pictures of heatmaps: what is painted, and where."""

import numpy as np
import pytest
from PIL import Image

from bench.figures import heatmaps as figures

PHOTO = np.linspace(0, 1, 3 * 8 * 8).reshape(3, 8, 8)


def block(title="a cat"):
    ramp = np.linspace(0, 1, 11)
    return figures.Block(title, PHOTO, {"sm": PHOTO, "ig": -PHOTO}, {"sm": (ramp, 1 - ramp), "ig": (ramp, ramp)})


def test_heat_is_clipped_at_the_80th_and_99th_percentile_of_the_mean_over_channels():
    scores = np.arange(101.0).reshape(1, 1, 101)
    found = figures.heat(np.concatenate([scores - 7, scores, scores + 7]))[0]
    assert (found[:81] == 0).all()
    assert found[90] == pytest.approx(10 / 19)
    assert found[99:] == pytest.approx(1.0)


def test_a_flat_map_is_dark_and_not_nan():
    assert (figures.heat(np.full((3, 4, 4), -2.0)) == 0).all()


def test_overlay_is_the_dimmed_photograph_where_the_map_is_low_and_colour_where_it_is_high():
    attribution = np.zeros((3, 10, 10))
    attribution[:, 0, :2] = 1.0  # 2 of 100 pixels
    painted = figures.overlay(np.full((3, 10, 10), 0.5), attribution)
    np.testing.assert_allclose(painted[5, 5], 0.4 * 0.5)  # grey
    assert painted[0, 0, 0] > 0.9 and painted[0, 0, 2] < 0.7  # yellow
    assert painted.min() >= 0 and painted.max() <= 1


def draw(folder, name, pages, **options):
    return figures.write(folder / name, pages, **options)


def size(file):
    with Image.open(file) as picture:
        return picture.size


@pytest.mark.parametrize("rendering", sorted(figures.RENDERINGS))
def test_there_is_room_for_every_photograph(tmp_path, rendering):
    one = size(draw(tmp_path, "one", {"": [block()]}, rendering=rendering)[0])
    two = size(draw(tmp_path / "new", "two", {"": [block("µ_1"), block()]}, rendering=rendering)[0])
    assert two[0] == one[0]
    assert two[1] > 1.5 * one[1]


def test_networks_are_below_one_another_in_the_png_and_pages_of_the_pdf(tmp_path):
    one = size(draw(tmp_path, "one", {"": [block()]}, rendering="grey")[0])
    png, pdf = draw(tmp_path, "x", {"vgg16": [block()], "resnet50": [block()]}, rendering="grey")
    assert size(png) == (one[0], 2 * one[1])
    assert pdf.read_bytes().count(b"/Type /Page ") == 2


@pytest.mark.parametrize("rendering", sorted(figures.RENDERINGS))
def test_the_same_panel_is_the_same_file(tmp_path, rendering):
    first, second = (draw(tmp_path / n, "x", {"": [block()]}, rendering=rendering) for n in "12")
    assert [file.name for file in first] == ["x.png", "x.pdf"]
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]


def test_grey_is_the_papers_rendering():
    attribution = np.tile(np.arange(101.0), (3, 1, 1))
    painted = figures.grey(attribution)
    assert painted.shape == (1, 101, 3)
    np.testing.assert_allclose(painted[0, [0, 80, 90, 99, 100], 0], [0, 0, 10 / 19, 1, 1], atol=1e-6)
    assert (painted[..., 0] == painted[..., 2]).all()


@pytest.mark.parametrize("rendering", sorted(figures.RENDERINGS))
def test_a_map_that_is_not_there_is_a_frame_that_says_so(rendering):
    empty = figures.Block("a cat", PHOTO, {"sm": PHOTO, "ig": None}, {"sm": None, "ig": None})
    figure = figures.RENDERINGS[rendering]([empty], "probability")
    said = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert said.count(figures.NOTHING) == 1


def test_long_names_are_broken_where_they_have_joints():
    assert figures.wrapped("guided_ig_as_published") == "guided_ig_as_\npublished"
    assert figures.wrapped("N = 10") == "N = 10"
