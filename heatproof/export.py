"""heatproof export NAME [paths.results=results] [license=cc-by-4.0]: a results folder as a data set that can be shared.

    NAME/README.md       a card of Hugging Face's: configurations, licence, citation
    NAME/tables/         rows.parquet, a line for each image and metric; runs.parquet, one for each run
    NAME/rows, runs      as they lie in the results folder: NAME is one too, paths.results=NAME
    NAME/report/         made of exactly these rows

Maps and photographs are not in it. Nothing is uploaded; that is a command of yours:

    hf upload OWNER/NAME NAME --repo-type dataset
"""

import json
import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import yaml

from bench import __version__
from bench.cli import command
from bench.config import load
from bench.errors import UserError
from bench.report import __main__ as report
from bench.store import records
from bench.store.rows import load_rows

LICENSE = "cc-by-4.0"
SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M"}  # Hugging Face's words
TEMPLATES = Path(__file__).with_name("templates")


def main(arguments: list[str]) -> None:
    names = [word for word in arguments if "=" not in word]
    said = dict(word.split("=", 1) for word in arguments if "=" in word)
    if len(names) != 1 or said.keys() - {"paths.results", "license"}:
        raise UserError(
            f"heatproof export takes a NAME, paths.results= and license=; this is {shlex.join(arguments)!r}."
        )
    if not re.fullmatch(r"[a-z0-9.-]+", license := said.get("license", LICENSE)):
        raise UserError(
            f"license={license}: expected an identifier of Hugging Face's, such as {LICENSE}, mit or other."
        )
    results = load([word for word in arguments if word.startswith("paths.")], builders=False).cfg.paths.results
    folder = export(Path(results), Path(names[0]), license)
    told = places(records.load_runs(folder))
    print(f"{folder}: a data set under the licence {license} (license= names another).")
    if told:
        more = ", …" * (len(told) > 3)
        print(f"Its records name places of this machine: {', '.join(told[:3])}{more}; see {folder / 'runs'}.")
    print(f"Upload it yourself: hf upload OWNER/{folder.name} {folder} --repo-type dataset")


def export(results: Path, folder: Path, license: str = LICENSE) -> Path:
    """The folder, new. UserError: it is there, or there is nothing to share."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,95}", folder.name):
        raise UserError(f"{folder.name}: expected a name of letters, digits, _, - and ., such as la-on-resnet50.")
    if folder.exists():
        raise UserError(f"{folder} is there already: take another name, or move it away.")
    if not (results / "rows").is_dir() or not (results / "runs").is_dir():
        raise UserError(
            f"There are no rows and records in {results}: run something first, or name it: paths.results=DIR."
        )
    for part in ("rows", "runs"):
        shutil.copytree(results / part, folder / part, ignore=shutil.ignore_patterns(".*", "_*"))
    rows, runs = load_rows(folder), records.load_runs(folder)
    tables = {"rows": rows, "runs": pd.DataFrame([about(record) for record in runs.values()])}
    (folder / "tables").mkdir()
    for name, table in tables.items():
        table.to_parquet(folder / "tables" / f"{name}.parquet", index=False)
    report.write(*report.make([f"paths.results={folder}"]))
    (folder / "README.md").write_text(card(folder.name, rows, license), encoding="utf-8")
    return folder


def about(record: Mapping) -> dict[str, object]:
    """A record as a row: what the run is, by name, and all of its identity and its settings as JSON."""
    identity = records.identity_of(dict(record))
    return {
        "run_id": record["run_id"],
        **{key: record["cell"][key] for key in ("data", "model", "method", "metric")},
        "precision": identity.precision,
        "seed": identity.seed,
        "target": identity.target,
        "protocol": identity.protocol,
        "weights": identity.found.get("weights"),
        "device": records.device(dict(record)),
        "heatproof": record.get("versions", {}).get("heatproof"),
        "created": str(record.get("created")),
        "identity": json.dumps(asdict(identity), sort_keys=True),
        "config": json.dumps(record["config"], sort_keys=True),
    }


def card(name: str, rows: pd.DataFrame, license: str) -> str:
    """README.md: what Hugging Face reads, and what a reader does."""
    head = {
        "license": license,
        "pretty_name": name,
        "size_categories": [next((size for n, size in SIZES.items() if len(rows) < n), "n>1M")],
        "tags": ["heatproof", "attribution", "explainability", "benchmark"],
        "configs": [
            {"config_name": "rows", "data_files": "tables/rows.parquet", "default": True},
            {"config_name": "runs", "data_files": "tables/runs.parquet"},
            {"config_name": "curves", "data_files": "rows/**/*.parquet"},
        ],
    }
    words = {"model": "Networks", "data": "Images", "method": "Methods", "metric": "Metrics"}
    listed = "\n".join(
        f"- {word}: {', '.join(f'`{one}`' for one in sorted(rows[key].unique()))}" for key, word in words.items()
    )
    text = (TEMPLATES / "card.md.txt").read_text(encoding="utf-8")
    filled = {"name": name, "listed": listed, "rows": f"{len(rows):,}", "license": license, "version": __version__}
    for key, value in filled.items():
        text = text.replace(f"@{key}@", value)
    return f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n\n{text}"


def places(runs: Mapping[str, Mapping]) -> list[str]:
    """What records say of where things lie on this machine, as far as it is told by a path."""
    found = {
        str(value)
        for record in runs.values()
        for group in ("data", "model", "method")
        for value in record.get("config", {}).get(group, {}).values()
        if isinstance(value, str) and value.startswith(("/", "~"))
    }
    return sorted(found)


if __name__ == "__main__":
    command(__doc__, main)
