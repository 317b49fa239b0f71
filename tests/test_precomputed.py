"""Maps made elsewhere: read as they are; a broken one costs its own image only."""

import io
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import IDS
from jobs import complete, rows_of, small_job

from bench.choices import CONF
from bench.errors import UserError
from bench.notes import listening
from bench.rng import Rng
from bench.running.forecast import forecast
from methods.precomputed import precomputed_map


def scored(cnn, x, target, root, ids=IDS):
    """The maps and what was noted of them."""
    with listening() as notes:
        maps = precomputed_map(cnn, x, target, Rng(0, "m", ids), root=str(root))
    return maps, notes["error"]


def test_every_image_gets_its_own_map_whatever_its_shape(cnn, x, target, tmp_path):
    full, flat, one = (
        np.arange(768.0).reshape(3, 16, 16),
        np.arange(256).reshape(16, 16),
        np.full((1, 16, 16), 0.5, "f2"),
    )
    for image, array in zip(IDS, (full.astype(">f4"), flat, one, np.asfortranarray(-full)), strict=True):
        np.save(tmp_path / f"{image}.npy", array)
    maps, errors = scored(cnn, x[[3, 0, 1, 2]], target, tmp_path, [IDS[i] for i in (3, 0, 1, 2)])
    expected = [-full, full, np.stack([flat] * 3), np.concatenate([one] * 3)]
    assert torch.equal(maps, torch.from_numpy(np.stack(expected).astype("f8")))
    assert errors == [None] * 4
    assert cnn.forward_passes == 4, "of the fixture's target; the method has none"


def bytes_of(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


WHOLE = bytes_of(np.ones((3, 16, 16), "f4"))
BROKEN = {
    "not there": None,
    "empty": b"",
    "cut": WHOLE[:-1],
    "cut in its header": WHOLE[:40],
    "not NumPy's": b"\x89PNG\r\n" + WHOLE,
    "header without an end": WHOLE.replace(b"}", b" "),
    "header of nonsense": WHOLE.replace(b"'shape'", b"b'hape'"),
    "a pickle": pickle.dumps(np.ones((3, 16, 16))),
    "objects": bytes_of(np.full((3, 16, 16), None)),
    "of another size": bytes_of(np.ones((3, 8, 16))),
    "channels last": bytes_of(np.ones((16, 16, 3))),
    "a batch": bytes_of(np.ones((1, 3, 16, 16))),
    "complex": bytes_of(np.ones((16, 16), "c8")),
    "text": bytes_of(np.full((16, 16), "1.0")),
    "with a hole": bytes_of(np.where(np.eye(16) > 0, np.nan, 1.0)),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_map_is_named_and_costs_its_own_image_only(cnn, x, target, tmp_path, content):
    for image in IDS:
        np.save(tmp_path / f"{image}.npy", np.ones((3, 16, 16)))
    broken = tmp_path / f"{IDS[1]}.npy"
    broken.unlink() if content is None else broken.write_bytes(content)
    maps, errors = scored(cnn, x, target, tmp_path)
    assert maps[1].isnan().all()
    assert str(broken) in errors[1]
    assert any(cure in errors[1] for cure in ("expected numbers of shape [3, 16, 16]", "every value must be a number"))
    assert errors[0] is errors[2] is errors[3] is None
    assert (maps[[0, 2, 3]] == 1).all()


def touch(file):
    open(file, "w").close()


class Code:
    """What runs `touch` when somebody unpickles it."""

    def __init__(self, file):
        self.file = str(file)

    def __reduce__(self):
        return touch, (self.file,)


def test_a_map_runs_no_code(cnn, x, target, tmp_path):
    np.save(tmp_path / f"{IDS[0]}.npy", np.array([Code(tmp_path / "ran")]))
    np.load(tmp_path / f"{IDS[0]}.npy", allow_pickle=True)
    assert (tmp_path / "ran").exists(), "it would"
    (tmp_path / "ran").unlink()
    scored(cnn, x, target, tmp_path)
    assert not (tmp_path / "ran").exists()


SCORING = ["metric=[unified,kl,insertion_deletion]", "compute.batch_size=2", "data.limit=5"]


def test_the_maps_that_a_run_saved_score_as_they_did_then_bit_for_bit(tmp_path):
    made = small_job(tmp_path, "method=ig", "run.save_attributions=true", *SCORING)
    complete(made)
    root = tmp_path / "attributions" / made.attribution_id
    complete(small_job(tmp_path, "method=precomputed", f"method.root={root}", *SCORING))
    rows = rows_of(tmp_path)
    key = ["image_id", "insertion", "deletion"]
    then, now = (rows[rows["run_id"].isin(ids(tmp_path, name))].sort_values(key) for name in ("ig", "precomputed"))
    assert list(now["status"]) == ["ok"] * 15
    assert (now[["forward_passes", "backward_passes"]] == 0).all(axis=None)
    for column in (*key, "insertion_curve", "deletion_curve"):
        assert all(np.array_equal(a, b) for a, b in zip(then[column], now[column], strict=True)), column


def ids(results, method):
    rows = pd.read_parquet(results / "rows")
    return rows[rows["method"] == method]["run_id"].unique()


METRICS = sorted(path.stem for path in (CONF / "metric").glob("*.yaml") if path.stem != "max_sensitivity")


def test_the_forecast_needs_no_maps(tmp_path):
    """Of an image that nobody made a map for; each metric that explains nothing again counts its passes on that map."""
    job = small_job(tmp_path, "method=precomputed", f"method.root={tmp_path}", f"metric=[{','.join(METRICS)}]")
    made = small_job(tmp_path, "method=random", f"metric=[{','.join(METRICS)}]")
    assert forecast(job, METRICS).forward == 0
    assert forecast(job, METRICS).scoring == forecast(made, METRICS).scoring > 0


def test_missing_maps_are_failed_rows_and_no_obstacle_to_the_others(tmp_path):
    made = small_job(tmp_path, "method=sm", "run.save_attributions=true", *SCORING)
    complete(made)
    root = tmp_path / "attributions" / made.attribution_id
    (root / f"{made.ids[2]}.npy").unlink()
    job = small_job(tmp_path / "again", "method=precomputed", f"method.root={root}", *SCORING, "metric=[unified]")
    complete(job)
    rows = rows_of(tmp_path / "again").set_index("image_id")
    assert list(rows["status"]) == ["ok", "ok", "failed", "ok", "ok"]
    assert f"there is no map {root / made.ids[2]}.npy" in rows.loc[made.ids[2], "error"]
    assert rows["insertion"].notna().tolist() == [True, True, False, True, True]


def test_the_folder_must_be_given(tmp_path):
    with pytest.raises(UserError, match="^method.root must be given"):
        small_job(tmp_path, "method=precomputed")
    with pytest.raises(UserError, match="nowhere: there is no such folder; expected one with a map for each image"):
        small_job(tmp_path, "method=precomputed", f"method.root={tmp_path / 'nowhere'}")


def test_a_changed_map_is_scored_again(tmp_path):
    root = tmp_path / "maps"
    root.mkdir()
    for image in ("synthetic-00000", "synthetic-00001"):
        np.save(root / f"{image}.npy", np.sin(np.arange(3 * 32 * 32.0)).reshape(3, 32, 32))
    choice = ["method=precomputed", f"method.root={root}", "metric=[unified]", "data.limit=2"]
    assert complete(small_job(tmp_path, *choice)) == 2
    assert complete(small_job(tmp_path, *choice)) == 0
    np.save(root / "synthetic-00001.npy", np.cos(np.arange(3 * 32 * 32.0)).reshape(3, 32, 32))
    assert complete(small_job(tmp_path, *choice)) == 1
    assert len(rows_of(tmp_path)) == 2
