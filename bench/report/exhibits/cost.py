"""What faithfulness costs: GAP over the passes, and over the seconds, of an image; of experiments that set `overview`."""

from collections.abc import Iterator

import pandas as pd
from omegaconf import DictConfig

from bench.figures import scatter
from bench.report.exhibits.exhibit import Figure, Found
from bench.report.quantities import ARROWS

GAP = "gap"  # of the first metric that has one
ABOUT = (
    "Left and below is cheap and unfaithful. Point: mean GAP over images, and its 95 % interval; grey: controls. "
    "Passes: forward and backward ones of the method for one image, mean over images. Seconds: of the method, an image's "
    "share of its batch, on the device above; of a first batch, its library's import too."
)
PASSES, SECONDS = "passes", "seconds"


def exhibit(lines: pd.DataFrame, runs: dict[str, dict], plan: DictConfig | None, found: Found) -> Iterator[Figure]:
    """A panel for passes and one for seconds, of each network and data; one picture of all."""
    if plan is None or not plan.get("overview"):
        return
    there = lines[(lines["confidence"] == "all") & (lines["n"] > 0) & (lines["quantity"] == GAP)]
    there = there[there["metric"] == there["metric"].iloc[0]] if len(there) else there
    fields = []
    for (data, model), part in there.groupby(["data", "model"], sort=False):
        part = part.join(of_runs(found.rows), on="run_id")
        for what, axis in ((PASSES, "forward and backward passes an image"), (SECONDS, "seconds an image")):
            dots = [
                scatter.Dot(line["row"], line[what], *(line[k] for k in ("mean", "ci_low", "ci_high")), aside=control)
                for line in part.dropna(subset=[what]).to_dict("records")
                for control in [line["method"] in (plan.get("controls") or ())]
            ]
            kind = part["kind"].iloc[0]
            y = f"{kind.title}{ARROWS[kind.better]} of {part['metric'].iloc[0]}"
            fields += [scatter.Field(f"{model} · {data}: {what}", axis, y, dots)] if dots else []
    if fields:
        files = scatter.write(found.folder / plan.name, fields)
        pictures = tuple((field.title, scatter.svg(f"{plan.name}-cost-{k}", field)) for k, field in enumerate(fields))
        yield Figure("Faithfulness and what it costs", files=tuple(f.name for f in files), svg=pictures, about=ABOUT)


def of_runs(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean passes (forward and backward) and seconds of an image's map, by run."""
    scored = rows[rows["status"] == "ok"]
    passes = scored["forward_passes"].astype(float) + scored["backward_passes"].astype(float)
    costs = pd.DataFrame({"run_id": scored["run_id"], PASSES: passes, SECONDS: scored["seconds_attribution"]})
    return costs.groupby("run_id").mean()
