"""What is done to maps before they are scored, and which run that is."""

import numpy as np
import pytest
import torch
from jobs import SMALL, complete, rows_of, small_job
from scipy import ndimage

from bench.config import load
from bench.errors import UserError
from bench.running.post import Processed, processed
from bench.store.maps import Maps

PLAIN = [
    "method=sg",
    "method.draws=3",
    "metric=[unified]",
    "metric.unified.step=768",
    "data.limit=3",
    "compute.batch_size=2",
]
POST = "method.post=[abs,pool,blur2]"


def test_words_do_what_they_say(x):
    maps = x - 0.5
    assert torch.equal(processed(maps, ["abs"]), maps.abs())
    assert torch.equal(processed(maps, ["positive"]), maps.clamp(min=0))
    assert torch.equal(processed(maps, ["sign"]), maps.sign())
    torch.testing.assert_close(processed(maps, ["pool"]), maps.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1))
    assert torch.equal(processed(maps, ["pool", "abs"]), processed(maps, ["pool"]).abs())


@pytest.mark.parametrize("sigma", [0.5, 2, 8])
def test_the_blur_is_scipys(x, sigma):
    expected = ndimage.gaussian_filter(x.numpy(), (0, 0, sigma, sigma), mode="reflect", truncate=4)
    torch.testing.assert_close(processed(x, [f"blur{sigma}"]), torch.from_numpy(expected))


def test_a_blurred_map_is_its_images_alone(x):
    maps = x.float()
    torch.testing.assert_close(processed(maps, ["blur3"])[[2]], processed(maps[[2]], ["blur3"]), rtol=0, atol=0)


@pytest.mark.parametrize("word", ["smooth", "blur", "blur0", "blur0.0", "blur-1", "[abs]"])
def test_other_words_are_refused_and_the_words_there_are_named(word):
    with pytest.raises(UserError, match=r"method\.post=.*expected.*abs, positive, sign, pool or blurS"):
        load(["method=sm", f"method.post=[{word}]"])


def test_nothing_to_do_is_the_run_that_it_was(tmp_path):
    plain, empty, post = (small_job(tmp_path, *PLAIN, *more) for more in ([], ["method.post=[]"], [POST]))
    assert plain.run_id("unified") == empty.run_id("unified") != post.run_id("unified")
    assert "post" not in empty.config.cfg.method and not isinstance(empty.method, Processed)
    assert post.identity("unified").flat()["method.post"] == "abs+pool+blur2"
    assert load([*SMALL, *PLAIN, POST]).names == load([*SMALL, *PLAIN]).names


def test_a_processed_map_is_what_becomes_of_the_map_without(tmp_path):
    for more in ([], [POST]):
        complete(small_job(tmp_path, *PLAIN, *more, "run.save_attributions=true"))
    plain, post = (Maps(tmp_path, small_job(tmp_path, *PLAIN, *more).attribution_id) for more in ([], [POST]))
    for image in small_job(tmp_path, *PLAIN).ids:
        raw = np.abs(plain.get(image)).mean(axis=0)
        expected = ndimage.gaussian_filter(raw.astype(float), 2, mode="reflect", truncate=4)
        np.testing.assert_allclose(post.get(image), np.broadcast_to(expected, (3, 32, 32)), rtol=1e-5, atol=1e-9)


def test_kept_maps_are_not_made_again_and_score_the_same(tmp_path):
    made = small_job(tmp_path / "made", *PLAIN, POST)
    complete(made)
    complete(small_job(tmp_path / "kept", *PLAIN, "run.save_attributions=true"))
    kept = small_job(tmp_path / "kept", *PLAIN, POST)
    before = kept.network.backward_passes
    complete(kept)
    assert kept.network.backward_passes == before
    mine, theirs = (rows_of(tmp_path / name) for name in ("kept", "made"))
    mine = mine[mine["run_id"] == kept.run_id("unified")].reset_index(drop=True)
    assert mine["forward_passes"].isna().all() and (theirs["forward_passes"] == 3).all()
    np.testing.assert_array_equal(mine[["insertion", "deletion"]], theirs[["insertion", "deletion"]])


def test_a_map_of_an_image_that_has_changed_is_made_again(tmp_path, monkeypatch):
    complete(small_job(tmp_path, *PLAIN, "run.save_attributions=true"))
    post = small_job(tmp_path, *PLAIN, POST)
    monkeypatch.setattr(post.source, "stamp", lambda image: None, raising=False)
    was = post.source.fingerprint
    monkeypatch.setattr(post.source, "fingerprint", lambda image: was(image)[::-1])
    complete(post)
    assert post.network.backward_passes > 0
