"""An image is read once; what is remembered of it is of the bytes that were scored."""

import os

import made
import pytest
from jobs import complete, small_job

from bench.images import files
from bench.images.files import folder
from bench.images.preprocessing import Preprocessing
from bench.images.stream import stream

SMALL = Preprocessing(size=8, resize=8)


@pytest.fixture
def pictures(tmp_path):
    made.folder(tmp_path / "in", ["0.png", "1.png", "2.png"])
    (tmp_path / "in" / "broken.png").write_bytes(b"I am a letter")
    (tmp_path / "in" / "gone.png").write_bytes(b"")
    return tmp_path / "in"


@pytest.fixture
def reads(monkeypatch):
    """Names of the files that are read, in order."""
    names, read = [], files.read_bytes

    def counted(path):
        names.append(path.name)
        return read(path)

    monkeypatch.setattr(files, "read_bytes", counted)
    return names


def test_a_batch_knows_of_which_bytes_its_images_and_failures_are(pictures):
    source = folder(str(pictures), SMALL)
    (pictures / "gone.png").unlink()
    (batch,) = stream(source, source.ids, width=8, workers=0)
    assert batch.fingerprints == {id: source.fingerprint(id) for id in ("0", "1", "2", "broken")}
    assert batch.stamps == {id: source.stamp(id) for id in ("0", "1", "2", "broken")}
    assert batch.padded_ids == ["0", "1", "2", "2", "2", "2", "2", "2"]


def test_a_fingerprint_is_of_the_bytes_that_were_decoded(pictures, monkeypatch):
    """A file that changes after it was read: row and fingerprint are both of the old one, the stamp is no newer."""
    source = folder(str(pictures), SMALL)
    then, stamp, prepare = source.fingerprint("1"), source.stamp("1"), Preprocessing.__call__

    def changed_meanwhile(preprocessing, picture, crop):
        made.picture(pictures / "1.png", 250, (80, 80))
        return prepare(preprocessing, picture, crop)

    monkeypatch.setattr(Preprocessing, "__call__", changed_meanwhile)
    (batch,) = stream(source, ["1"], width=1, workers=0)
    assert batch.x.mean() == pytest.approx(40 / 255)
    assert (batch.fingerprints["1"], batch.stamps["1"]) == (then, stamp)
    assert source.fingerprint("1") != then and source.stamp("1") != stamp


def test_a_stamp_changes_with_size_time_and_label_and_needs_no_reading(pictures, reads):
    def stamp():
        return folder(str(pictures), SMALL).stamp("1")

    before = stamp()
    assert before == stamp() is not None
    (pictures / "labels.csv").write_text("id,label\n1,4")
    assert stamp() != before
    (pictures / "labels.csv").unlink()
    (pictures / "1.png").touch()
    assert stamp() != before
    (pictures / "1.png").unlink()
    assert folder(str(pictures), SMALL).ids == ["0", "2", "broken", "gone"]
    assert reads == []


def test_a_run_reads_each_image_once(pictures, reads, tmp_path):
    job = small_job(tmp_path / "out", "data=folder", f"data.root={pictures}", "method=sm")
    complete(job)
    assert sorted(reads) == ["0.png", "1.png", "2.png", "broken.png", "gone.png"]
    done = job.rows("unified").done()
    assert done == {id: (job.source.fingerprint(id), job.source.stamp(id)) for id in ("0", "1", "2")}


def test_a_run_with_nothing_to_do_reads_only_what_is_told_to_check_or_looks_changed(pictures, reads, tmp_path):
    for name in ("broken", "gone"):
        (pictures / f"{name}.png").unlink()
    choice = [tmp_path / "out", "data=folder", f"data.root={pictures}", "method=sm"]
    complete(small_job(*choice))
    reads.clear()
    assert complete(small_job(*choice)) == 0 and reads == []
    (pictures / "1.png").touch()
    assert complete(small_job(*choice)) == 0 and reads == ["1.png"]
    reads.clear()
    before = (pictures / "2.png").stat()
    made.picture(pictures / "2.png", 81)
    os.utime(pictures / "2.png", ns=(before.st_atime_ns, before.st_mtime_ns))  # as a copy that keeps times
    assert (pictures / "2.png").stat().st_size == before.st_size
    assert complete(small_job(*choice)) == 0
    assert complete(small_job(*choice, "run.check_images=true")) == 1
