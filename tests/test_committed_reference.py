"""What results/reference/README.md says is in its rows: every mean, every pair of methods, every rank correlation.

A sentence carries its numbers in one of these forms; the network is EfficientNet-Lite0 and the seed 0, if they are not said:

    0.391 (unified: la, gap)                                a mean, to as many digits
    0.391 (efficientnet_lite1/unified: la, gap)
    0.362 (unified: la, gap, 24 images)                     over the images that all rows share, so many
    `la` above `ig` (unified, gap)                          is better, and told to be, over the images that the rows share
    `la` not told from `agi` (efficientnet_lite2/unified, gap)
    `ig` above `random` (unified, gap, alone)               told as the only pair that is asked about
    τ = 0.82 (unified gap; fair gap)                        Kendall's τ-b of two rankings of the methods that both have, over
                                                            the images that all of these have
    τ = 0.82 (unified gap; efficientnet_lite1/unified gap)
    τ = 0.91 (unified gap; unified gap, seed 1)
    100 images (unified: la)                                that were scored

A line of the table beside LA's Table 1 names its choice of rows (CHOICES), how many they are, and over how many images.
"""

import re
from pathlib import Path

import pandas as pd
import pytest
from jobs import complete, small_job
from scipy.stats import kendalltau

from bench.choices import ROOT
from bench.report import marks, means, quantities, significance
from bench.seeds import Seeds
from bench.store import records
from bench.store.rows import load_rows

FOLDER = ROOT / "results" / "reference"
USUAL, DATA = "efficientnet_lite0", "la_release"
OF = r"(?:(\w+)/)?(\w+)"  # network and metric
MEAN = re.compile(rf"(-?\d+\.\d+) \({OF}: (\w+), (\w+)(?:, (\d+) images)?\)")
PAIR = re.compile(rf"`(\w+)` (above|not told from) `(\w+)` \({OF}, (\w+)(, alone)?\)")
TAU = re.compile(rf"τ = ([-−]?\d\.\d+) \({OF} (\w+)(?:, seed (\d+))?; {OF} (\w+)(?:, seed (\d+))?\)")
COUNT = re.compile(rf"([\d,]+) images \({OF}: (\w+)\)")
RELEASED = {f"{name}_as_published": name for name in ("fast_ig", "deeplift", "guided_ig", "big")}
CHOICES = {  # how a line of the table begins: our row -> the printed one, where they differ; None: left out
    "as published (": RELEASED | {"raster": "eg"},
    "the methods done right": {},
    "as published, `eg`": RELEASED,
    "as published, without EG": RELEASED | {"eg": None},
    "as published, by deletion": RELEASED | {"raster": "eg"},
}
PRINTED = ("vgg16", "resnet50", "inception_v3", "maxvit_t")
TAU_OF = r"\| (-?\d\.\d\d) \[(-?\d\.\d\d), (-?\d\.\d\d)\] "
BESIDE = re.compile(r"\| ([^|]+), (\d+) rows \| (\d+) " + TAU_OF * len(PRINTED) + r"\|")


class Rows:
    """Of a results folder.  network, data: which are meant where no other is said."""

    def __init__(self, folder: Path, network: str = USUAL, data: str = DATA):
        self.network, self.data = network, data
        self.rows, self.runs = load_rows(folder), records.load_runs(folder)
        self.images = means.by_image(self.rows)

    def scores(self, network: str | None, metric: str, quantity: str, seed: str | None = None) -> pd.DataFrame:
        """A column per method, by image, NaN where it has none; of several runs of a method that with the most images."""
        found: dict[str, pd.DataFrame] = {}
        for run, record in self.runs.items():
            cell, seeds = record["cell"], Seeds.of(record["config"]["run"])
            wanted = (self.data, network or self.network, metric, int(seed or 0))
            if (cell["data"], cell["model"], cell["metric"], seeds.draws) == wanted and run in self.images:
                rows = self.images[run]
                if len(rows) > len(found.get(cell["method"], ())):
                    found[cell["method"]] = rows
        kind = self.kind(metric, quantity)
        return pd.DataFrame({method: means.values(rows, quantity, kind) for method, rows in sorted(found.items())})

    def kind(self, metric: str, quantity: str):
        settings = next(r["config"]["metric"] for r in self.runs.values() if r["cell"]["metric"] == metric)
        return quantities.of_metric(metric, settings)[quantity]

    def classes(self, images: pd.Index):
        labelled = self.rows.drop_duplicates("image_id").set_index("image_id")
        return means.classes(labelled.loc[images])


def wrong(text: str, rows: Rows) -> list[str]:
    """What the text says and the rows do not."""
    found = []
    for of in MEAN.finditer(text):
        said, network, metric, method, quantity, count = of.groups()
        digits = len(said.partition(".")[2])
        scores = rows.scores(network, metric, quantity)
        scores = scores.dropna() if count else scores
        right = f"{scores[method].mean():.{digits}f}" == said and count in (None, str(len(scores)))
        found += [] if right else [of[0]]
    for of in PAIR.finditer(text):
        first, what, second, network, metric, quantity, alone = of.groups()
        scores = rows.scores(network, metric, quantity)
        group = next(g for g in significance.comparable(scores, dict.fromkeys(scores, {})) if first in g)
        shared = scores[group if second in group and not alone else [first, second]].dropna()
        pairs = marks.pairs(rows.kind(metric, quantity).sign * shared.to_numpy(), rows.classes(shared.index))
        i, j = list(shared).index(first), list(shared).index(second)
        told = pairs.told and abs(pairs.difference[i, j]) > pairs.reach[i, j]
        found += (
            [of[0]] if (told and pairs.difference[i, j] > 0) != (what == "above") or (told and what != "above") else []
        )
    for of in TAU.finditer(text):
        said, *sides = of.groups()
        first, second = (rows.scores(*side) for side in (sides[:4], sides[4:]))
        both = first.columns.intersection(second.columns)
        first, second = first[both].dropna(), second[both].dropna()
        images = first.index.intersection(second.index)
        digits = len(said.partition(".")[2])
        tau = kendalltau(first.loc[images].mean(), second.loc[images].mean()).statistic
        found += [of[0]] if f"{tau:.{digits}f}" != said.replace("−", "-") else []
    for of in COUNT.finditer(text):
        said, network, metric, method = of.groups()
        quantity = next(iter(quantities.of_metric(metric)))
        count = rows.scores(network, metric, quantity)[method].notna().sum()
        found += [of[0]] if count != int(said.replace(",", "")) else []
    return found


def test_what_the_page_of_the_reference_says_is_in_its_rows():
    page = FOLDER / "README.md"
    if not page.exists():
        pytest.skip("the reference has no page yet")
    text = " ".join(page.read_text(encoding="utf-8").split())
    assert wrong(text, Rows(FOLDER)) == []
    assert sum(len(form.findall(text)) for form in (MEAN, PAIR, TAU, COUNT)) >= 20


def beside_printed(rows: Rows, choice: str) -> tuple[int, int, list[str]]:
    """Rows, images that they share, and τ of their ranking and LA's Table 1 with its interval, network by network."""
    quantity = "deletion" if "deletion" in choice else "insertion"
    printed = pd.read_csv(ROOT / "results" / "published" / "la_table1.csv").query("quantity == @quantity")
    printed = printed.pivot(index="method", columns="model", values="value")
    scores = rows.scores(None, "unified", quantity)
    stands = {row: CHOICES[choice].get(row, row) for row in scores}
    claimed = set(CHOICES[choice].values())
    pairs = {row: of for row, of in stands.items() if of in printed.index and (row != of or row not in claimed)}
    shared = scores[list(pairs)].dropna()
    of = printed.loc[list(pairs.values())]
    classes = rows.classes(shared.index)
    taus = [significance.agreement(shared.to_numpy(), of[model].to_numpy(), classes) for model in PRINTED]
    return len(pairs), len(shared), taus


def test_the_rankings_beside_the_printed_ones_are_those_of_the_rows():
    lines = BESIDE.findall((FOLDER / "README.md").read_text(encoding="utf-8"))
    assert len(lines) == len(CHOICES)
    rows = Rows(FOLDER)
    for (said, *numbers), choice in zip(lines, CHOICES, strict=True):
        assert said.startswith(choice)
        count, images, taus = beside_printed(rows, choice)
        assert numbers == [str(count), str(images), *re.findall(r"-?\d\.\d\d", " ".join(taus))], said


def test_the_page_of_the_tables_says_what_the_rows_say():
    page = " ".join((ROOT / "docs" / "tables.md").read_text(encoding="utf-8").split())
    rows = Rows(FOLDER)
    _, images, taus = beside_printed(rows, "as published (")
    networks = ("VGG16", "ResNet-50", "Inception-v3", "MaxViT-T")
    said = ", ".join(f"{tau.split()[0]} ({network})" for tau, network in zip(taus, networks, strict=True))
    (interval,) = {tau.partition(" ")[2] for tau in taus}
    each = "each interval from {} to {},".format(*interval.strip("[]").split(", "))
    assert f"and {images} of LA's images" in page and f"Kendall's τ-b {said}, {each}" in page
    _, images, taus = beside_printed(rows, "the methods done right")
    *most, last = (tau.split()[0] for tau in taus)
    assert f"over {images} images, it is {', '.join(most)} and {last}." in page


def test_the_front_pages_table_is_that_of_the_reference():
    """Means of the rows themselves; intervals and marks of the table that a report made of them."""
    lines = pd.read_csv(FOLDER / "report" / "reference_a.csv").query("metric == 'unified' and confidence == 'all'")
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| `(\w+)` \| (\S+ ± .+) \| (\S+ ± .+) \| (\S+ ± .+) \|$", page, re.M)
    assert len(found) == 13 and f"of {lines['row'].nunique()} rows" in page
    rows = Rows(FOLDER)
    for method, *said in found:
        for text, quantity in zip(said, ("insertion", "deletion", "gap"), strict=True):
            line = lines[(lines["row"] == method) & (lines["quantity"] == quantity)].iloc[0]
            mean, half = re.sub(r"[*†]", "", text).strip().replace("−", "-").split(" ± ")
            assert (mean, half) == (f"{line['mean']:.3f}", f"{(line['ci_high'] - line['ci_low']) / 2:.3f}")
            assert mean == f"{rows.scores(None, 'unified', quantity)[method].mean():.3f}"
            mark = {"best": "*", "level": "†"}.get(line["standing"], "")
            assert ("*" if "*" in text else "†" if "†" in text else "") == mark, (method, quantity)


def test_a_wrong_number_is_found(tmp_path):
    for method in ("sg", "sm", "ig"):
        job = small_job(tmp_path, "data=synthetic", "data.limit=16", f"method={method}", "metric.unified.step=768")
        job.record("unified")
        complete(job)
    rows = Rows(tmp_path, network="tiny", data="synthetic")
    scores = rows.scores(None, "unified", "gap")
    first, second = (scores[name].mean() for name in ("sg", "ig"))
    right = f"{first:.3f} (unified: sg, gap) and {second:.2f} (tiny/unified: ig, gap) of 16 images (unified: ig)"
    assert wrong(right, rows) == []
    assert wrong(right.replace(f"{first:.3f}", f"{first + 0.001:.3f}"), rows) == [
        f"{first + 0.001:.3f} (unified: sg, gap)"
    ]
    assert wrong(right.replace("16 images", "15 images"), rows) == ["15 images (unified: ig)"]
    tau = kendalltau(scores.mean(), rows.scores(None, "unified", "insertion").mean()).statistic
    assert wrong(f"τ = {tau:.2f} (unified gap; unified insertion)", rows) == []
    assert len(wrong(f"τ = {tau - 0.5:.2f} (unified gap; unified insertion)", rows)) == 1
    said = [
        f"`{a}` {what} `{b}` (unified, gap)"
        for a, b in (("sg", "ig"), ("ig", "sg"))
        for what in ("above", "not told from")
    ]
    pairs = marks.pairs(scores.to_numpy(), rows.classes(scores.index))
    i, j = list(scores).index("sg"), list(scores).index("ig")
    told = pairs.told and abs(pairs.difference[i, j]) > pairs.reach[i, j]
    true = [(told and first > second), not told, (told and second > first), not told]
    assert [not wrong(sentence, rows) for sentence in said] == true
