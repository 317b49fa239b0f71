"""Masks beside pictures: the layouts of others, made small; geometry, by hand and beside the picture's own; scores."""

import made
import numpy as np
import pytest
import torch
from jobs import complete, rows_of, small_job
from PIL import Image

from bench.config import load
from bench.errors import UserError
from bench.images.annotations import of_boxes, of_imagenet_s, of_png, of_xml
from bench.images.preprocessing import Preprocessing
from bench.images.source import ImageError, open_source
from bench.images.stream import stream
from metrics.batch import MapBatch
from metrics.localisation import localisation
from metrics.mask_ranks import auc_mask, rank_accuracy

PLAIN = Preprocessing(8, 8)
WNID, NAME = "n01440764", "ILSVRC2012_val_00000293"


def xml(size, *boxes):
    """As ILSVRC2012's archive has it."""
    objects = "".join(
        f"<object><name>{WNID}</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult><bndbox>"
        f"<xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
        for a, b, c, d in boxes
    )
    return (
        f"<annotation><folder>val</folder><filename>{NAME}</filename><source><database>ILSVRC_2012</database></source>"
        f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size><segmented>0</segmented>"
        f"{objects}</annotation>"
    )


def written(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def png(file, values, mode=None):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, dtype=np.uint8), mode).save(file)
    return file


def ids_png(file, ids):
    """ImageNet-S: R + 256 G."""
    ids = np.asarray(ids)
    return png(file, np.stack([ids % 256, ids // 256, 0 * ids], axis=2))


def source_of(overrides, preprocessing=PLAIN):
    return open_source(load(overrides).cfg.data, preprocessing, 0)[0]


def drawn(*rows):
    """'.#' to bool [H, W]."""
    return torch.tensor([[letter == "#" for letter in row] for row in rows])


@pytest.fixture
def imagenet(tmp_path):
    """One picture of 16 × 8 pixels, of which a network of 8 pixels sees columns 4 to 11."""
    made.picture(tmp_path / "val" / WNID / f"{NAME}.JPEG", size=(16, 8))
    return ["data=imagenet", f"data.root={tmp_path / 'val'}"]


BOXES = [(2, 2, 6, 4), (10, 6, 16, 8)]  # the second is cut at the right
SEEN = drawn("........", "........", "##......", "##......", "........", "........", "......##", "......##")


def test_all_boxes_of_an_xml_folder_scaled_and_cropped_as_the_image_is(imagenet, tmp_path):
    written(tmp_path / "Annotations" / "val" / f"{NAME}.xml", xml((16, 8), *BOXES))
    source = source_of([*imagenet, "data.masks=boxes", f"data.masks_path={tmp_path / 'Annotations'}"])
    assert torch.equal(source.load(NAME).mask, SEEN)
    assert not source.load(NAME).ignored.any()


def test_boxes_of_a_picture_that_was_made_smaller(imagenet, tmp_path):
    twice = [tuple(2 * side for side in box) for box in BOXES]
    written(tmp_path / "xml" / f"{NAME}.xml", xml((32, 16), *twice))
    source = source_of([*imagenet, "data.masks=boxes", f"data.masks_path={tmp_path / 'xml'}"])
    assert torch.equal(source.load(NAME).mask, SEEN)


def test_kaggles_table(imagenet, tmp_path):
    said = " ".join(f"{WNID} {a} {b} {c} {d}" for a, b, c, d in BOXES)
    table = written(tmp_path / "LOC_val_solution.csv", f"ImageId,PredictionString\nother,n1 0 0 1 1 \n{NAME},{said} \n")
    for key in ("data=imagenet", "data=folder"):  # whose id is n01440764__ILSVRC2012_val_00000293
        source = source_of([key, imagenet[1], "data.masks=boxes", f"data.masks_path={table}"])
        assert torch.equal(source.load(source.ids[0]).mask, SEEN)


def test_imagenet_s_its_ids_and_what_it_leaves_open(imagenet, tmp_path):
    ids = np.zeros((8, 16), dtype=int)
    ids[2:4, 2:6], ids[6:, 10:], ids[0, :] = 5, 600, 1000
    ids_png(tmp_path / "validation-segmentation" / WNID / f"{NAME}.png", ids)
    folder = tmp_path / "validation-segmentation"
    sample = source_of([*imagenet, "data.masks=imagenet_s", f"data.masks_path={folder}"]).load(NAME)
    assert torch.equal(sample.mask, SEEN)
    assert sample.ignored[0].all() and not sample.ignored[1:].any()


def test_a_png_for_each_picture_of_a_folder_and_of_a_table(tmp_path):
    made.folder(tmp_path / "in", ["a/b.jpg"], size=(8, 8))
    left = np.zeros((8, 8))
    left[:, :4] = 1  # black is 0, and nothing else is
    png(tmp_path / "masks" / "a" / "b.png", left)
    source = source_of(
        ["data=folder", f"data.root={tmp_path / 'in'}", *(f"data.masks{k}" for k in ("=folder",))]
        + [f"data.masks_path={tmp_path / 'masks'}"]
    )
    assert torch.equal(source.load("a__b").mask, torch.from_numpy(left > 0))


def test_beside_a_table_of_hugging_face(tmp_path):
    pytest.importorskip("datasets")
    pictures = [made.encoded(Image.new("RGB", (8, 8), k)) for k in (10, 20)]
    made.parquet(tmp_path / "in" / "0.parquet", pictures, name=["x/a", "b"])
    corner = np.zeros((8, 8))
    corner[0, 0] = 255
    png(tmp_path / "masks" / "x" / "a.png", corner)
    hf = ["data=hf", f"data.root={tmp_path / 'in'}", "data.label_column=null", "data.id_column=name"]
    source = source_of([*hf, "data.masks=folder", f"data.masks_path={tmp_path / 'masks'}"])
    assert source.load("x__a").mask.nonzero().tolist() == [[0, 0]]
    with pytest.raises(ImageError, match="no mask of it; expected b.png"):
        source.load("b")


@pytest.mark.parametrize("crop", ["center", "squash", "border"])
@pytest.mark.parametrize("resize", [20, 24, 30])
@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("size", [(61, 37), (37, 61), (40, 40)])
def test_masks_go_the_way_of_the_picture(tmp_path, crop, resize, down, size):
    """A white box on black is picture and mask at once: the mask holds where the picture is more than half white."""
    preprocessing = Preprocessing(24, resize, crop=crop, fill=(0, 0, 0), down=down)
    image = np.zeros((size[1], size[0]), dtype=np.uint8)
    image[9:25, 12:30] = 255
    png(tmp_path / "in" / "it.png", image)
    png(tmp_path / "masks" / "it.png", image)
    overrides = ["data=folder", f"data.root={tmp_path / 'in'}", "data.masks=folder"]
    sample = source_of([*overrides, f"data.masks_path={tmp_path / 'masks'}"], preprocessing).load("it")
    white = sample.pixels[0]
    assert sample.mask.any() and not sample.mask.all()
    assert sample.mask[white > 0.999].all() and not sample.mask[white < 0.001].any()
    assert (sample.mask != (white > 0.5)).sum() <= 0.6 * 2 * (16 + 18), "off by no more than a rounding of its edge"


def test_a_colour_that_fills_the_frame_is_no_object(tmp_path):
    made.picture(tmp_path / "in" / "it.png", size=(8, 4))
    png(tmp_path / "masks" / "it.png", np.ones((4, 8)))
    overrides = ["data=folder", f"data.root={tmp_path / 'in'}", "data.masks=folder"]
    grey = Preprocessing(8, 8, crop="border", fill=(124, 116, 104))
    mask = source_of([*overrides, f"data.masks_path={tmp_path / 'masks'}"], grey).load("it").mask
    assert mask.all(dim=1).tolist() == [False, False, True, True, True, True, False, False]
    assert mask.sum() == 32


def test_pictures_that_are_held_upright_take_upright_masks(tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # turned by a quarter
    made.picture(tmp_path / "in" / "it.jpg", size=(16, 8), exif=exif)
    png(tmp_path / "masks" / "it.png", np.ones((16, 8)))
    overrides = ["data=folder", f"data.root={tmp_path / 'in'}", "data.masks=folder"]
    assert source_of([*overrides, f"data.masks_path={tmp_path / 'masks'}"]).load("it").mask.all()


def test_palettes_opacity_and_sixteen_bits():
    two = np.array([[0, 1]], dtype=np.uint8)
    palette = Image.fromarray(two, "L").convert("P")
    palette.putpalette([0, 0, 0, 128, 0, 0])
    black = Image.fromarray(np.array([[[0, 0, 0, 255], [0, 3, 0, 255]]], dtype=np.uint8), "RGBA")
    grey = Image.fromarray(np.array([[[0, 255], [9, 255]]], dtype=np.uint8), "LA")
    for image in (
        palette,
        black,
        grey,
        Image.fromarray(two.astype(np.uint16)),
        Image.fromarray(two * 255).convert("1"),
    ):
        assert of_png(made.encoded(image), "it", (2, 1))[0].tolist() == [[False, True]], image.mode


def test_a_box_holds_the_pixels_whose_centre_it_holds():
    inside = of_boxes([(1, 0, 3, 1)], (4, 2), (4, 2))[0]
    assert inside.tolist() == [[False, True, True, False], [False] * 4]
    assert of_boxes([(2, 0, 6, 2)], (8, 4), (4, 2))[0].tolist() == inside.tolist()


@pytest.mark.parametrize(
    ("read", "content", "said"),
    [
        (of_xml, b"<annotation>", "broken, or no annotation"),
        (of_xml, b"<annotation></annotation>", "broken, or no annotation"),
        (of_xml, xml((8, 8)).encode(), "no box"),
        (of_xml, xml((16, 8), (0, 0, 1, 1)).encode(), "other proportions, 8 × 8"),
        (of_png, b"", "no PNG"),
        (of_png, made.encoded(Image.new("L", (4, 8))), "4 × 8 pixels, its picture 8 × 8"),
        (of_imagenet_s, made.encoded(Image.new("L", (8, 8), 1)), "mode L"),
        (of_imagenet_s, made.encoded(Image.new("RGB", (8, 8), (200, 100, 0))), "id 25800 is none"),
        (of_imagenet_s, made.encoded(Image.new("RGB", (8, 8), (3, 0, 1))), "blue is 0"),
    ],
)
def test_what_is_no_mask_is_refused_by_name(read, content, said):
    with pytest.raises(ImageError, match="the file: .*" + said):
        read(content, "the file", (8, 8))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (f"{WNID} 0 0 4", "expected wnid xmin ymin xmax ymax"),
        (f"{WNID} 0 0 4 x", "expected wnid xmin ymin xmax ymax"),
        ("", "expected wnid xmin ymin xmax ymax"),
        (f"{WNID} 0 0 400 300", "ends outside of the picture, 16 × 8 pixels"),
        (f"{WNID} 0 0 3 8", "outside of what the network is shown"),
        (f"{WNID} 3 3 3 3", "its mask is empty"),
    ],
)
def test_rows_of_a_table_that_do_not_fit_are_broken_images(imagenet, tmp_path, row, said):
    table = written(tmp_path / "boxes.csv", f"ImageId,PredictionString\n{NAME},{row}\n")
    with pytest.raises(ImageError, match=said):
        source_of([*imagenet, "data.masks=boxes", f"data.masks_path={table}"]).load(NAME)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (["data.masks=folder"], "needs data.masks_path"),
        (["data.masks_path=IN"], "needs data.masks: boxes, imagenet_s, folder"),
        (["data.masks=imagenet_s", "data.masks_path=IN/nowhere"], "is not there; .* ImageNet-S"),
        (["data.masks=folder", "data.masks_path=IN"], "has no mask of any of the 1 image"),
        (["data.masks=boxes", "data.masks_path=IN/some.csv"], "expected columns ImageId,PredictionString"),
    ],
)
def test_what_holds_no_masks_is_refused_in_a_sentence(imagenet, tmp_path, keys, said):
    written(tmp_path / "some.csv", "file,label\n")
    with pytest.raises(UserError, match=said) as error:
        source_of([*imagenet, *(key.replace("IN", str(tmp_path)) for key in keys)])
    assert len(str(error.value).splitlines()) == 1


def test_sources_that_draw_have_masks_of_their_own(tmp_path):
    with pytest.raises(UserError, match="draws its images, with masks of its own"):
        source_of(["data=synthetic", "data.masks=folder", f"data.masks_path={tmp_path}"], Preprocessing(32, 32))


def test_a_mask_that_changes_is_another_image(imagenet, tmp_path):
    table = tmp_path / "boxes.csv"
    overrides = [*imagenet, "data.masks=boxes", f"data.masks_path={table}"]
    told = []
    for box in ("2 2 6 4", "2 2 6 5"):
        written(table, f"ImageId,PredictionString\n{NAME},{WNID} {box}\n")
        source = source_of(overrides)
        assert source.load(NAME).fingerprint == source.fingerprint(NAME) and len(source.fingerprint(NAME)) == 64
        told.append((source.fingerprint(NAME), source.stamp(NAME)))
    assert told[0][0] != told[1][0] and told[0][1] != told[1][1]
    assert source_of(imagenet).fingerprint(NAME) not in {told[0][0], told[1][0]}


def test_without_masks_a_run_is_what_it_was(imagenet, tmp_path):
    plain = load(imagenet).cfg.data
    assert "masks" not in plain and "masks_path" not in plain
    made.folder(tmp_path / "in", ["a.png"], size=(32, 32))
    png(tmp_path / "masks" / "a.png", np.ones((32, 32)))
    data = ["data=folder", f"data.root={tmp_path / 'in'}", "method=sm", "metric=[pointing]"]
    without = small_job(tmp_path / "r", *data)
    given = [
        small_job(tmp_path / "r", *data, "data.masks=folder", f"data.masks_path={tmp_path / place}")
        for place in ("masks", "masks/.")
    ]
    ids = {job.run_id("pointing") for job in given}
    assert len(ids) == 1 and without.run_id("pointing") not in ids


def test_a_run_scores_what_has_a_mask_and_says_what_has_none(tmp_path):
    made.folder(tmp_path / "in", ["a.png", "b.png", "c.png"], size=(32, 32))
    half = np.zeros((32, 32))
    half[:, :8] = 1
    for name in ("a", "c"):
        png(tmp_path / "masks" / f"{name}.png", half)
    data = ["data=folder", f"data.root={tmp_path / 'in'}", "data.masks=folder", f"data.masks_path={tmp_path / 'masks'}"]
    job = small_job(tmp_path / "r", *data, "method=sm", "metric=[localisation,auc_mask]", "compute.batch_size=2")
    assert complete(job) == 3
    rows = rows_of(tmp_path / "r")
    assert rows.groupby("image_id")["status"].first().to_dict() == {"a": "ok", "b": "failed", "c": "ok"}
    assert rows[rows["image_id"] == "b"]["error"].str.contains("has no mask of it; expected b.png").all()
    scored = rows[rows["status"] == "ok"]
    assert scored[scored["run_id"] == job.run_id("localisation")]["chance"].tolist() == [0.25, 0.25]
    assert scored[scored["run_id"] == job.run_id("auc_mask")]["chance"].tolist() == [0.5, 0.5]


def test_references_of_a_method_need_no_masks(tmp_path):
    made.folder(tmp_path / "in", ["a.png", "b.png", "c.png"], size=(32, 32))
    png(tmp_path / "masks" / "a.png", np.ones((32, 32)))
    data = ["data=folder", f"data.root={tmp_path / 'in'}", "data.ids=[a]", "method=eg", "method.draws=2"]
    masks = ["data.masks=folder", f"data.masks_path={tmp_path / 'masks'}", "metric=[pointing]"]
    complete(small_job(tmp_path / "r", *data, *masks))
    assert rows_of(tmp_path / "r")["status"].tolist() == ["ok"]


def test_ignored_pixels_travel_with_the_batch(tmp_path):
    made.folder(tmp_path / "in", ["a.png", "b.png"], size=(8, 8))
    for k, name in enumerate(("a", "b")):
        ids = np.full((8, 8), 7)
        ids[k, :] = 1000
        ids_png(tmp_path / "masks" / f"{name}.png", ids)
    overrides = ["data=folder", f"data.root={tmp_path / 'in'}", "data.masks=imagenet_s"]
    source = source_of([*overrides, f"data.masks_path={tmp_path / 'masks'}"])
    batch = next(stream(source, ["a", "b"], width=3, workers=0))
    assert batch.ignored[:, :, 0].int().argmax(dim=1).tolist() == [0, 1, 1]
    assert torch.equal(batch.masks, ~batch.ignored)


HEAT = torch.tensor([[[9.0, 4, 1], [2, 0, 3]]])  # of a pixel each; the first is left open
INSIDE = torch.tensor([[[False, True, False], [False, False, True]]])
OPEN = torch.tensor([[[True, False, False], [False, False, False]]])


@pytest.mark.parametrize(
    ("metric", "without", "with_it", "chance"),
    [
        # 4 + 3 of 19, of 10
        (lambda batch: localisation(batch, game="mass"), 7 / 19, 0.7, (2 / 6, 2 / 5)),
        (lambda batch: localisation(batch, game="pointing"), 0, 1, (2 / 6, 2 / 5)),
        # the two highest: 9 4, 4 3
        (rank_accuracy, 0.5, 1, (2 / 6, 2 / 5)),
        # of 2 × 4 pairs 4 and 3 lose to 9 alone; of 2 × 3 none
        (auc_mask, 6 / 8, 1, (0.5, 0.5)),
    ],
)
def test_what_is_left_open_is_as_if_it_were_not_there(metric, without, with_it, chance):
    maps = torch.cat([HEAT[:, None], 0 * HEAT[:, None], 0 * HEAT[:, None]], dim=1)
    for ignored, score, share in ((None, without, chance[0]), (OPEN, with_it, chance[1])):
        told = metric(
            MapBatch(
                torch.nn.Identity(),
                maps,
                torch.zeros(1).long(),
                maps,
                ids=["it"],
                seed=0,
                colour=lambda: torch.zeros(3),
                mask=INSIDE,
                ignored=ignored,
            )
        )
        assert told["score"].item() == pytest.approx(score) and told["chance"].item() == pytest.approx(share)
