"""What is seen while a run goes on, and what it says when it ends."""

import io
import os

import pytest
import torch
from jobs import complete, small_job
from tqdm import tqdm

from bench.notes import note
from bench.run import carry_out
from bench.running import progress
from bench.running.progress import Bar
from bench.running.remarks import failures

FAST = ["compute.batch_size=2", "metric=[unified]", "metric.unified.step=384", "data.limit=3"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar_moves_with_every_pass_and_ends_full(tmp_path, monkeypatch):
    job = small_job(tmp_path, "method=guided_ig", *FAST)
    moves, update = [], tqdm.update
    monkeypatch.setattr(tqdm, "update", lambda self, n: moves.append(n) or update(self, n))
    monkeypatch.setattr("sys.stderr", Terminal())
    carry_out(job)
    assert sum(moves) == 4 * 16 + 3 * (
        2 * 7 + 2
    )  # four places, 16 passes; of three images 7 frames a game and both ends
    assert max(moves) <= 2 * 3 and len([m for m in moves if m]) > 50


def test_a_terminal_that_says_it_has_no_width_shows_the_bar_all_the_same(tmp_path, monkeypatch):
    """A pseudo terminal of a container or a script: 0 columns."""
    mine, other = os.openpty()
    network = small_job(tmp_path, "method=sm", *FAST).network
    with open(other, "w", buffering=1) as terminal, monkeypatch.context() as patched:
        patched.setattr("sys.stderr", terminal)
        with Bar(network, 3, 2, 10):
            terminal.write("read\n")  # so that there is something to read
            shown = os.read(mine, 10_000).decode()
    os.close(mine)
    assert "\r  0% |" in shown


def test_passes_that_a_method_saves_are_made_up_for_and_none_counts_twice(cnn):
    out = Terminal()
    with Bar(cnn, images=3, width=2, passes=10, out=out) as bar:
        cnn(torch.zeros(2, 3, 16, 16, dtype=torch.float64))
        assert bar.counted == 2
        bar.batch(2, failed=1)
        assert bar.counted == 20
        for _ in range(15):
            cnn(torch.zeros(2, 3, 16, 16, dtype=torch.float64))
        assert bar.counted == 40
        bar.batch(1, failed=0)
        assert "3 of 3 images, 1 failed" in bar.line(seconds=4.0) and "10 passes/s" in bar.line(seconds=4.0)
    cnn(torch.zeros(2, 3, 16, 16, dtype=torch.float64))
    assert bar.counted == 40 and not cnn._forward_hooks


def test_without_a_terminal_it_is_a_line_a_minute(cnn, monkeypatch):
    out, now = io.StringIO(), [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with Bar(cnn, images=100, width=2, passes=1, out=out) as bar:
        for _ in range(50):
            now[0] += 5.0
            bar.batch(2, failed=0)
    lines = out.getvalue().splitlines()
    assert len(lines) == 4 and lines[0] == " 24% 24 of 100 images, 0 passes/s, 3 min left"


def test_a_run_says_whose_maps_miss_their_sum_and_which_are_constant(tmp_path, capsys):
    def promises(model, x, target, rng):
        """Maps of sum 1; the first image of a batch promised 2, the others all but 1."""
        gap = torch.full_like(x[:, 0, 0, 0], 0.01)
        gap[0] = -1.0
        note(completeness_gap=gap)
        maps = torch.zeros_like(x)
        maps[:, 0, 0, 0] = 1.0
        return maps

    job = small_job(tmp_path, "method=ig", *FAST)
    job.method = promises
    carry_out(job)
    assert "ig: the sums of 2 maps are more than 10% off" in (out := capsys.readouterr().out)
    assert "the most, 50%, on synthetic-0000" in out
    job = small_job(tmp_path, "method=sm", *FAST)
    job.method = lambda model, x, target, rng: torch.zeros_like(x)
    carry_out(job)
    assert "sm: the same everywhere: 3 maps" in capsys.readouterr().out
    complete(job)
    carry_out(small_job(tmp_path, "method=gradcam", "method.layer=features", *FAST))
    assert "off what" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("failed", "told"),
    [
        ({"a": "x"}, "1 image failed. a: x."),
        ({"a": "x", "b": "y", "c": "y"}, "3 images failed. b and 1 more: y; a: x."),
        ({k: k for k in "abcde"}, "5 images failed. a: a; b: b; c: c; and 2 other reasons."),
    ],
)
def test_failures_are_told_by_reason(failed, told):
    assert failures(failed) == told
