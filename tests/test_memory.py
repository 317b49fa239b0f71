"""Freed memory is not handed back to the system between passes."""

import subprocess
import sys

import pytest

COUNT = """
import resource, sys
from bench.running.memory import keep_freed_memory
if sys.argv[1] == "kept" and not keep_freed_memory():
    raise SystemExit("elsewhere")
bytes([1]) * (64 * 2**20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    bytes([1]) * (64 * 2**20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", COUNT, how], capture_output=True, text=True)
    if "elsewhere" in done.stderr:
        pytest.skip("no glibc here")
    return int(done.stdout)


def test_the_system_hands_out_a_block_once():
    """A page of 4 KiB that is touched for the first time is a fault: 16,384 for each new block of 64 MiB."""
    assert faults("kept") < 2 * 16_384 < 10 * 16_384 < faults("as it is")
