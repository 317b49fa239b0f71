"""Small networks and images that every test can have."""

import copy

import pytest
import torch
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from timm.models import VisionTransformer
from torch import nn

from bench import config
from bench.images.preprocessing import Preprocessing
from bench.networks.network import Network
from bench.rng import Rng
from bench.running.compute import set_precision

SIZE, CLASSES, IDS = 16, 6, ["cat", "dog", "fox", "owl"]
FEW = {  # rounds, where a yaml asks for dozens: what is promised of maps holds of any number
    **dict.fromkeys(["agi", "aii", "aii_algorithm1", "la", "la_paper", "la_algorithm1"], ["method.steps=6"]),
    **dict.fromkeys(["big", "big_boundary", "big_as_published"], ["method.steps=20", "method.points=12"]),
    **dict.fromkeys(["eg", "sg"], ["method.draws=10"]),
    **dict.fromkeys(["attexplore", "attexplore_paper"], ["method.copies=4", "method.steps=4"]),
}
SETTINGS = FEW | {  # what a method must be given, and what makes a dear one cheap
    "cam": ["method.name=SmoothGradCAMpp"],
    "rise": ["method.masks=30"],
    "ceiling": ["method.side=4"],
    "captum": ["method.name=IntegratedGradients", "+method.arguments.n_steps=5"],
    "kernel_shap": ["method.patch=4", "method.arguments.n_samples=30"],
    "lime": ["method.patch=4", "method.arguments.n_samples=30"],
    "occlusion": ["method.arguments.sliding_window_shapes=[3,4,4]", "method.arguments.strides=[3,4,4]"],
    "feature_ablation": ["method.patch=4"],
    "shapley_sampling": ["method.patch=4"],
}
NETWORK = {  # the class of the network of a method that Cnn does not suit
    "rollout": "Vit",
    "generic_attention": "Vit",
    **dict.fromkeys(["lrp_epsilon_plus_flat", "lrp_epsilon_alpha2_beta1_flat", "lrp_epsilon_gamma_box"], "Plain"),
}


def pytest_addoption(parser):
    parser.addoption(
        "--device", default="cpu", help="where the contract tests of methods and metrics compute: cpu, cuda"
    )


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Tests share their cores with each other; more threads make small networks slower."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def composed_once():
    """Hydra composes the same files once a process; values are set afterwards by itself, as it does: a fifth of all time."""
    of_files = config._composed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config, "_composed", lambda *arguments: with_values(of_files, *arguments))
        yield of_files


def with_values(of_files, conf, overrides, stamps):
    """What `of_files(conf, overrides, stamps)` composes, where all that names no file is set afterwards."""
    keys = [override.lstrip("+~").partition("=")[0] for override in overrides]
    values = [o for o, key in zip(overrides, keys, strict=True) if "." in key and not {"/", "@"} & set(key)]
    values = [override for override in values if not override.startswith("hydra")]
    parsed = OverridesParser.create().parse_overrides(values)
    if any(override.is_sweep_override() for override in parsed):
        return of_files(conf, overrides, stamps)
    cfg = copy.deepcopy(of_files(conf, tuple(o for o in overrides if o not in values), stamps))
    ConfigLoaderImpl._apply_overrides_to_config(parsed, cfg)
    cfg.hydra.overrides.task = [override for override in overrides if not override.startswith("hydra")]
    return cfg


@pytest.fixture(scope="session")
def device(request) -> torch.device:
    """Where the contract tests compute; full precision there."""
    set_precision("fp64")
    return torch.device(request.config.getoption("--device"))


class Cnn(nn.Module):
    """Two convolutions, a pool, a linear layer: smooth enough to differentiate, bent enough to tell methods apart."""

    def __init__(self):
        super().__init__()
        self.conv1, self.relu1 = nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.features = nn.Sequential(nn.Conv2d(8, 12, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(12 * 16, CLASSES)

    def forward(self, x):
        x = self.pool(self.relu1(self.conv1(x)))
        x = nn.functional.adaptive_avg_pool2d(self.features(x), 4)
        return self.head(x.flatten(1))


class Plain(Cnn):
    """Cnn, of modules alone."""

    def __init__(self):
        super().__init__()
        self.mean, self.flat = nn.AdaptiveAvgPool2d(4), nn.Flatten()

    def forward(self, x):
        return self.head(self.flat(self.mean(self.features(self.pool(self.relu1(self.conv1(x)))))))


class Vit(VisionTransformer):
    """timm's vision transformer, small: a class token and patches of 4 × 4 pixels, in three blocks of two heads."""

    def __init__(self):
        super().__init__(
            img_size=SIZE, patch_size=4, embed_dim=12, depth=3, num_heads=2, num_classes=CLASSES, dynamic_img_size=True
        )
        for parameter in self.parameters():
            parameter.data += 0.3 * torch.randn_like(parameter)  # attention that knows what it looks at


def network(net: nn.Module, size: int = SIZE, feature_layer: str | None = "features") -> Network:
    """As bench.networks.network wraps it."""
    return Network(
        net,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        preprocessing=Preprocessing(size, size),
        feature_layer=feature_layer,
        confusion=None,
        weights_file=None,
    )


@pytest.fixture
def cnn(device) -> Network:
    """float64, 16 × 16 pixels to 6 classes, weights scaled up so that predictions differ and change along a path."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = Cnn()
    for parameter in net.parameters():
        parameter.data *= 2
    return network(net).double().to(device)


def small(kind: type[nn.Module], feature_layer: str | None = None) -> Network:
    """A network of this class, float64, 16 × 16 pixels to 6 classes."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return network(kind(), feature_layer=feature_layer).double()


@pytest.fixture
def x(device) -> torch.Tensor:
    """float64 [4, 3, 16, 16] in (0, 1)."""
    return Rng(7, "test images", IDS, device).uniform(3, SIZE, SIZE).double()


@pytest.fixture
def target(cnn, x) -> torch.Tensor:
    return cnn(x).argmax(dim=1)


@pytest.fixture
def rng(device) -> Rng:
    return Rng(0, "test", IDS, device)
