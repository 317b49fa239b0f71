"""All that the explorer shows, as plain lists: a room for each data and network, in it a cabinet for each metric.

Every mean, interval, rank and difference is computed here, by what makes the tables; the page chooses and draws.
"""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pandas as pd

from bench.report import means
from bench.report.curves import SIDES, Curves
from bench.report.exhibits import cost, forest
from bench.report.exhibits.exhibit import Found
from bench.report.explorer import agreement, classes, column, curves, recipe
from bench.report.explorer.compact import numbers
from bench.report.quantities import SPEED, Quantities
from bench.store import records
from bench.store.rows import PARTITIONS
from bench.text import natural
from metrics.quantities import Quantity

FACTS = ["label", "prediction", "target"]  # the first is one of the rows that every report loads
SCORES = 400_000  # numbers of single images in a page, at most
LINE = ("mean", "ci_low", "ci_high", "q1", "median", "q3", "share", "share_low", "share_high")


def assembled(lines: pd.DataFrame, runs: Mapping[str, dict], found: Found) -> dict:
    """lines: the report's, with their `kind`."""
    lines = lines[(lines["quantity"] != SPEED) & lines["run_id"].isin(list(runs))]
    of_rooms = list(lines.groupby(["data", "model"], sort=False))
    columns = sum(part.groupby(["metric", "run_id", "quantity"]).ngroups for _, part in of_rooms)
    room = Room(found, runs, SCORES // max(1, columns))
    rooms = [room.furnished(data, model, part) for (data, model), part in of_rooms]
    return {
        "threshold": found.cfg.report.threshold,
        "names": sorted({method["name"] for room in rooms for method in room["methods"]}, key=natural),
        "rooms": rooms,
        "networks": _networks(room.scores),
        "runs": {run_id: _recipe(runs[run_id]) for run_id in dict.fromkeys(lines["run_id"])},
    }


class Room:
    """Fills one room after another; `scores` keeps what rankings are compared by."""

    def __init__(self, found: Found, runs: Mapping[str, dict], most: int):
        """most: images of a room that are shown one by one."""
        self.found, self.runs, self.most = found, runs, most
        self.facts = found.rows[found.rows["status"] == "ok"]
        self.images, self.costs = found.images, cost.of_runs(found.rows)
        self.scores: dict[tuple, dict[tuple, pd.DataFrame]] = {}  # {room: {(metric, quantity, split): [image, method]}}

    def furnished(self, data: str, model: str, lines: pd.DataFrame) -> dict:
        of = (data, model)
        methods = self._methods(lines)
        rows = self.facts[self.facts["run_id"].isin(set(lines["run_id"]))]
        known = rows.groupby("image_id")[["confidence", *FACTS]].first()  # of each column the first that is known
        ids = sorted(known.index, key=natural)
        known, shown = known.loc[ids], ids[: self.most]
        record = self.runs[lines["run_id"].iloc[0]]
        said = classes.names(record)
        occurring = {int(k) for k in np.unique(known[FACTS].to_numpy(dtype=float)) if not np.isnan(k)}
        metrics = {
            metric: self._cabinet(of, metric, part, methods, shown)
            for metric, part in lines.groupby("metric", sort=False)
        }
        keys = list(dict.fromkeys(key[:2] for key in self.scores.get(of, {})))
        return {
            "data": data,
            "model": model,
            "of": len(ids),
            "images": shown,
            "facts": {name: numbers(known.loc[shown, name]) for name in ("confidence", *FACTS)},
            "classes": {k: said[k] for k in sorted(occurring) if k < len(said)},
            "methods": [{"name": name, "method": method, "maps": maps} for maps, (name, method) in methods.items()],
            "metrics": metrics,
            "agreement": {
                "of": keys,
                **{
                    split: agreement.pairs({key: self.scores[of][(*key, split)] for key in keys})
                    for split in means.CONFIDENCES
                },
            }
            if keys
            else None,
        }

    def _methods(self, lines: pd.DataFrame) -> dict[str, tuple[str, str]]:
        """{maps: what they are called, method}: one name for the maps of one recipe, whichever metric scored them."""
        found: dict[str, tuple[str, str]] = {}
        for line in lines.drop_duplicates("run_id").to_dict("records"):
            maps, name = self._maps(line["run_id"]), forest.named(line["row"], line["run_id"], self.found)
            if maps not in found or len(name) > len(found[maps][0]):  # told apart by some metric's runs only
                found[maps] = (name, line["method"])
        count = Counter(name for name, _ in found.values())
        return {
            maps: (name if count[name] == 1 else f"{name} ({maps[:8]})", method)
            for maps, (name, method) in sorted(found.items(), key=lambda item: natural(item[1][0]))
        }

    def _maps(self, run_id: str) -> str:
        return self.runs[run_id].get("attribution_id") or run_id

    def _cabinet(self, of: tuple, metric: str, lines: pd.DataFrame, methods: Mapping, shown: list[str]) -> dict:
        kinds: Quantities = dict(lines.drop_duplicates("quantity")[["quantity", "kind"]].itertuples(index=False))
        run_ids = list(dict.fromkeys(lines["run_id"]))
        places, names = list(methods), {run_id: methods[self._maps(run_id)][0] for run_id in run_ids}
        costs = self.costs.reindex(run_ids)
        scores = {name: self._scores(run_ids, name, kind, "all") for name, kind in kinds.items()}
        drawn = [self._curves(run_id) if set(SIDES) <= set(kinds) else None for run_id in run_ids]
        return {
            "quantities": [
                {"name": name, "title": kind.title, "better": kind.better, "sign": kind.sign, "unit": kind.unit}
                for name, kind in kinds.items()
            ],
            "rows": [places.index(self._maps(run_id)) for run_id in run_ids],
            "runs": run_ids,
            "passes": numbers(costs[cost.PASSES]),
            "seconds": numbers(costs[cost.SECONDS], 4),
            "splits": {
                split: self._split(of, metric, split, part, kinds, names)
                for split, part in lines.groupby("confidence", sort=False)
            },
            "scores": {
                name: [numbers(of_run, 4) for _, of_run in table.reindex(shown).items()]
                for name, table in scores.items()
            },
            "curves": curves.of_metric(drawn, shown[: self.found.curves.most]),
        }

    def _split(
        self,
        of: tuple,
        metric: str,
        split: str,
        lines: pd.DataFrame,
        kinds: Quantities,
        names: Mapping[str, str],
    ) -> dict:
        """The lines of a table, and where each row of it stands.  names: of the runs."""
        first = lines.drop_duplicates("run_id")
        found: dict = {"n": first["n"].tolist(), "failed": first["failed"].tolist()}
        under = records.conditions_of(names, self.runs)
        for name, kind in kinds.items():
            part = lines[lines["quantity"] == name].set_index("run_id").loc[list(names)]
            scores = self._scores(list(names), name, kind, split).dropna(axis=1, how="all").dropna(how="all")
            stands = column.standings(scores, under, kind.sign, self._classes) if len(scores) else {}
            if stands:
                stands["of"] = [list(names).index(scores.columns[k]) for k in stands["of"]]
            found[name] = {key: numbers(part[key]) for key in LINE} | {"standing": part["standing"].tolist()} | stands
            if kind.sign:
                kept = self.scores.setdefault(of, {})
                kept[metric, name, split] = kind.sign * _once(scores, names)
        return found

    def _scores(self, run_ids: list[str], name: str, kind: Quantity, split: str) -> pd.DataFrame:
        """[image, run] as the tables have them; NaN of a run without a scored image."""
        there = pd.Series({run_id: run_id for run_id in run_ids if run_id in self.images}, dtype=object)
        threshold = self.found.cfg.report.threshold
        return means.side_by_side(self.images, there, name, kind, split, threshold).reindex(columns=run_ids)

    def _curves(self, run_id: str) -> Curves | None:
        cell = self.runs[run_id]["cell"]
        return self.found.curves.of(tuple(cell[part] for part in PARTITIONS), run_id, SIDES)

    def _classes(self, run_id, images: pd.Index) -> np.ndarray | None:
        return means.classes_of(self.images[run_id], images)


def _once(scores: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """[image, method] of [image, run]: of runs that score the same maps in several ways (steps) that with most images."""
    most_first = scores.count().sort_values(ascending=False, kind="stable").index
    named = scores[most_first].rename(columns=names)
    return named.loc[:, ~named.columns.duplicated()]


def _networks(scores: Mapping[tuple, Mapping[tuple, pd.DataFrame]]) -> list[dict]:
    """How the networks' rankings agree, of each data, metric, quantity and split that two of them have."""
    found = []
    for data in dict.fromkeys(data for data, _ in scores):
        of_data = {model: kept for (there, model), kept in scores.items() if there == data}
        for key in dict.fromkeys(key for kept in of_data.values() for key in kept):
            by = {model: kept[key] for model, kept in of_data.items() if key in kept}
            if pairs := agreement.pairs(by):
                found.append({"data": data, "key": key, "of": list(by), "pairs": pairs})
    return found


def _recipe(record: Mapping) -> dict:
    """What is said of a run: how to have it again, when, where and by which code it was made."""
    return {
        "command": recipe.command(record),
        "check": recipe.check(record),
        "created": str(record.get("created"))[:10],
        "commit": str((record.get("git") or {}).get("commit") or "unknown")[:10],
        "device": records.device(record),
        "version": record["versions"]["heatproof"],
        "protocol": str(record["versions"]["protocol"]),
    }
