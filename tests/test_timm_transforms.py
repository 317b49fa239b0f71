"""timm's weights see exactly the pixels that timm shows them."""

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_model_data_config

from bench.config import load
from bench.errors import UserError
from bench.networks.network import open_network

RECIPES = {  # crop mode, interpolation, share of the picture that the crop keeps: one weight of each kind that timm has
    "cspdarknet53.ra_in1k": ("center", "bilinear", 0.887),
    "tf_efficientnet_lite0.in1k": ("center", "bicubic", 0.875),
    "csatv2.r512_in1k": ("center", "bilinear", 1.0),
    "convit_tiny.fb_in1k": ("center", "bicubic", 0.875),
    "vit_tiny_patch16_384.augreg_in21k_ft_in1k": ("center", "bicubic", 1.0),
    "volo_d4_448.sail_in1k": ("center", "bicubic", 1.15),  # a black frame, as timm has it
    "dm_nfnet_f0.dm_in1k": ("squash", "bicubic", 0.9),
    "coat_lite_medium_384.in1k": ("squash", "bicubic", 1.0),
    "vit_base_patch16_lingbot.robbyant": ("squash", "bilinear", 1.0),
    "deepseek_vit_412m.deepseek_v4_1_flash": ("border", "bicubic", 1.0),
}
SIZES = [(640, 427), (333, 500), (97, 97), (448, 448), (1200, 90)]


def of_timm(name, *overrides):
    with torch.device("meta"):  # no weights: only how images are prepared
        return open_network(load(["model=timm", f"model.name={name}", "model.weights=random", *overrides]).cfg.model)


@pytest.mark.filterwarnings("ignore")  # of what is not initialised on that device
@pytest.mark.parametrize("name", RECIPES)
def test_a_weight_is_shown_timms_own_pixels(name):
    if name not in timm.list_pretrained():
        pytest.skip("not in this release of timm")
    network = of_timm(name)
    config = resolve_model_data_config(network.net)
    assert (config["crop_mode"], config["interpolation"], config["crop_pct"]) == RECIPES[name]
    transform = create_transform(**config, normalize=False)
    rng = np.random.default_rng(0)
    for width, height in SIZES:
        coarse = Image.fromarray((rng.random((height // 7, width // 7, 3)) * 255).astype(np.uint8))
        picture = coarse.resize((width, height))  # smooth, so that a shift shows and a resampling filter does too
        assert torch.equal(network.preprocessing(picture) * 255, transform(picture).float()), (width, height)


def test_every_kind_of_recipe_that_timm_has_is_compared():
    """Another crop mode, or interpolation of it, in a later release of timm asks for a line above."""
    known = {(mode, interpolation) for mode, interpolation, _ in RECIPES.values()}
    found = {(c.crop_mode, c.interpolation) for c in map(timm.get_pretrained_cfg, timm.list_pretrained())}
    assert found <= known


@pytest.mark.filterwarnings("ignore")
def test_a_frame_is_timms_alone():
    """Of a size of one's own it would be a slip."""
    with pytest.raises(UserError, match="black frame"):
        of_timm("volo_d4_448.sail_in1k", "model.size=480")
    with pytest.raises(UserError, match="black frame"):
        of_timm("volo_d4_448.sail_in1k", "model.resize=400")
