"""Grad-CAM against captum, and where the layer's activation is no [B, K, h, w]."""

import captum
import pytest
import torch
from conftest import network
from torch import nn

from methods.gradcam import grad_cam, spatial


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


def test_tokens_are_laid_out_as_the_patches_they_stand_for():
    grid = torch.arange(2 * 3 * 4 * 4.0).view(2, 3, 4, 4)
    tokens = grid.flatten(2).transpose(1, 2)  # [2, 16, 3]
    with_class = torch.cat([torch.full((2, 1, 3), -1.0), tokens], dim=1)
    assert torch.equal(spatial(tokens), grid)
    assert torch.equal(spatial(with_class), grid)
    assert torch.equal(spatial(grid.movedim(1, 3)), grid), "Swin keeps channels last"
    assert torch.equal(spatial(grid), grid)
