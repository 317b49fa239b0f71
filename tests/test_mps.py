"""Apple's GPU, as far as it can be tested without one."""

import pytest
import torch
from conftest import IDS
from mps import THERE, Mps, Refused

from bench.config import load
from bench.errors import UserError
from bench.rng import Rng
from bench.running import compute, job
from bench.running.attribution import remarks
from bench.running.post import processed


@pytest.fixture
def there(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)


def test_what_is_posed_refuses_what_mps_lacks_and_computes_the_rest():
    with Mps():
        x = torch.linspace(-1, 1, 6).to(THERE)
        assert torch.equal((2 * x).relu().cpu(), (2 * torch.linspace(-1, 1, 6)).relu())
        for lacking in (lambda: x.double(), lambda: torch.special.ndtri(x), lambda: x + torch.zeros(6)):
            with pytest.raises(Refused):
                lacking()


def test_auto_is_not_apples_gpu(there, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert compute.find_device("auto") == torch.device("cpu")
    assert compute.find_device("mps") == torch.device("mps")


@pytest.mark.parametrize("precision", ["fp64", "tf32", "bf16"])
def test_a_precision_that_it_lacks_is_refused_by_name(there, monkeypatch, precision):
    monkeypatch.setattr(compute, "_halves", lambda device: False)
    with pytest.raises(UserError, match=f"^compute.precision={precision}: not on compute.device=mps .* take fp32"):
        compute.find_device("mps", precision)


def test_whether_autocast_computes_in_bfloat16_is_found_out():
    assert compute._halves("cpu")
    assert not compute._halves("meta")


@pytest.mark.parametrize(
    "draw", [lambda rng: rng.uniform(3), lambda rng: rng.normal(3), lambda rng: rng.integers(9, 3)]
)
def test_draws_are_those_of_a_cpu(draw):
    def drawn(device):
        rng = Rng(0, "mps", IDS, device)
        index = torch.tensor([2, 0]).to(device)
        return [draw(stream) for stream in (rng, rng.for_images(index), rng.of_the_run(), rng.named("other"))]

    expected = drawn("cpu")
    with Mps():
        for here, there in zip(expected, drawn(THERE), strict=True):
            assert there.device.type == "mps"
            assert torch.equal(there.cpu(), here)


def test_what_is_done_to_maps_and_said_of_them_needs_no_float64(x):
    maps, post = x.float() - 0.5, ["abs", "blur2", "sign", "pool", "positive"]
    facts = [{"status": "ok", "completeness_gap": 100.0}] * len(maps)
    with Mps():
        there = maps.to(THERE)
        assert torch.equal(processed(there, post).cpu(), processed(maps, post))
        assert remarks(there, facts) == remarks(maps, facts)


def test_where_there_is_none_a_run_says_so_before_it_builds_anything(monkeypatch, tmp_path):
    def costly(cfg):
        raise AssertionError("a network was built")

    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(job, "open_network", costly)
    with pytest.raises(UserError, match=r"^compute.device=mps: this machine shows torch no GPU of Apple's; take"):
        job.open_job(load(["model=tiny", "data=synthetic", "compute.device=mps", f"paths.results={tmp_path}"]))


def test_a_batch_size_is_found_there(cnn):
    with Mps():
        assert compute.find_batch_size("auto", cnn.float().to(THERE), THERE) >= compute.CPU_BATCH
