"""heatproof in Python: the numbers, the ids and the rows of the command line, whatever the network comes from."""

import functools
import gc
import pickle
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from conftest import Cnn
from jobs import complete, rows_of
from matplotlib.figure import Figure
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import ShuffleNet_V2_X0_5_Weights, shufflenet_v2_x0_5

import heatproof
from bench.config import load
from bench.errors import UserError
from bench.images.synthetic import draw
from bench.networks.weights import seeded
from bench.report import __main__ as report
from bench.running.job import open_job
from bench.store.rows import SCALARS
from heatproof.images import images_of
from heatproof.networks import given_network
from heatproof.origin import structure

N, SIZE = 16, 32  # images: one more than a mark takes
FAST = ["compute.device=cpu", "compute.workers=0", "metric.unified.step=768", "compute.batch_size=8"]
PLAIN = {"mean": [0.5] * 3, "std": [0.25] * 3, "size": SIZE}
FEW = [*FAST, "data.limit=3"]


def mine(model, x, target):
    x = x.requires_grad_()
    probability = model(x).softmax(dim=1).gather(1, target[:, None]).sum()
    return torch.autograd.grad(probability, x)[0].pow(2).sum(dim=1)


def noisy(model, x, target, rng):
    return rng.normal(*x.shape[1:]).to(x.dtype)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of them, with labels.csv."""
    folder = tmp_path_factory.mktemp("pictures")
    for k in range(N):
        pixels, label, _ = draw(0, k, 40)
        Image.fromarray((pixels * 255).round().byte().permute(1, 2, 0).numpy()).save(folder / f"shape {k}.png")
    (folder / "labels.csv").write_text("file,label\n" + "".join(f"shape {k}.png,{k % 4}\n" for k in range(N)))
    return folder


@pytest.fixture(scope="module")
def cnn():
    """In training, as a notebook may have it."""
    return seeded(Cnn).train()


def command_line(results, *overrides):
    """What `python -m bench.run` of this would leave."""
    job = open_job(load([*FAST, "metric=[unified]", f"paths.results={results}", *overrides]))
    complete(job)
    job.record("unified")
    return job


def of_torchvision(folder):
    net = seeded(lambda: shufflenet_v2_x0_5(num_classes=1000))
    said = ["model=torchvision", "model.name=shufflenet_v2_x0_5", "model.version=IMAGENET1K_V1"]
    return net, net, {"recipe": ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1}, said


def of_timm(folder):
    net = seeded(lambda: timm.create_model("test_resnet"))
    return net, net, {}, ["model=timm", f"model.name=test_resnet.{net.pretrained_cfg['tag']}"]


def of_huggingface(folder):
    transformers = pytest.importorskip("transformers")
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], num_labels=5, layer_type="basic"
    )
    net = seeded(lambda: transformers.ResNetForImageClassification(config))
    net.save_pretrained(folder)
    transformers.ConvNextImageProcessor(size={"shortest_edge": 64}, crop_pct=0.875).save_pretrained(folder)
    opened = transformers.AutoModelForImageClassification.from_pretrained(folder)
    return opened, None, {}, ["model=hf", f"model.name={folder}"]


@pytest.mark.parametrize("family", [of_torchvision, of_timm, of_huggingface])
def test_a_network_at_hand_is_the_command_lines_number_for_number_and_id_for_id(family, pictures, tmp_path):
    (tmp_path / "network").mkdir()
    net, saved, given, said = family(tmp_path / "network")
    if saved is not None:
        save_file(saved.state_dict(), tmp_path / "w.safetensors")
        said = [*said, f"model.weights={tmp_path / 'w.safetensors'}"]
    said += [f"model.size={SIZE}"]
    result = heatproof.evaluate(
        net,
        pictures,
        ["ig method.steps=3", mine],
        folder=tmp_path / "here",
        size=SIZE,
        settings=FAST,
        progress=False,
        **given,
    )
    data = ["data=folder", f"data.root={pictures}"]
    job = command_line(tmp_path / "there", *said, *data, "method=ig", "method.steps=3")
    assert result.run_ids["ig method.steps=3", "unified"] == job.run_id("unified")
    own = rows_of(tmp_path / "here")
    same = own[own["run_id"] == job.run_id("unified")].reset_index(drop=True)
    pd.testing.assert_frame_equal(same, rows_of(tmp_path / "there"))
    table = result.table()
    assert list(table.index) == ["ig method.steps=3", "mine"] and (table["n"] == str(N)).all()
    assert table.filter(like="Insertion").iloc[:, 0].str.contains("±").all()
    marks = table.filter(like="GAP").iloc[:, 0].str[-1]
    assert (marks == "*").sum() == 1


def test_a_function_of_a_file_is_the_method_of_its_yaml(cnn, pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    source = textwrap.dedent(
        """
        import torch
        from torch import nn
        from bench.rng import Rng

        CENTRE = 0.5

        def centred(x):
            return x - CENTRE

        @torch.no_grad()
        def filed(model: nn.Module, x, target, rng: Rng, *, power: int):
            return centred(x) ** power
        """
    )
    (tmp_path / "filed_method.py").write_text(source)
    (tmp_path / "conf" / "method").mkdir(parents=True)
    yaml = "_target_: filed_method.filed\n_partial_: true\npower: 3\n"
    (tmp_path / "conf" / "method" / "filed.yaml").write_text(yaml)
    import filed_method

    save_file(cnn.state_dict(), tmp_path / "w.safetensors")
    model = [
        *("model=tiny", "model.net._target_=conftest.Cnn", f"model.weights={tmp_path / 'w.safetensors'}"),
        *("model.size=32", "model.resize=32", "model.std=[0.25,0.25,0.25]", "model.feature_layer=null"),
    ]
    job = command_line(tmp_path / "out", *model, "data=folder", f"data.root={pictures}", "method=filed", "data.limit=3")
    of = functools.partial(
        heatproof.evaluate, cnn, pictures, name="tiny", folder=tmp_path / "out", settings=FEW, progress=False, **PLAIN
    )
    result = of([functools.partial(filed_method.filed, power=3), "filed method.power=2"])
    assert (
        result.run_ids["filed", "unified"] == job.run_id("unified") != result.run_ids["filed method.power=2", "unified"]
    )
    filed_method.CENTRE = 0.4
    with pytest.raises(UserError, match=r"CENTRE is 0.4 now, and 0.5 in .*filed_method.py, from where centred is told"):
        of([functools.partial(filed_method.filed, power=3)])
    filed_method.CENTRE = 0.5
    (tmp_path / "filed_method.py").write_text(source.replace("x - CENTRE", "x + CENTRE"))
    with pytest.raises(UserError, match=r"filed_method.py has changed since centred was imported from it"):
        of([functools.partial(filed_method.filed, power=3)])


def test_what_lies_in_the_folder_is_not_computed_again_and_a_report_reads_it(cnn, pictures, tmp_path):
    of = functools.partial(heatproof.evaluate, cnn, folder=tmp_path, settings=FAST, progress=False, **PLAIN)
    with pytest.raises(UserError, match="is a Stateful, of which no digest can be made"):
        of([pictures / "shape 0.png"], [Stateful()])
    first = of(sorted(pictures.glob("*.png"))[:4], [mine])
    assert first.images == ["shape 0", "shape 1", "shape 10", "shape 11"]
    rows = rows_of(tmp_path)
    again = of(sorted(pictures.glob("*.png"))[:5], [mine])
    assert rows_of(tmp_path)["run_id"].nunique() == 1 and len(rows_of(tmp_path)) == len(rows) + 1
    assert again.run_ids == first.run_ids
    numbers = report.make([f"paths.results={tmp_path}"])[0].numbers
    one = numbers[(numbers["confidence"] == "all") & (numbers["quantity"] == "insertion")].iloc[0]
    own = again.numbers[(again.numbers["confidence"] == "all") & (again.numbers["quantity"] == "insertion")].iloc[0]
    assert (one["method"], one["model"], one["n"]) == ("mine", "Cnn", 5)
    assert one[["mean", "ci_low", "ci_high"]].tolist() == own[["mean", "ci_low", "ci_high"]].tolist()
    assert set(heatproof.rows(tmp_path).columns) >= {*SCALARS}


class Stateful:
    """A method that is an object."""

    __name__ = "stateful"

    def __call__(self, model, x, target):
        return x


class Odd(Cnn):
    """With what no state dict tells: a number, a tensor, a mode, a function, a buffer that is not saved."""

    def __init__(self):
        super().__init__()
        self.scale, self.shift, self.mode, self.last = 1.0, torch.zeros(()), "plain", lambda z: z
        self.register_buffer("weight", torch.ones(()), persistent=False)
        self.seen = None

    def forward(self, x):
        self.seen = super().forward(x)  # kept from pass to pass, and no part of what it is
        z = self.last(self.seen * self.scale * self.weight + self.shift)
        return -z if self.mode == "turned" else z


def turned(module, inputs, output):
    return -output


@pytest.mark.parametrize(
    ("net", "complaint"),
    [
        (lambda: torch.jit.trace(Cnn(), torch.rand(1, 3, SIZE, SIZE)), "TorchScript"),
        (
            lambda: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(5)),
            "does not know the shape of 1.weight",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore")  # torch's own, of what it will leave out
def test_a_module_that_cannot_be_followed_is_refused(net, complaint):
    with pytest.raises(UserError, match=complaint):
        heatproof.attribute(net(), torch.rand(1, 3, SIZE, SIZE), "sm", progress=False, **PLAIN)


@pytest.mark.parametrize(
    "change",
    [
        lambda net: setattr(net, "scale", 2.0),
        lambda net: setattr(net, "shift", torch.ones(())),
        lambda net: setattr(net, "mode", "turned"),
        lambda net: setattr(net, "last", lambda z: -z),
        lambda net: net.weight.mul_(2),
        lambda net: net.head.register_forward_hook(turned),
        lambda net: setattr(net.head, "forward", lambda x: -x @ net.head.weight.T),
    ],
)
def test_a_network_that_answers_otherwise_is_another_run(change):
    net = seeded(Odd)
    before = structure(net)
    change(net)
    assert structure(net) != before


def test_results_that_a_network_keeps_are_no_part_of_what_it_is():
    def told(net):
        return given_network(net, None, dict(PLAIN)).opened().found

    net = seeded(Odd)
    first = told(net)
    with torch.no_grad():
        net(torch.rand(2, 3, SIZE, SIZE))
    assert told(net) == first
    net.scale = 2.0
    assert told(net) != first


def test_the_network_is_left_as_it_was(cnn, pictures):
    before = {name: value.clone() for name, value in cnn.state_dict().items()}
    heatproof.attribute(
        cnn, pictures, "gradcam", settings=[*FEW, "model.feature_layer=features"], progress=False, **PLAIN
    )
    assert cnn.training and all(parameter.requires_grad for parameter in cnn.parameters())
    assert all(torch.equal(value, before[name]) for name, value in cnn.state_dict().items())
    assert not any(module._forward_hooks for module in cnn.modules())


def test_maps_are_the_images_in_their_order_and_score_as_they_do_in_a_run(cnn, pictures):
    three = [pictures / f"shape {k}.png" for k in (5, 3, 11)]
    of = {"settings": FAST, "progress": False, **PLAIN}
    maps = heatproof.attribute(cnn, three, "ig method.steps=4", **of)
    alone = heatproof.attribute(cnn, three[1], "ig method.steps=4", **of)
    assert maps.shape == (3, 3, SIZE, SIZE) and maps.dtype == torch.float32
    torch.testing.assert_close(maps[1], alone[0], rtol=1e-4, atol=1e-7)
    scores = heatproof.score(cnn, three, maps, ["unified", "complexity"], **of)
    rows = heatproof.evaluate(cnn, three, ["ig method.steps=4"], **of).rows.set_index("image_id")
    assert list(scores.index) == ["shape 5", "shape 3", "shape 11"]
    assert scores["unified.insertion"].to_dict() == rows["insertion"].to_dict()
    gap = rows["insertion"] - rows["deletion"]
    assert scores["unified.gap"].to_dict() == gap.to_dict() and scores["complexity.score"].notna().all()
    flat = heatproof.score(cnn, three, maps.sum(dim=1).numpy(), "pixel", **of)
    assert (
        flat["pixel.insertion"].to_dict()
        == heatproof.score(cnn, three, maps, "pixel", **of)["pixel.insertion"].to_dict()
    )
    with pytest.raises(UserError, match="2 maps of 3 images"):
        heatproof.score(cnn, three, maps[:2], **of)
    with pytest.raises(UserError, match="shape 5: the map .* NaN"):
        heatproof.score(cnn, three, maps / 0, **of)


def test_pictures_go_the_way_of_their_files_and_tensors_are_taken_as_they_are(cnn, pictures):
    files = [pictures / f"shape {k}.png" for k in range(3)]
    images = [Image.open(file) for file in files]
    size = 40  # of the files: nothing is resized
    pixels = torch.stack([torch.from_numpy(np.array(image)).permute(2, 0, 1) for image in images])
    of = {"settings": FAST, "progress": False, **PLAIN, "size": size}
    expected = heatproof.attribute(cnn, files, "sm", **of)
    arrays = [np.array(images[0]), pixels[1], (pixels[2] / 255).numpy()]
    for given in (dict(zip("abc", images, strict=True)), pixels / 255, arrays):
        assert torch.equal(heatproof.attribute(cnn, given, "sm", **of), expected)
    small = heatproof.attribute(cnn, images, "sm", **(of | {"size": 24}))
    assert torch.equal(small, heatproof.attribute(cnn, files, "sm", **(of | {"size": 24})))


def test_files_of_several_folders_are_those_and_no_others(cnn, pictures, tmp_path, monkeypatch):
    for place in ("a", "b/c"):
        (tmp_path / place).mkdir(parents=True)
        shutil.copy(pictures / "shape 1.png", tmp_path / place / "one.png")
    (tmp_path / "a" / "one.jpg").write_bytes(b"another of that id, which nobody asks for")
    (tmp_path / "labels.csv").write_text("file,label\nelsewhere.png,1\n")
    monkeypatch.setattr("bench.images.listing._entries", lambda place: pytest.fail(f"{place} was listed"))
    files = [tmp_path / "b/c/one.png", tmp_path / "a/one.png"]
    of = {"settings": FAST, "progress": False, **PLAIN, "size": 40}
    result = heatproof.evaluate(cnn, files, ["random"], **of)
    assert result.images == ["b__c__one", "a__one"]
    with pytest.raises(UserError, match="one.png twice"):
        heatproof.attribute(cnn, [*files, files[0]], "sm", **of)


def test_images_without_names_go_by_what_they_show(cnn, tmp_path):
    x = torch.rand(3, 3, SIZE, SIZE)
    of = functools.partial(
        heatproof.evaluate, cnn, methods=["random"], folder=tmp_path, settings=FAST, progress=False, **PLAIN
    )
    first, more = of(x[:2]), of(x.flip(0))
    assert more.images[::-1][:2] == first.images and more.run_ids == first.run_ids
    assert len(rows_of(tmp_path)) == 3
    named, other = of({"a": x[0]}), of({"a": x[1]})
    assert named.run_ids != other.run_ids  # of other images by the same names
    with pytest.raises(UserError, match="images 0 and 2 are the same"):
        of([x[0], x[1], x[0]])
    labelled = of(x, labels=[1, 2, 3], settings=[*FAST, "run.target=label"])
    targets = rows_of(tmp_path).set_index("run_id").loc[labelled.run_ids["random", "unified"], "target"]
    assert sorted(targets) == [1, 2, 3]


def test_a_comparison_is_paired_and_says_who_is_better(cnn, pictures):
    result = heatproof.evaluate(
        cnn, pictures, ["sm", "random", mine], ["unified"], settings=FAST, progress=False, **PLAIN
    )
    forth, back = result.compare("sm", "random"), result.compare("random", "sm")
    rows = result.rows.pivot(index="image_id", columns="method", values="deletion")
    deletion = forth.set_index("quantity").loc["deletion"]
    assert deletion["difference"] == pytest.approx((rows["sm"] - rows["random"]).mean())
    assert (deletion["better"], deletion["n"]) == ("low", N)
    np.testing.assert_allclose(forth["difference"], -back["difference"])
    np.testing.assert_allclose(forth["low"], -back["high"])
    for line in forth.to_dict("records"):
        told = line["low"] > 0 or line["high"] < 0
        ahead = "sm" if (line["difference"] > 0) == (line["better"] == "high") else "random"
        assert line["verdict"] == (f"{ahead} is better" if told else "cannot tell")
    few = heatproof.evaluate(cnn, pictures, ["sm", "random"], settings=FEW, progress=False, **PLAIN)
    assert few.compare("sm", "random")["verdict"].str.startswith("too few images").all()
    folder = few.folder
    assert folder.exists()
    del few
    gc.collect()
    assert not folder.exists()  # rows of no folder go with their result
    with pytest.raises(UserError, match="no rand here. Did you mean random"):
        result.compare("rand", "sm")


def test_a_result_shows_itself(cnn, pictures):
    result = heatproof.evaluate(
        cnn,
        pictures,
        ["sm", mine],
        ["unified", "complexity"],
        settings=[*FAST, "data.limit=15"],
        progress=False,
        **PLAIN,
    )
    html, text = result._repr_html_(), repr(result)
    assert html.count("<table") >= 2 and " *</b>" in html and "Complexity" in html and "mine" in text
    assert isinstance(result.plot("complexity"), Figure)
    drawn = result.panel("shape 3")
    assert [axes.get_title() for axes in drawn.axes][:3] == ["shape 3", "sm", "mine"]
    first, second = (drawn.axes[k].images[0].get_array() for k in (1, 2))
    assert not np.array_equal(first, second)
    assert list(result.table("complexity").columns) == ["Score ↓", "n"] or "n" in result.table("complexity")


def closed():
    image = Image.new("RGB", (32, 32))
    image.close()
    return image


def draws(model, x, target):
    return torch.rand_like(x)


def of_two(model, x):
    return x


def too_small(model, x, target):
    return x[:, :, :4, :4]


@pytest.mark.parametrize(
    ("method", "complaint"),
    [
        (draws, "draws draws from a global random generator.*rng.normal"),
        (of_two, r"of_two takes 2 arguments: expected \(model, x, target\)"),
        (too_small, r"too_small returned maps \[\d, 3, 4, 4\]: expected \[\d, 3, 32, 32\]"),
        (lambda model, x, target: x, "needs a name"),
        (3, "a name or a function; this is an int"),
        ("lla", "lla"),
    ],
)
def test_a_method_that_cannot_be_is_refused(method, complaint, cnn, pictures):
    with pytest.raises(UserError, match=complaint):
        heatproof.attribute(cnn, pictures, method, settings=FEW, progress=False, **PLAIN)


def test_a_method_that_draws_from_its_stream_draws_as_ours_do(cnn, pictures):
    of = {"settings": FAST, "progress": False, **PLAIN}
    both = heatproof.attribute(cnn, [pictures / "shape 1.png", pictures / "shape 2.png"], noisy, **of)
    assert torch.equal(heatproof.attribute(cnn, pictures / "shape 2.png", noisy, **of)[0], both[1])


@pytest.mark.parametrize(
    ("network", "images", "complaint"),
    [
        ({}, None, "Cnn does not say how its images are prepared: give size and mean and std"),
        ({"size": 32, "mean": [0.5] * 3, "std": [0, 1, 1]}, None, "model.std"),
        ({**PLAIN, "recipe": 3}, None, "recipe is an int"),
        (PLAIN, torch.rand(1, 3, 32, 32) * 2, "not yet normalised"),
        (PLAIN, torch.rand(1, 3, 32, 32) > 0.5, "is of torch.bool"),
        (PLAIN, torch.rand(1, 3, 32, 30), r"a tensor \[3, 32, 30\]; the network takes \[3, 32, 32\]"),
        (PLAIN, torch.rand(3, 32, 32), r"one image alone is image\[None\]"),
        (PLAIN, ["https://x.org/a.png"], "there is no file https:/x.org/a.png. Nothing is fetched"),
        (PLAIN, (np.ones((1, 3, 64, 64)) * 65535).astype("uint16"), "is of torch.uint16 up to 65535"),
        (PLAIN, ["nowhere.png"], "there is no file nowhere.png"),
        (PLAIN, [], "there are no images"),
        (PLAIN, [object()], "expected a picture"),
        (PLAIN, 5, "images is an int: expected a folder"),
        (PLAIN, [np.full((3, 32, 32), None)], "cannot be read as numbers"),
        (PLAIN, [torch.rand(3, 32, 32).to_sparse()], "cannot be read as numbers"),
        (PLAIN, [np.ma.array(np.ones((3, 32, 32)), mask=True)], "is a masked array"),
        (PLAIN, [Image.new("F", (32, 32))], "of mode F, which no PNG has"),
        (PLAIN, [closed()], "is a picture that cannot be read: Operation on closed image"),
        (PLAIN, {"${x}": torch.rand(3, 32, 32)}, "holds what no name can"),
        (PLAIN, {"a.png", "b.png"}, "images is a set: expected"),
        (PLAIN, torch.tensor(1.0), "images is a single number"),
        ({**PLAIN, "mean": np.zeros(2)}, None, r"model.mean=\[0.0, 0.0\]: expected a list of 3"),
    ],
)
def test_what_cannot_be_is_a_sentence(network, images, complaint, cnn, pictures):
    with pytest.raises(UserError, match=complaint):
        heatproof.attribute(cnn, pictures if images is None else images, "sm", settings=FEW, progress=False, **network)


class Picky(Cnn):
    def forward(self, x):
        if (x > 0.99 * 2 - 1).flatten(1).all(dim=1).any():
            raise IndexError("too bright")
        return super().forward(x)


def test_a_network_that_fails_on_an_image_is_a_sentence_with_the_line():
    images = torch.stack([torch.rand(3, SIZE, SIZE), torch.ones(3, SIZE, SIZE)])
    with pytest.raises(UserError, match=r"fails on .*test_interface.py, line \d+: IndexError: too bright") as raised:
        heatproof.attribute(Picky().eval(), images, "sm", **{**PLAIN, "std": [0.5] * 3})
    assert "IndexError" in repr(raised.value.__cause__)


def test_importing_it_takes_no_torch():
    code = "import sys, heatproof; assert 'evaluate' in dir(heatproof) and 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("labels", [[0.5], ["cat"], [[0, 1]], {"nobody": 1}, [-1], 5, "1"])
def test_a_label_is_the_number_of_a_class(labels):
    with pytest.raises(UserError, match="expected the number of a class|none of the images"):
        images_of(torch.rand(1, 3, 32, 32), labels)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"settings": ["method=ig"]}, "'method=ig', which the argument methods says"),
        ({"settings": ["paths.results=x"]}, "which the argument folder says"),
        ({"settings": ["model=tiny"]}, "which the argument model says"),
        ({"settings": [5]}, "settings holds 5: expected KEY=VALUE"),
        ({"metrics": ["unified", "unified"]}, "metrics names unified twice"),
        ({"metrics": None}, "metrics=None: expected names"),
        ({"metrics": ["unified "]}, "expected names"),
        ({"methods": [functools.partial(draws, post=1)]}, "post is a key of every method"),
        ({"methods": len}, "expected a list of names and functions"),
        ({"methods": ["ig 'method.steps=3"]}, "no closing quotation"),
        ({"methods": [" "]}, "a method has no name"),
        ({"methods": ["ig steps=3"]}, "steps: there is no such key. Did you mean method.steps?"),
        ({"settings": None}, "settings=None: expected a list"),
        ({"folder": 5}, "folder=5: expected the path of a folder"),
        ({"folder": ""}, "folder='': expected the path of a folder"),
        ({"folder": "a${x}"}, "which settings fill in: name another"),
    ],
)
def test_what_would_be_dropped_or_stand_twice_is_refused(wrong, complaint, pictures):
    with pytest.raises(UserError, match=complaint):
        heatproof.evaluate("tiny", pictures, **({"methods": ["sm"], "progress": False} | wrong))


@pytest.mark.parametrize(
    ("maps", "complaint"),
    [
        (None, "maps is a NoneType: expected a tensor"),
        ({"a": torch.rand(32, 32)}, "maps has none of image b"),
        ({"a": torch.rand(32, 32), "b": torch.rand(32, 32).double() * 1e300}, "which float32 cannot hold: scale it"),
        (
            {"a": torch.rand(32, 32), "b": torch.rand(32, 32).double() * 1e-60},
            "b: the map b.npy holds numbers from .*e-6",
        ),
        (
            torch.rand(2, 32, 32).double() + 1e9,
            "most values of the map a.npy are one in float32: take off what they share",
        ),
        ({"a": torch.rand(32, 32), "b": torch.rand(32, 32), "c": 0}, "maps names 'c', which is none of the images"),
        ([np.ma.masked_less(np.ones((32, 32)), 2)] * 2, "a map is masked or sparse: give all of its values"),
        ([torch.eye(32).to_sparse()] * 2, "a map is masked or sparse: give all of its values"),
    ],
)
def test_maps_that_cannot_be_scored_are_named(maps, complaint, cnn):
    images = {"a": torch.rand(3, 32, 32), "b": torch.rand(3, 32, 32)}
    with pytest.raises(UserError, match=complaint):
        heatproof.score(cnn, images, maps, ["sparseness"], progress=False, **PLAIN)


def test_what_comes_one_by_one_or_by_name_is_as_good(cnn):
    images, plain = {"a": torch.rand(3, 32, 32), "b": torch.rand(3, 32, 32)}, {"size": 32, "mean": np.zeros(3)}
    of = {"metrics": ["sparseness"], "progress": False, **plain, "std": torch.ones(3)}
    maps = torch.rand(2, 32, 32).bfloat16()
    first = heatproof.score(cnn, images, maps, **of)
    pd.testing.assert_frame_equal(first, heatproof.score(cnn, images, {"b": maps[1], "a": maps[0]}, **of))
    result = heatproof.evaluate(cnn, images, (name for name in ("sm", "random")), **of)
    assert result.methods == ["sm", "random"]


def test_a_result_can_be_pickled():
    result = heatproof.evaluate("tiny", torch.rand(2, 3, 64, 64), ["sm"], progress=False)
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(result)).table(), result.table())


def test_a_table_of_a_split_that_there_is_not_names_those_that_there_are(pictures):
    result = heatproof.evaluate("tiny", pictures, ["sm"], progress=False)
    with pytest.raises(UserError, match="confidence='mid': expected all, low or high"):
        result.table(confidence="mid")
    with pytest.raises(UserError, match="metric='kl': expected one of unified"):
        result.panel(0, "kl")


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"settings": ["data.ids=[a]"]}, "'data.ids=.a.', which the argument images says"),
        ({"labels": [float("inf"), 1]}, "is inf: expected the number of a class"),
        ({"labels": [1, 10**30]}, "expected the number of a class"),
    ],
)
def test_images_at_hand_say_which_they_are(wrong, complaint):
    images = {"a": torch.rand(3, 32, 32), "b": torch.rand(3, 32, 32)}
    with pytest.raises(UserError, match=complaint):
        heatproof.evaluate("tiny", images, ["sm"], progress=False, **wrong)


def test_what_torch_was_told_to_compute_in_is_not_taken_over(pictures):
    try:
        torch.set_default_dtype(torch.float64)
        with pytest.raises(UserError, match="torch's default dtype is torch.float64: set it back"):
            heatproof.attribute("tiny", pictures, "sm", progress=False)
    finally:
        torch.set_default_dtype(torch.float32)
    with torch.autocast("cpu"), pytest.raises(UserError, match="torch.autocast is on: call this outside of it"):
        heatproof.attribute("tiny", pictures, "sm", progress=False)
