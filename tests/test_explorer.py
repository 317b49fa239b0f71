"""The explorer: what it shows are the tables' numbers, its recipes make the runs they stand for, and every control works."""

import json
import re
import shlex
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from test_page import IDS, chromium, find, leave, press, shown  # noqa: F401 (a fixture)

from bench.config import load
from bench.figures import style
from bench.report import __main__ as report
from bench.report import curves as run_curves
from bench.report import page
from bench.report.exhibits import curves, explorer, gallery
from bench.report.explorer import agreement, classes, compact, recipe, rooms
from bench.store import records
from bench.store.rows import stacked_curves

METHODS = ["sm", "ig", "agi", "random"]
MANY = [f"synthetic-{k:05d}" for k in range(20)]


def levels(k):
    """Insertion of 20 images: methods differ, and on single images change places."""
    return 0.5 - 0.02 * k + 0.05 * np.sin(np.arange(20) * (k + 1))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Four methods and a fifth row of one of them, by two metrics; maps of three images of two methods."""
    results = tmp_path_factory.mktemp("results")
    for metric in ("unified", "kl"):
        for k, method in enumerate(METHODS):
            leave(results, f"{method}-{metric}", method, levels(k), metric=metric, images=MANY, maps=k < 2)
    leave(results, "ig-unified-5", "ig", levels(5), "method.steps=5", images=MANY)
    return results


@pytest.fixture(scope="module")
def made(results):
    """The document and what the explorer's element holds; the page lies in results/report."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "save", lambda *_: [])
        document, found = report.make([f"paths.results={results}", "report.bootstrap=50"])
        document.figures = [
            figure
            for exhibit in (explorer.exhibit, gallery.exhibit)
            for figure in exhibit(found.lines, found.runs, None, found)
        ]
        page.write(found.folder, document)
    return document, embedded(found.folder / "index.html")


def embedded(file):
    found = re.search(r'<script type="application/json" id="explorer-data">(.*?)</script>', file.read_text(), re.S)
    return json.loads(found[1])


def test_its_numbers_are_those_of_the_tables(made):
    document, data = made
    lines = document.numbers.set_index(["metric", "run_id", "confidence", "quantity"])
    (room,) = data["rooms"]
    compared = 0
    for metric, cabinet in room["metrics"].items():
        for split, of_split in cabinet["splits"].items():
            for quantity in ("insertion", "deletion", "gap"):
                for k, run in enumerate(cabinet["runs"]):
                    line = lines.loc[(metric, run, split, quantity)]
                    for name in ("mean", "ci_low", "ci_high", "q1", "median", "q3"):
                        assert of_split[quantity][name][k] == pytest.approx(line[name], rel=1e-5, abs=1e-12)
                    assert (of_split["n"][k], of_split[quantity]["standing"][k]) == (line["n"], line["standing"])
                    compared += 1
    assert compared == 3 * 3 * 9
    assert [m["name"] for m in room["methods"]] == ["agi", "ig (steps=5)", "ig (steps=50)", "random", "sm"]


def test_the_curves_of_a_run_are_read_once_for_pictures_and_explorer(results, tmp_path, monkeypatch):
    read = []

    def stacked(results, cell, run_id, sides):
        read.append(run_id)
        return stacked_curves(results, cell, run_id, sides)

    monkeypatch.setattr(run_curves, "stacked_curves", stacked)
    found = report.make([f"paths.results={results}", "report.bootstrap=50"])[1]
    found = replace(found, draw=lambda write, stem, *what: style.files(stem))
    pictures = list(curves.exhibit(found.lines, found.runs, None, found))
    assert len(pictures) == 2 and len(read) == len(set(read)) == 2 * len(METHODS)
    assert list(explorer.exhibit(found.lines, found.runs, None, found))
    assert sorted(read) == sorted(found.rows["run_id"].unique())


def test_ranks_and_differences_are_those_of_a_slow_rewrite(made):
    (room,) = made[1]["rooms"]
    cabinet = room["metrics"]["unified"]
    column, scores = cabinet["splits"]["all"]["insertion"], np.array(cabinet["scores"]["insertion"]).T
    assert column["of"] == [0, 1, 2, 3, 4] and column["n"] == 20 and column["told"]
    ranks = np.array([stats.rankdata(-row) for row in scores]).mean(axis=0)
    np.testing.assert_allclose(column["rank"], ranks, rtol=1e-5)
    pairs = [(i, j) for i in range(5) for j in range(i + 1, 5)]
    differences = [np.mean([row[i] - row[j] for row in scores]) for i, j in pairs]
    np.testing.assert_allclose(column["difference"], differences, atol=2e-4)
    errors = [stats.sem(scores[:, i] - scores[:, j]) for i, j in pairs]
    ratio = np.array(column["reach"]) / errors  # of all pairs at once: one critical value, above that of a single pair
    assert np.ptp(ratio) < 0.05 and ratio.min() > stats.t.ppf(0.975, 19)
    assert set(column["apart"]) == {"0", "1"}


def test_a_low_score_is_good_where_low_is_better(made):
    """Deletion is the same for all: nothing is told apart, all share a rank."""
    column = made[1]["rooms"][0]["metrics"]["unified"]["splits"]["all"]["deletion"]
    assert set(column["rank"]) == {3} and set(column["apart"]) == {"0"} and set(column["difference"]) == {0}


def test_a_tau_is_scipys_and_is_of_methods_and_images_that_both_have():
    random = np.random.default_rng(0)
    a = pd.DataFrame(random.random((9, 5)), columns=list("abcde"))
    b = pd.DataFrame(random.random((9, 5)), columns=list("bcdef"))
    b.loc[3, "c"] = np.nan
    ((_, _, tau, methods, images),) = agreement.pairs({"a": a, "b": b})
    kept, whole = list("bcde"), [k for k in range(9) if k != 3]
    assert tau == round(stats.kendalltau(a.loc[whole, kept].mean(), b.loc[whole, kept].mean()).statistic, 3)
    assert (methods, images) == (4, 8)
    assert agreement.pairs({"a": a[["a", "b"]], "b": b}) == []


def test_a_curve_comes_back_from_its_letters():
    curve = np.array([-0.5, 0.0, 0.3333, 2.0])
    text = compact.letters(curve, -0.5, 2.0)
    back = [
        -0.5 + 2.5 * (64 * compact.ALPHABET.index(a) + compact.ALPHABET.index(b)) / 4095
        for a, b in zip(text[::2], text[1::2], strict=True)
    ]
    np.testing.assert_allclose(back, curve, atol=2.5 / 4095)
    assert text.startswith("AA") and text.endswith("__")


@pytest.mark.parametrize(
    "overrides",
    [
        ["method=ig", "method.steps=5", "metric=[kl]", "data.limit=4"],
        ["method=la", "run.seed=3", "compute.precision=fp64", "compute.fold=false", "run.target=label"],
        ["method=captum", "method.name=IntegratedGradients", "+method.arguments.n_steps=5"],
        ["method=sm", "method.post=[abs,blur2]", "metric=[road]"],
        ["method=agi", "run.class_seed=7", "data=folder", "data.root=/some where"],
        ["model=timm", "model.name=resnet18.a1_in1k", "method=gradcam", "model.feature_layer=layer3"],
    ],
    ids=lambda overrides: overrides[0],
)
def test_the_command_of_a_number_asks_for_the_very_run(overrides):
    def asked(words):
        config = load(words, builders=False)
        names = {**config.names, "metric": next(iter(config.cfg.metric))}
        return names, records.settings(config.cfg, names["metric"]), records.asked(names, config.cfg)

    names, config, wanted = asked(["model=tiny", "data=synthetic", "method=ig", "metric=[unified]", *overrides])
    command = recipe.command({"cell": names, "config": config, "run_id": "r"})
    assert command.startswith("python -m bench.run data=")
    assert "/some where" not in command
    there, _, found = asked(shlex.split(command)[3:])
    assert there == names and found == wanted
    assert len(shlex.split(command)) <= 7 + len(overrides)  # nothing that is as usual


def test_classes_have_the_names_that_the_weights_give_them():
    def named(builder, **settings):
        return classes.names({"config": {"model": {"_target_": f"somewhere.{builder}", "weights": None} | settings}})

    assert named("efficientnet_lite0")[771] == "safe" == named("torchvision_network")[771]
    assert named("timm_network", name="resnet18.a1_in1k")[0] == "tench"
    for settings in (
        {"name": "vit_base_patch16_224.augreg_in21k"},
        {"name": "resnet18"},
        {"name": "x.a1_in1k", "weights": "f"},
    ):
        assert not named("timm_network", **settings)
    assert not named("efficientnet_lite0", weights="random") and not named("network")
    said = {"weights": {"classes": ["cat", "dog"]}, "config": {"model": {}}}
    assert classes.names(said) == ["cat", "dog"]


def test_whose_a_method_is_stands_in_its_file():
    assert "Sundararajan" in explorer.about("ig") and not explorer.about("ig").endswith(":")
    assert explorer.about("no_such_method") == ""


def test_what_is_embedded_ends_no_element():
    text = explorer.embedded({"name": "</script><b>"})
    assert "<" not in text and json.loads(text) == {"name": "</script><b>"}


# In a browser.


@pytest.fixture
def browser(chromium, results, made):  # noqa: F811
    chromium.get("about:blank")
    for log in ("browser", "performance"):  # of earlier tests
        chromium.get_log(log)
    address = (results / "report" / "index.html").as_uri()
    chromium.get(address)
    yield chromium
    assert chromium.get_log("browser") == []
    events = [json.loads(line["message"])["message"] for line in chromium.get_log("performance")]
    urls = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert {url.partition("#")[0] for url in urls if not url.startswith("data:")} <= {address}


def choose(browser, selector, value):
    browser.execute_script(
        "const s = document.querySelector(arguments[0]); s.value = arguments[1];"
        "s.dispatchEvent(new Event('change', {bubbles: true}))",
        selector,
        value,
    )


def view(browser, name):
    press(browser, find(browser, f"#tab-explorer-{name}")[0])


def rows(browser, name):
    """What the rows of a view say to a reader of screens."""
    return [row.get_attribute("aria-label") for row in find(browser, f"#panel-explorer-{name} .row")]


def test_every_choice_of_every_control_can_be_drawn(browser):
    for selector in ("select[name=metric]", "select[name=quantity]", "select[name=split]"):
        values = [option.get_attribute("value") for option in find(browser, f"#explorer {selector} option")]
        assert len(values) > 1
        for value in values:
            choose(browser, f"#explorer {selector}", value)
            for name in explorer.VIEWS:
                assert find(browser, f"#panel-explorer-{name} > *")
    for selector in ("#explorer-cost", "#explorer-scores", "#explorer-a", "#explorer-b", "#explorer-image"):
        for value in [option.get_attribute("value") for option in find(browser, f"{selector} option:not([disabled])")]:
            choose(browser, selector, value)
    assert "NaN" not in browser.execute_script("return document.getElementById('explorer').innerHTML")


def test_means_stand_best_first_and_the_filter_takes_methods_away(browser):
    view(browser, "means")
    assert [said.partition(":")[0] for said in rows(browser, "means")] == [
        "sm", "ig (steps=50)", "agi", "random", "ig (steps=5)",
    ]  # fmt: skip
    assert rows(browser, "means")[0].startswith("sm: 0.50") and " ± 0.0" in rows(browser, "means")[0]
    press(browser, find(browser, ".methods summary")[0])
    box = find(browser, ".chips input[value='random']")[0]
    press(browser, box)
    assert len(rows(browser, "means")) == len(rows(browser, "ranks")) == len(rows(browser, "cost")) == 4
    assert find(browser, "#explorer-count")[0].text == "4 of 5 shown"
    search = find(browser, "#explorer-find")[0]
    search.send_keys("IG")
    assert [item.text for item in shown(browser, ".chips li")] == ["ig (steps=5)", "ig (steps=50)"]
    press(browser, find(browser, "[data-all='']")[0])  # of those that are found
    assert [said.partition(":")[0] for said in rows(browser, "means")] == ["sm", "agi"]
    search.clear()
    search.send_keys("g")
    press(browser, find(browser, "[data-all='true']")[0])
    assert len(rows(browser, "means")) == 4


def test_ranks_are_of_all_methods_whatever_is_shown_and_bars_join_what_is_not_told_apart(browser, made):
    column = made[1]["rooms"][0]["metrics"]["unified"]["splits"]["all"]["insertion"]
    view(browser, "ranks")
    before = rows(browser, "ranks")
    assert sorted(float(said.rpartition(" ")[2]) for said in before) == pytest.approx(sorted(column["rank"]), abs=0.006)
    press(browser, find(browser, ".methods summary")[0])
    press(browser, find(browser, ".chips input[value='random']")[0])
    assert rows(browser, "ranks") == [said for said in before if not said.startswith("random")]
    choose(browser, "#explorer select[name=quantity]", "deletion")
    (bar,) = find(browser, "#panel-explorer-ranks .join")  # all are equal
    assert bar.size["height"] > 3 * 26


def test_a_row_is_pressed_by_keyboard_and_says_how_to_have_its_number_again(browser):
    view(browser, "means")
    first = find(browser, "#panel-explorer-means .row")[0]
    browser.execute_script("arguments[0].focus()", first)
    first.send_keys("\ue015")  # arrow down
    browser.switch_to.active_element.send_keys("\ue007")  # enter
    panel = find(browser, "#number")[0]
    assert panel.is_displayed() and "Sundararajan" in panel.text
    (command,) = [e.text for e in find(browser, "#number pre") if "bench.run" in e.text]
    assert command == "python -m bench.run data=synthetic model=tiny method=ig 'metric=[unified]'"
    assert "python -m bench.verify ig-unified" in panel.text and "protocol" in panel.text
    for button in find(browser, "#number .copy"):
        press(browser, button)
        assert browser.execute_async_script("const [b, f] = arguments; setTimeout(() => f(b.textContent), 50)", button) in (
            "Copied", "Selected",
        )  # fmt: skip
    press(browser, find(browser, "#number .close")[0])
    assert not panel.is_displayed()
    assert "ig (steps=50)" in browser.switch_to.active_element.get_attribute("aria-label")
    browser.switch_to.active_element.send_keys(" ")
    panel.send_keys("\ue00c")  # escape
    assert not panel.is_displayed()


def test_curves_are_read_at_the_slider_and_at_the_pointer(browser):
    view(browser, "curves")
    assert len(find(browser, "#panel-explorer-curves .curve")) == 10
    cells = [cell.text for cell in find(browser, "#panel-explorer-curves tbody tr:first-child td")]
    assert cells[0].startswith("0.5") and cells[1] == "0.100 ± 0.000"
    slider = find(browser, "#explorer-at")[0]
    slider.send_keys("\ue011")  # home
    assert find(browser, "output[for=explorer-at]")[0].text == "0 %"
    browser.execute_script(
        "const svg = document.querySelector('#panel-explorer-curves .sides svg'); const box = svg.getBoundingClientRect();"
        "svg.dispatchEvent(new PointerEvent('pointermove', {clientX: box.left + box.width - 12, bubbles: true}))"
    )
    assert find(browser, "output[for=explorer-at]")[0].text == "100 %"
    button = find(browser, "#panel-explorer-curves tbody button")[0]
    browser.execute_script("arguments[0].focus()", button)
    assert len(find(browser, "#panel-explorer-curves .dim")) == 8


def test_agreement_is_a_square_of_the_scores(browser):
    view(browser, "agreement")
    assert [cell.text for cell in find(browser, "#panel-explorer-agreement .matrix tbody td")] == [
        "1",
        "1.00",
        "1.00",
        "1",
    ]
    choose(browser, "#explorer-scores", "every")
    assert len(find(browser, "#panel-explorer-agreement .matrix tbody tr")) == 6


def test_an_image_shows_its_photograph_both_maps_both_curves_and_both_scores(browser):
    view(browser, "images")
    panel = "#panel-explorer-images"
    choose(browser, "#explorer-a", "ig (steps=50)")
    choose(browser, "#explorer-b", "sm")
    assert len(find(browser, f"{panel} .row")) == len(MANY)
    assert len(shown(browser, f"{panel} .maps img")) == 3
    sources = [image.get_attribute("src") for image in find(browser, f"{panel} .maps img")]
    article = ".exhibit[data-image='synthetic-00000'] "
    hung = [
        find(browser, article + f)[0].get_attribute("src") for f in (".photograph img", "figure:nth-of-type(2) img")
    ]
    assert sources[:2] == hung
    assert len(find(browser, f"{panel} .pairs .curve")) == 4
    assert [cell.text for cell in find(browser, f"{panel} .readout tbody tr:first-child td")] == ["0.480", "0.500"]
    press(browser, find(browser, f"{panel} .step button")[1])
    assert find(browser, f"{panel} .detail h4")[0].text == IDS[1]
    dot = find(browser, f"{panel} .row[data-image='7'] .dot")[0]
    press(browser, dot)
    assert find(browser, f"{panel} .detail h4")[0].text == "synthetic-00007"
    assert "holds no picture of this image" in find(browser, f"{panel} .detail")[0].text
    choose(browser, "#explorer-image", "2")
    assert "class 3" in find(browser, f"{panel} .detail")[0].text  # a network of one's own gives no names
    assert find(browser, f"{panel} .row.chosen")[0].get_attribute("data-image") == "2"
    assert "Not told apart (95 %" in find(browser, panel)[0].text


def test_the_address_holds_what_is_chosen(browser):
    choose(browser, "#explorer select[name=metric]", "kl")
    choose(browser, "#explorer select[name=quantity]", "gap")
    view(browser, "ranks")
    press(browser, find(browser, ".methods summary")[0])
    press(browser, find(browser, ".chips input[value='sm']")[0])
    address, before = browser.current_url, rows(browser, "ranks")
    assert "metric=kl" in address and len(before) == 3
    browser.get("about:blank")
    browser.get(address)
    assert rows(browser, "ranks") == before
    assert find(browser, "#panel-explorer-ranks")[0].is_displayed()


@pytest.mark.parametrize("width", [1280, 390])
def test_no_view_is_wider_than_the_screen(browser, width):
    screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.refresh()
    for name in explorer.VIEWS:
        view(browser, name)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width, name
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_large_report_is_a_page_below_eight_megabytes(tmp_path, monkeypatch):
    """100 images, 18 methods and 12 metrics: twelve times a page of one, and all that the gallery may take."""
    monkeypatch.setattr(style, "save", lambda *_: [])
    names = ["sm", "ig", "agi", "la", "sg", "big", "mfaba", "eg", "rise", "lime", "aii", "raster", "edges", "center"]
    names += ["random", "deeplift", "gradcam", "attexplore"]
    random, images = np.random.default_rng(0), [f"image-{k}" for k in range(100)]
    for name in names:
        leave(tmp_path, name, name, random.random(100), images=images)
    document, found = report.make([f"paths.results={tmp_path}", "report.bootstrap=40"])
    document.figures = list(explorer.exhibit(found.lines, found.runs, None, found))
    file = page.write(found.folder, document)
    (room,) = embedded(file)["rooms"]
    curves = room["metrics"]["unified"]["curves"]
    assert (len(room["images"]), len(room["methods"]), curves["images"]) == (100, 18, 100)  # nothing is left out
    assert 12 * file.stat().st_size + gallery.BYTES < 8_000_000


def test_of_runs_that_score_the_same_maps_twice_the_one_with_most_images_is_compared():
    """Two step counts, say: agreement has a column a method."""
    scores = pd.DataFrame({"coarse": [0.1, np.nan, 0.3], "fine": [0.4, 0.5, 0.6], "other": [0.7, 0.8, 0.9]})
    once = rooms._once(scores, {"coarse": "sm", "fine": "sm", "other": "ig"})
    assert sorted(once) == ["ig", "sm"]
    assert once["sm"].tolist() == [0.4, 0.5, 0.6]
    assert agreement.pairs({"a": once, "b": once}) == []  # two methods are too few; and no column is there twice
