"""What is found of a network before anything is computed."""

from typing import NamedTuple

import pytest
import torch
from conftest import Cnn, Vit, network
from jobs import small_job
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from bench.errors import UserError
from bench.networks.examine import examine
from bench.running.compute import find_batch_size


class Two(NamedTuple):
    features: torch.Tensor
    logits: torch.Tensor


class Wrapped(Cnn):
    """A network that answers in its own way."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x):
        return self.answer(self, x, super().forward(x))


class Grey(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(1, 4, 3)

    def forward(self, x):
        return self.body(x).mean((2, 3))


class Broken(torch.autograd.Function):
    """A function whose author left the gradient out."""

    @staticmethod
    def forward(ctx, z):
        return z.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise NotImplementedError("no formula")


def drifting(net, z):
    """A running mean, by which an answer changes little from pass to pass."""
    if not hasattr(net, "seen"):
        net.register_buffer("seen", torch.zeros(()))
    net.seen.mul_(0.9999).add_(1e-7 * z.mean())
    return z + net.seen


def refused(net, **settings):
    with pytest.raises(UserError) as error:
        examine(network(net), **settings)
    return str(error.value)


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (lambda net, x, z: (z, x), "a tuple whose part [0] [2, 6] looks like the logits"),
        (lambda net, x, z: {"logits": z}, "whose part ['logits'] [2, 6] looks like the logits"),
        (lambda net, x, z: Two(x, z), "whose part .logits [2, 6] looks like the logits"),
        (lambda net, x, z: "cat", "returns a str; logits were expected"),
        (lambda net, x, z: z[:, :1], "gives one logit"),
        (lambda net, x, z: net.features(net.conv1(x)), "Is there a classifier at its end?"),
        (lambda net, x, z: z[0], "Is there a classifier at its end?"),
        (lambda net, x, z: z.detach(), "No gradient of Wrapped reaches its input"),
        (lambda net, x, z: z.detach() + 0 * x.sum(), "No gradient of Wrapped reaches its input"),
        (lambda net, x, z: F.dropout(z, 0.5), "another answer when the same image is shown again"),
        (lambda net, x, z: z - z.mean(dim=0), "another answer alone than among others"),
        (lambda net, x, z: net.head.bias.expand(len(x), -1), "answers different pictures alike"),
        (lambda net, x, z: torch.arange(6.0).expand(len(x), -1), "answers different pictures alike"),
        (lambda net, x, z: z if torch.is_grad_enabled() else z * 1.1, "otherwise where gradients are followed"),
        (lambda net, x, z: z + (torch.arange(len(x))[:, None] > 3) * torch.arange(6), "at another place of a batch"),
        (lambda net, x, z: F.one_hot(2 + (x[:, 0, 0, 1] > x[:, 0, 0, 2]).long(), 6).float(), "No gradient of Wrapped"),
        (lambda net, x, z: z / 0, "answers a picture with NaN or infinity"),
        (lambda net, x, z: z.half(), "answers in float16; half precision is not measured"),
        (lambda net, x, z: drifting(net, z), "changes seen whenever it is asked"),
        (lambda net, x, z: z * (1 + (len(x) > 2)), "another answer in a batch of 8 than of two"),
        (lambda net, x, z: z.to_sparse(), "returns a sparse tensor; let forward return its to_dense()"),
        (lambda net, x, z: exit(3), "fails on images of 16 × 16: 3 (SystemExit)"),
        (lambda net, x, z: x.view(7), "fails on images of 16 × 16: shape '[7]' is invalid"),
        (lambda net, x, z: checkpoint(torch.relu, z, use_reentrant=False), "switch it off"),
        (lambda net, x, z: checkpoint(torch.relu, z, use_reentrant=True), "switch it off"),
        (lambda net, x, z: Broken.apply(z), "cannot be differentiated: no formula (NotImplementedError)"),
    ],
)
@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")  # the old kind of checkpoint, under no_grad
def test_what_would_make_every_number_wrong_is_refused(answer, complaint):
    assert complaint in refused(Wrapped(answer))


def quantised(net):
    net.head = torch.ao.nn.quantized.dynamic.Linear(*reversed(net.head.weight.shape))


def eight_bit(net):
    net.head.weight = nn.Parameter(net.head.weight.data.to(torch.int8), requires_grad=False)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda net: net.half(), "(conv1.weight: float16)"),
        (lambda net: net.head.bfloat16(), "(head.weight: bfloat16)"),
        (lambda net: net.double(), "(conv1.weight: float64)"),
        (lambda net: net.register_buffer("scale", torch.ones(1, dtype=torch.float16)), "(scale: float16)"),
        (lambda net: net.register_parameter("phase", nn.Parameter(torch.ones(1) * 1j)), "(phase: complex64)"),
        (quantised, "(head: Linear)"),
        (eight_bit, "(head.weight: int8)"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # torch's own, of what it will rename
def test_weights_that_are_not_float32_are_refused(change, complaint):
    net = Cnn()
    change(net)
    assert complaint in refused(net) and "Load them into the float32 network" in refused(net)


def test_counters_and_positions_may_be_whole_numbers():
    net = Cnn()
    net.register_buffer("position", torch.arange(4))
    net.register_buffer("mask", torch.ones(4, dtype=torch.bool))
    assert examine(network(net)) == (6, [])


def test_a_checkpoint_is_refused_whatever_module_holds_it():
    vit = Vit()
    vit.set_grad_checkpointing()
    assert "Vit computes parts of itself again in the backward pass" in refused(vit)


def test_other_channels_than_three_are_named():
    assert "Grey takes images of 1 channels" in refused(Grey())


def test_chance_may_be_allowed_and_is_another_run_then(tmp_path):
    classes, (warning,) = examine(network(Wrapped(lambda net, x, z: z - z.mean(dim=0))), allow_chance=True)
    assert classes == 6 and "alone than among others" in warning
    plain, allowed = small_job(tmp_path, "method=sm"), small_job(tmp_path, "method=sm", "compute.allow_chance=true")
    assert plain.run_id("unified") != allowed.run_id("unified")


def test_outputs_that_look_like_probabilities_are_a_warning_that_the_record_keeps(tmp_path, monkeypatch, capsys):
    _, (warning,) = examine(network(Wrapped(lambda net, x, z: z.softmax(dim=1))))
    assert "add up to 1" in warning
    monkeypatch.setattr(Cnn, "forward", lambda self, x, forward=Cnn.forward: forward(self, x).softmax(dim=1))
    job = small_job(tmp_path, "method=sm")
    assert "add up to 1" in capsys.readouterr().err
    job.record("unified")
    assert "add up to 1" in next((tmp_path / "runs").glob("*.yaml")).read_text()


def test_a_head_of_zeros_is_no_error_and_nothing_is_changed():
    net = network(Cnn())
    state, passes = torch.random.get_rng_state(), (net.forward_passes, net.backward_passes)
    assert examine(net) == (6, [])
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (net.forward_passes, net.backward_passes) == passes
    net.net.head.weight.data.zero_()
    assert examine(net) == (6, [])


def test_a_network_that_rounds_by_place_at_any_batch_size_is_warned_of(capsys):
    """Too little for a wrong score, enough for other last digits: nobody is refused for it."""
    net = network(Wrapped(lambda net, x, z: z * (1 + 1e-6 * torch.arange(len(z))[:, None])))
    assert find_batch_size(2, net, torch.device("cpu")) == 2
    assert "Wrapped rounds differently at different places of a batch" in capsys.readouterr().err
    assert find_batch_size(2, network(Cnn()), torch.device("cpu")) >= 2
    assert capsys.readouterr().err == ""
