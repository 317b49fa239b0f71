"""Which files are images, what they are called, and what is written about them, in whatever encoding."""

import contextlib
import os
import unicodedata

import made
import pytest
from jobs import small_job
from omegaconf import OmegaConf
from test_data import CONF, NO_SELECTION, SMALL, opened

from bench.errors import UserError
from bench.images.files import folder
from bench.images.imagenet import imagenet
from bench.images.preprocessing import Preprocessing
from bench.images.source import ImageError, check_labels, select

NFC, NFD = unicodedata.normalize("NFC", "Käfer"), unicodedata.normalize("NFD", "Käfer")


# Links


def test_links_are_followed_but_not_in_a_circle(tmp_path):
    made.folder(tmp_path / "elsewhere", ["x.png", "deep/y.png"])
    root = made.folder(tmp_path / "root", ["a.png", "b/c.png"])
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "file.png").symlink_to(tmp_path / "elsewhere" / "x.png")
    (root / "b" / "up").symlink_to(root)
    (tmp_path / "elsewhere" / "deep" / "back").symlink_to(tmp_path / "elsewhere")
    source = folder(str(root), SMALL)
    assert source.ids == ["a", "b__c", "file", "linked__deep__y", "linked__x"]
    assert source.fingerprint("file") == source.fingerprint("linked__x")


def test_a_link_to_nothing_is_a_failure_that_says_where_it_leads(tmp_path):
    root = made.folder(tmp_path / "root", ["a.png"])
    (root / "gone.png").symlink_to(tmp_path / "moved.png")
    (root / "cats").symlink_to("/nowhere/cats")
    (root / "round.png").symlink_to(root / "round.png")
    (root / "notes.txt").symlink_to("/nowhere/notes.txt")
    source = folder(str(root), SMALL)
    assert source.ids == ["a", "cats", "gone", "round"]
    for id, where in (("gone", tmp_path / "moved.png"), ("cats", "/nowhere/cats")):
        with pytest.raises(ImageError, match=f"{id}.*: a link to {where}: No such file"):
            source.load(id)
    assert source.stamp("gone") is None
    labels = tmp_path / "root" / "labels.csv"
    labels.symlink_to("/nowhere/labels.csv")
    with pytest.raises(UserError, match=r"labels\.csv cannot be read: No such file"):
        folder(str(root), SMALL)


def test_a_pipe_is_no_picture_and_a_folder_may_be_called_like_one(tmp_path):
    made.folder(tmp_path, ["a.png", "b.png/c.png"])
    os.mkfifo(tmp_path / "d.png")  # reading it would wait for ever
    assert folder(str(tmp_path), SMALL).ids == ["a", "b.png__c"]


def test_a_class_folder_that_leads_nowhere_is_refused(tmp_path):
    made.imagenet(tmp_path, {"n01440764": ["a"]})
    (tmp_path / "n01443537").symlink_to("/nowhere")
    with pytest.raises(UserError, match="n01443537 cannot be listed: No such file"):
        imagenet(str(tmp_path), None, SMALL)


def test_a_folder_that_may_not_be_looked_into_is_refused(tmp_path, monkeypatch):
    made.folder(tmp_path, ["a.png", "b/c.png"])
    real = os.listdir

    def listed(path):
        if os.path.basename(path) == "b":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "listdir", listed)
    with pytest.raises(UserError, match="b cannot be listed: Permission denied"):
        folder(str(tmp_path), SMALL)


# Formats


def test_no_images_says_what_there_is_and_what_counts(tmp_path):
    for name in ("a.txt", "b.TXT", "c.pdf", "README"):
        (tmp_path / name).write_text("")
    with pytest.raises(
        UserError, match=r"it holds \.txt \(2\), \.pdf \(1\), README \(1\); pictures end in \.jpg .*\.tif"
    ):
        folder(str(tmp_path), SMALL)


def test_formats_that_pillow_reads_are_images_and_a_photograph_that_it_does_not_fails(tmp_path):
    names = ["a.tif", "b.TIFF", "c.gif", "d.ppm", "e.jp2", "f.jfif"]
    made.folder(tmp_path, names)
    (tmp_path / "g.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    source = folder(str(tmp_path), SMALL)
    assert source.ids == list("abcdefg")
    assert [round(source.load(id).pixels.mean().item() * 255) for id in "abcdef"] == [0, 40, 80, 120, 160, 200]
    with pytest.raises(ImageError, match="not a picture"):
        source.load("g")


# Names


def test_a_name_that_is_not_utf8_has_an_id_that_rows_can_hold(tmp_path):
    content = made.picture(tmp_path / "a.png").read_bytes()
    for name in (b"K\xe4fer.png", b"leer\xe4.png"):
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(content if name.startswith(b"K") else b"")
    source = folder(str(tmp_path), SMALL)
    assert source.ids == ["K\\xe4fer", "a", "leer\\xe4"]
    assert source.load("K\\xe4fer").id.encode() == b"K\\xe4fer"
    with pytest.raises(ImageError) as error:
        source.load("leer\\xe4")
    assert str(error.value).encode().endswith(b"leer\\xe4.png: the file is empty")


def test_names_in_another_of_unicodes_forms_are_found(tmp_path):
    for file, written in ((NFC, NFD), (NFD, NFC)):
        root = made.labels(made.folder(tmp_path / file, [f"{file}.png", "b.png"]), {f"{written}.png": 3, "b.png": 4})
        (root / "some.txt").write_text(written)
        source, ids = opened("folder", root=str(root), ids=[written])
        assert ids == [file] and source.label(file) == 3
        assert opened("folder", root=str(root), subset=str(root / "some.txt"))[1] == [file]


def test_names_that_differ_in_unicodes_form_alone_clash(tmp_path):
    made.folder(tmp_path, [f"{NFC}.png", f"{NFD}.png"])
    with pytest.raises(UserError, match="would both have the id Käfer"):
        folder(str(tmp_path), SMALL)


def test_the_id_carries_the_class_folder_where_names_clash(tmp_path):
    root = made.imagenet(tmp_path, {"n01440764": ["sketch_1", "only"], "n01443537": ["sketch_1"]})
    source = imagenet(str(root), None, SMALL)
    assert {id: source.label(id) for id in source.ids} == {
        "n01440764__sketch_1": 0,
        "n01443537__sketch_1": 1,
        "only": 0,
    }
    made.picture(root / "n01443537" / "sketch_1.png")
    with pytest.raises(UserError, match="would both have the id n01443537__sketch_1"):
        imagenet(str(root), None, SMALL)


def test_an_id_of_any_length_is_ordered_and_found(tmp_path):
    part = "x" * 200
    long = f"{part}/{part}/{part}.png"
    made.folder(tmp_path, [long, "9" * 240 + ".png", "8" * 240 + ".png"])
    source, ids = opened("folder", root=str(tmp_path))
    assert ids == ["8" * 240, "9" * 240, "__".join([part] * 3)]
    assert select(["9" * 5000, "8" * 5000], 0, sample=2) == ["9" * 5000, "8" * 5000]
    assert source.load(ids[2]).pixels.shape == (3, 8, 8)


def test_home_is_written_as_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    made.folder(tmp_path / "pictures", ["a.png", "b.png"])
    (tmp_path / "some.txt").write_text("b")
    source, ids = opened("folder", root="~/pictures", subset="~/some.txt")
    assert (source.ids, ids) == (["a", "b"], ["b"])


def test_a_root_that_was_left_empty_is_not_the_folder_one_is_in():
    for name in ("folder", "imagenet", "hf"):
        with pytest.raises(UserError, match=r"data\.root="):
            opened(name, root="")


# Ids that YAML reads as something else


@pytest.mark.parametrize("name", ["2007_000032", "000012", "1e5", "null", "true", "7", "1.50", "-3", "1:30"])
def test_an_id_is_what_was_written_whatever_yaml_reads(name):
    read = OmegaConf.create(f"ids: [{name}]").ids[0]
    assert select([name, "b"], 0, ids=[read]) == [name]


def test_a_number_that_may_be_two_ids_is_refused():
    with pytest.raises(UserError, match=r"""data\.ids: 11 may be 11 or 1_1; put it in quotes: 'data\.ids=\["11"\]'"""):
        select(["11", "1_1"], 0, ids=[11])
    assert select(["11", "1_1"], 0, ids=["1_1"]) == ["1_1"]
    assert select(["11", ":", "a:", "-"], 0, ids=[11]) == ["11"]


def test_a_comment_begins_a_word(tmp_path):
    (tmp_path / "some.txt").write_text("#no\na#1 # yes\n b\t# yes\n")
    assert select(["a", "a#1", "b"], 0, subset=str(tmp_path / "some.txt")) == ["a#1", "b"]


# Encodings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "utf-32"])
def test_text_is_read_as_what_it_is_or_refused_by_file_and_line(tmp_path, encoding):
    root = made.folder(tmp_path, ["a.png", "Käfer.png"])
    made.labels(root, {"a.png": 1, "Käfer.png": 2}, encoding=encoding)
    (tmp_path / "some.txt").write_bytes("a\nKäfer\n".encode(encoding))
    if encoding in ("utf-8", "utf-8-sig", "utf-16"):
        source, ids = opened("folder", root=str(root), subset=str(root / "some.txt"))
        assert [source.label(id) for id in ids] == [1, 2]
        return
    labels, some = (3, 2) if encoding == "cp1252" else (r"\d", r"\d")
    with pytest.raises(
        UserError, match=rf"labels\.csv, line {labels}: the file is in another encoding than UTF-8; save it"
    ):
        folder(str(root), SMALL)
    (root / "labels.csv").unlink()
    with pytest.raises(UserError, match=rf"some\.txt, line {some}: the file is in another encoding"):
        opened("folder", root=str(root), subset=str(root / "some.txt"))


@pytest.mark.parametrize("label", ["1" * 20, "1" * 5000, "1.0"])
def test_a_label_that_no_class_has_is_refused(tmp_path, label):
    made.labels(made.folder(tmp_path, ["a.png"]), {"a.png": label})
    with pytest.raises(UserError, match="line 2: label '1.* is not a class index"):
        folder(str(tmp_path), SMALL)


def test_two_columns_of_one_name_are_refused(tmp_path):
    made.folder(tmp_path, ["a.png"])
    for header in ("file,label,label", "id,id,label"):
        (tmp_path / "labels.csv").write_text(f"{header}\na.png,1,2\n")
        with pytest.raises(UserError, match=r"line 1: two columns are called (label|id)"):
            folder(str(tmp_path), SMALL)


def test_a_field_without_an_end_is_refused(tmp_path):
    made.folder(tmp_path, ["a.png"])
    (tmp_path / "labels.csv").write_text('file,label\n"a.png,1\n' + "x" * 200_000)
    with pytest.raises(UserError, match=r"labels\.csv, line \d+: field larger"):
        folder(str(tmp_path), SMALL)


def test_a_line_that_is_an_id_is_that_id_whatever_it_holds(tmp_path):
    root = made.folder(tmp_path / "in", ["#1.png", "img #3.png", "img.png", "a.png"])
    (tmp_path / "some.txt").write_text("#1\nimg #3\na # a comment\n# img\n")
    assert opened("folder", root=str(root), subset=str(tmp_path / "some.txt"))[1] == ["#1", "img #3", "a"]


# Labels


def test_labels_known_to_be_missing_are_said_at_the_start(tmp_path):
    root = made.labels(made.folder(tmp_path / "in", ["a.png", "b.png", "c.png"]), {"a.png": 1})
    wanted = ["data=folder", f"data.root={root}", "method=sm", "run.target=label"]
    with pytest.raises(UserError, match=r"run\.target=label, but 2 of 3 images have no label \(b, c\): give labels"):
        small_job(tmp_path / "out", *wanted)
    assert not (tmp_path / "out").exists()
    assert small_job(tmp_path / "out", *wanted, "data.ids=[a]").ids == ["a"]


def test_labels_beyond_the_networks_classes_are_named(tmp_path):
    root = made.labels(made.folder(tmp_path, ["a.png", "b.png"]), {"a.png": 9, "b.png": 10})
    source = folder(str(root), SMALL)
    check_labels(source, source.ids, 11)
    with pytest.raises(UserError, match=r"1 of 2 images has a label beyond the network's 10 classes \(b\)"):
        check_labels(source, source.ids, 10)


def test_sources_say_of_how_many_classes_their_labels_are(tmp_path):
    made.imagenet(tmp_path, {"n01440764": ["a"]})
    assert imagenet(str(tmp_path), None, SMALL).classes == 1000
    assert opened("synthetic", Preprocessing(32, 32))[0].classes == 10
    assert folder(str(tmp_path), SMALL).classes is None


# No setting ends in a traceback


SETTINGS = [
    (path.stem, key)
    for path in sorted(CONF.glob("*.yaml"))
    for key in [*OmegaConf.load(path), *NO_SELECTION]
    if key != "_target_" and (path.stem, key) != ("hf", "path")  # that would ask the hub
]


@pytest.mark.parametrize(("name", "key"), SETTINGS, ids=map("-".join, SETTINGS))
def test_any_value_of_any_setting_is_taken_or_refused(name, key, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if name in ("hf", "photos"):
        pytest.importorskip({"hf": "datasets", "photos": "skimage"}[name])
    root = made.imagenet(tmp_path / "in", {"n01440764": ["a", "b"]})
    usual = {"root": str(root)} if name in ("folder", "imagenet") else {}
    for value in (0, -1, 2.5, None, "word", ["a"], True, {"a": 1}):
        with contextlib.suppress(UserError):
            opened(name, Preprocessing(32, 32), **usual | {key: value})
