"""How far rounding alone moves a score: python scripts/rounding_noise.py model=efficientnet_lite0 data=photos

Every method's unified insertion of the same images, twice at each precision: one image a pass and eight. Nothing else
differs, so what differs is rounding, as the kernels' order of addition changes with the shape of the batch. Prints, for
each method, the mean and the largest difference over the images in fp32 and in fp64.
Takes what `bench.run` takes; method=[la,sm] for some methods only. Cost: four times each method and its scoring.
"""

import tempfile

import numpy as np
from tqdm import tqdm

from bench.choices import CONF
from bench.cli import command
from bench.config import load
from bench.errors import UserError
from bench.images.stream import stream
from bench.running.job import open_job
from bench.running.runner import rows_of
from bench.studies import study

IMAGES = 8  # unless data.limit says otherwise
BATCHES = (1, 8)
PRECISIONS = ("fp32", "fp64")
ELSEWHERE = {
    "precomputed",  # its maps are files: there is nothing to round
    *("captum", "cam"),  # of other libraries, by a name that must be given
    *("rollout", "generic_attention"),  # of transformers: one image at a time, at any batch size
}


def main(arguments: list[str]) -> None:
    methods, rest = study.listed(arguments, "method", every_method())
    print("| method | fp32: mean | largest | fp64: mean | largest |\n| --- | ---: | ---: | ---: | ---: |", flush=True)
    for method in tqdm(methods, unit="method", disable=None):
        noise = [differences([*rest, f"method={method}"], precision) for precision in PRECISIONS]
        cells = [f"{value:.1e}" if value else "0" for d in noise for value in (d.mean(), d.max())]
        print(f"| `{method}` | {' | '.join(cells)} |", flush=True)


def every_method() -> tuple[str, ...]:
    return tuple(sorted({path.stem for path in (CONF / "method").glob("*.yaml")} - ELSEWHERE))


def differences(overrides: list[str], precision: str) -> np.ndarray:
    """|U-INS at one batch size − at the other| of each image, [n]."""
    a, b = (insertions([*overrides, f"compute.precision={precision}", f"compute.batch_size={k}"]) for k in BATCHES)
    return np.abs(a - b)


def insertions(overrides: list[str]) -> np.ndarray:
    """The unified insertion of each image, [n]. Leaves no rows."""
    with tempfile.TemporaryDirectory() as folder:
        job = open_job(load([f"data.limit={IMAGES}", *overrides, "metric=[unified]", f"paths.results={folder}"]))
        rows = [
            row
            for batch in stream(job.source, job.ids, job.compute.batch_size, workers=0)
            for row in rows_of(job, batch, ("unified",))[0]["unified"]
        ]
    for row in rows:
        if row["status"] != "ok":
            raise UserError(f"method={job.method_name}, image {row['image_id']}: {row['error']}.")
    return np.array([row["insertion"] for row in rows])


if __name__ == "__main__":
    command(__doc__, main)
