"""The CAM family beside torch-cam and pytorch-grad-cam, called by hand, and beside NumPy."""

import numpy as np
import pytest
import torch
from conftest import SETTINGS, Vit, network, small
from hydra.utils import instantiate
from jobs import complete, rows_of, small_job
from torch import nn
from torch.nn.functional import interpolate

from bench.config import load
from bench.errors import UserError
from bench.running.forecast import forecast

TORCHCAM = {
    "gradcam_pp": ("GradCAMpp", {}),
    "xgradcam": ("XGradCAM", {}),
    "layercam": ("LayerCAM", {}),
    "scorecam": ("ScoreCAM", {"batch_size": 5}),
    "finercam": ("FinerCAM", {"gamma": 0.6, "num_references": 3}),
}


def configured(name, *overrides):
    return instantiate(load([f"method={name}", *SETTINGS.get(name, []), *overrides]).cfg.method, _convert_="all")


def enlarged(maps, x):
    """[B, h, w] as a map of every channel."""
    return interpolate(maps[:, None], size=x.shape[2:], mode="bilinear", align_corners=False).expand_as(x)


@pytest.mark.parametrize("name", TORCHCAM)
@pytest.mark.parametrize("layer", [None, "conv1"])
def test_agrees_with_torchcam_on_the_whole_batch(name, layer, cnn, x, target, rng):
    methods = pytest.importorskip("torchcam.methods")
    kind, options = TORCHCAM[name]
    with getattr(methods, kind)(cnn, cnn.layer(layer), **options) as cam:
        theirs = cam(target.tolist(), cnn(x.clone().requires_grad_()), normalized=False)[0].detach()
    ours = configured(name, f"method.layer={layer or 'null'}")(cnn, x, target, rng)
    assert ours.amax(dim=(1, 2, 3)).min() > 0
    torch.testing.assert_close(ours, enlarged(theirs, x), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["layercam", "gradcam_pp"])
def test_a_layer_that_is_followed_by_one_in_place_keeps_its_own_activation(name, x, target, rng):
    """The same network with and without `inplace` has the same map of its convolution, whose values may be negative."""
    pytest.importorskip("torchcam.methods")

    def build(inplace):
        torch.manual_seed(0)
        layers = nn.Conv2d(3, 5, 3), nn.ReLU(inplace), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(20, 6)
        return network(nn.Sequential(*layers).double(), feature_layer="0")

    made = [configured(name)(build(inplace), x, target, rng) for inplace in (False, True)]
    assert torch.equal(*made)


def test_ablation_cam_agrees_with_pytorch_grad_cam(cnn, x, target, rng, capfd):
    library = pytest.importorskip("pytorch_grad_cam")
    targets = pytest.importorskip("pytorch_grad_cam.utils.model_targets")
    cam = library.AblationCAM(cnn, [cnn.layer("features.1")], batch_size=4)
    cam.uses_gradients = False
    theirs = torch.from_numpy(cam(x, [targets.ClassifierOutputSoftmaxTarget(int(t)) for t in target])).double()
    cam.activations_and_grads.release()
    ours = configured("ablationcam", "method.layer=features.1")(cnn, x, target, rng)[:, 0]
    theirs, ours = (m[:, 2::4, 2::4].flatten(1) for m in (theirs, ours))  # away from how each enlarges
    correlation = torch.stack([torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(theirs, ours, strict=True)])
    assert correlation.min() > 0.99


def slow_ablation(cnn, image, t):
    """One image; the layers after `features` in the test's own words."""
    net = cnn.net
    head = lambda a: net.head(nn.functional.adaptive_avg_pool2d(a, 4).flatten(1)).softmax(1)[0, t]  # noqa: E731
    a = net.features(net.pool(net.relu1(net.conv1((image - cnn.mean) / cnn.std))))
    cam = 0
    for k in range(a.shape[1]):
        without = a.clone()
        without[:, k] = 0
        cam = cam + (head(a) - head(without)) / head(a) * a[:, k]
    return cam.clamp(min=0)


def test_ablation_cam_agrees_with_a_slow_rewrite(cnn, x, target, rng):
    theirs = torch.cat([slow_ablation(cnn, x[i : i + 1], target[i]) for i in range(4)])
    torch.testing.assert_close(
        configured("ablationcam")(cnn, x, target, rng), enlarged(theirs, x), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("centre", [False, True])
def test_eigen_cam_is_the_projection_on_numpys_first_singular_vector(centre, cnn, x, target, rng):
    net = cnn.net
    seen = net.features(net.pool(net.relu1(net.conv1((x - cnn.mean) / cnn.std)))).numpy()
    maps = []
    for a in seen:
        rows = a.reshape(len(a), -1).T
        rows = rows - rows.mean(0) if centre else rows
        cam = rows @ np.linalg.svd(rows)[2][0]
        maps.append((cam * np.sign(cam[np.abs(cam).argmax()])).reshape(a.shape[1:]))
    ours = configured("eigencam", f"method.centre={centre}")(cnn, x, target, rng)
    torch.testing.assert_close(ours, enlarged(torch.from_numpy(np.stack(maps)), x), rtol=1e-9, atol=1e-9)
    if not centre:
        assert ours.min() >= -1e-9, "of activations that are not negative neither is the projection"


@pytest.mark.parametrize("name", ["gradcam_pp", "layercam", "scorecam", "ablationcam", "eigencam"])
def test_tokens_of_a_transformer_are_laid_out(name, x, rng):
    net = small(Vit)
    made = configured(name, "method.layer=blocks.2.norm1")(net, x, net(x).argmax(1), rng)
    assert made.shape == x.shape and made.isfinite().all()
    tokens = []
    handle = net.layer("blocks.2.norm1").register_forward_hook(lambda m, i, o: tokens.append(o))
    net(x)
    handle.remove()
    assert net.picture("blocks.2.norm1").lay_out(tokens[0]).shape == (4, 12, 4, 4)
    if name == "eigencam":
        cells = made[:, 0, 2::4, 2::4]
        assert cells.flatten(1).std(dim=1).min() > 0


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (["method.name=LayerCam"], "Did you mean LayerCAM"),
        (["method.name=LayerCAM", "+method.options.steps=3"], "do not fit torch-cam's LayerCAM"),
        (["method.name=LayerCAM", "method.layer=feature"], "no layer 'feature'"),
    ],
)
def test_what_is_not_there_is_said(overrides, complaint, cnn, x, target, rng):
    pytest.importorskip("torchcam.methods")
    method = instantiate(load(["method=cam", *overrides]).cfg.method, _convert_="all")
    with pytest.raises(UserError, match=complaint):
        method(cnn, x, target, rng)


@pytest.mark.parametrize("name", ["scorecam", "ablationcam", "eigencam", "layercam"])
def test_the_forecast_counts_what_the_rows_will_show(name, tmp_path):
    job = small_job(tmp_path, f"method={name}", "metric=[unified]", "metric.unified.step=1536", "data.limit=2")
    said = forecast(job, [])
    complete(job)
    rows = rows_of(tmp_path)
    assert set(rows["forward_passes"]) == {said.forward}
    assert set(rows["backward_passes"]) == {said.backward}
