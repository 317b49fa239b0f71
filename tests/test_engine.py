"""Passes without gradients by somebody else: who is asked for what, whether the answer is the network's, what is refused."""

import copy
import functools
import sys
import time

import conftest
import pytest
import torch
from conftest import NETWORK, SETTINGS, Cnn, network, small
from hydra.utils import instantiate
from jobs import complete, rows_of
from omegaconf import OmegaConf
from test_compiled import HOOKING
from torch import nn

from bench.config import load
from bench.errors import UserError
from bench.images.stream import stream
from bench.rng import Rng
from bench.run import carry_out
from bench.running import exported
from bench.running.engine import Compared, Engine, engine_for
from bench.running.forecast import forecast, timed
from bench.running.job import open_job
from bench.running.runner import try_engine
from bench.running.work import missing
from bench.store import records

CPU = torch.device("cpu")
FEW = ["model=tiny", "model.size=32", "model.resize=36", "data.limit=3", "compute.device=cpu", "compute.batch_size=2"]
FEW += ["compute.workers=0", "metric=[unified,pixel]", "metric.unified.step=384", "metric.pixel.step=128"]
ONNX = "compute.engine=onnxruntime"


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """A user's cache, for all tests here: a network is exported once."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


class Spy:
    """An engine that computes on a copy of the network, where nobody's hooks are, and counts the images."""

    def __init__(self, model):
        self.model, self.images = copy.deepcopy(model), 0

    def __call__(self, x):
        assert not (torch.is_grad_enabled() and x.requires_grad)
        self.images += len(x)
        return self.model.eager(x)


def spied(model):
    spy = Spy(model)
    model.hand_to(spy)
    return spy


def images(n=3, size=conftest.SIZE):
    return Rng(7, "images", [f"{i}" for i in range(n)]).uniform(3, size, size)


def settings(*overrides):
    return load([*overrides]).cfg.compute


def test_only_passes_without_gradients_go_to_the_engine(cnn, x):
    spy = spied(cnn)
    cnn(x.requires_grad_())
    assert spy.images == 0, "gradients stay with torch"
    with torch.inference_mode():
        cnn(x)
    cnn(x.detach())
    assert spy.images == 2 * len(x)
    assert cnn.forward_passes == 3 * len(x)
    cnn(torch.cat([x, x], dim=3).detach())  # another size than the engine's
    cnn(x.detach().float())  # another precision
    assert spy.images == 2 * len(x)


def test_whoever_looks_at_layers_sees_them(cnn, x):
    spy, seen = spied(cnn), []
    hook = cnn.layer("conv1").register_forward_hook(lambda module, inputs, output: seen.append(output))
    cnn(x)
    hook.remove()
    assert len(seen) == 1 and spy.images == 0

    class Names(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append(func)
            return func(*args, **(kwargs or {}))

    with Names():
        cnn(x)
    assert torch.nn.functional.conv2d in seen or torch.conv2d in seen
    assert spy.images == 0
    cnn(x)
    assert spy.images == len(x)


def test_hooks_that_the_network_has_from_the_start_are_part_of_it(cnn, x):
    cnn.net.conv1.register_forward_hook(lambda module, inputs, output: output * 2)
    spy = spied(cnn)
    cnn(x)
    assert spy.images == len(x)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*HOOKING, *NETWORK, "rise", "lime", "occlusion", "eigencam"])
def test_maps_are_the_same_whoever_computes(name, x):
    method = instantiate(load([f"method={name}", *SETTINGS.get(name, [])]).cfg.method, _convert_="all")
    kind = getattr(conftest, NETWORK.get(name, "Cnn"))
    model = small(kind, feature_layer="features" if issubclass(kind, Cnn) else None)
    target, rng = model(x[:2]).argmax(1), Rng(0, "engine", ["a", "b"])
    expected = method(model, x[:2], target, rng.for_images(torch.arange(2)))
    spy = spied(model)
    made = method(model, x[:2], target, rng.for_images(torch.arange(2)))
    torch.testing.assert_close(made, expected, rtol=1e-9, atol=1e-12)
    assert (spy.images > 0) is (name in ("rise", "lime", "occlusion", "scorecam")), spy.images


def test_scores_by_onnx_runtime_are_torchs_and_the_record_says_how_far(tmp_path, capsys):
    jobs = {}
    for name in ("torch", "onnxruntime"):
        choice = [*FEW, "method=rise", "method.masks=20", f"compute.engine={name}", f"paths.results={tmp_path}"]
        job = jobs[name] = open_job(load(choice))
        eager, asked = job.network.eager, []
        job.network.eager = lambda x, eager=eager, asked=asked: (asked.append(len(x)), eager(x))[1]
        work = missing(job)
        try_engine(job, work)
        for metric in job.metrics:
            job.record(metric)
        asked.clear()
        complete(job)
        assert bool(asked) is (name == "torch")
    rows = rows_of(tmp_path)
    for metric in ("unified", "pixel"):
        of = {name: rows[rows["run_id"] == job.run_id(metric)] for name, job in jobs.items()}
        for column in ("insertion", "deletion", "confidence"):
            assert list(of["onnxruntime"][column]) == pytest.approx(list(of["torch"][column]), abs=1e-4)
            assert of["torch"][column].std() > 1e-3
    runs = records.load_runs(tmp_path)
    assert len(runs) == 4
    record = runs[jobs["onnxruntime"].run_id("unified")]
    told = record["device"]["engine"]
    assert record["identity"]["engine"] == told["engine"] == "onnxruntime:CPU"
    assert told["images"] == 2 and told["share"] < 1e-5 < told["bound"]
    assert runs[jobs["torch"].run_id("unified")]["identity"]["engine"] == "torch"
    assert "onnxruntime:CPU: logits differ from torch's by at most" in capsys.readouterr().err


def test_an_engine_is_compared_on_the_runs_own_images_and_no_forecast_opens_it_on_others(tmp_path, monkeypatch):
    seen = []
    compare = Engine._compare
    monkeypatch.setattr(Engine, "_compare", lambda self, run, x: (seen.append(x.clone()), compare(self, run, x))[1])
    job = open_job(load([*FEW, "method=sm", ONNX, f"paths.results={tmp_path}"]))
    forecast(job, list(job.metrics))
    assert not seen
    carry_out(job)
    (x,) = seen
    assert torch.equal(x, job.compute.place(next(iter(stream(job.source, sorted(job.ids), 2, 0))).x))


def test_a_forecast_of_a_sweep_times_the_engine(monkeypatch):
    cfg = load([*FEW, "method=sm", ONNX]).cfg
    slow = lambda again: lambda x: (time.sleep(0.05 * len(x)), torch.zeros(len(x), 10))[1]  # noqa: E731
    monkeypatch.setattr(Engine, "_compare", lambda *_: Compared("slow", "1", 2, 0.0, 0.0, 1.0))
    monkeypatch.setattr(exported, "opened", lambda *_, **__: slow(False))
    pace = timed(*(OmegaConf.to_yaml(node, resolve=True) for node in (cfg.model, cfg.compute)))
    assert pace.alone >= 0.05 > 2 * pace.forward
    assert pace.seconds(3, 1) == pytest.approx(pace.forward + 2 * pace.alone + pace.backward)


def tiny_engine():
    """The engine of the network of this file's runs, not opened."""
    job = open_job(load([*FEW, "method=sm", ONNX, "paths.results=nowhere"]))
    return job, job.compute.engine


class Altered(exported.Pixels):
    """With a weight that is not the network's."""

    def __init__(self, network):
        super().__init__(network)
        self.net.head.bias.data[0] += 0.1


def test_an_engine_that_answers_otherwise_is_refused_and_a_file_of_before_is_made_anew(monkeypatch, cache, tmp_path):
    monkeypatch.chdir(tmp_path)
    job, engine = tiny_engine()
    x = images(2, 32)
    file = cache / "heatproof" / "onnx" / f"{exported.digest(job.network)}.onnx"
    with monkeypatch.context() as patch:
        patch.setattr(exported, "Pixels", Altered)
        file.unlink(missing_ok=True)
        with pytest.raises(UserError, match=r"onnxruntime:CPU is no engine for TinyNet: its logits differ .* 1e-04"):
            job.network(x)
        wrong = file.read_bytes()
    assert engine.compared.share > engine.bound
    torch.testing.assert_close(tiny_engine()[0].network(x), job.network.eager(x), rtol=1e-4, atol=1e-4)
    assert file.read_bytes() != wrong


class Attention(nn.Module):
    """Patches that attend to each other in torch's own block, which takes its fast path where nobody asks for a gradient."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 4, 4)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        return self.head(self.block(self.embed(x).flatten(2).transpose(1, 2)).mean(dim=1))


def test_attention_is_exported_whole_for_any_number_of_images():
    model = network(Attention(), feature_layer=None)
    model.hand_to(engine_for(settings(ONNX), model, CPU))
    for n in (3, 1, 5):
        x = images(n)
        torch.testing.assert_close(model(x), model.eager(x), rtol=1e-4, atol=1e-5)
        assert not torch.equal(model(x)[0], model(x.flip(3))[0])
    assert torch.backends.mha.get_fastpath_enabled()


class Bessel(nn.Module):
    """Of a function that ONNX has not."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3)

    def forward(self, x):
        return torch.special.bessel_j0(self.conv(x).mean(dim=(2, 3)))


def test_what_cannot_be_exported_names_the_operator(cache):
    model = network(Bessel(), feature_layer=None)
    model.hand_to(engine_for(settings(ONNX), model, CPU))
    before = set(cache.rglob("*"))
    with pytest.raises(UserError, match=r"Bessel cannot be exported, as ONNX has no operator for prims.bessel_j0"):
        model(images())
    assert set(cache.rglob("*")) == before


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["compute.provider=CUDA"], "compute.provider=CUDA: the ONNX Runtime .* has CPU; pip install onnxruntime-gpu"),
        (["compute.precision=fp64"], "computes in fp32, and compute.precision=fp64"),
        (["compute.precision=bf16"], "computes in fp32, and compute.precision=bf16"),
    ],
)
def test_what_onnx_runtime_cannot_do_is_said_before_anything_is_exported(overrides, said, cnn):
    with pytest.raises(UserError, match=said):
        engine_for(settings(ONNX, *overrides), cnn, CPU)


def test_images_on_another_device_than_the_provider(cnn):
    with pytest.raises(UserError, match="CPU computes on cpu, and the images lie on cuda: compute.device=cpu"):
        engine_for(settings(ONNX), cnn, torch.device("cuda"))


@pytest.mark.parametrize(
    ("said", "kind"),
    [("Failed to allocate memory for requested buffer of size 9", torch.OutOfMemoryError), ("bad", ValueError)],
)
def test_a_device_without_room_is_said_as_torch_says_it(said, kind, monkeypatch, cnn, x):
    import onnxruntime

    class Full(onnxruntime.InferenceSession):
        def run_with_iobinding(self, *_):
            raise ValueError(said)

    cnn = cnn.float()
    monkeypatch.setattr(onnxruntime, "InferenceSession", Full)
    run = exported.opened(cnn, "CPU", CPU, tf32=False, again=False)
    with pytest.raises(kind, match=said):
        run(x.float())


@pytest.mark.parametrize("library", ["onnxruntime", "onnx", "onnxscript"])
def test_a_library_that_is_not_there_is_named_with_the_extra(library, cnn, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UserError, match=rf"needs {library} .*heatproof\[engine\]"):
        engine_for(settings(ONNX), cnn, CPU)


def test_a_cache_that_takes_no_files_is_said(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with (
        pytest.raises(UserError, match="cannot be kept in .* XDG_CACHE_HOME"),
        exported.written(exported.cache() / "a"),
    ):
        pass


def test_compiled_for_passes_without_gradients_alone(monkeypatch, x, cnn):
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    torch.compiler.reset()
    engine = engine_for(settings("compute.engine=compile", "compute.precision=fp64"), cnn, CPU)
    cnn.hand_to(engine)
    for n in (4, 2):
        torch.testing.assert_close(cnn(x[:n]), cnn.eager(x[:n]), rtol=1e-12, atol=1e-12)
    assert engine.compared.engine == "compile"
    assert not isinstance(cnn.net, torch._dynamo.OptimizedModule)


def test_a_network_that_cannot_be_compiled_is_said(monkeypatch, x, cnn):
    def broken(graph, inputs):
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=broken))
    torch.compiler.reset()
    cnn.hand_to(engine_for(settings("compute.engine=compile"), cnn.float(), CPU))
    with pytest.raises(UserError, match=r"torch cannot compile Cnn here \(.*no compiler here"):
        cnn(x.float())


WRONG = {
    "moved": lambda logits: logits + 0.01 * logits.std(),
    "not finite": lambda logits: logits.where(logits < logits.max(), torch.nan),
    "fewer": lambda logits: logits[:, 1:],
}


@pytest.mark.parametrize("name", WRONG)
def test_what_answers_otherwise_is_no_engine(name, cnn, x):
    cnn.hand_to(Engine("mine", "1", "fp32", cnn, lambda again: lambda x: WRONG[name](cnn.eager(x))))
    with pytest.raises(UserError, match="mine is no engine for Cnn"):
        cnn(x)


def test_an_engine_that_treats_places_unlike_is_warned_of(cnn, x, capsys):
    def run(x):
        return cnn.eager(x) * (1 + 1e-12 * torch.arange(len(x)).double()[:, None])

    cnn.hand_to(Engine("mine", "1", "fp32", cnn, lambda again: run))
    cnn(x)
    assert "warning: Cnn by mine rounds differently at different places of a batch" in capsys.readouterr().err


def test_another_engine_is_another_run(tmp_path):
    cfg = load([*FEW, "method=sm", f"paths.results={tmp_path}"]).cfg
    config = OmegaConf.to_container(cfg.compute)
    identities = {}
    for engine, provider in (("torch", "CPU"), ("torch", "CUDA"), ("compile", "CPU"), ("onnxruntime", "OpenVINO")):
        cfg.compute = config | {"engine": engine, "provider": provider}
        names = {"data": "synthetic", "model": "tiny", "method": "sm", "metric": "unified"}
        identities[engine, provider] = records.asked(names, cfg).id
    assert len(set(identities.values())) == 3
    assert identities["torch", "CPU"] == identities["torch", "CUDA"], "a provider counts where it is asked"
