"""Methods that look into a network find it compiled, after a pass has been compiled without their hooks."""

import conftest
import pytest
import torch
from conftest import NETWORK, SETTINGS, Cnn, small
from hydra.utils import instantiate

from bench.config import load

HOOKING = [
    "attexplore_naa",
    "gradcam",
    "ablationcam",
    "eigencam",
    "layercam",
    "scorecam",
    "guided_backprop",
    "deeplift",
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*HOOKING, *NETWORK])
def test_the_map_is_that_of_the_network_as_it_was(name, x, rng):
    method = instantiate(load([f"method={name}", *SETTINGS.get(name, [])]).cfg.method, _convert_="all")
    kind = getattr(conftest, NETWORK.get(name, "Cnn"))
    network = small(kind, feature_layer="features" if issubclass(kind, Cnn) else None)
    target = network(x).argmax(1)
    rng = conftest.Rng(0, "compiled", conftest.IDS)
    expected = method(network, x, target, rng.for_images(torch.arange(4)))
    torch.compiler.reset()
    network.net = torch.compile(network.net, backend="eager")
    for image in (x, x.clone().requires_grad_()):
        network(image)
    made = method(network, x, target, rng.for_images(torch.arange(4)))
    torch.testing.assert_close(made, expected, rtol=1e-9, atol=1e-12)
    assert made.abs().max() > 0
