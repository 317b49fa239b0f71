"""The lines of docs/contradictions.md that say what an entry touches: all of them can be read, and name what there is."""

import re
from itertools import product

import pandas as pd
import pytest

from bench.choices import CONF, ROOT
from bench.errors import UserError
from bench.papers import contradictions, published
from bench.text import natural

TABLES = sorted((file.stem for file in published.FOLDER.glob("*_table*.csv")), key=natural)
CELL = ["model", "metric", "quantity", "confidence"]
OUT_OF_TEXT = {"LA": "la", "AII": "aii", "AttEXplore": "attexplore"}
EXPERIMENTS = {file.stem for file in (CONF / "experiment").glob("*.yaml")}


def printed(table):
    """The names that a printed table's numbers go by."""
    rows = pd.read_csv(published.FOLDER / f"{table}.csv", dtype="str", keep_default_na=False)
    return {name for column in ("model", "method", "metric", "quantity") for name in rows[column]}


def test_every_entry_of_the_page_is_found():
    anchors = re.findall(r'<a id="c(\d+)">', contradictions.PAGE.read_text())
    assert [str(number) for number in contradictions.entries()] == anchors
    assert len(anchors) >= 27


@pytest.mark.parametrize("entry", contradictions.entries().values(), ids=lambda entry: entry.number)
def test_what_an_entry_touches_is_there(entry):
    assert entry.touches
    for tables, names in entry.touches:
        assert tables
        for table in tables - {contradictions.EVERY}:
            assert table in EXPERIMENTS
            assert names <= (printed(table) if names else set()), table


@pytest.mark.parametrize("table", TABLES)
def test_what_is_said_of_a_row_or_a_metric_touches_every_table_that_has_it(table):
    of = {"sm": {8}, "agi": {9, 17}, "la": {9, 11}, "attexplore": {12}, "aii": {14}, "deeplift": {15}, "big": {16}}
    of |= {"eg": {6}, "fast_ig": {7}, "insertion_deletion": {19}, "infidelity": {20}, "fair": {21}, "kl": {22}}
    in_general = {*contradictions.numbers(contradictions.touching(table, "somebody"))}
    assert in_general >= {10, 18}
    for name in of.keys() & printed(table):
        assert of[name] <= {*contradictions.numbers(contradictions.touching(table, name))}, name
        assert not of[name] & in_general, name


def cells(table):
    """The readable cells of a printed table, without those of a sweep."""
    found = pd.read_csv(published.FOLDER / f"{table}.csv", dtype="str", keep_default_na=False)
    found = found[(found["value"] != "") & (found["param"] == "")]
    return found.assign(value=found["value"].astype(float)).set_index([*CELL, "method"])["value"]


def touched(number):
    """{(table, row)} of an entry, for the rows that its tables have."""
    entry = contradictions.entries()[number]
    return {(table, row) for table in TABLES for row in printed(table) if entry.touch(table, [row])}


def test_the_two_image_sets_touch_the_tables_that_they_are_said_to_be_of():
    """'LA Tables 1, 2; AII Tables 3, 7 and most of 4–6; AttEXplore, all tables.'"""
    text = contradictions.PAGE.read_text().partition('<a id="c1"></a>')[2].partition("- Make of it")[0]
    said = set()
    for paper, of in re.findall(r"(LA|AII|AttEXplore)(?: Tables|,) ([^;.]+)", text.partition("\n- A: ")[2]):
        for first, last in re.findall(r"(\d+)(?:–(\d+))?", of):
            said |= {f"{OUT_OF_TEXT[paper]}_table{k}" for k in range(int(first), int(last or first) + 1)}
        if of == "all tables":
            said |= {table for table in TABLES if table.startswith(OUT_OF_TEXT[paper])}
    assert {table for table, _ in touched(1)} == said
    assert len(said) == 25


def test_a_mean_outside_its_parts_touches_its_row():
    """Of set A's rows in AII's Tables 5 and 6; Table 4, which has no parts, has the same four."""
    outside = set()
    for whole, parts in (("aii_table5", "aii_table1"), ("aii_table6", "aii_table2"), ("aii_table7", "aii_table3")):
        split = cells(parts).unstack("confidence")[["low", "high"]].dropna()
        all_ = cells(whole).droplevel("confidence").reindex(split.index)
        wrong = (all_ < split.min(axis=1)) | (all_ > split.max(axis=1))
        outside |= {(whole, row) for row in wrong[wrong].index.unique("method")}
    assert touched(2) == outside | {("aii_table4", row) for _, row in outside}


def test_a_network_that_repeats_another_is_touched():
    repeated = set()
    for table in TABLES:
        of = cells(table).unstack("model")
        for one, other in product(of, of):
            if one < other and len(both := of[[one, other]].dropna()) and (both[one] == both[other]).all():
                repeated |= {(table, one), (table, other)}
    assert repeated == {("la_table3", "maxvit_t"), ("la_table3", "vgg16")}
    assert touched(3) == {("la_table3", "maxvit_t")}  # Table 4 and the other paper have VGG16's


def test_rows_that_two_papers_share_touch_both():
    shared = set()
    for one, other in product(TABLES, TABLES):
        if one.startswith("la_") and not other.startswith("la_"):
            apart = (cells(one) - cells(other)).dropna().abs().groupby("method").max()
            shared |= {(table, row) for row in apart[apart < 0.00006].index for table in (one, other)}
    assert touched(4) == shared


def test_an_entry_touches_its_rows_and_no_others():
    entries = contradictions.entries()
    assert entries[3].touch("la_table3", ["eg", "maxvit_t"])
    assert not entries[3].touch("la_table3", ["eg", "vgg16"])
    assert not entries[3].touch("la_table4", ["eg", "maxvit_t"])
    assert entries[10].touch("aii_table9", ["ig"])  # every table
    assert "6" in contradictions.touching("la_table1", "eg", "vgg16").split()
    assert contradictions.touching("nobodys_table", "ig").split() == ["10", "18"]


def test_what_touches_every_cell_is_known_from_what_touches_some():
    assert contradictions.of_all(["1 6", "1", "", None, "1 7"]) == {1}
    assert contradictions.of_all([float("nan")]) == set()


def test_a_link_leads_from_the_report_to_the_entry(tmp_path):
    folder = ROOT / "results" / "report"
    path, _, anchor = contradictions.href(3, folder).partition("#")
    assert (folder / path).resolve() == contradictions.PAGE and anchor == "c3"
    assert contradictions.href(3, tmp_path) is None


@pytest.mark.parametrize("text", ["### 1. T\n\nText.\n", "### 2. T\n\n- Touches: la_table1\n"])
def test_an_entry_that_cannot_be_read_is_an_error(tmp_path, text):
    (tmp_path / "page.md").write_text(f'<a id="c1"></a>\n{text}')
    with pytest.raises(UserError, match="entry"):
        contradictions.entries(tmp_path / "page.md")
