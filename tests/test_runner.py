"""The loop: what is computed, what is not computed again, what becomes of what is broken."""

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from jobs import complete, rows_of, small_job
from PIL import Image

from bench.errors import UserError
from bench.running import runner
from bench.running.summary import summary
from bench.store import records
from bench.store.rows import SCHEMA

FAST = ["method=random", "compute.batch_size=2", "metric=[unified]", "metric.unified.step=384"]


def test_rows_have_the_promised_columns_and_pandas_reads_them_whole(tmp_path):
    complete(small_job(tmp_path, "method=ig", "metric=[unified,kl,insertion_deletion]", "data.limit=3"))
    rows = pd.read_parquet(tmp_path / "rows")
    assert list(rows.columns) == [*SCHEMA.names, "data", "model", "method", "metric"]
    assert len(rows) == 9
    assert set(rows["metric"]) == {"unified", "kl", "insertion_deletion"}
    assert rows["run_id"].nunique() == 3
    assert (rows["insertion_curve"].map(len) > 2).all()
    assert rows["completeness_gap"].abs().max() < 0.1
    assert (rows["forward_passes"] == 50).all()
    assert (rows["backward_passes"] == 50).all()


def test_nothing_is_computed_twice_and_more_images_or_metrics_compute_only_what_is_missing(tmp_path, monkeypatch):
    def counted(*overrides):
        job = small_job(tmp_path, "method=random", "compute.batch_size=2", *overrides)
        seen = []
        monkeypatch.setattr(runner, "attribute", lambda *a, **k: seen.append(k["n"]) or attribute(*a, **k))
        complete(job)
        return sum(seen)

    attribute = runner.attribute
    assert counted("data.limit=4") == 4
    assert counted("data.limit=4") == 0
    assert counted("data.limit=6") == 2
    assert counted("data.limit=6", "run.shard=1/2") == 0
    assert counted("data.limit=6", "metric=[unified,pixel]") == 6
    assert counted("data.limit=6", "metric=[pixel]") == 0
    assert counted("data.limit=6", "run.seed=1") == 6
    assert len(rows_of(tmp_path)) == 18


def test_a_device_without_room_gets_half_as_many_images_a_pass_and_nothing_is_lost(tmp_path, monkeypatch, capsys):
    usual = ["method=ig", "method.steps=3", "metric=[unified]", "metric.unified.step=384", "data.limit=5"]
    complete(small_job(tmp_path / "at_two", *usual, "compute.batch_size=2"))
    job = small_job(tmp_path / "narrow", *usual, "compute.batch_size=8")
    passed, widths = job.network.forward, []

    def crowded(x):
        widths.append(len(x))
        if len(x) > 2 and widths.count(8) > 3:  # in the middle of a batch
            raise torch.OutOfMemoryError("no room")
        return passed(x)

    monkeypatch.setattr(job.network, "forward", crowded)
    complete(job)
    assert {2, 4, 8} <= set(widths)
    assert capsys.readouterr().err.count("ran out of memory at") == 2
    columns = ["image_id", "insertion", "deletion", "prediction"]
    made, expected = (
        rows_of(tmp_path / name).sort_values("image_id", ignore_index=True) for name in ("narrow", "at_two")
    )
    pd.testing.assert_frame_equal(made[columns], expected[columns], check_exact=False, rtol=1e-5)


def test_a_device_without_room_for_one_image_is_an_error_that_says_so(tmp_path, monkeypatch):
    job = small_job(tmp_path, *FAST, "data.limit=2")

    def crowded(x):
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(runner, "predict", lambda job, batch, x: crowded(x))
    with pytest.raises(UserError, match="no room for one image"):
        complete(job)


def test_shards_are_disjoint_and_together_everything(tmp_path):
    parts = [small_job(tmp_path, *FAST, "data.limit=7", f"run.shard={i}/3").ids for i in range(3)]
    whole = small_job(tmp_path, *FAST, "data.limit=7").ids
    assert sorted(sum(parts, [])) == whole
    for wrong in ("3/3", "-1/2", "1", "a/b", "0/0"):
        with pytest.raises(UserError, match="run.shard"):
            small_job(tmp_path, *FAST, f"run.shard={wrong}")


def test_what_changes_a_number_changes_the_run_id_and_nothing_else_does(tmp_path):
    plain = small_job(tmp_path, *FAST)
    same = ["data.limit=3", "run.shard=0/2", "compute.batch_size=4", "run.save_attributions=true", "compute.workers=1"]
    for override in same:
        assert small_job(tmp_path, *FAST, override).run_id("unified") == plain.run_id("unified"), override
    other = ["run.seed=1", "compute.precision=fp64", "model.resize=36", "metric.unified.step=192"]
    for override in [*other, "model.mean=[0,0,0]", "method=sm", "data.seed=1"]:
        assert small_job(tmp_path, *FAST, override).run_id("unified") != plain.run_id("unified"), override
    of_labels = small_job(tmp_path, *FAST, "run.target=label", "data.limit=6")  # the classes that the network has
    assert of_labels.run_id("unified") != plain.run_id("unified")
    assert plain.attribution_id == small_job(tmp_path, *FAST, "metric.unified.step=192").attribution_id


def pictures(folder, n=3):
    folder.mkdir(exist_ok=True)
    for i in range(n):
        Image.fromarray(np.full((20, 20, 3), 40 * i + 20, dtype=np.uint8)).save(folder / f"{i}.png")
    return [*FAST, "data=folder", f"data.root={folder}"]


def test_a_broken_image_is_a_failed_row_and_is_tried_again(tmp_path):
    choice = pictures(tmp_path / "pictures")
    (tmp_path / "pictures" / "1.png").write_bytes(b"no picture")
    complete(small_job(tmp_path / "r", *choice))
    rows = rows_of(tmp_path / "r").set_index("image_id")
    assert list(rows["status"]) == ["ok", "failed", "ok"]
    assert "1.png" in rows.loc["1", "error"]
    pictures(tmp_path / "pictures")
    assert complete(small_job(tmp_path / "r", *choice)) == 1
    assert list(rows_of(tmp_path / "r")["status"]) == ["ok"] * 3


def test_a_changed_image_is_computed_again_and_its_old_row_goes(tmp_path):
    choice = pictures(tmp_path / "pictures")
    complete(small_job(tmp_path / "r", *choice))
    Image.fromarray(np.full((20, 20, 3), 255, dtype=np.uint8)).save(tmp_path / "pictures" / "2.png")
    assert complete(small_job(tmp_path / "r", *choice)) == 1
    assert len(rows_of(tmp_path / "r")) == 3


def test_a_folder_may_grow(tmp_path):
    choice = pictures(tmp_path / "pictures", 2)
    complete(small_job(tmp_path / "r", *choice))
    pictures(tmp_path / "pictures", 5)
    assert complete(small_job(tmp_path / "r", *choice)) == 3


def test_a_map_that_is_not_finite_is_a_failed_row_and_its_neighbours_are_scored(tmp_path):
    job = small_job(tmp_path, *FAST, "data.limit=3")
    method = job.method

    def broken(model, x, target, rng):
        maps = method(model, x, target, rng)
        maps[[i == "synthetic-00001" for i in rng.ids]] = torch.nan
        return maps

    job.method = broken
    complete(job)
    rows = rows_of(tmp_path)
    assert list(rows["status"]) == ["ok", "failed", "ok"]
    assert "NaN" in rows["error"][1]
    assert np.isnan(rows["insertion"][1])


def test_a_method_that_returns_another_shape_is_stopped(tmp_path):
    job = small_job(tmp_path, *FAST, "data.limit=2")
    job.method = lambda model, x, target, rng: x.mean(dim=1)
    with pytest.raises(ValueError, match=r"returned \(2, 32, 32\); expected the input's shape \(2, 3, 32, 32\)"):
        complete(job)


def test_a_crash_loses_only_the_batch_in_hand(tmp_path):
    job = small_job(tmp_path, *FAST, "data.limit=5")
    method, calls = job.method, []

    def crashing(*args):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return method(*args)

    job.method = crashing
    with pytest.raises(KeyboardInterrupt):
        complete(job)
    assert len(rows_of(tmp_path)) == 4
    assert complete(small_job(tmp_path, *FAST, "data.limit=5")) == 1


def test_labels_as_targets(tmp_path):
    complete(small_job(tmp_path, *FAST, "data.limit=4", "run.target=label"))
    rows = rows_of(tmp_path)
    assert (rows["target"] == rows["label"].clip(upper=5)).all() or (rows["target"] == rows["label"]).all()


def test_no_label_no_target(tmp_path):
    with pytest.raises(UserError, match=r"3 of 3 images have no label \(0, 1, 2\)"):
        complete(small_job(tmp_path / "r", *pictures(tmp_path / "pictures"), "run.target=label"))


def test_attributions_are_saved_under_an_id_without_the_metric(tmp_path):
    complete(small_job(tmp_path, "method=sm", "metric=[unified]", "data.limit=2", "run.save_attributions=true"))
    job = small_job(tmp_path, "method=sm", "metric=[kl]")
    array = np.load(tmp_path / "attributions" / job.attribution_id / "synthetic-00001.npy")
    assert array.shape == (3, 32, 32)
    assert array.dtype == np.float32


def test_a_map_that_is_wanted_later_is_made_without_scoring_again(tmp_path):
    choice = ["method=sm", "metric=[unified]", "data.limit=2"]
    complete(small_job(tmp_path, *choice))
    before = rows_of(tmp_path)
    assert complete(small_job(tmp_path, *choice, "run.save_attributions=true")) == 2
    assert len(list((tmp_path / "attributions").rglob("*.npy"))) == 2
    pd.testing.assert_frame_equal(rows_of(tmp_path), before)
    assert complete(small_job(tmp_path, *choice, "run.save_attributions=true")) == 0


def test_the_record_is_the_recipe(tmp_path):
    job = small_job(tmp_path, *FAST)
    job.record("unified")
    record = yaml.safe_load((tmp_path / "runs" / f"{job.run_id('unified')}.yaml").read_text())
    assert record["cell"] == {"data": "synthetic", "model": "tiny", "method": "random", "metric": "unified"}
    assert record["config"]["metric"]["step"] == 384
    assert record["weights"]["digest"] == job.network.digest()
    assert record["versions"]["torch"] == torch.__version__
    job.record("unified")
    assert len(yaml.safe_load((tmp_path / "runs" / f"{job.run_id('unified')}.yaml").read_text())["continued"]) == 1


def test_the_record_of_a_fair_score_says_which_colour(tmp_path):
    job = small_job(tmp_path, "method=random", "metric=[fair,unified]", "model.confusion=null")
    for metric in job.metrics:
        job.record(metric)
    fair, unified = (yaml.safe_load((tmp_path / "runs" / f"{job.run_id(m)}.yaml").read_text()) for m in job.metrics)
    assert "confusion" not in unified
    assert len(fair["confusion"]["colour"]) == 3
    assert fair["confusion"]["entropy"] > 0


def test_readers_never_see_half_a_file(tmp_path, monkeypatch):
    job = small_job(tmp_path, *FAST, "data.limit=4")
    complete(job, batches=1)
    monkeypatch.setattr("bench.store.atomic.os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(UserError, match="disk full"):
        complete(small_job(tmp_path, *FAST, "data.limit=4"))
    assert len(pd.read_parquet(tmp_path / "rows")) == 2


def test_rows_say_what_they_were_made_from(tmp_path):
    job = small_job(tmp_path, *FAST, "data.limit=2")
    complete(job)
    prints = dict(pd.read_parquet(tmp_path / "rows")[["image_id", "fingerprint"]].itertuples(index=False))
    assert prints == {image: job.source.fingerprint(image) for image in job.ids}


def test_other_references_are_another_run(tmp_path):
    one = small_job(tmp_path, "method=eg", "metric=[unified]", "data.n=200")
    assert one.run_id("unified") == small_job(tmp_path, "method=eg", "metric=[unified]", "data.n=200").run_id("unified")
    assert one.run_id("unified") != small_job(tmp_path, "method=eg", "metric=[unified]", "data.n=300").run_id("unified")


def test_a_setting_counts_only_where_it_is_read(tmp_path):
    """A network's layer for Grad-CAM, its confusion colour for a fair score."""
    metrics = ["metric=[fair,unified]", "model.confusion=[0.1,0.2,0.3]"]
    for method, override, other in (
        ("random", "model.feature_layer=body.0", set()),
        ("gradcam", "model.feature_layer=body.0", {"fair", "unified"}),
        ("random", "model.confusion=[0.3,0.2,0.1]", {"fair"}),
    ):
        one = small_job(tmp_path, f"method={method}", *metrics)
        two = small_job(tmp_path, f"method={method}", *metrics, override)
        assert {m for m in one.metrics if one.run_id(m) != two.run_id(m)} == other, (method, override)


def test_a_record_answers_its_own_configuration_and_no_other(tmp_path):
    job = small_job(tmp_path, *FAST)
    job.record("unified")
    record = yaml.safe_load((tmp_path / "runs" / f"{job.run_id('unified')}.yaml").read_text())
    names = {**job.config.names, "metric": "unified"}
    assert records.identity_of(record) == job.identity("unified")
    assert records.matches(record, names, records.asked(names, job.config.cfg))
    for override in ("run.seed=1", "metric.unified.step=192", "model.resize=36", "compute.precision=fp64"):
        other = small_job(tmp_path, *FAST, override).config
        assert not records.matches(record, names, records.asked(names, other.cfg)), override
    assert not records.matches(record, {**names, "model": "other"}, records.asked(names, job.config.cfg))


def test_a_record_of_before_identities_answers_too(tmp_path):
    shipped = "model.net._target_=bench.networks.tiny.TinyNet"
    job = small_job(tmp_path, *FAST, "compute.fold=false", shipped)
    job.record("unified")
    record = yaml.safe_load((tmp_path / "runs" / f"{job.run_id('unified')}.yaml").read_text())
    del record["identity"], record["format"], record["config"]["compute"]["fold"]
    record["config"]["metric"]["_target_"] = "somewhere.else.perturbation"
    names = {**job.config.names, "metric": "unified"}
    assert records.matches(record, names, records.asked(names, job.config.cfg))


def test_two_folders_are_two_runs(tmp_path):
    one, other = (small_job(tmp_path / "r", *pictures(tmp_path / name)) for name in ("a", "b"))
    assert one.run_id("unified") != other.run_id("unified")


def test_a_copy_of_a_method_under_another_name_is_another_run(tmp_path):
    """The name picks the random streams."""
    job = small_job(tmp_path, *FAST)
    before = job.identity("unified")
    job.config.names["method"] = "random2"
    assert job.identity("unified") != before


def test_another_normalisation_has_a_confusion_colour_of_its_own(tmp_path):
    choice = ["method=random", "metric=[fair]", "data.limit=2"]
    small_job(tmp_path, *choice).colour_tensor()
    small_job(tmp_path, *choice, "model.std=[0.2,0.2,0.2]").colour_tensor()
    assert len(list((tmp_path / "confusion").glob("*.yaml"))) == 2


def test_a_network_that_answers_nan_scores_nothing(tmp_path):
    job = small_job(tmp_path, *FAST, "data.limit=2")
    job.network.net.head.weight.data.fill_(torch.nan)
    complete(job)
    rows = rows_of(tmp_path)
    assert list(rows["status"]) == ["failed", "failed"]
    assert "network's output" in rows["error"][0]


def test_a_row_that_is_there_twice_is_counted_once(tmp_path):
    job = small_job(tmp_path, *FAST, "data.limit=3")
    complete(job)
    file = next((tmp_path / "rows").rglob("*.parquet"))
    file.with_name(f"{job.run_id('unified')}-copy.parquet").write_bytes(file.read_bytes())
    text, failed = summary(job)
    assert "n     3" in text
    assert not failed


def test_half_precision_ends_at_the_networks_output(tmp_path):
    complete(small_job(tmp_path, "method=sm", "metric=[kl]", "data.limit=1", "compute.precision=bf16"))
    curve = torch.tensor(rows_of(tmp_path)["insertion_curve"][0])
    assert not torch.equal(curve, curve.bfloat16().float())


@pytest.mark.parametrize("word", ["off", "no", "false"])
def test_off_is_off(tmp_path, word):
    complete(small_job(tmp_path, *FAST, "data.limit=1", f"run.save_attributions={word}"))
    assert not (tmp_path / "attributions").exists()
    with pytest.raises(UserError, match="save_attributions=perhaps"):
        small_job(tmp_path, *FAST, "run.save_attributions=perhaps")


def test_a_map_that_lies_there_is_that_of_the_picture_as_it_is(tmp_path):
    choice = ["method=sm", *pictures(tmp_path / "pictures")[1:]]
    complete(small_job(tmp_path / "r", *choice, "run.save_attributions=true"))
    before = {file.stem: np.load(file) for file in (tmp_path / "r" / "attributions").rglob("*.npy")}
    Image.fromarray(np.full((20, 20, 3), 255, dtype=np.uint8)).save(tmp_path / "pictures" / "2.png")
    complete(small_job(tmp_path / "r", *choice))
    complete(small_job(tmp_path / "r", *choice, "metric=[unified,kl]"))  # another metric takes no map away
    after = {file.stem: np.load(file) for file in (tmp_path / "r" / "attributions").rglob("*.npy")}
    assert [np.array_equal(before[name], after[name]) for name in sorted(before)] == [True, True, False]


def test_a_picture_that_breaks_takes_its_map_along(tmp_path):
    choice = ["method=sm", *pictures(tmp_path / "pictures")[1:], "run.save_attributions=true"]
    complete(small_job(tmp_path / "r", *choice))
    (tmp_path / "pictures" / "2.png").write_text("no picture")
    complete(small_job(tmp_path / "r", *choice))
    assert {file.stem for file in (tmp_path / "r" / "attributions").rglob("*.npy")} == {"0", "1"}


def test_where_code_lies_is_not_part_of_a_run(tmp_path):
    job = small_job(tmp_path)
    assert "_target_" not in str(job.identity("unified"))
    assert job.identity("unified").metric["builder"] == "perturbation"
