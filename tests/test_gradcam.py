"""Grad-CAM against captum, and where the layer's activation is no [B, K, h, w]."""

import captum
import pytest
import torch
from conftest import network
from torch import nn

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
