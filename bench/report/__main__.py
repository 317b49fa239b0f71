"""Rows to tables: `python -m bench.report experiment=la_table1`. Reads what runs have left; computes nothing anew.

    python -m bench.report experiment=NAME [KEY=VALUE ...]   one table of a paper, every cell beside the published value
    python -m bench.report [KEY=VALUE ...]                   everything that has rows
    python -m bench.report claims [KEY=VALUE ...]            what the papers claim, and whether it is so: bench.claims

Writes <results>/report/NAME.md, .csv, .tex and .json (NAME is `summary` if there is no experiment) and the figures that they
lead to, and prints the Markdown; without an experiment index.html too, one page over all documents of that folder.
KEY=VALUE as for bench.run: paths.results=DIR, data=imagenet, compute.precision=tf32, report.threshold=0.8 and so on.
A cell of a table shows the run whose settings are those of the experiment; a cell without one says "not run". All images
that a run has count: data.limit and the like say which are computed, not which are shown.
"""

import shlex
from dataclasses import replace
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig

from bench.cli import command
from bench.config import load
from bench.errors import UserError
from bench.figures.apart import Apart
from bench.report import everything, lines, page, paper_table, table
from bench.report.document import Document
from bench.report.exhibits.exhibit import Found, figures
from bench.report.explorer.rooms import FACTS
from bench.report.intervals import FEW
from bench.report.judged import judged
from bench.store import records
from bench.store.rows import load_rows
from bench.typed import made_again


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["claims"]:
        from bench.claims.__main__ import main as claims  # its studies run networks, which no report needs

        return claims(arguments[1:])
    document, found = make(arguments)
    paths = write(document, found)
    print(paths[0].read_text(encoding="utf-8"))
    print(*paths, sep="\n")
    return 0


def make(overrides: list[str]) -> tuple[Document, Found]:
    """The document, as yet without figures, and what there is to be drawn."""
    config = load(overrides, builders=False)
    cfg, plan, results = config.cfg, config.cfg.get("experiment"), Path(config.cfg.paths.results)
    rows, runs = load_rows(results, FACTS[1:]), records.load_runs(results)
    if rows.empty:
        raise UserError(f"No rows in {results / 'rows'}. Make some: python -m bench.run {shlex.join(overrides)}")
    labels, matching, notes, ranks = {}, {}, [], {}
    if plan:
        numbers, matching, notes = paper_table.numbers(config, rows, runs)
    else:
        numbers, labels = everything.numbers(cfg, rows, runs)
        notes = paper_table.unequal(numbers, rows)
    threshold = cfg.report.threshold
    numbers, below = judged(numbers, rows, runs, cfg.report, labels)
    if plan:
        for key, said in paper_table.margins(numbers, plan).items():
            below.setdefault(key, []).extend(said)
        ranks = paper_table.ranks(numbers, rows, cfg)
        for key, tables in ranks.items():
            below.setdefault(key, []).extend(line for ranked in tables for line in ranked.below)
    document = Document(
        name=plan.name if plan else "summary",
        title=plan.title if plan else "Everything that has rows",
        numbers=lines.of(numbers),
        tables=table.tables(numbers, labels, threshold, below)
        + [ranked for tables in ranks.values() for ranked in tables],
        facts=(paper_table.facts(plan) if plan else []) + _facts(cfg, numbers, runs, overrides),
        notes=notes,
    )
    return document, Found(cfg, overrides, results, rows, runs, numbers, labels, matching)


def write(document: Document, found: Found) -> list[Path]:
    """The document with its figures, and the page if it is one of everything; the paths, the Markdown first."""
    plan = found.cfg.get("experiment")
    with Apart() as apart:
        document.figures = figures(found.lines, found.runs, plan, replace(found, draw=apart.draw))
        document.notes += [note for figure in document.figures for note in figure.notes]
        paths = document.save(found.folder)
        paths += [found.folder / file for figure in document.figures for file in figure.files]
        return paths if plan else [*paths, page.write(found.folder, document)]


def _facts(cfg: DictConfig, numbers: pd.DataFrame, runs: dict[str, dict], overrides: list[str]) -> list[str]:
    """Where the numbers come from, what the marks mean, and how to have them again."""
    found = records.provenance(numbers, runs)
    found += [
        f"Low confidence: largest softmax probability below {cfg.report.threshold:.2f}; high: from there on.",
        f"Mean over images ± half of its 95 % interval (bootstrap, {cfg.report.bootstrap} resamples; below {FEW} units "
        "Student's t; both ends are in the CSV, medians and quartiles in the folded tables). Units are images, or whole "
        "classes where images come in classes. Bold: the best mean of a column's comparable rows; †: with it in the best "
        "set, no row is shown to be better (differences of means over the same images, all pairs of the column at once, "
        "5 %). The interval of a τ: all that it may be, given the rows that are told apart. "
        "`docs/statistics.md` says how often that errs.",
    ]
    if numbers["share"].notna().any():
        found.append(
            "Share: (score - random) / (ceiling - random), of means over the images that all three have; none where "
            "the ceiling, a search for the largest insertion or GAP, is no better than chance."
        )
    if numbers["published"].notna().any():
        found.append(
            "Δ: measured minus published. Verdict: agrees, the 90 % interval of Δ lies inside the margin, which is stated "
            "below each table; differs, outside; cannot tell at this n; cannot fail, any row of the column would agree; "
            "design only, no verdict: the notes say why; derived, no printed number but a difference of two."
        )
    return [*found, f"{made_again('bench.report', overrides)}, and paths.results= where the rows lie."]


if __name__ == "__main__":
    command(__doc__, main)
