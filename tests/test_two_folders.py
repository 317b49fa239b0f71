"""Two folders of the same file names in one results folder."""

import made
import pytest
from jobs import SMALL, coarse, complete, small_job
from PIL import Image

from bench.config import load
from bench.images.imagenet import imagenet
from bench.images.preprocessing import Preprocessing
from bench.report import __main__ as report
from bench.store import records


def fill(folder, images, shade):
    for k in range(images):
        made.picture(folder / f"{k}.png", (40 * k, shade, 30), (32 + shade, 32), "RGB")
    return folder


def reported(tmp_path, root):
    """The images of one report's only row, and its insertion."""
    demo = ["experiment=demo", "experiment.models=[tiny]", "experiment.methods=[sm]", "experiment.panel=null"]
    data = ["data=folder", f"data.root={root}", f"paths.results={tmp_path / 'out'}", "report.bootstrap=100"]
    numbers = report.make(coarse(*demo, *SMALL[1:], *data))[0].numbers
    line = numbers[(numbers["confidence"] == "all") & (numbers["quantity"] == "insertion")].iloc[0]
    return int(line["n"]), line["mean"]


def test_each_report_prints_its_own_numbers(tmp_path):
    roots = {
        name: fill(tmp_path / name, images, 30 * images) for name, images in (("a", 2), ("b", 3), ("never run", 1))
    }
    alone = {}
    for name in ("a", "b"):
        job = small_job(tmp_path / "out", "data=folder", f"data.root={roots[name]}", "method=sm")
        job.record("unified")
        complete(job)
        rows = job.rows("unified").read().to_pandas()
        alone[name] = (len(rows), pytest.approx(rows["insertion"].mean()))
    assert alone["a"][0] == 2 and alone["b"][0] == 3
    assert {name: reported(tmp_path, roots[name]) for name in ("a", "b")} == alone
    assert reported(tmp_path, roots["never run"])[0] == 0


def test_two_copies_are_one_collection_and_two_sets_of_the_same_names_are_two(tmp_path):
    for name, shade in (("one", 10), ("copy", 10), ("noisy", 60)):
        fill(tmp_path / name / "n01440764", 2, shade)
    one, copy, noisy = (
        imagenet(str(tmp_path / name), None, Preprocessing(32, 32)).collection for name in ("one", "copy", "noisy")
    )
    assert one == copy != noisy


def test_validation_is_what_no_split_says_and_another_split_is_another_run(tmp_path):
    pytest.importorskip("datasets")
    picture = made.encoded(Image.linear_gradient("L").convert("RGB"))
    for split in ("train", "validation"):
        made.parquet(tmp_path / "p" / f"{split}.parquet", [picture], label=[1])
    data = ["data=hf", f"data.root={tmp_path / 'p'}", "method=sm"]
    null, validation, train = (
        small_job(tmp_path / "out", *data, f"data.split={split}") for split in ("null", "validation", "train")
    )
    assert null.run_id("unified") == validation.run_id("unified") != train.run_id("unified")
    asked = load(coarse(*SMALL, *data, "data.split=validation", "metric=[unified]"))
    assert null.identity("unified").answers(records.asked(asked.names | {"metric": "unified"}, asked.cfg))
