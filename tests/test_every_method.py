"""What every method promises. A new file in conf/method is tested here without a line of test code."""

import inspect

import conftest
import numpy as np
import pytest
import torch
from conftest import IDS, NETWORK, SETTINGS, SIZE
from hydra.utils import instantiate
from mps import THERE, Mps
from omegaconf import OmegaConf
from waits import Waits

from bench.choices import CONF
from bench.config import load
from bench.images.source import Sample
from bench.notes import listening
from bench.rng import Rng
from bench.running.job import bind

WAITS = {  # of a method for the device, for four images, where there are any: at most so many, and so many a pass
    "ceiling": (0, 0.1),  # a search: what is tried next depends on what was best
    "ablationcam": (18, 0),  # which layer is read, of what shape
    **dict.fromkeys(["rollout", "generic_attention"], (8, 0)),  # image by image
    "gradcam": (18, 0),
    "eigencam": (22, 0),
}
FILLING = {  # their frames or paths do not wait for each other, and fill passes that their images do not
    *(
        "agi",
        "attexplore",
        "attexplore_paper",
        "aii",
        "aii_algorithm1",
        "big",
        "big_boundary",
        "big_as_published",
        "ceiling",
        "eg",
        "ig",
        "la",
        "la_paper",
    ),
    *("la_algorithm1", "rise", "sg"),
}
METHODS = sorted(path.stem for path in (CONF / "method").glob("*.yaml"))


class Source:
    """Six images, those that the tests explain among them."""

    ids = [*IDS, "elk", "hen"]

    def load(self, id):
        return Sample(id, Rng(8, "source", [id]).uniform(3, SIZE, SIZE)[0], fingerprint=id)


@pytest.fixture(params=METHODS)
def method(request, tmp_path):
    cfg = load([f"method={request.param}", *SETTINGS.get(request.param, [])]).cfg.method
    if OmegaConf.is_missing(cfg, "root"):  # a method that reads maps
        cfg.root = str(tmp_path)
        for image in IDS:
            np.save(tmp_path / f"{image}.npy", Rng(9, "maps", [image]).uniform(3, SIZE, SIZE)[0].numpy())
    made = instantiate(cfg, _convert_="all")
    bind(made, Source(), seed=0)
    return made


@pytest.fixture
def cnn(request, cnn, device):
    """The tests' network, or another one of its size for a method that it does not suit."""
    other = NETWORK.get(request.node.callspec.params["method"])
    return conftest.small(getattr(conftest, other)).to(device) if other else cnn


def explain(method, cnn, x, target, index):
    """The maps of some of the images, in that order."""
    return method(cnn, x[index], target[index], Rng(0, "m", [IDS[i] for i in index], x.device))


def test_yaml_sets_every_hyperparameter_and_no_other(method):
    parameters = inspect.signature(method.func).parameters.values()
    assert set(method.keywords) == {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert all(p.default is p.empty for p in parameters), "numbers live in the yaml"


def test_yaml_opens_with_its_source_and_cost():
    for name in METHODS:
        assert (CONF / "method" / f"{name}.yaml").read_text().startswith("# "), name


def test_a_map_depends_on_its_image_alone(method, cnn, x, target):
    together = explain(method, cnn, x, target, [0, 1, 2, 3])
    assert together.shape == x.shape
    assert together.isfinite().all()
    alone = torch.cat([explain(method, cnn, x, target, [i]) for i in range(4)])
    torch.testing.assert_close(alone, together, rtol=1e-10, atol=1e-10)
    pairs = torch.cat([explain(method, cnn, x, target, [3, 1]), explain(method, cnn, x, target, [0, 2])])
    torch.testing.assert_close(pairs, together[[3, 1, 0, 2]], rtol=1e-10, atol=1e-10)


def test_fp32_rounds_alike_at_every_place_with_any_neighbour(method, cnn, x, target):
    cnn, x = cnn.float(), x.float()
    one = explain(method, cnn, x, target, [0, 1, 2, 3])
    other = explain(method, cnn, x, target, [3, 2, 0, 0])
    assert torch.equal(one[0], other[2])
    assert torch.equal(one[0], other[3])
    assert torch.equal(one[3], other[0])


@pytest.mark.parametrize("places", [[2, 0, 1, 1], [3, 3, 3, 3]])
def test_a_pass_that_few_images_fill_gives_them_the_same_maps(method, cnn, x, target, places):
    """Who repeats the last image at the end only fills the pass up; frames of the others may stand there."""
    cnn, x = cnn.float(), x.float()
    whole = explain(method, cnn, x, target, [0, 1, 2, 3])
    assert torch.equal(explain(method, cnn, x, target, places), whole[places])


def test_few_images_take_fewer_passes_of_methods_whose_frames_do_not_wait(method, cnn, x, target, request):
    made = [cnn.forward_passes]
    with listening() as notes:
        explain(method, cnn, x, target, [0, 1, 2, 3])
    made.append(cnn.forward_passes)
    told = notes.get("forward_passes")
    with listening() as notes:
        explain(method, cnn, x, target, [0, 0, 0, 0])
    made.append(cnn.forward_passes)
    whole, alone = made[1] - made[0], made[2] - made[1]
    if request.node.callspec.params["method"] in FILLING:
        assert 1 / 4 <= alone / whole < 0.8
        assert notes["forward_passes"][0] == told[0] > 1, "the row says what one image takes"
    else:
        assert alone <= whole


def test_images_and_network_are_left_as_they_were(method, cnn, x, target):
    images, state = x.clone(), {name: value.clone() for name, value in cnn.state_dict().items()}
    hooks = {name: (len(m._forward_hooks), len(m._backward_hooks)) for name, m in cnn.named_modules()}
    explain(method, cnn, x, target, [0, 1, 2, 3])
    assert torch.equal(x, images)
    assert not x.requires_grad
    assert all(torch.equal(value, state[name]) for name, value in cnn.state_dict().items())
    assert all(p.grad is None and not p.requires_grad for p in cnn.parameters())
    assert {name: (len(m._forward_hooks), len(m._backward_hooks)) for name, m in cnn.named_modules()} == hooks
    assert not cnn.training


def test_the_map_is_no_view_of_the_image_and_carries_no_graph(method, cnn, x, target):
    made = explain(method, cnn, x, target, [0, 1])
    assert not made.requires_grad
    assert made.data_ptr() != x.data_ptr()


def test_a_walk_does_not_wait_for_the_device(request, method, cnn, x, target):
    name = request.node.callspec.params["method"]
    if method.func.__module__.startswith("methods.external"):
        pytest.skip("a loop of another library")
    if hasattr(method.func, "fingerprint"):
        pytest.skip("it reads files")
    before = cnn.forward_passes
    with Waits() as waits:
        explain(method, cnn, x, target, [0, 1, 2, 3])
    once, a_pass = WAITS.get(name, (0, 0))
    assert waits.count <= once + a_pass * (cnn.forward_passes - before) / 4, waits.seen


def test_on_apples_gpu_its_maps_are_those_of_a_cpu(method, cnn, x, target):
    if x.device.type != "cpu":
        pytest.skip("a CPU poses as one")
    if method.func.__module__.startswith("methods.external"):
        pytest.skip("of another library")
    cnn, x = cnn.float(), x.float()
    expected = explain(method, cnn, x, target, [0, 1])
    with Mps():
        cnn, x, target = cnn.to(THERE), x.to(THERE), target.to(THERE)
        made = explain(method, cnn, x, target, [0, 1])
        assert made.device.type == "mps"
        torch.testing.assert_close(made.cpu(), expected, rtol=1e-4, atol=1e-5)
