"""Grad-CAM against captum, where the layer's activation is no [B, K, h, w], and what is said of the layer."""

import captum
import pytest
import torch
from conftest import network
from jobs import small_job
from torch import nn

from bench.choices import CONF
from bench.errors import UserError
from bench.run import carry_out
from methods.gradcam import grad_cam


@pytest.mark.parametrize("layer", [None, "conv1", "features.0"])
def test_agrees_with_captum(cnn, x, target, rng, layer):
    module = cnn.layer(layer)
    theirs = captum.attr.LayerGradCam(lambda pixels: cnn(pixels).softmax(dim=1), module).attribute(
        x, target=target, relu_attributions=True
    )
    theirs = captum.attr.LayerAttribution.interpolate(theirs, x.shape[2:], "bilinear").expand_as(x)
    assert theirs.max() > 0
    torch.testing.assert_close(grad_cam(cnn, x, target, rng, layer=layer), theirs, rtol=1e-5, atol=1e-12)


def test_a_layer_that_is_followed_by_one_in_place(x, target, rng):
    net = nn.Sequential(
        nn.Conv2d(3, 5, 3), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 6)
    )
    cam = grad_cam(network(net.double()), x, target, rng, layer="0")
    assert cam.isfinite().all()


OF_A_PICTURE = [
    file.stem
    for file in sorted((CONF / "method").glob("*.yaml"))
    if "\nlayer:" in file.read_text() and file.stem != "attexplore_naa"
]


@pytest.mark.parametrize("method", OF_A_PICTURE)
@pytest.mark.parametrize(("layer", "why"), [("head", "gives no picture but"), ("feature", "no layer 'feature'")])
def test_a_layer_without_a_picture_is_refused_before_anything_is_written(method, layer, why, tmp_path):
    if method not in ("gradcam", "eigencam", "ablationcam"):
        pytest.importorskip("torchcam")
    named = ["method.name=LayerCAM"] if method == "cam" else []
    job = small_job(tmp_path, f"method={method}", *named, f"method.layer={layer}", "metric=[unified]", "data.limit=1")
    with pytest.raises(UserError, match=why):
        carry_out(job)
    assert not list(tmp_path.rglob("*.yaml")) and not list(tmp_path.rglob("*.parquet"))


def test_the_layer_is_said_and_recorded_and_another_one_is_another_run(tmp_path, capsys):
    chosen, named = (
        small_job(tmp_path, "method=gradcam", f"method.layer={layer}", "metric=[unified]", "data.limit=1")
        for layer in ("null", "conv1")
    )
    carry_out(chosen)
    assert "gradcam (layer features) on tiny" in capsys.readouterr().err
    assert "method.layer: features" in next((tmp_path / "runs").glob("*.yaml")).read_text()
    assert chosen.run_id("unified") != named.run_id("unified")
    assert small_job(tmp_path, "method=sm").layer is None
