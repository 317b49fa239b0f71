"""The lines of docs/contradictions.md that say what an entry touches: all of them can be read, and name what there is."""

import re

import pandas as pd
import pytest

from bench.config import CONF, ROOT
from bench.errors import UserError
from bench.papers import contradictions, published

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


@pytest.mark.parametrize("table", sorted(file.stem for file in published.FOLDER.glob("*_table*.csv")))
def test_what_is_said_of_a_row_or_a_metric_touches_every_table_that_has_it(table):
    of = {"sm": 8, "agi": 9, "la": 11, "attexplore": 12, "aii": 14, "deeplift": 15, "big": 16, "eg": 6, "fast_ig": 7}
    of |= {"insertion_deletion": 19, "infidelity": 20, "fair": 21, "kl": 22}
    there = of.keys() & printed(table)
    for name in there:
        assert str(of[name]) in contradictions.touching(table, name).split(), name
        assert str(of[name]) not in contradictions.touching(table, "somebody").split()


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
