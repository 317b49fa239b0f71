"""Hugging Face's classifiers: their own preprocessing, their layers, and what is refused."""

import dataclasses
import json
import sys

import numpy as np
import pytest
import torch
import yaml
from jobs import complete, rows_of
from PIL import Image
from safetensors.torch import save_file

from bench.config import load
from bench.errors import UserError
from bench.images.preprocessing import Preprocessing
from bench.networks import from_huggingface
from bench.networks.network import open_network
from bench.running.job import open_job

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore:::transformers.*", "ignore:::huggingface_hub.*")

SIZE = 32  # pixels
STAGES = {"hidden_sizes": [8, 16], "depths": [1, 1]}
KINDS = {  # its settings, its processor's, and Grad-CAM's layer
    "ViT": (
        {
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "patch_size": 8,
        },
        ("ViT", {"size": {"height": SIZE, "width": SIZE}}),
        "layernorm_before",
    ),
    "Swin": (
        {"embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4, "patch_size": 4},
        ("ViT", {"size": {"height": SIZE, "width": SIZE}, "resample": 3}),
        "layernorm",
    ),
    "ResNet": (
        {**STAGES, "embedding_size": 8, "layer_type": "basic"},
        ("ConvNext", {"size": {"shortest_edge": SIZE}, "crop_pct": 0.875, "resample": 3}),
        "1",
    ),
    "ConvNext": (
        {**STAGES, "num_stages": 2, "patch_size": 4},
        ("ConvNext", {"size": {"shortest_edge": SIZE}, "crop_pct": 0.875, "resample": 2}),
        "1",
    ),
}
NAMES = [f"kind {k}" for k in range(7)]


def built(kind, folder, processor=None):
    """A small classifier with random weights, saved as a hub has it."""
    settings, (family, usual), _ = KINDS[kind]
    labels = {"id2label": dict(enumerate(NAMES)), "label2id": {name: k for k, name in enumerate(NAMES)}}
    config = getattr(transformers, f"{kind}Config")(image_size=SIZE, **labels, **settings)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = getattr(transformers, f"{kind}ForImageClassification")(config)
    net.save_pretrained(folder)
    prepared = getattr(transformers, f"{family}ImageProcessor")(**usual) if processor is None else processor
    prepared.save_pretrained(folder)
    return net.eval()


def config(folder, *overrides):
    return load(["model=hf", f"model.name={folder}", *overrides])


def opened(folder, *overrides):
    return open_network(config(folder, *overrides).cfg.model)


@pytest.mark.parametrize("kind", KINDS)
def test_methods_run_on_it(kind, tmp_path):
    """DeepLIFT's maps sum to what it promises, so its rules follow these networks."""
    built(kind, tmp_path / "net")
    small = ["data.n=2", "data.limit=2", "compute.batch_size=2", "compute.workers=0", "metric.unified.step=1536"]
    attention = ("rollout", "generic_attention") if kind == "ViT" else ()
    for method in ("sm", "gradcam", "la", "deeplift", *attention):
        few = ["method.steps=2"] if method == "la" else []
        job = open_job(config(tmp_path / "net", *small, *few, f"method={method}", f"paths.results={tmp_path}"))
        complete(job)
        if method == "gradcam":
            assert job.layer.split(".")[-1] == KINDS[kind][2]
    rows = rows_of(tmp_path)
    assert len(rows) == 8 + 2 * len(attention) and (rows["status"] == "ok").all()
    gaps = rows["completeness_gap"].dropna()
    assert len(gaps) == 2 and gaps.abs().max() < 1e-4


PROCESSORS = [
    ("ViT", {"size": {"height": 36, "width": 36}, "resample": 3}),
    ("ViT", {"size": {"height": 36, "width": 36}, "do_normalize": False}),
    (
        "ViT",
        {"size": {"height": 36, "width": 36}, "do_rescale": False, "image_mean": [127.5] * 3, "image_std": [60.0] * 3},
    ),
    ("ConvNext", {"size": {"shortest_edge": 36}, "crop_pct": 0.875}),
    ("ConvNext", {"size": {"shortest_edge": 384}, "crop_pct": 0.875}),
    ("CLIP", {"size": {"shortest_edge": 40}, "crop_size": {"height": 36, "width": 36}}),
    ("Bit", {"size": {"shortest_edge": 41}, "crop_size": {"height": 36, "width": 36}, "resample": 2}),
    ("DeiT", {"size": {"height": 43, "width": 43}, "crop_size": {"height": 36, "width": 36}}),
    ("MobileNetV2", {"size": {"shortest_edge": 40}, "crop_size": {"height": 36, "width": 36}}),
    ("Siglip", {"size": {"height": 36, "width": 36}}),
    ("Pvt", {"size": {"height": 36, "width": 36}}),
]


def ours(recipe):
    resize = recipe.resize(recipe.size)
    return Preprocessing(recipe.size, resize, recipe.interpolation, recipe.crop, down=recipe.down)


def pictures():
    rng = np.random.default_rng(0)
    for width, height in ((97, 64), (50, 121), (80, 80), (30, 33), (141, 58)):
        coarse = Image.fromarray((rng.random((height // 5, width // 5, 3)) * 255).astype(np.uint8))
        yield coarse.resize((width, height))  # smooth, so that a shift shows and a resampling filter does too


@pytest.mark.parametrize(("family", "settings"), PROCESSORS)
def test_it_is_shown_the_pixels_of_its_own_processor(family, settings):
    """Exactly those of the processor that resamples with Pillow; of torchvision's, to two grey levels."""
    for ending, apart in (("Pil", 0), ("", 2)):
        processor = getattr(transformers, f"{family}ImageProcessor{ending}")(**settings)
        recipe = from_huggingface.read(processor, "net")
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (recipe.mean, recipe.std))
        for picture in pictures():
            theirs = torch.as_tensor(processor(images=picture, return_tensors="pt")["pixel_values"][0]) * std + mean
            torch.testing.assert_close(255 * theirs, 255 * ours(recipe)(picture), rtol=0, atol=apart + 1e-3)
        from_huggingface.agree(processor, recipe, "net")


@pytest.mark.parametrize(
    ("family", "settings", "why"),
    [
        ("MobileViT", {"size": {"shortest_edge": 40}, "crop_size": {"height": 36, "width": 36}}, "of 255 apart"),  # BGR
        ("ViT", {"do_resize": False}, "square and of one size"),
        ("ViT", {"size": {"height": 36, "width": 40}}, "square and of one size"),
        ("CLIP", {"size": {"shortest_edge": 40}, "do_center_crop": False}, "own proportions"),
        ("Levit", {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}}, "of 255 apart"),
    ],
)
def test_a_processor_that_does_what_we_do_not_is_refused(family, settings, why):
    processor = getattr(transformers, f"{family}ImageProcessor")(**settings)
    with pytest.raises(UserError, match=rf"net \({family}ImageProcessor\) is not one that can be followed.*{why}"):
        from_huggingface.agree(processor, from_huggingface.read(processor, "net"), "net")


@pytest.mark.parametrize(
    "wrong",
    [
        {"interpolation": "bicubic"},
        {"resize": lambda size: size + 4},
        {"crop": "squash"},
        {"mean": (0.5, 0.5, 0.45)},
        {"std": (0.27, 0.27, 0.27)},
    ],
)
def test_what_was_read_is_tried(wrong):
    processor = transformers.BitImageProcessor(
        size={"shortest_edge": 41}, crop_size={"height": 36, "width": 36}, resample=2
    )
    recipe = from_huggingface.read(processor, "net")
    from_huggingface.agree(processor, recipe, "net")
    with pytest.raises(UserError, match="of 255 apart"):
        from_huggingface.agree(processor, dataclasses.replace(recipe, **wrong), "net")


def test_it_gives_the_logits_of_transformers_and_a_record_says_what_it_is(tmp_path):
    net = built("ViT", tmp_path / "net")
    network = opened(tmp_path / "net")
    x = torch.rand(2, 3, SIZE, SIZE)
    torch.testing.assert_close(network(x), net(pixel_values=(x - 0.5) / 0.5).logits)
    assert network.recorded["classes"] == NAMES
    job = open_job(config(tmp_path / "net", f"paths.results={tmp_path}", "method=sm"))
    job.record("unified")
    (file,) = (tmp_path / "runs").iterdir()
    record = yaml.safe_load(file.read_text())
    assert record["cell"]["model"] == "hf-net"
    assert record["weights"]["digest"] == network.digest() and record["weights"]["file"] == "model.safetensors"
    assert record["weights"]["revision"] is None and record["weights"]["classes"] == NAMES


def run_id(folder, *overrides):
    return open_job(config(folder, "method=sm", *overrides)).run_id("unified")


def test_a_run_is_known_by_weights_and_preprocessing_not_by_where_the_folder_lies(tmp_path):
    for place in ("a", "b", "c"):
        built("ViT", tmp_path / place / "net")
    assert run_id(tmp_path / "a" / "net") == run_id(tmp_path / "b" / "net")
    file = tmp_path / "c" / "net" / "preprocessor_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"image_mean": [0.4, 0.4, 0.4]}))
    assert run_id(tmp_path / "c" / "net") != run_id(tmp_path / "a" / "net")
    assert run_id(tmp_path / "a" / "net", "model.weights=random") != run_id(tmp_path / "a" / "net")


def test_weights_of_ones_own_fill_it(tmp_path):
    net = built("ResNet", tmp_path / "net")
    state = {name: value + 1 if value.is_floating_point() else value for name, value in net.state_dict().items()}
    save_file(state, tmp_path / "mine.safetensors")
    filled = opened(tmp_path / "net", f"model.weights={tmp_path / 'mine.safetensors'}")
    assert torch.equal(filled.net.net.classifier[1].bias, net.classifier[1].bias + 1)
    one, other = (opened(tmp_path / "net", "model.weights=random").digest() for _ in range(2))
    assert one == other != filled.digest()


def test_half_precision_is_read_as_float32(tmp_path):
    built("ViT", tmp_path / "net").half().save_pretrained(tmp_path / "net")
    assert {value.dtype for value in opened(tmp_path / "net").net.parameters()} == {torch.float32}


def test_a_network_without_a_trained_head_is_refused(tmp_path):
    """transformers would put random weights there, and say so in a line of its log."""
    net = built("ViT", tmp_path / "net")
    net.vit.save_pretrained(tmp_path / "net")
    with pytest.raises(UserError, match="has no weights for classifier.bias"):
        opened(tmp_path / "net")


def test_what_is_not_there_is_said_in_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="must be as save_pretrained leaves it"):
        opened(tmp_path / "empty")
    with pytest.raises(UserError, match="leave it out"):
        opened(tmp_path / "empty", "model.revision=main")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="nobody/nothing is no folder here.*hf download nobody/nothing"):
        opened("nobody/nothing")


def test_without_transformers_the_line_that_installs_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match="pip install 'transformers"):
        opened(tmp_path)
