"""Folded batch norms: the same numbers, from every method and score; and what is not folded."""

import copy
import functools

import pytest
import torch
from conftest import CLASSES, IDS, SETTINGS, network
from hydra.utils import instantiate
from jobs import complete, rows_of, small_job
from test_every_method import METHODS, Source
from timm.layers import BatchNormAct2d, Conv2dSame
from timm.models._efficientnet_builder import decode_arch_def
from timm.models.efficientnet import EfficientNet
from torch import nn
from torch.nn.utils import parametrizations
from torchvision.models.resnet import BasicBlock

from bench.config import load
from bench.errors import UserError
from bench.networks import fold as folding
from bench.networks.fold import fold
from bench.networks.tiny import TinyNet
from bench.rng import Rng
from bench.running.compute import fold_norms
from bench.running.job import bind, looked_at, open_job
from bench.store import records
from metrics.batch import MapBatch

SIZE, FEW = 16, {"copies": 2, "steps": 3, "draws": 2, "n_classes": 2, "probes": 2, "points": 4, "masks": 4, "side": 2}
STAGES = [["ds_r1_k3_s1_e1_c8"], ["ir_r1_k5_s2_e2_c8_se0.25"], ["ir_r1_k3_s1_e2_c8"]]


class Residual(nn.Sequential):
    """torchvision's residual blocks behind a stem."""

    def __init__(self):
        stem = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True)
        down = nn.Sequential(nn.Conv2d(8, 12, 1, 2, bias=False), nn.BatchNorm2d(12))
        blocks = BasicBlock(8, 8), BasicBlock(8, 12, 2, down)
        super().__init__(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, CLASSES))


class Efficient(EfficientNet):
    """timm's: padding as in TensorFlow, norms that act."""

    def __init__(self):
        super().__init__(
            decode_arch_def(STAGES), CLASSES, 24, stem_size=8, pad_type="same", act_layer=nn.ReLU6, drop_rate=0.2
        )


class Tiny(TinyNet):
    """The repository's, with few channels, before which no two places are alike: where a black image is the same all over,
    a max pool's values are equal but for rounding, which folding changes and which would choose the one that counts.
    """

    def __init__(self):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("bench.networks.tiny.CHANNELS", (4, 6, 6, 8, 8, 10))
            super().__init__()
        self.register_buffer("uneven", 0.1 * torch.randn(3, SIZE, SIZE))

    def forward(self, x):
        return super().forward(x + self.uneven)


KINDS = {"tiny": Tiny, "residual": Residual, "efficient": Efficient}


def lived(net):
    """As after some training: no statistic is what it was at first."""
    draw = torch.Generator().manual_seed(3)
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats:
            module.running_mean.normal_(0, 0.3, generator=draw)
            module.running_var.uniform_(0.3, 1.5, generator=draw)
            if module.affine:
                module.weight.data.uniform_(0.7, 1.9, generator=draw)
                module.bias.data.normal_(0, 0.3, generator=draw)
    return net.eval().requires_grad_(False).double()


def images(n=2, size=SIZE):
    return Rng(7, "images", IDS[:n]).uniform(3, size, size).double()


@pytest.fixture(scope="module", params=KINDS)
def plain(request):
    """A network as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        net = lived(KINDS[request.param]())
    return network(net, SIZE, feature_layer=None).double()


FOLDED = {}


def folded(plain, method):
    """A copy of it, folded as for a run of this method."""
    kept = looked_at(method, plain)
    key = id(plain), tuple(kept)
    if key not in FOLDED:
        FOLDED[key] = copy.deepcopy(plain)
        told = fold_norms(FOLDED[key], kept)
        assert told.layers == (0 if len(kept) > 1 else told.of) and told.of > 4 and not told.given_up
    return FOLDED[key]


@functools.cache
def configured(name):
    return load([f"method={name}", *SETTINGS.get(name, [])]).cfg


def settings(name):
    """The method, in few steps."""
    method = copy.deepcopy(configured(name).method)
    if name == "precomputed":
        method.root = "."  # where no map lies
    for key, most in FEW.items():
        if method.get(key):
            method[key] = min(method[key], most)
    for key in ("n_samples", "n_steps"):
        if key in method.get("arguments", {}):
            method.arguments[key] = 6
    made = instantiate(method, _convert_="all")
    bind(made, Source(), seed=0)
    return made


def explained(method, model, x, target):
    try:
        return method(model, x, target, Rng(0, "m", IDS[:1])).detach()
    except UserError as error:
        return str(error)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", METHODS)
def test_every_map_and_its_score_are_those_of_the_network_as_it_was(name, plain):
    x, method = images(1), settings(name)
    target = plain(x).argmax(1)
    networks = plain, folded(plain, method)
    expected, made = (explained(method, model, x, target) for model in networks)
    if isinstance(expected, str):
        assert made == expected
        return
    torch.testing.assert_close(made, expected, rtol=1e-9, atol=1e-9, equal_nan=True)
    unified = instantiate(configured(name).metric.unified, step=256)
    scores = []
    for model, maps in zip(networks, (expected, made), strict=True):
        maps = (maps / maps.abs().max()).nan_to_num(0).round(decimals=9)  # values that are equal but for rounding: ties
        scores.append(unified(MapBatch(model, x, target, maps, ids=IDS[:1], seed=0, colour=lambda: torch.zeros(3))))
    for quantity in scores[0]:
        torch.testing.assert_close(scores[1][quantity], scores[0][quantity], rtol=1e-9, atol=1e-9)


def norm(kind=nn.BatchNorm2d, channels=6, **options):
    return kind(channels, **options)


class Forked(nn.Module):
    """The convolution's output goes past the norm, too."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 6, 3), norm()

    def forward(self, x):
        c = self.conv(x)
        return self.norm(c).relu() + c


class Sent(Forked):
    """… in place."""

    def forward(self, x):
        return self.norm(self.conv(x).add_(1))


class Twice(Forked):
    """One convolution, called twice."""

    def forward(self, x):
        return self.norm(self.conv(x)) + self.norm(self.conv(x.flip(3)))


class Borrowed(Forked):
    """Somebody reads the convolution's weights."""

    def forward(self, x):
        return self.norm(self.conv(x)) * self.conv.weight.norm()


class Tokens(Forked):
    """A linear layer over tokens, which the norm takes for channels."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Linear(48, 7), norm(nn.BatchNorm1d, 16)

    def forward(self, x):
        return self.norm(self.conv(x.unflatten(3, (4, 4)).flatten(0, -1).view(len(x), 16, 48)))


class Standardised(nn.Conv2d):
    """No plain convolution: twice the weights change nothing."""

    def forward(self, x):
        return self._conv_forward(x, self.weight / self.weight.norm(), self.bias)


def hooked():
    net = nn.Sequential(nn.Conv2d(3, 6, 3), norm())
    net[0].register_forward_hook(lambda module, inputs, output: output.abs())
    return net


def batch_statistics():
    return nn.Sequential(nn.Conv2d(3, 6, 3), norm(track_running_stats=False))


def weighted(with_name):
    return lambda: nn.Sequential(with_name(nn.Conv2d(3, 6, 3)), norm())


LEFT = {
    "forked": Forked,
    "in place": Sent,
    "twice": Twice,
    "borrowed": Borrowed,
    "tokens": Tokens,
    "own convolution": lambda: nn.Sequential(Standardised(3, 6, 3), norm()),
    "own norm": lambda: nn.Sequential(nn.Conv2d(3, 6, 3), type("Mine", (nn.BatchNorm2d,), {})(6)),
    "hook": hooked,
    "batch statistics": batch_statistics,
    "weight norm": weighted(parametrizations.weight_norm),
    "norm first": lambda: nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 6, 3)),
    "bent between": lambda: nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), norm()),
}


def logits(net):
    """What it says of the test's images, [2, C]."""
    with torch.no_grad():
        return net(images()).flatten(1)


@pytest.mark.parametrize("name", LEFT)
def test_what_is_no_pair_is_left_as_it_is(name):
    net = lived(nn.Sequential(LEFT[name](), nn.Flatten()))
    before, types = logits(net), [type(module) for module in net.modules()]
    assert fold(net, images()) == folding.Folded(0, 0 if name == "own norm" else 1)
    assert [type(module) for module in net.modules()] == types
    assert torch.equal(logits(net), before)


PAIRS = {
    "bias": lambda: [nn.Conv2d(3, 6, 3), norm()],
    "no bias, no weight": lambda: [nn.Conv2d(3, 6, 3, bias=False), norm(affine=False)],
    "groups": lambda: [nn.Conv2d(3, 6, 3, groups=3), norm()],
    "reflected": lambda: [nn.Conv2d(3, 6, 3, padding=1, padding_mode="reflect"), norm()],
    "as in tensorflow": lambda: [Conv2dSame(3, 6, 3, stride=2), norm()],
    "transposed": lambda: [nn.ConvTranspose2d(3, 6, 3, groups=3), norm()],
    "transposed, several inputs": lambda: [nn.Conv2d(3, 4, 1), nn.ConvTranspose2d(4, 6, 3, groups=2), norm()],
    "one dimension": lambda: [nn.Flatten(2), nn.Conv1d(3, 6, 3), norm(nn.BatchNorm1d)],
    "three dimensions": lambda: [nn.Unflatten(1, (1, 3)), nn.Conv3d(1, 6, 3), norm(nn.BatchNorm3d)],
    "linear": lambda: [nn.Flatten(), nn.Linear(3 * SIZE**2, 6), norm(nn.BatchNorm1d)],
    "acts": lambda: [nn.Conv2d(3, 6, 3), norm(BatchNormAct2d, act_layer=nn.SiLU, inplace=False)],
}


@pytest.mark.parametrize("name", PAIRS)
def test_what_is_a_pair_is_folded_and_says_the_same(name):
    net = lived(nn.Sequential(*PAIRS[name](), nn.Flatten()))
    before, names = logits(net), [name for name, _ in net.named_modules()]
    told = fold(net, images())
    assert (told.layers, told.of, told.given_up) == (1, 1, None)
    assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in net.modules())
    assert [name for name, _ in net.named_modules()] == names
    torch.testing.assert_close(logits(net), before, rtol=1e-12, atol=1e-12)
    assert not any(parameter.requires_grad for parameter in net.parameters())


def test_weights_are_folded_in_float64_and_rounded_once():
    net = lived(nn.Sequential(nn.Conv2d(3, 6, 3), norm(), nn.Flatten()))
    net[1].running_mean.mul_(1000)
    single, double = copy.deepcopy(net).float(), copy.deepcopy(net).float().double()
    fold(single, images().float())
    fold(double, images())
    for one, other in zip(single.parameters(), double.parameters(), strict=True):
        assert one.dtype == torch.float32
        assert torch.equal(one, other.float())


class Proud(Forked):
    """It asks its norm for what an identity has not."""

    def forward(self, x):
        return self.norm(self.conv(x)).flatten(1)[:, : self.norm.num_features]


class Hidden(Forked):
    """It holds its norm where nobody can put another one."""

    def __init__(self):
        super().__init__()
        self.steps = [self.norm]

    def forward(self, x):
        return self.steps[0](self.conv(x)).flatten(1)


@pytest.mark.parametrize(("kind", "why"), [(Proud, "needs the norms themselves"), (Hidden, "logits would move by")])
def test_what_cannot_be_folded_is_put_back_and_said(kind, why, capsys):
    net = network(lived(kind()), SIZE).double()
    before, state = logits(net.net), copy.deepcopy(net.net.state_dict())
    told = fold_norms(net)
    assert (told.layers, told.of) == (0, 1)
    assert why in told.given_up
    assert f"{kind.__name__} runs with its 1 batch norms unfolded" in capsys.readouterr().err
    assert torch.equal(logits(net.net), before)
    assert net.net.state_dict().keys() == state.keys()


class Wrapped(nn.Module):
    """A convolution in a block of its own, its norm outside."""

    def __init__(self):
        super().__init__()
        self.block, self.norm = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1)), norm()
        self.head = nn.Linear(6, CLASSES)

    def forward(self, x):
        return self.head(self.norm(self.block(x)).relu().mean(dim=(2, 3)))


@pytest.mark.parametrize("layer", ["block", "block.0", "norm"])
def test_the_layer_that_a_method_reads_puts_out_what_it_did(layer):
    net = lived(Wrapped())
    method = settings("gradcam")
    method.keywords["layer"] = layer
    plain = network(net, SIZE, feature_layer=None).double()
    model = folded_of_its_own(plain, method)
    assert isinstance(model.net.norm, nn.Identity) is (layer == "norm")
    seen = []
    for one in (plain, model):
        hook = one.layer(layer).register_forward_hook(lambda module, inputs, output: seen.append(output.clone()))
        one(images())
        hook.remove()
    torch.testing.assert_close(seen[1], seen[0], rtol=1e-12, atol=1e-12)


def folded_of_its_own(plain, method):
    model = copy.deepcopy(plain)
    fold_norms(model, looked_at(method, plain))
    return model


def test_a_run_says_whether_it_is_folded_and_of_which_weights(tmp_path):
    few = ["model=tiny", "model.size=32", "model.resize=36", "method=sm", "data.limit=2", "compute.device=cpu"]
    few += ["compute.batch_size=2", "metric=[unified]", "metric.unified.step=768", f"paths.results={tmp_path}"]
    jobs = [open_job(load([*few, f"compute.fold={switch}"])) for switch in ("true", "false")]
    for job in jobs:
        complete(job)
        job.record("unified")
    told = records.load_runs(tmp_path)
    one, other = (told[job.run_id("unified")] for job in jobs)
    assert len(told) == 2
    assert one["weights"] == other["weights"]
    assert (one["identity"]["fold"], other["identity"]["fold"]) == (True, False)
    assert one["folded"]["layers"] == one["folded"]["of"] == 6
    assert one["folded"]["difference"] < 1e-5
    assert "folded" not in other
    rows = rows_of(tmp_path).groupby("run_id")["insertion"].apply(list)
    assert rows[one["run_id"]] == pytest.approx(rows[other["run_id"]], abs=1e-5)


def test_the_default_is_folded_and_records_of_before_were_not(tmp_path):
    assert load([]).cfg.compute.fold is True
    job = small_job(tmp_path, "method=sm", "data.limit=1")
    record = {"identity": {k: v for k, v in vars(job.identity("unified")).items() if k != "fold"}}
    assert records.identity_of(record).fold is False
