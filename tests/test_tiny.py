"""The committed network is worth explaining: it knows images it has not seen, by their shapes."""

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from bench.images.preprocessing import Preprocessing
from bench.images.stream import stream
from bench.images.synthetic import Synthetic
from bench.networks.tiny import WEIGHTS, TinyNet


@pytest.fixture(scope="module")
def net():
    net = TinyNet()
    net.load_state_dict(load_file(WEIGHTS))
    return net.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def held_out():
    """200 images of the default data set: pixels, labels, masks."""
    source = Synthetic(n=200, seed=0, preprocessing=Preprocessing(size=64, resize=72))
    (batch,) = stream(source, source.ids, width=200, workers=0)
    return batch.x, torch.tensor(batch.labels), batch.masks[:, None]


def accuracy(net, x, labels):
    return net((x - 0.5) / 0.5).argmax(1).eq(labels).double().mean().item()


def test_held_out_accuracy(net, held_out):
    x, labels, _ = held_out
    assert accuracy(net, x, labels) >= 0.95


def test_it_looks_at_the_shape(net, held_out):
    """With the shape covered it guesses; with as much covered elsewhere it knows. So masks lie on the evidence."""
    x, labels, masks = held_out
    cover = F.max_pool2d(masks.float(), 9, stride=1, padding=4) > 0  # 4 pixels more all round: no silhouette is left
    grey = x.mean(dim=(2, 3), keepdim=True)
    assert accuracy(net, torch.where(cover, grey, x), labels) < 0.3
    assert accuracy(net, torch.where(cover.roll(32, dims=3), grey, x), labels) > 0.9


def test_it_is_small():
    assert WEIGHTS.stat().st_size < 500_000
    assert sum(p.numel() for p in TinyNet().parameters()) < 120_000


def test_its_layers_suit_every_method():
    """ReLU modules of their own, not in place: DeepLIFT's and guided backpropagation's hooks need that."""
    relus = [m for m in TinyNet().modules() if isinstance(m, nn.ReLU)]
    assert len(relus) == len(set(map(id, relus))) == 6
    assert not any(r.inplace for r in relus)


def test_features_are_a_map_that_the_logits_depend_on_alone(net):
    """What Grad-CAM looks at: the last convolution, before pooling."""
    seen = []
    handle = net.features.register_forward_hook(lambda module, inputs, output: seen.append(output))
    logits = net(torch.zeros(2, 3, 64, 64))
    handle.remove()
    assert seen[0].shape == (2, 80, 8, 8)
    torch.testing.assert_close(logits, net.head(seen[0].mean(dim=(2, 3))))
