"""Folders of parquet files: which are of a split, and what is refused by name."""

from pathlib import Path

import made
import pytest
from made import encoded
from PIL import Image
from test_data import opened

from bench.errors import UserError
from bench.images.parquet import parquet_files, split_of

pytestmark = pytest.mark.filterwarnings("ignore")  # of datasets and what it imports


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets.disable_progress_bars()


def table(path, *greys, **columns):
    images = [encoded(Image.new("L", (8, 8), grey)) for grey in greys]
    return made.parquet(path, images, **({"label": [grey % 10 for grey in greys]} | columns))


@pytest.fixture
def snapshot(tmp_path):
    """As the hub stores a data set: 3 images to train, 2 to validate in two files, 1 to test."""
    table(tmp_path / "snap/data/train-00000-of-00001.parquet", 1, 2, 3)
    table(tmp_path / "snap/data/validation-00000-of-00002.parquet", 14)
    table(tmp_path / "snap/data/validation-00001-of-00002-9f3a.parquet", 25)
    table(tmp_path / "snap/data/test-00000-of-00001.parquet", 36)
    return tmp_path / "snap"


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("train.parquet", "train"),
        ("data/dev-00000-of-00002.parquet", "validation"),
        ("data/extra_hard-00000-of-00002-ab12.parquet", "extra_hard"),
        ("data/train_extra-00000-of-00002.parquet", "train_extra"),
        ("my_test_file.parquet", "test"),
        ("Val/0000.parquet", "validation"),
        ("a/eval/b/0.parquet", "test"),
        ("contest.parquet", None),
        ("0000.parquet", None),
    ],
)
def test_a_name_says_the_split_as_on_the_hub(path, split):
    assert split_of(Path(path)) == split


def test_a_split_is_its_files(snapshot):
    for split, labels in (("train", [1, 2, 3]), ("validation", [4, 5]), ("test", [6]), (None, [4, 5])):
        source, ids = opened("hf", root=str(snapshot), split=split)
        assert [source.load(id).label for id in ids] == labels
    assert opened("hf", root=str(snapshot / "data" / "test-00000-of-00001.parquet"))[0].labels == [6]


def test_a_split_that_is_not_there_is_refused_with_those_that_are(snapshot, tmp_path):
    with pytest.raises(UserError, match=r"data\.split=dev2: .* has test, train, validation; name one"):
        opened("hf", root=str(snapshot), split="dev2")
    with pytest.raises(UserError, match=r"data\.split=test: the files of .* name no splits; leave data\.split out"):
        opened("hf", root=str(table(tmp_path / "0.parquet", 1)), split="test")
    table(snapshot / "more.parquet", 7)
    with pytest.raises(UserError, match=r"more\.parquet says by its name of no split, other files do"):
        opened("hf", root=str(snapshot))


def test_files_without_splits_are_one_table(tmp_path):
    table(tmp_path / "p" / "b.parquet", 12, 13)
    table(tmp_path / "p" / "a.parquet", 11)
    source, ids = opened("hf", root=str(tmp_path / "p"))
    assert [source.label(id) for id in ids] == [1, 2, 3]


def test_an_odd_file_is_refused_by_its_name(tmp_path):
    table(tmp_path / "p" / "a.parquet", 1)
    (tmp_path / "p" / "b.parquet").write_bytes(b"")
    with pytest.raises(UserError, match=r"b\.parquet cannot be read as a parquet file"):
        opened("hf", root=str(tmp_path / "p"))
    table(tmp_path / "p" / "b.parquet", 2, other=[1])
    with pytest.raises(UserError, match=r"b\.parquet and .*a\.parquet differ in their columns: other"):
        opened("hf", root=str(tmp_path / "p"))
    table(tmp_path / "p" / "b.parquet", 2, label=["cat"])
    with pytest.raises(UserError, match=r"b\.parquet and .*a\.parquet differ in their columns: label"):
        opened("hf", root=str(tmp_path / "p"))


def test_a_file_cut_short_or_without_rows_is_refused_by_its_name(tmp_path):
    content = table(tmp_path / "p" / "b.parquet", 1, 2, 3).read_bytes()
    table(tmp_path / "p" / "a.parquet", 1, 2, 3)
    (tmp_path / "p" / "b.parquet").write_bytes(content[:4] + bytes(60) + content[64:])
    with pytest.raises(UserError, match=r"b\.parquet cannot be read"):
        opened("hf", root=str(tmp_path / "p"))
    made.parquet(tmp_path / "none.parquet", [], label=[])
    with pytest.raises(UserError, match=r"none\.parquet has no rows"):
        opened("hf", root=str(tmp_path / "none.parquet"))


def test_a_column_that_cannot_serve_is_refused(tmp_path):
    root = str(table(tmp_path / "a.parquet", 1, 2, name=["x", ""], worse=[3, -7]))
    for settings, culprit in (
        ({"image_column": "name"}, r"data\.image_column=name holds string and no pictures"),
        ({"id_column": "name"}, r"data\.id_column=name says '' in row 1"),
        ({"label_column": "worse"}, r"data\.label_column=worse says -7 in row 1"),
        ({"name": "small"}, r"data\.name=small is of data sets of the hub"),
    ):
        with pytest.raises(UserError, match=culprit):
            opened("hf", root=root, **settings)


def test_a_label_knows_of_how_many_classes_it_is(tmp_path):
    import datasets

    table = datasets.Dataset.from_dict({"image": [b"x"], "label": [1]})
    table.cast_column("label", datasets.ClassLabel(names=["a", "b", "c"])).to_parquet(str(tmp_path / "a.parquet"))
    assert opened("hf", root=str(tmp_path / "a.parquet"))[0].classes == 3


def test_a_stamp_is_of_the_files(tmp_path):
    path = table(tmp_path / "a.parquet", 1, 2)
    before = opened("hf", root=str(path))[0].stamp("row-000001")
    assert before == opened("hf", root=str(path))[0].stamp("row-000001") is not None
    table(path, 1, 3)
    assert opened("hf", root=str(path))[0].stamp("row-000001") != before


def test_hidden_files_are_passed_over(tmp_path):
    table(tmp_path / "p" / "a.parquet", 1)
    (tmp_path / "p" / "._a.parquet").write_bytes(b"")
    assert parquet_files(tmp_path / "p", None) == ([tmp_path / "p" / "a.parquet"], None)
