"""make gpu, as far as a CPU can tell: each part says what it should, and one that fails does not take the others along."""

import pytest

from bench.errors import UserError
from scripts import gpu

FAST = ["device=cpu", "models=tiny", "images=2", "minutes=3"]


def test_the_parts_write_tables_in_which_a_device_without_gpu_has_its_numbers(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gpu, "METHODS", ("sm",))
    to = tmp_path / "gpu.md"
    assert gpu.main([*FAST, f"to={to}", "parts=memory,passes,efficiency"]) == 0
    text = to.read_text()
    assert text.count("2 rows, 2 of them ok") == 2
    assert "The largest difference of a score: 0.0e+00." in text
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| tiny")]
    assert [row[1] for row in rows] == [*gpu.MODES, "method sm", "metric unified"]
    assert all(float(row[2].replace(",", "")) > 0 for row in rows[: len(gpu.MODES)])
    assert rows[len(gpu.MODES)][2] == "1 + 1"


def test_a_part_that_fails_is_told_and_the_next_one_is_computed(tmp_path, monkeypatch, capsys):
    def broken(wanted, left):
        yield "a line"
        raise RuntimeError("no such card")

    monkeypatch.setitem(gpu.PARTS, "memory", broken)
    monkeypatch.setitem(gpu.PARTS, "passes", lambda wanted, left: iter(["reached"]))
    to = tmp_path / "gpu.md"
    assert gpu.main([*FAST, f"to={to}", "parts=memory,passes"]) == 1
    assert "a line\n\nFailed: `RuntimeError: no such card`" in to.read_text()
    assert "reached" in to.read_text()


def test_when_the_minutes_are_over_the_rest_is_left_out_by_name(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(gpu.PARTS, "passes", lambda wanted, left: iter(["never said"]))
    to = tmp_path / "gpu.md"
    assert gpu.main(["device=cpu", "minutes=0", f"to={to}", "parts=passes"]) == 0
    assert "## passes\n\nLeft out: 0 minutes were over." in to.read_text()


@pytest.mark.parametrize(("word", "said"), [("parts=speed", "speed"), ("images=many", "many"), ("width=3", "width")])
def test_what_it_does_not_know_is_refused(word, said):
    with pytest.raises(UserError, match=said):
        gpu.main([word])
