"""captum's explainers beside captum, called by hand."""

import sys

import captum.attr
import numpy as np
import pytest
import torch
from captum._utils.models.linear_model import SkLearnRidge
from conftest import SETTINGS, network
from hydra.utils import instantiate
from jobs import small_job
from torch import nn

from bench.config import load
from bench.errors import UserError
from bench.running.forecast import forecast
from methods.external.captum_maps import grid


def configured(name, *overrides):
    return instantiate(load([f"method={name}", *SETTINGS.get(name, []), *overrides]).cfg.method, _convert_="all")


def seeds(rng):
    return rng.integers(2**32).tolist()


def probability(cnn):
    return lambda pixels: cnn(pixels).softmax(dim=1)


PATCHES = torch.arange(16).view(4, 4).repeat_interleave(4, 0).repeat_interleave(4, 1)[None, None]
BY_HAND = {
    "occlusion": lambda cnn, x, t: captum.attr.Occlusion(probability(cnn)).attribute(
        x, target=t, sliding_window_shapes=(3, 4, 4), strides=(3, 4, 4), baselines=0.5
    ),
    "feature_ablation": lambda cnn, x, t: captum.attr.FeatureAblation(probability(cnn)).attribute(
        x, target=t, feature_mask=PATCHES, baselines=0.0
    ),
    "lime": lambda cnn, x, t: captum.attr.Lime(probability(cnn), interpretable_model=SkLearnRidge(alpha=1.0)).attribute(
        x, target=t, feature_mask=PATCHES, baselines=0.5, n_samples=30, perturbations_per_eval=32
    ),
    "kernel_shap": lambda cnn, x, t: captum.attr.KernelShap(probability(cnn)).attribute(
        x, target=t, feature_mask=PATCHES, baselines=0.0, n_samples=30, perturbations_per_eval=32
    ),
    "shapley_sampling": lambda cnn, x, t: captum.attr.ShapleyValueSampling(probability(cnn)).attribute(
        x, target=t, feature_mask=PATCHES, baselines=0.0, n_samples=5
    ),
    "gradient_shap": lambda cnn, x, t: captum.attr.GradientShap(probability(cnn)).attribute(
        x, target=t, baselines=torch.zeros_like(x), n_samples=50, stdevs=0.15
    ),
    "guided_backprop": lambda cnn, x, t: captum.attr.GuidedBackprop(cnn).attribute(x, target=t),
    "deconvolution": lambda cnn, x, t: captum.attr.Deconvolution(cnn).attribute(x, target=t),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", BY_HAND)
def test_agrees_with_captum_image_by_image_under_the_same_seeds(name, cnn, x, target, rng):
    theirs = []
    for i, seed in enumerate(seeds(rng.for_images(torch.arange(4)))):
        torch.manual_seed(seed)
        np.random.seed(seed)
        theirs.append(BY_HAND[name](cnn, x[i : i + 1], int(target[i])).detach())
    ours = configured(name)(cnn, x, target, rng)
    assert ours.abs().amax(dim=(1, 2, 3)).min() > 0
    torch.testing.assert_close(ours, torch.cat(theirs).double(), rtol=1e-6, atol=1e-9)


def test_the_global_generators_stay_where_they_were(cnn, x, target, rng):
    torch.manual_seed(3)
    np.random.seed(3)
    expected = torch.rand(1), np.random.rand()
    torch.manual_seed(3)
    np.random.seed(3)
    configured("gradient_shap")(cnn, x, target, rng)
    assert (torch.rand(1), np.random.rand()) == expected


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (["method.name=LRP"], "not offered: it does not conserve"),
        (["method.name=FeaturePermutation"], "depend on its neighbours"),
        (["method.name=LayerGradCam"], "does not explain the values of an image"),
        (["method.name=SummarizerSingleTensor"], "does not explain the values of an image"),
        (["method.name=Salience"], "Did you mean Saliency"),
        (["method.name=Saliency", "method.objective=loss"], "expected logit or probability"),
        (["method.name=Saliency", "+method.options.depth=3"], "do not fit captum's Saliency"),
    ],
)
def test_what_is_not_offered_is_said(overrides, complaint, cnn, x, target, rng):
    with pytest.raises(UserError, match=complaint):
        instantiate(load(["method=captum", *overrides]).cfg.method, _convert_="all")(cnn, x, target, rng)


PARTLY = (torch.relu, nn.functional.relu6)  # behind a module that the rule does reach


@pytest.mark.parametrize(
    "activation", [nn.GELU(), nn.functional.relu, torch.relu, torch.Tensor.relu, nn.functional.relu6]
)
def test_relu_rules_are_refused_where_they_would_not_act(activation, x, target, rng):
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 6)
            self.relu = nn.ReLU()

        def forward(self, x):
            return self.head(activation(self.relu(self.conv(x)) if activation in PARTLY else self.conv(x)).mean((2, 3)))

    with pytest.raises(UserError, match=r"acts on modules, nn\.ReLU and nn\.ReLU6"):
        configured("guided_backprop")(network(Functional().double()), x, target, rng)


def test_a_clamp_on_both_sides_is_no_relu(x, target, rng):
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Hardtanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 6)
    )
    assert configured("guided_backprop")(network(net.double()), x, target, rng).isfinite().all()


class Rule(torch.autograd.Function):
    """ReLU6, and backward what guided backpropagation or deconvolution makes of it."""

    @staticmethod
    def forward(ctx, x, guided):
        ctx.save_for_backward(x)
        ctx.guided = guided
        return x.clamp(0, 6)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad.relu() * ((x > 0) & (x < 6)) if ctx.guided else grad.relu(), None


class Capped(nn.Module):
    """Two layers of ReLU6, the first in place, as networks have it."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3), nn.Linear(5, 6)
        self.caps = [nn.ReLU6(inplace=True), nn.ReLU6()]
        self.a, self.b = self.caps

    def forward(self, x):
        return self.head(self.caps[1](self.second(self.caps[0](20 * self.first(x)))).mean((2, 3)))


@pytest.mark.parametrize("name", ["guided_backprop", "deconvolution"])
def test_relu_rules_reach_relu6(name, x, target, rng):
    capped = Capped().double()
    model = network(capped)
    found = configured(name)(model, x, target, rng)
    capped.caps = [lambda y: Rule.apply(y, name == "guided_backprop")] * 2
    at = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(model(at).gather(1, target[:, None]).sum(), at)
    torch.testing.assert_close(found, expected)
    assert (found != 0).any()


def test_a_missing_library_is_named_with_the_line_that_installs_it(monkeypatch, cnn, x, target, rng):
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(UserError, match=r'captum\.attr could not be imported .*: pip install "heatproof\[captum\]"'):
        configured("occlusion")(cnn, x, target, rng)


def test_patches_cover_an_image_whose_side_they_do_not_divide():
    assert grid(torch.zeros(1, 3, 4, 5), 2)[0, 0].tolist() == [
        [0, 0, 1, 1, 2],
        [0, 0, 1, 1, 2],
        [3, 3, 4, 4, 5],
        [3, 3, 4, 4, 5],
    ]


@pytest.mark.parametrize(("name", "passes"), [("guided_backprop", (1, 1)), ("lime", (30, 0)), ("occlusion", (65, 0))])
def test_the_forecast_counts_them(name, passes, tmp_path):
    said = forecast(small_job(tmp_path, f"method={name}", *SETTINGS.get(name, []), "metric=[unified]"), [])
    assert (said.forward, said.backward) == passes
