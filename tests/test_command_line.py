"""Paths and ids reach the configuration as they were typed, whatever Hydra's grammar makes of them."""

import os
import subprocess
import sys
from pathlib import Path

import made
import pytest

from bench.choices import ROOT
from bench.cli import command
from bench.config import launch, load
from bench.errors import UserError
from bench.running.post import build_method
from bench.typed import as_typed
from heatproof.catalogue import lines


@pytest.mark.parametrize(
    "ids",
    [["1_1"], ["2007_000032", "000012"], ["1e5", "null", "true", "a b"], ["Käfer (2)", "a=b", "猫", "x#1", "a\\b"]],
)
def test_ids_are_what_was_typed(ids):
    assert load([f"data.ids=[{','.join(ids)}]"]).cfg.data.ids == ids
    assert load([f"data.ids={ids[0]}"]).cfg.data.ids == ids[0] or ids[0] == "null"


@pytest.mark.parametrize(
    "override",
    ["data.ids=null", "data.ids=[]", "data.ids=['1_1']", 'data.ids=["a,b"]', "data.ids=[a],[b]", "-m", "~metric"],
)
def test_what_hydra_understands_stays(override):
    assert as_typed([override]) == [override]


def test_a_sweep_over_ids_stays_one():
    assert as_typed(["data.ids=1_1,2"]) == ['data.ids="1_1","2"']


ROOTS = ["/tmp/a=b", "/tmp/ä/猫", "/tmp/(1)", "~/x", "/a'b", '/a"b', "/a {b}\\", "2012_01", "1e5", "/a b"]


@pytest.mark.parametrize("root", ROOTS)
def test_a_path_is_what_was_typed(root):
    typed = as_typed([f"data.root={root}", f"paths.results={root}"])
    assert as_typed(typed) == typed
    cfg = load(["data=folder", *typed]).cfg
    meant = root.replace("~", str(Path.home()))
    assert cfg.data.root == meant and cfg.paths.results == meant


def test_another_value_that_hydra_cannot_read_says_how_to_quote_it():
    with pytest.raises(UserError, match=r"""^report.title=a\(b: .* 'report.title="a\(b"'$"""):
        load(["report.title=a(b"])


def test_a_run_takes_such_a_path_and_such_an_id(tmp_path):
    root = made.folder(tmp_path / "ü=(1)", ["11.png", "1_1.png"])
    arguments = ["model=tiny", "data=folder", f"data.root={root}", "data.ids=[1_1]", f"paths.results={tmp_path / 'o'}"]
    command = [sys.executable, "-m", "bench.run", *arguments, "method=sm", "metric=[]", "run.save_attributions=true"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [file.name for file in (tmp_path / "o").rglob("*.npy")] == ["1_1.npy"]


def refuse(arguments):
    raise UserError(f"{arguments[0]} is no file.")


@pytest.mark.parametrize(
    ("arguments", "main", "status", "out"),
    [
        (["a", "--help"], refuse, 0, "What it does.\n"),
        (["a"], refuse, "error: a is no file.", ""),  # Python writes such a status to stderr and exits with 1
        (["a"], lambda arguments: print(*arguments), None, "a\n"),
        ([], len, 0, ""),
        (["a", "b"], len, 2, ""),
    ],
)
def test_a_command_explains_itself_and_ends_in_a_line(arguments, main, status, out, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["program", *arguments])
    with pytest.raises(SystemExit) as end:
        command("\nWhat it does.\n", main)
    assert (end.value.code, capsys.readouterr().out) == (status, out)


def test_a_terminal_that_lacks_a_letter_gets_another_one():
    code = "import sys; from bench.cli import command; sys.argv[1:] = []; command('', lambda _: print('0.5 ± 0.1'))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}
    )
    assert (done.returncode, done.stdout.split()) == (0, b"0.5 ? 0.1".split())


@pytest.mark.parametrize("override", ["+run.sead=3", "+compute.batch=3", "+report.seed=1", "++paths.result=elsewhere"])
def test_a_key_that_nobody_takes_is_refused(override):
    with pytest.raises(UserError, match="takes no such key"):
        load([override])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("method=attexplor", "method=attexplor: there is no such method. Did you mean attexplore"),
        ("metric=[unified,nope]", "metric=nope: there is no such metric. `heatproof list metrics` has them all."),
        ("experiment=la_tabel1", "Did you mean la_table1"),
        ("data=imagenett", "Did you mean imagenet?"),
        ("experiment=null", "experiment=null: there is no such experiment."),
        ("model=/tmp/net.pt", "expected a name, not a path. The weights of a network are model.weights=/tmp/net.pt."),
        ("method=../sm", "method=../sm: expected a name, not a path. `heatproof list methods` has them all."),
    ],
)
def test_a_name_that_nobody_has_is_a_sentence(override, said):
    with pytest.raises(UserError) as refused:
        load([override])
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_a_group_that_nobody_has_is_refused():
    with pytest.raises(UserError, match="metod: there is no such key. Did you mean method"):
        load(["+metod=3"])


@pytest.mark.parametrize("override", ["method=la", "metric=[unified,kl]", "metric=[]"])
def test_a_name_that_there_is_stays(override):
    load([override])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("method.stepz=3", "method.stepz: there is no such key. Did you mean steps?"),
        ("method.stepz=3 data.limt=3", "there is no such key."),
        ("run.sead=3 result=elsewhere", ": there is no such key."),
        ("hydra.rum.dir=x metrics=kl", "there is no such key."),
        ("metric.kl.step=3", "metric.kl.step: there is no such key. metric has unified."),
        ("compute/device=cpu", "compute/device: there is no such key. Did you mean compute.device?"),
        ("data.limit.x=3", "data.limit.x: there is no such key. data.limit has no keys."),
        ("data.limit=1,2", "data.limit=1,2: several are a sweep, -m data.limit=1,2; a list is data.limit=[1,2]."),
        ("~method", "~method: a run has one, such as method=ig."),
        ("~compute.device", "compute.device must be given: compute.device=…."),
        ("hydra=null", "hydra=null: "),
        ("+method=ig", "+method=ig: "),
        ("~method.nothing", "~method.nothing: "),
        ("hydra/launcher=nothing", "hydra/launcher=nothing: "),
    ],
)
def test_what_cannot_be_composed_names_the_word(words, said):
    with pytest.raises(UserError) as refused:
        load(["model=tiny", "data=synthetic", "method=ig", "metric=[unified]", *words.split()])
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_what_hydra_would_refuse_is_refused_before_it_and_a_sweep_may_say_so_anywhere(monkeypatch, capsys):
    def status(words):
        monkeypatch.setattr(sys, "argv", ["run", "model=tiny", "data=synthetic", *words.split()])
        with pytest.raises(SystemExit) as end:
            launch(lambda: sys.exit(f"words: {sys.argv[1:]}"))
        return end.value.code

    assert status("method=ig,sm method.stepz=3 -m") == "error: method.stepz: there is no such key. Did you mean steps?"
    assert status("method=ig,sm") == "error: method=ig,sm: several are a sweep, -m method=ig,sm."
    assert status("method=ig,sm -m").startswith("words: ['-m', ")
    assert status("-m x") == status("x") == status("--help x") == "error: x: expected KEY=VALUE, such as method=ig."
    assert "method=ig,sm" not in status("-m --help method=ig,sm") and "'method=ig'" in status("-h -m method=ig,sm")
    assert status("method=ig -m method.steps=3,4 data.limit=2").startswith("words: ['-m', ")
    assert status('-m method=glob("[a-b]*",exclude=[agi])').startswith("words: ['-m', ")
    assert status("-m method=glob(zz*)").startswith("error: method=glob(zz*): no method has such a name.")
    for values in ("range(3,9)", "choice(3,4)", "interval(3,9)", "shuffle(3,4)", "sort(range(3,9),reverse=true)"):
        assert status(f"-m method=ig method.steps={values}").startswith("words: ['-m', ")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "conf/method/mine.yaml holds nothing: expected keys"),
        (b"- a", "conf/method/mine.yaml holds a list: expected keys"),
        (b"a: 1\nb: [c", "conf/method/mine.yaml, line 2: this is no yaml ("),
        (b"\ta: 1", "conf/method/mine.yaml, line 1: this is no yaml ("),
        (b"a: \xe4", "conf/method/mine.yaml is in another encoding than UTF-8"),
        (b"_target_: fractions.Fraction\nnumerator: {}\n", "beside its _target_"),
    ],
)
def test_a_yaml_of_ones_own_that_cannot_be_read_is_a_sentence(content, said, tmp_path, monkeypatch):
    file = tmp_path / "conf" / "method" / "mine.yaml"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="(?s)^[^\n]+$") as refused:
        build_method(load(["model=tiny", "data=synthetic", "method=mine"]).cfg.method)
    assert said in str(refused.value)
    listed = [line for line in lines("methods") if line.startswith("mine*")]
    assert len(listed) == 1 and (said in listed[0] or "_target_" in said)


def test_a_metric_of_ones_own_stands_under_its_name(tmp_path, monkeypatch):
    file = tmp_path / "conf" / "metric" / "mine.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("_target_: metrics.sparseness.sparseness\n_partial_: true\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="expected the key mine, and them below"):
        load(["model=tiny", "data=synthetic", "method=ig", "metric=[mine]"])
