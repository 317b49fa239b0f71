"""The page's explorer: choose network, metric, split, methods; means, ranks, cost, agreement, curves, single images."""

import ast
import json
from collections.abc import Iterator

import pandas as pd
from omegaconf import DictConfig

import bench
from bench.choices import file
from bench.figures.lines import look
from bench.modules import source
from bench.report.exhibits.exhibit import Figure, Found
from bench.report.explorer import rooms
from bench.report.templates import environment

PLACE = "Explore"
TURN = 2  # computes what the page draws
VIEWS = {
    "means": "Means",
    "ranks": "Ranks",
    "cost": "Cost",
    "agreement": "Agreement",
    "curves": "Curves",
    "images": "Image by image",
}


def exhibit(lines: pd.DataFrame, runs: dict[str, dict], plan: DictConfig | None, found: Found) -> Iterator[Figure]:
    """Of a report on all rows, and of its page alone."""
    if plan is not None or lines.empty:
        return
    shown = rooms.assembled(lines, runs, found)
    if not shown["rooms"]:
        return
    shown["look"] = [look(k) for k in range(len(shown["names"]))]
    shown["about"] = {method: about(method) for method in sorted(lines["method"].unique())}
    shown["usual"] = next(iter(found.cfg.get("metric") or ()), "")  # the metric that is shown first, where it is there
    years = sorted({recipe["created"][:4] for recipe in shown["runs"].values()})
    shown["cite"] = {"version": bench.__version__, "protocol": bench.PROTOCOL, "year": years[-1] if years else ""}
    html = environment().get_template("explorer.html").render(data=embedded(shown), cite=shown["cite"], views=VIEWS)
    yield Figure(PLACE, PLACE, html=html)


def embedded(data: dict) -> str:
    """JSON that may stand in an element of a page."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def about(method: str) -> str:
    """Whose it is: how the file begins that its function lies in. Empty: of a method that is not here."""
    try:
        target = next(
            line.partition(":")[2].strip()
            for line in file("method", method).read_text(encoding="utf-8").splitlines()
            if line.startswith("_target_:")
        )
        module = source(target.rpartition(".")[0])
        text = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) if module else ""
    except (OSError, StopIteration, SyntaxError):
        return ""
    return " ".join((text or "").split("\n\n")[0].split()).removesuffix(":")
