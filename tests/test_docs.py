"""What the documentation says to type works: every command and every block of Python is run, or marked as needing something.

A block is marked by a comment before it, `<!-- needs: data -->`, a line by one at its end, `# needs: a minute`.
What does not say how many steps a game has plays fewer here than a reader does.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest
import yaml
from commands import PROGRAMS, nobody_elses, run_line
from omegaconf import OmegaConf

import heatproof
from bench.choices import ROOT
from bench.config import step_of
from heatproof.__main__ import there

DOCS = ROOT / "docs"
PAGES = sorted(page for page in DOCS.glob("*.md"))
PLACES = {"README": ROOT / "README.md", "own_method": ROOT / "examples" / "own_method" / "README.md"}
PLACES |= {page.stem: page for page in PAGES}
BLOCK = re.compile(r"(<!-- needs: [^>]+ -->\n)?^```(\w*)\n(.*?)^```$", re.M | re.S)
SMALL = "model.size=32 model.resize=36 compute.workers=0 compute.batch_size=4"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SHOWN = {"is_my_method_better": {"text/html", "image/png"}, "reproduce_a_table": {"text/html"}}
ROWS = {"is_my_method_better": 2 * 24, "reproduce_a_table": 3 * 16}  # methods and images of its folder
STEPS = 8
MAKE = re.compile(r"^make ([\w-]+)", re.M)


@pytest.fixture
def here(tmp_path, monkeypatch):
    matplotlib.use("agg")
    monkeypatch.chdir(tmp_path)
    OmegaConf.register_new_resolver("step_of", lambda size, order, steps: step_of(size, order, STEPS), replace=True)
    with nobody_elses():
        yield tmp_path
    OmegaConf.register_new_resolver("step_of", step_of, replace=True)


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and text of those that are not marked."""
    found = BLOCK.findall(PLACES[page].read_text(encoding="utf-8"))
    return [(language, block) for needs, language, block in found if not needs and language in ("", "python")]


def lines(block: str) -> list[str]:
    """Those of our programs that are not marked."""
    return [line for line in block.splitlines() if line.startswith(PROGRAMS) and "# needs: " not in line]


@pytest.mark.parametrize("page", [page for page in PLACES if blocks(page)])
def test_what_a_page_says_to_type_works(page, here, capsys):
    cells: dict = {}
    if page == "own_method":
        shutil.copytree(
            PLACES[page].parent, here, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "results")
        )
    for language, block in blocks(page):
        if language == "python":
            exec(compile(block, f"{page}.md", "exec"), cells)
        for line in lines(block) if not language else []:
            small = f" {SMALL}" if " run " in line and "model=tiny" in line and "experiment=" not in line else ""
            line = line.split(" # ")[0].rstrip()
            assert run_line(line + small) == 0, line


@pytest.mark.parametrize("page", PLACES)
def test_no_command_is_neither_run_nor_marked(page):
    """make demo and make test are CI's; what pip does is tests/test_wheel.py's."""
    for language, block in blocks(page):
        left = [line for line in block.splitlines() if not language and line and "# needs: " not in line]
        assert all(line.startswith((*PROGRAMS, "pip install ", "make demo ", "make test ")) for line in left), left


def test_commands_elsewhere_in_the_documentation_exist():
    """Of pages whose blocks take hours or a cluster: there is such a module, such a target of make."""
    targets = (ROOT / "Makefile").read_text(encoding="utf-8")
    names = {file.stem.replace("_", "-") for file in (ROOT / "conf" / "experiment").glob("*.yaml")}
    for page in PLACES.values():
        text = page.read_text(encoding="utf-8")
        for module in re.findall(r"python -m (bench[\w.]*\w)", text):
            assert importlib.util.find_spec(module), f"{page.name}: {module}"
        for command in re.findall(r"^heatproof ([a-z]+)", text, re.M):
            assert command in there(), f"{page.name}: heatproof {command}"
        for target in MAKE.findall(text):
            assert target in names or re.search(rf"^{target}:", targets, re.M), f"{page.name}: make {target}"


def test_no_folder_keeps_a_target_of_make_from_being_made():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {*re.findall(r"^([a-z][\w-]*):", makefile, re.M)}
    phony = re.search(r"^\.PHONY: (.*)", makefile, re.M)[1].split()
    assert {"docs", "test"} <= {target for target in targets if target in phony}
    assert not {target for target in targets if (ROOT / target).exists()} - {*phony}


def test_every_page_opens_with_a_task():
    for page in PAGES:
        title, _, first = page.read_text(encoding="utf-8").partition("\n\n")
        assert title.startswith("# ") and first.startswith("You "), page.name


def test_every_page_is_in_the_site_and_in_llms_txt():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    listed = re.findall(r"\]\(([\w.-]+)\)", (DOCS / "llms.txt").read_text(encoding="utf-8"))
    names = {page.name for page in PAGES}
    assert {*re.findall(r"[\w-]+\.md", navigation)} == names == {*listed}


def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={"NO_MKDOCS_2_WARNING": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "heatproof.evaluate" in (tmp_path / "api" / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_runs_from_its_first_cell_to_its_last(notebook, tmp_path, monkeypatch):
    """In a kernel of its own, in an empty folder."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")  # for !heatproof
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    book = nbformat.read(notebook, as_version=4)
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in cells), "saved with outputs"
    nbclient.NotebookClient(book, timeout=200, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in cells for output in cell.outputs]
    said = "".join(output.get("text", "") for output in shown)
    kinds = {kind for output in shown for kind in output.get("data", ())}
    assert "error" not in said and kinds >= SHOWN[notebook.stem]
    assert len(heatproof.rows(tmp_path / "results")) == ROWS[notebook.stem]


def test_yaml_in_the_documentation_is_yaml():
    for page in PAGES:
        for _, language, block in BLOCK.findall(page.read_text(encoding="utf-8")):
            if language == "yaml":
                yaml.safe_load(block)


def test_questions_in_sql_are_answered_with_the_numbers_that_pandas_gives(here):
    duckdb = importlib.import_module("duckdb")
    assert run_line(f"heatproof run -m method=sm,random model=tiny data=synthetic data.limit=3 {SMALL}") == 0
    questions = [block for _, language, block in BLOCK.findall(PLACES["results"].read_text()) if language == "sql"]
    with duckdb.connect() as database:
        database.execute(questions[0])
        tables = [database.sql(question).df() for question in questions[1:]]
    assert len(tables) == 3
    rows = heatproof.rows("results")
    means = rows.groupby(rows["method"].astype(str))["insertion"].mean()
    assert tables[0].set_index("method")["insertion"].to_dict() == pytest.approx(means.to_dict())
    assert tables[0]["images"].tolist() == [3, 3]
    assert len(tables[1]) == 3
    assert tables[2].set_index("method").loc["sm", ["forward", "backward"]].tolist() == [1, 1]
