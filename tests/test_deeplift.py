"""DeepLIFT against captum, multipliers written out, and completeness on every kind of network in conf/model."""

import pytest
import timm
import torch
import torchvision
from captum.attr import DeepLift
from conftest import IDS, network
from torch import nn
from torch.nn import functional as F
from torchvision.models.maxvit import MaxVit
from torchvision.models.swin_transformer import SwinTransformer, SwinTransformerBlockV2
from torchvision.models.vgg import cfgs, make_layers
from torchvision.models.vision_transformer import VisionTransformer

from bench.networks.tiny import TinyNet
from bench.notes import listening
from bench.rng import Rng
from methods.deeplift import deeplift
from methods.parts.gradient import at, input_gradient, probability

CLASSES = 5
TOLERANCE = dict(rtol=1e-8, atol=1e-10)

pytestmark = pytest.mark.filterwarnings("ignore:Setting forward, backward hooks", "ignore:Input Tensor 0 did not")


def build(make, seed=0):
    """A network in float64 and eval mode, the same every time, with statistics and a head that are not trivial."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = make()
        for module in net.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.running_mean, std=0.3)
                nn.init.normal_(module.bias, std=0.3)
            if isinstance(module, nn.Linear) and not module.weight.any():
                nn.init.normal_(module.weight, std=0.1)  # torchvision starts ViT's head at zero
    return network(net, feature_layer=None).double()


def images(size, n=2):
    return Rng(3, "deeplift", IDS[:n]).uniform(3, size, size).double()


def explain(model, x, target, objective="logit", rules="all", baseline=0.0):
    rng = Rng(0, "deeplift", IDS[: len(x)])
    with listening() as notes:
        made = deeplift(model, x, target, rng, baseline=baseline, objective=objective, rules=rules)
    return made, notes["completeness_gap"]


class Body(nn.Module):
    """An activation between two dense layers: 3 x 4 x 4 pixels to CLASSES logits."""

    def __init__(self, activation, hidden=12):
        super().__init__()
        self.activation = activation
        self.before, self.after = nn.Linear(48, hidden), nn.Linear(hidden, CLASSES)

    def forward(self, x):
        return self.after(self.activation(self.before(x.flatten(1))))


# ------------------------------------------------------------------------------------------------- captum


class Plain(nn.Module):
    """What captum can treat: activations that are modules of their own, out of place; pools without overlap. And never
    two of them in a row: the hook of the first takes the gradient before the hook of the second has changed it."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 6, 1), nn.MaxPool2d(2)),
            *(nn.Conv2d(6, 8, 3, padding=1), nn.LeakyReLU(0.1), nn.Conv2d(8, 8, 3), nn.MaxPool2d(2)),
            *(
                nn.Conv2d(8, 8, 3, padding=1),
                nn.ELU(),
                nn.Conv2d(8, 8, 3, padding=1),
                nn.Tanh(),
                nn.Conv2d(8, 8, 1),
                nn.Softplus(),
                nn.Conv2d(8, 8, 1),
            ),
            *(nn.Sigmoid(), nn.Flatten(), nn.Linear(72, CLASSES)),
        )

    def forward(self, x):
        return self.layers(x)


class FunctionalRelu(nn.Module):
    """As the released networks: ReLU a function, which captum does not see; pools and one gate modules."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 8, 3), nn.Conv2d(8, 8, 3)
        self.pool1, self.pool2 = nn.MaxPool2d(2), nn.MaxPool2d(2)
        self.gate = nn.Sequential(nn.Conv2d(8, 8, 1), nn.Sigmoid())
        self.head, self.softmax = nn.Linear(8, CLASSES), nn.Identity()

    def forward(self, x):
        x = self.pool1(F.relu(self.conv1(x)))
        x = F.relu(self.conv3(self.pool2(F.relu(self.conv2(x)))))
        x = x * self.gate(x)
        return self.softmax(self.head(x.flatten(1)))


@pytest.mark.parametrize("baseline", [0.0, 0.4])
def test_all_rules_agree_with_captum_on_a_plain_network(baseline):
    model, x = build(Plain), images(16, 4)
    target = model(x).argmax(dim=1)
    theirs = DeepLift(model).attribute(x, torch.full_like(x, baseline), target=target)
    torch.testing.assert_close(explain(model, x, target, baseline=baseline)[0], theirs, **TOLERANCE)


def test_released_rules_agree_with_captum_at_batch_size_1():
    """Two pools: between them image and baseline have gradients of their own, which a one-sided rule would miss."""
    model, x = build(FunctionalRelu), images(16, 4)
    target = torch.tensor([0, 3, 1, 2])
    made, _ = explain(model, x, target, objective="probability", rules="released")
    model.net.softmax = nn.Softmax(dim=1)
    for i in range(4):
        theirs = DeepLift(model).attribute(x[i : i + 1], torch.zeros_like(x[:1]), target=target[i : i + 1])
        torch.testing.assert_close(made[i : i + 1], theirs, **TOLERANCE)


def test_released_rules_without_pools_are_x_times_the_gradient_shifted_by_the_softmax_rule(x):
    """The softmax rule written out: m_k = [k = t] dp / dz at the target, minus its mean over the classes."""
    model, target = build(lambda: nn.Sequential(nn.Flatten(), nn.Linear(768, CLASSES))), torch.tensor([0, 1, 2, 3])
    weight = model.net[1].weight.reshape(CLASSES, 3, 16, 16) / model.std
    z, z0 = model(x), model(torch.zeros_like(x))
    for i, t in enumerate(target):
        m = torch.zeros(CLASSES).double()
        m[t] = (z[i].softmax(0)[t] - z0[i].softmax(0)[t]) / (z[i, t] - z0[i, t])
        expected = x[i] * torch.einsum("k,kchw->chw", m - m.mean(), weight)
        made, _ = explain(model, x, target, objective="probability", rules="released")
        torch.testing.assert_close(made[i], expected, **TOLERANCE)


# ------------------------------------------------------------------------------------------- closed forms


def test_a_linear_network_gives_x_times_its_weights(x):
    model, target = build(lambda: nn.Sequential(nn.Flatten(), nn.Linear(768, CLASSES))), torch.tensor([0, 1, 2, 3])
    weight = model.net[1].weight.reshape(CLASSES, 3, 16, 16)
    made, gap = explain(model, x, target)
    torch.testing.assert_close(made, x * weight[target] / model.std, rtol=1e-12, atol=0)
    assert gap.abs().max() < 1e-12


ACTIVATIONS = {
    "nn.ReLU": (nn.ReLU(), F.relu),
    "nn.ReLU in place": (nn.ReLU(inplace=True), F.relu),
    "F.relu": (F.relu, F.relu),
    "F.relu in place": (lambda h: F.relu(h, inplace=True), F.relu),
    "torch.relu": (torch.relu, F.relu),
    "torch.relu_": (torch.relu_, F.relu),
    "torch.relu_, its return value left": (lambda h: (torch.relu_(h), h)[1], F.relu),
    "Tensor.relu": (lambda h: h.relu(), F.relu),
    "clamp": (lambda h: h.clamp(min=0), F.relu),
    "nn.ReLU6": (nn.ReLU6(inplace=True), F.relu6),
    "nn.LeakyReLU": (nn.LeakyReLU(0.2, inplace=True), lambda h: F.leaky_relu(h, 0.2)),
    "nn.PReLU": (nn.PReLU(), lambda h: F.leaky_relu(h, 0.25)),
    "nn.ELU": (nn.ELU(), F.elu),
    "nn.GELU": (nn.GELU(), F.gelu),
    "nn.GELU tanh": (nn.GELU("tanh"), lambda h: F.gelu(h, approximate="tanh")),
    "nn.SiLU": (nn.SiLU(inplace=True), F.silu),
    "SiLU by hand": (lambda h: h * h.sigmoid(), F.silu),
    "SiLU by hand in place": (lambda h: h.mul_(torch.sigmoid(h)), F.silu),
    "nn.Mish": (nn.Mish(), F.mish),
    "nn.Hardswish": (nn.Hardswish(inplace=True), F.hardswish),
    "nn.Hardsigmoid": (nn.Hardsigmoid(), F.hardsigmoid),
    "nn.Sigmoid": (nn.Sigmoid(), torch.sigmoid),
    "1 / (1 + exp)": (lambda h: 1 / (1 + torch.exp(-h)), torch.sigmoid),
    "nn.Tanh": (nn.Tanh(), torch.tanh),
    "nn.Softplus": (nn.Softplus(), F.softplus),
    "nn.LogSigmoid": (nn.LogSigmoid(), F.logsigmoid),
    "nn.Softsign": (nn.Softsign(), F.softsign),
    "h ** 2": (lambda h: h**2, torch.square),
    "h * h": (lambda h: h * h, torch.square),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_way_to_call_an_activation_gives_the_multiplier_of_the_rescale_rule(name):
    activation, function = ACTIVATIONS[name]
    model, x, target = build(lambda: Body(activation)), images(4), torch.tensor([1, 3])
    before, after = model.net.before, model.net.after
    h, h0 = (before(((pixels - model.mean) / model.std).flatten(1)) for pixels in (x, torch.zeros_like(x)))
    m = (function(h) - function(h0)) / (h - h0)
    expected = x * torch.einsum("bk,bk,kn->bn", m, after.weight[target], before.weight).view_as(x) / model.std
    torch.testing.assert_close(explain(model, x, target)[0], expected, rtol=1e-7, atol=1e-9)


def test_where_image_and_baseline_meet_the_derivative_is_taken():
    """A black image: no quotient, and nothing but zeros in the map."""
    model, x = build(lambda: Body(nn.GELU())), torch.zeros(2, 3, 4, 4).double()
    made, gap = explain(model, x, torch.tensor([0, 1]))
    assert torch.equal(made, torch.zeros_like(x))
    assert torch.equal(gap, torch.zeros(2).double())
    grey = torch.full_like(x, 0.3)
    near, _ = explain(model, grey + 1e-12, torch.tensor([0, 1]), baseline=0.3)
    gradient = input_gradient(model, grey, lambda z: at(z, torch.tensor([0, 1])))
    torch.testing.assert_close(near, (grey + 1e-12 - grey) * gradient, rtol=1e-6, atol=0)


def test_overlapping_pools_credit_what_was_the_maximum_and_what_is():
    """Window by window: a rise goes to the image's maximum, a fall to the baseline's, and the credits add up."""
    weight = torch.arange(1.0, 13).double().reshape(3, 2, 2)

    class Pool(nn.Module):
        def __init__(self):
            super().__init__()
            self.offset = nn.Parameter(torch.linspace(0, 5, 48).reshape(3, 4, 4).sin(), requires_grad=False)
            self.weight = nn.Parameter(weight, requires_grad=False)

        def forward(self, x):
            y = F.max_pool2d(x + self.offset, kernel_size=3, stride=2, padding=1)
            z = (y * self.weight).sum(dim=(1, 2, 3))
            return torch.stack([z, -z, 2 * z], dim=1)

    model, x = build(Pool), images(4)
    expected = torch.zeros_like(x)
    for i in range(2):
        a, a0 = ((p - model.mean) / model.std + model.net.offset for p in (x[i], torch.zeros_like(x[i])))
        for c in range(3):
            for row in range(2):
                for column in range(2):
                    rows, columns = (
                        range(max(2 * row - 1, 0), 2 * row + 2),
                        range(max(2 * column - 1, 0), 2 * column + 2),
                    )
                    window = [(c, r, k) for r in rows for k in columns]
                    top, top0 = max(window, key=lambda p: a[p]), max(window, key=lambda p: a0[p])
                    change = a[top] - a0[top0]
                    place = top if change > 0 else top0
                    share = weight[c, row, column] * change / (a[place] - a0[place])
                    expected[i][place] += share * x[i][place] / model.std[c, 0, 0]
    torch.testing.assert_close(explain(model, x, torch.tensor([0, 0]))[0], expected, **TOLERANCE)


def test_where_the_pixels_of_a_pool_meet_it_passes_on_the_gradient_of_the_image():
    """Red up and green down by as much: their sum, which is pooled, meets its baseline exactly; captum does the same."""

    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.pool, self.head = nn.MaxPool2d(2), nn.Linear(4, CLASSES)

        def forward(self, x):
            return self.head(self.pool(x[:, :1] + x[:, 1:2]).flatten(1))

    model, x, target = build(Sum), torch.full((1, 3, 4, 4), 0.5).double(), torch.tensor([2])
    change = torch.arange(16).double().view(4, 4) / 64
    x[:, 0] += change
    x[:, 1] -= change
    theirs = DeepLift(model).attribute(x, torch.full_like(x, 0.5), target=target)
    made, _ = explain(model, x, target, baseline=0.5)
    torch.testing.assert_close(made, theirs, rtol=1e-12, atol=0)
    gradient = input_gradient(model, x, lambda z: at(z, target))
    torch.testing.assert_close(made, (x - 0.5) * gradient, rtol=1e-12, atol=0)
    assert made.abs().max() > 0


def test_a_softmax_of_two_is_the_sigmoid_of_their_difference():
    def of_two(h):
        return h.unflatten(1, (6, 2)).softmax(dim=2)[:, :, 0]

    def by_hand(h):
        return torch.sigmoid(h[:, 0::2] - h[:, 1::2])

    class Half(Body):
        def __init__(self, activation):
            super().__init__(activation)
            self.after = nn.Linear(6, CLASSES)

    x, target = images(4), torch.tensor([1, 3])
    ours, expected = (explain(build(lambda f=f: Half(f)), x, target)[0] for f in (of_two, by_hand))
    torch.testing.assert_close(ours, expected, **TOLERANCE)


def layer_norm_by_hand(h):
    c = h - h.mean(dim=1, keepdim=True)
    return c / torch.sqrt((c**2).mean(dim=1, keepdim=True) + 1e-5)


def attention_by_hand(h):
    q, k, v = h.unflatten(1, (4, 3)).split(1, dim=2)
    weights = torch.exp(F.log_softmax(torch.einsum("bid,bjd->bij", q, k), dim=-1))
    return (weights @ v).expand(-1, -1, 3).flatten(1)


def masked(h):
    """Two entries that count and one that is masked away."""
    h = h.unflatten(1, (4, 3))
    return h.masked_fill(torch.tensor([False, False, True]), -torch.inf).softmax(dim=2).flatten(1)


def masked_by_hand(h):
    p = h.unflatten(1, (4, 3))[:, :, :2].softmax(dim=2)
    return F.pad(p, (0, 1)).flatten(1)


FORMS = {
    "LayerNorm": (nn.LayerNorm(12), layer_norm_by_hand),
    "GroupNorm": (nn.GroupNorm(3, 12), lambda h: layer_norm_by_hand(h.view(-1, 4)).view_as(h)),
    "RMSNorm": (nn.RMSNorm(12, eps=0.1), lambda h: h * torch.rsqrt(h.pow(2).mean(dim=1, keepdim=True) + 0.1)),
    "normalize": (F.normalize, lambda h: h / (h * h).sum(dim=1, keepdim=True).sqrt()),
    "attention": (
        lambda h: F.scaled_dot_product_attention(*h.unflatten(1, (4, 3)).split(1, dim=2)).expand(-1, -1, 3).flatten(1),
        attention_by_hand,
    ),
    "softmax with a mask": (masked, masked_by_hand),
}


@pytest.mark.parametrize("name", FORMS)
def test_torchs_own_form_and_the_one_by_hand_agree(name):
    """The second form is elementary operations only, with rules of their own: nothing of the first is in it."""
    x, target = images(4), torch.tensor([1, 3])
    ours, expected = (explain(build(lambda f=f: Body(f)), x, target) for f in FORMS[name])
    torch.testing.assert_close(ours[0], expected[0], **TOLERANCE)
    assert ours[1].abs().max() < 1e-12


@pytest.mark.parametrize("mask", [None, torch.randn(5, 5, generator=torch.Generator().manual_seed(0)).double()])
def test_multi_head_attention_is_seen_inside_whichever_path_it_takes(mask):
    """With weights asked for it multiplies and takes softmax itself; without, it calls the fused kernel."""

    class Attends(nn.Module):
        def __init__(self, need_weights):
            super().__init__()
            self.need_weights = need_weights
            self.tokens, self.head = nn.Linear(48, 40), nn.Linear(40, CLASSES)
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x):
            t = self.tokens(x.flatten(1)).unflatten(1, (5, 8))
            return self.head(self.attention(t, t, t, need_weights=self.need_weights, attn_mask=mask)[0].flatten(1))

    x, target = images(4), torch.tensor([1, 3])
    (ours, gap), (other, _) = (explain(build(lambda w=w: Attends(w)), x, target) for w in (False, True))
    assert gap.abs().max() < 1e-12
    torch.testing.assert_close(ours, other, **TOLERANCE)


def test_one_relu_shared_and_in_place_is_as_good_as_many():
    class Shares(nn.Module):
        def __init__(self, relus):
            super().__init__()
            self.relus = nn.ModuleList(relus)
            self.conv1, self.conv2, self.conv3 = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))
            self.head = nn.Linear(48, CLASSES)

        def forward(self, x):
            y = self.relus[0](self.conv1(x))
            z = self.conv2(y)
            z += y  # as ResNet's blocks do
            return self.head(self.relus[2](self.conv3(self.relus[1](z))).flatten(1))

    shared, x, target = nn.ReLU(inplace=True), images(4), torch.tensor([1, 3])
    ours, expected = (
        explain(build(lambda r=r: Shares(r)), x, target)[0] for r in ([shared] * 3, [nn.ReLU() for _ in range(3)])
    )
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-14)
    theirs = DeepLift(build(lambda: Shares([nn.ReLU() for _ in range(3)]))).attribute(x, x * 0, target=target)
    torch.testing.assert_close(ours, theirs, **TOLERANCE)


# ------------------------------------------------------------------------------------------- completeness


def vgg(classes):
    """VGG16's features; a small head in place of its 120 million weights."""
    return nn.Sequential(make_layers(cfgs["D"]), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes))


def vit(classes):
    return VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=classes)


def maxvit(classes):
    return MaxVit((32, 32), 8, 2, [8, 16], [1, 1], 4, 0.0, num_classes=classes)


def swin(classes):
    return SwinTransformer(
        [4, 4], 8, [2, 2], [2, 2], [4, 4], stochastic_depth_prob=0.0, num_classes=classes, block=SwinTransformerBlockV2
    )


def of_timm(name):
    return lambda classes: timm.create_model(name, num_classes=classes)


ZOO = {
    "tiny": (lambda _: TinyNet(), 32),
    "efficientnet_lite0": (of_timm("tf_efficientnet_lite0"), 64),
    "resnet50": (lambda classes: torchvision.models.resnet50(num_classes=classes), 64),
    "vgg16": (vgg, 32),
    "inception_v3": (
        lambda classes: torchvision.models.inception_v3(
            num_classes=classes, init_weights=False, aux_logits=False, transform_input=True
        ),
        96,
    ),
    "maxvit": (maxvit, 32),
    "vit": (vit, 32),
    "swin_v2": (swin, 32),
    "timm resnet18": (of_timm("resnet18"), 64),
    "timm convnext": (of_timm("convnext_atto"), 32),
    "timm convnext v2": (of_timm("convnextv2_atto"), 32),
    "timm mobilenet v3": (of_timm("mobilenetv3_small_050"), 64),
}


@pytest.mark.parametrize("name", ZOO)
def test_every_kind_of_network_shares_out_the_whole_rise_of_the_logit(name):
    make, size = ZOO[name]
    model, x = build(lambda: make(CLASSES)), images(size)
    logits, logits0 = model(x), model(torch.zeros_like(x))
    target = logits.argmin(dim=1)
    before = model.forward_passes, model.backward_passes
    made, gap = explain(model, x, target)
    assert (model.forward_passes - before[0], model.backward_passes - before[1]) == (4, 4)  # 2 F + 2 B per image

    rise = at(logits, target) - at(logits0, target)
    total = made.flatten(1).sum(dim=1)
    torch.testing.assert_close(gap, total - rise, rtol=0, atol=1e-10 * rise.abs().max().item())
    assert (gap.abs() <= 1e-10 * made.flatten(1).abs().sum(dim=1)).all()
    gradient = input_gradient(model, x, lambda z: at(z, target))
    assert ((x * gradient).flatten(1).sum(dim=1) - rise).abs().max() > 1e-3 * rise.abs().max(), "no test of the rules"


def test_a_probability_is_shared_out_as_well(cnn, x, target):
    made, gap = explain(cnn, x, target, objective="probability")
    p, p0 = (at(cnn(pixels).softmax(dim=1), target) for pixels in (x, torch.zeros_like(x)))
    torch.testing.assert_close(made.flatten(1).sum(dim=1), p - p0, **TOLERANCE)
    assert gap.abs().max() < 1e-12


def test_what_has_no_rule_keeps_its_gradient_and_the_gap_shows_it():
    model, x, target = build(lambda: Body(lambda h: h.sort(dim=1).values)), images(4), torch.tensor([1, 3])
    made, gap = explain(model, x, target)
    torch.testing.assert_close(made, x * input_gradient(model, x, lambda z: at(z, target)), rtol=1e-12, atol=1e-14)
    assert gap.abs().min() > 1e-3


class Swish(torch.autograd.Function):
    """x sigmoid(x), with a gradient of its own."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return gradient * (s * (1 + x * (1 - s)))


class OwnPool(torch.autograd.Function):
    """Modules inside of a function: what no rule may touch, having no gradient there."""

    @staticmethod
    def forward(ctx, x):
        ctx.shape = x.shape
        return nn.Sigmoid()(nn.MaxPool2d(2)(x.view(-1, 1, 2, 6))).flatten(1)

    @staticmethod
    def backward(ctx, gradient):
        return gradient.repeat_interleave(4, dim=1).view(ctx.shape)


@pytest.mark.parametrize("rules", ["all", "released"])
@pytest.mark.parametrize("function", [Swish, OwnPool])
def test_a_function_with_a_gradient_of_its_own_keeps_it_and_the_gap_shows_it(function, rules):
    net = Body(lambda h: function.apply(h), hidden=12)
    if function is OwnPool:
        net.after = nn.Linear(3, CLASSES)
    model, x, target = build(lambda: net), images(4), torch.tensor([1, 3])
    made, gap = explain(model, x, target, rules=rules)
    torch.testing.assert_close(made, x * input_gradient(model, x, lambda z: at(z, target)), rtol=1e-12, atol=1e-14)
    assert gap.abs().min() > 1e-4


# -------------------------------------------------------------------------------------- nothing is left behind


class Breaks(FunctionalRelu):
    def forward(self, x):
        super().forward(x)
        raise RuntimeError("broken network")


@pytest.mark.parametrize("rules", ["all", "released"])
def test_nothing_is_left_behind_not_even_by_a_network_that_breaks(rules, cnn, x, target):
    before = input_gradient(cnn, x, probability(target))
    explain(cnn, x, target, rules=rules)
    broken = build(Breaks)
    with pytest.raises(RuntimeError, match="broken network"):
        explain(broken, x, target, rules=rules)
    assert not any(module._forward_hooks for module in [*cnn.modules(), *broken.modules()])
    assert torch.overrides._len_torch_function_stack() == 0
    assert torch.equal(input_gradient(cnn, x, probability(target)), before)


@pytest.mark.parametrize("rules", ["all", "released"])
def test_a_compiled_network_runs_uncompiled_meanwhile(rules, cnn, x, target):
    def compiler(graph, inputs):
        raise AssertionError("compiled code would not follow the rules")

    expected, _ = explain(cnn, x, target, rules=rules)
    cnn.net = torch.compile(cnn.net, backend=compiler)
    assert torch.equal(explain(cnn, x, target, rules=rules)[0], expected)
