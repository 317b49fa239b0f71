"""The command: its words, own yamls and modules in the working folder, the files of a new method, completion."""

import shutil
import subprocess
import sys

import pytest
from commands import nobody_elses, run_line

from bench.choices import CONF, ROOT
from bench.config import load
from bench.errors import UserError
from bench.experiments.cells import file
from bench.typed import with_own
from heatproof import new
from heatproof.__main__ import COMMANDS, there
from heatproof.catalogue import GROUPS, lines
from heatproof.completion import SHELLS, script


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder, worked in."""
    monkeypatch.chdir(tmp_path)
    with nobody_elses():
        yield tmp_path


def test_every_command_says_what_it_does(capsys, here):
    assert (
        {"run", "report", "claims", "sanity", "demo", "list", "new", "export", "completion"}
        <= {*there()}
        <= {*COMMANDS}
    )
    assert run_line("heatproof --help") == 0
    shown = capsys.readouterr().out
    assert all(f"heatproof {name}" in shown for name in there())
    assert (
        run_line("heatproof rnu")
        == "error: heatproof has no command rnu. Did you mean run? `heatproof --help` lists them."
    )


@pytest.mark.parametrize("name", ["demo", "list", "new", "export", "completion"])
def test_a_command_of_its_own_explains_itself(name, capsys, here):
    assert run_line(f"heatproof {name} --help") == 0
    assert capsys.readouterr().out.startswith(f"heatproof {name}")
    assert str(run_line(f"heatproof {name} a b c")).startswith("error: ") or name == "demo"


@pytest.mark.parametrize("what", GROUPS)
def test_a_list_has_a_line_for_each_yaml(what):
    listed = lines(what)
    assert [line.split()[0] for line in listed] and len(listed) == len([*(CONF / GROUPS[what]).glob("*.yaml")])
    assert all(len(line.split()) > 3 and "\n" not in line for line in listed)


def test_a_list_names_cost_paper_and_whose_it_is(here):
    (here / "conf" / "method").mkdir(parents=True)
    (here / "conf" / "method" / "zeta.yaml").write_text("# Mine.\n_target_: zeta.zeta\n")
    listed = {line.split()[0]: line for line in lines("methods")}
    assert "50 forward, 50 backward passes" in listed["ig"] and "[Sundararajan et al. 2017]" in listed["ig"]
    assert listed["zeta*"].endswith("Mine.")


def test_a_new_method_runs_and_keeps_its_promises(here, capsys):
    assert run_line("heatproof new method mine") == 0
    assert capsys.readouterr().out.splitlines()[:3] == ["mine.py", "conf/method/mine.yaml", "tests/test_mine.py"]
    assert (
        run_line("heatproof run method=mine model=tiny data=synthetic data.limit=2 model.size=32 compute.workers=0")
        == 0
    )
    assert "n     2" in capsys.readouterr().out
    assert run_line("pytest tests/test_mine.py") == 0
    code = (here / "mine.py").read_text().replace("gradient.abs()", "(gradient - gradient.mean(dim=0)).abs()")
    (here / "mine.py").write_text(code)
    for name in ("mine",):
        sys.modules.pop(name)
    with pytest.raises(AssertionError, match="mine: the map of an image depends on the others of its batch"):
        run_line("pytest tests/test_mine.py")


def test_a_new_metric_runs_and_keeps_its_promises(here, capsys):
    assert run_line("heatproof new metric ours") == 0
    few = "method=sm model=tiny data=synthetic data.limit=2 model.size=32 compute.workers=0"
    assert run_line(f"heatproof run 'metric=[ours]' {few}") == 0
    assert "score" in capsys.readouterr().out
    assert run_line("pytest tests/test_ours.py") == 0
    code = (here / "ours.py").read_text()
    (here / "ours.py").write_text(code.replace('- without["probability"]', '- without["probability"].mean()'))
    sys.modules.pop("ours")
    with pytest.raises(AssertionError, match="ours: the score of an image depends on the others"):
        run_line("pytest tests/test_ours.py")


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("la", "la is a method that Heatproof has"),
        ("json", "json is a module that Python would import instead"),
        ("Mine", "expected a name of small letters"),
        ("../x", "expected a name of small letters"),
        ("class", "expected a name of small letters"),
        ("list", "expected a name of small letters"),
    ],
)
def test_a_name_that_cannot_be_is_refused(name, complaint, here):
    with pytest.raises(UserError, match=complaint):
        new.written("method", name)
    assert not any(here.iterdir())


def test_nothing_is_written_over(here):
    (here / "mine.py").write_text("mine")
    with pytest.raises(UserError, match="mine.py is there already"):
        new.written("method", "mine")
    assert (here / "mine.py").read_text() == "mine" and len([*here.iterdir()]) == 1


def test_own_yamls_are_found_beside_ours(here):
    (here / "conf" / "method").mkdir(parents=True)
    own = here / "conf" / "method" / "own.yaml"
    own.write_text("defaults: [ig]\nsteps: 7\n")
    assert load(["method=own"]).cfg.method.steps == 7
    own.write_text("defaults: [ig]\nsteps: 8 # seen, though this process has read the file before\n")
    assert (load(["method=own"]).cfg.method.steps, file("method", "own").steps) == (8, 8)
    assert with_own(["method=own", "-m"])[1:] == ["method=own", "-m"]  # Hydra reads nothing after an option


@pytest.mark.parametrize(("group", "name"), [("method", "sm"), ("metric", "unified"), ("model", "tiny")])
def test_a_file_that_ours_would_hide_is_refused(here, group, name):
    own = here / "conf" / group / f"{name}.yaml"
    own.parent.mkdir(parents=True)
    shutil.copy(CONF / group / f"{name}.yaml", own)
    load(["method=sm"])  # the same file is no trap
    own.write_text(own.read_text() + "\n# changed\n")
    with pytest.raises(UserError, match=f"conf/{group}/{name}.yaml has the name of a file of Heatproof's own"):
        load(["method=sm"])
    load(["method=ig", "model=vit_b_16", "metric=[kl]"], builders=False)  # not chosen


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("heatproof ru", ["run"]),
        ("heatproof run method=attexplore_t", ["attexplore_tifgsm", "attexplore_tifgsm_as_published"]),
        ("heatproof list ex", ["experiments"]),
    ],
)
def test_bash_completes_commands_and_choices(tmp_path, typed, found):
    if not (bash := shutil.which("bash")):
        pytest.skip("there is no bash")
    (tmp_path / "complete").write_text(script("bash"))
    words = typed.replace("=", " = ").split()
    lines = [
        f". {tmp_path / 'complete'}",
        f"COMP_LINE={typed!r} COMP_POINT={len(typed)} COMP_WORDS=({' '.join(words)}) COMP_CWORD={len(words) - 1}",
        '_heatproof; printf "%s\\n" "${COMPREPLY[@]}"',
    ]
    done = subprocess.run([bash, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == found


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_of_completion_is_one_of_its_shell(shell, tmp_path):
    text = script(shell)
    assert "method=la" in text and "@" not in text
    if program := shutil.which(shell):
        (tmp_path / "script").write_text(text)
        subprocess.run([program, "-n", tmp_path / "script"], check=True)


def test_lists_and_new_files_take_no_torch(tmp_path):
    program = "import sys; from heatproof import catalogue, completion, new; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": str(ROOT)}, cwd=tmp_path)
