"""The report as a page: opened from disk in a real browser, it shows the rows and asks nobody for anything."""

import itertools
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from omegaconf import OmegaConf

from bench import PROTOCOL
from bench.config import load
from bench.figures import style
from bench.report import __main__ as report
from bench.report.document import Document
from bench.report.exhibits import gallery
from bench.report.exhibits.exhibit import Figure
from bench.report.lines import of
from bench.report.quantities import of_metric
from bench.report.table import tables
from bench.store.rows import Rows

CHROMIUM, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --force-prefers-reduced-motion"""
IDS = ["synthetic-00000", "synthetic-00001", "synthetic-00002"]
SIZE = 32


def leave(results, run_id, method, level, *overrides, maps=False, metric="unified", images=IDS):
    """A run's record and rows: insertion is `level`, of every image or of each, and deletion 0.1, along flat curves."""
    composed = load(["model=tiny", "data=synthetic", f"method={method}", f"metric=[{metric}]", *overrides])
    cfg = OmegaConf.to_container(composed.cfg, resolve=True)
    cell = {"data": "synthetic", "model": "tiny", "method": method, "metric": metric}
    record = {
        "run_id": run_id,
        "attribution_id": f"maps-{method}-{'-'.join(overrides)}",
        "cell": cell,
        "config": {group: cfg[group] for group in ("model", "data", "method", "compute", "run")},
        "versions": {"heatproof": "0.1.0", "protocol": str(PROTOCOL)},
        "git": {"commit": "c0ffee", "dirty": False},
        "device": {"type": "cpu", "name": "cpu"},
        "weights": {"digest": "ab" * 32},
        "preprocessing": {"size": SIZE, "resize": SIZE},
        "created": "2026-01-02T03:04:05",
    }
    record["config"]["metric"] = cfg["metric"][metric]
    (results / "runs").mkdir(parents=True, exist_ok=True)
    (results / "runs" / f"{run_id}.yaml").write_text(yaml.safe_dump(record))
    scores = {"deletion": 0.1, "deletion_curve": [0.1] * 9, "forward_passes": 3.0, "backward_passes": 1.0}
    seen = zip(images, itertools.cycle([0.5, 0.8, 0.9]), np.broadcast_to(level, len(images)).tolist(), strict=False)
    rows = [
        {"image_id": i, "status": "ok", "confidence": c, "prediction": 3, "target": 3}
        | {"insertion": value, "score": value, "insertion_curve": [value] * 9}
        | scores
        for i, c, value in seen
    ]
    Rows(results, cell, run_id).add(rows, {})
    if maps:
        folder = results / "attributions" / record["attribution_id"]
        folder.mkdir(parents=True, exist_ok=True)
        for i, image in enumerate(IDS):
            ramp = np.roll(np.linspace(0, 1, SIZE * SIZE), 100 * i).reshape(SIZE, SIZE)
            np.save(folder / f"{image}.npy", np.stack([ramp] * 3).astype(np.float32))


def leave_document(results, name, verdicts, touching=None):
    """What a report of an experiment leaves: methods a, b, c measured at 0.1, 0.3, not at all; in two splits."""
    lines = [
        {"experiment": name, "data": "toy", "model": "net", "method": method, "metric": "unified", "row": method}
        | {"confidence": split, "quantity": "insertion", "kind": of_metric("unified")["insertion"], "mean": mean}
        | {"ci_low": mean, "ci_high": mean, "q1": mean, "median": mean, "q3": mean, "share": None, "share_low": None}
        | {"share_high": None, "n": 7 if mean else 0, "failed": 0}
        | {"standing": "", "published": "0.25", "difference_low": None, "difference_high": None, "margin": None}
        | {"difference": mean and mean - 0.25, "verdict": verdict, "run_id": mean and "r1", "published_source": "x"}
        | {"contradictions": touches}
        for split in ("all", "low")
        for (method, mean), verdict, touches in zip(
            {"a": 0.1, "b": 0.3, "c": None}.items(), verdicts, touching or [None] * 3, strict=True
        )
    ]
    numbers = pd.DataFrame(lines)
    below = {("toy", "net", "unified", "low"): ["Kendall: 1."]}
    Document(
        name,
        f"{name} & <b>co</b>",
        of(numbers),
        tables(numbers, {}, 0.7, below),
        facts=["Made by `python -m x`."],
        notes=["Mind the `gap`."],
        figures=[Figure("A study of its own", files=("picture.png",))],
    ).save(results / "report")


def paged(results):
    """The page's path."""
    return report.write(*report.make([f"paths.results={results}", "report.bootstrap=50"]))[-1]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    leave(results, "a1", "sm", 0.3, maps=True)
    leave(results, "b2", "ig", 0.6, maps=True)
    leave(results, "b3", "ig", 0.4, "method.steps=5")
    leave(results, "c4", "sm", 2.0, metric="kl")
    for draws, sigma in itertools.product((5, 50), (0.1, 0.2)):
        settings = [f"method.draws={draws}", f"method.sigma={sigma}"]
        leave(results, f"d{draws}-{sigma}", "sg", draws / 50, *settings, metric="kl")
    leave_document(results, "toy_table1", ["differs", "cannot tell", "not run"])
    leave_document(results, "toy_table2", ["", "", ""])
    leave_document(results, "toy_table3", ["agrees", "agrees", "unheard of"], touching=["3 6", "3", "3"])
    paged(results)
    return results


@pytest.fixture(scope="module")
def html(results):
    return (results / "report" / "index.html").read_text()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    if not (CHROMIUM and DRIVER):
        pytest.skip("chromium and chromedriver are not installed (Debian: chromium chromium-driver)")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium, results):
    """The page, freshly opened."""
    chromium.get("about:blank")
    chromium.get((results / "report" / "index.html").as_uri())
    return chromium


def find(browser, selector):
    return browser.find_elements("css selector", selector)


def shown(browser, selector):
    return [element for element in find(browser, selector) if element.is_displayed()]


def press(browser, element):
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
    element.click()


def test_opens_without_an_error_and_asks_for_nothing(browser, results):
    for log in ("browser", "performance"):  # of earlier tests
        browser.get_log(log)
    browser.refresh()
    for element in find(browser, "details:not([open]) > summary"):
        if element.is_displayed():
            press(browser, element)
    events = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    urls = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert [url for url in urls if not url.startswith("data:")] == [(results / "report" / "index.html").as_uri()]
    assert browser.get_log("browser") == []


def test_a_click_on_a_column_sorts_best_first_then_the_other_way_and_what_was_not_run_stays_last(browser):
    sheet = find(browser, "#experiment-toy_table1 .sheet")[0]
    head = sheet.find_elements("css selector", "th[data-first]")[1]

    def order():
        return [row.text for row in sheet.find_elements("css selector", "tbody th")]

    assert order() == ["a", "b", "c"]
    press(browser, head.find_element("css selector", "button"))
    assert (order(), head.get_attribute("aria-sort")) == (["b", "a", "c"], "descending")
    press(browser, head.find_element("css selector", "button"))
    assert (order(), head.get_attribute("aria-sort")) == (["a", "b", "c"], "ascending")


def test_tabs_show_one_split_each_by_mouse_and_by_arrow_keys(browser):
    panels = "#experiment-toy_table1 [role=tabpanel]"
    first, second = find(browser, "#experiment-toy_table1 [role=tab]")
    assert [p.is_displayed() for p in find(browser, panels)] == [True, False]
    press(browser, second)
    assert [p.is_displayed() for p in find(browser, panels)] == [False, True]
    second.send_keys("\ue014")  # arrow right: round to the first
    assert [p.is_displayed() for p in find(browser, panels)] == [True, False]
    assert browser.switch_to.active_element == first
    assert [t.get_attribute("aria-selected") for t in (first, second)] == ["true", "false"]


def test_gallery_shows_the_chosen_image_and_the_scores_of_the_chosen_metric(browser):
    def sources():
        return [image.get_attribute("src") for image in shown(browser, ".exhibit img")]

    before = sources()
    assert len(before) == 3  # the photograph, ig, sm
    assert all(browser.execute_script("return [...document.images].map(i => i.complete && i.naturalWidth)"))
    options = find(browser, "#exhibit option")
    assert [option.text for option in options] == IDS
    options[1].click()
    after = sources()
    assert len(after) == 3 and not set(before) & set(after)
    press(browser, find(browser, "[data-step='-1']")[0])
    assert sources() == before

    scores = ["0.600", "0.100", "+0.500", "0.300", "0.100", "+0.200"]
    assert [e.text for e in shown(browser, ".score dd")] == scores
    find(browser, "#metric option[value=kl]")[0].click()
    assert [e.text for e in shown(browser, ".score dd")] == ["2.000", "0.100", "+1.900"]


def test_a_pressed_name_leaves_its_line_alone_in_the_light(browser):
    name = find(browser, "#ablations .plot:nth-child(2) .legend button")[0]
    lines = find(browser, "#ablations .plot:nth-child(2) [data-line]")
    press(browser, name)
    lit = {line.get_attribute("data-line") for line in lines if "dim" not in (line.get_attribute("class") or "")}
    assert lit == {name.get_attribute("data-index")}
    assert len({line.get_attribute("data-line") for line in lines}) == 2


def test_a_pressed_verdict_leaves_the_rows_that_have_it_and_a_word_those_that_hold_it(browser):
    section = "#experiment-toy_table1 "

    def rows():
        return [row.text for row in shown(browser, section + "tbody th")]

    assert rows() == ["a", "b", "c"]
    differs, tell, _ = find(browser, section + ".verdictbar button")
    press(browser, differs)
    assert (rows(), differs.get_attribute("aria-pressed")) == (["a"], "true")
    press(browser, tell)
    assert rows() == ["a", "b"]
    find(browser, section + ".verdictbar input")[0].send_keys("0.3000")
    assert rows() == ["b"] and find(browser, section + ".verdictbar output")[0].text == "2 of 6 rows"  # in both splits
    assert not find(browser, "#experiment-toy_table2 .verdictbar")  # nothing to choose


def test_a_link_opens_the_section_it_leads_to(browser):
    section = find(browser, "#experiment-toy_table3")[0]
    assert section.get_attribute("open") is None
    press(browser, find(browser, ".glance a[href='#experiment-toy_table3']")[0])
    browser.execute_async_script("setTimeout(arguments[0], 50)")
    assert section.get_attribute("open") is not None


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_but_tables_scrolls_sideways(browser, width):
    screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def text_of(html, section):
    """Of one section, without tags."""
    part = html[html.index(f'<details class="section" id="{section}"') :]
    part = re.split(r'(?<!^)<details class="section"|</section>', part)[0]
    return " ".join(re.sub(r"<[^>]+>", " ", part).split())


def test_a_verdict_is_a_word_and_a_sign_not_only_a_colour(html):
    text = text_of(html, "experiment-toy_table1")
    assert "a 0.1000 ± 0.0000 0.25 −0.1500 ✗ differs 7" in text
    assert "c not run 0.25 – ○ not run 0" in text
    assert "• unheard of" in text_of(html, "experiment-toy_table3")
    assert "2 <span" in html and 'class="badge differs"' in html


def test_marks_lead_to_the_entry_at_the_end_of_the_section(html):
    text = text_of(html, "experiment-toy_table3")
    assert "0.25 6" in text and "Contradictions: 3 , 6" in text
    assert "3 LA's Table 3 prints VGG16 twice" in text.replace("&#39;", "'")
    assert html.count('href="#experiment-toy_table3-c6" title="The published EG rows are a raster scan"') == 4
    assert html.count('id="experiment-toy_table3-c6"') == 1
    assert 'href="#experiment-toy_table1-c' not in html


def test_a_table_without_verdicts_is_shown_all_the_same(html):
    assert "b 0.3000 ± 0.0000 7" in text_of(html, "experiment-toy_table2")


def test_what_a_report_says_is_text_and_its_code_is_code(html):
    assert "toy_table1 &amp; &lt;b&gt;co&lt;/b&gt;" in html and "<b>co" not in html
    assert "<li>Mind the <code>gap</code>.</li>" in html
    assert html.count('<p class="below">Kendall: 1.</p>') == 3  # under the table it belongs to, in each report
    assert "A study of its own" not in html and '<a href="picture.png">picture.png</a>' in html  # beside the page


def test_runs_of_one_cell_stand_apart_and_their_setting_is_an_ablation(html, results):
    text = text_of(html, "rows-synthetic_tiny")
    assert "ig (steps=5) 0.4000" in text and "ig (steps=50) 0.6000" in text
    assert "ig: steps · unified · synthetic" in html
    for ending, magic in {".png": b"\x89PNG", ".pdf": b"%PDF"}.items():
        for stem in ("curves_synthetic_tiny_unified", "ablation_synthetic_ig_unified_steps"):
            assert (results / "report" / "figures" / f"{stem}{ending}").read_bytes().startswith(magic)


def test_the_explorer_and_pictures_for_a_paper_stand_above_the_tables(html, results):
    places = [
        html.index(f'id="{place}"') for place in ("explore", "pictures", "tables", "rows", "ablations", "gallery")
    ]
    assert places == sorted(places)
    assert 'Means: tiny · unified · synthetic: <a href="figures/forest_synthetic_tiny_unified.png">PNG</a>' in html
    assert "<svg" not in html[html.index('id="pictures"') : html.index('id="tables"')]  # the explorer draws them
    assert (results / "report" / "figures" / "forest_synthetic_tiny_unified.png").exists()


@pytest.fixture
def few(tmp_path, monkeypatch):
    """One run, and no files of figures."""
    monkeypatch.setattr(style, "save", lambda *_: [])
    leave(tmp_path, "a1", "sm", 0.3, maps=True)
    return tmp_path


def test_the_same_rows_give_the_same_page(few):
    first, second = (paged(few).read_bytes() for _ in range(2))
    assert first == second


@pytest.mark.parametrize(("name", "value"), [("IMAGES", 1), ("BYTES", 5_000)])
def test_the_gallery_ends_where_its_room_does_and_says_so(few, monkeypatch, name, value):
    monkeypatch.setattr(gallery, name, value)
    text = paged(few).read_text()
    count = len(re.findall('<article class="exhibit"', text))
    assert 1 <= count < 3
    assert f"{count} of 3 images whose maps were saved" in text


def test_without_the_images_the_maps_are_shown_and_the_reason_is_said(few, monkeypatch):
    record = yaml.safe_load((few / "runs" / "a1.yaml").read_text())
    record["cell"]["data"] = "folder"
    record["config"]["data"] = {"_target_": "os.mkdir", "path": str(few / "mischief"), "root": "/nowhere"}
    (few / "runs" / "a1.yaml").write_text(yaml.safe_dump(record))
    shutil.move(few / "rows" / "data=synthetic", few / "rows" / "data=folder")
    text = paged(few).read_text()
    assert "Without photographs where the images are not on this machine" in text
    assert len(re.findall('alt="sm: heatmap of', text)) == 3 and 'alt="The photograph' not in text
    assert not Path(few / "mischief").exists()  # a record says what was run; it does not choose what is run now


def test_a_page_of_no_maps_says_how_to_keep_them(few):
    shutil.rmtree(few / "attributions")
    assert "run.save_attributions=true" in paged(few).read_text()
