"""python -m bench.claims [KEY=VALUE ...]: what the three papers claim, and whether it is so. Some two minutes.

    python -m bench.claims                                                  printed numbers, and small studies
    python -m bench.claims experiment.models=[vgg16] paths.results=DIR      and the rows that lie there

Writes <results>/report/claims.md, .csv, .tex and .json, which the page shows, and prints the Markdown.
`python -m bench.report claims` is the same. KEY=VALUE as for a report on an experiment.

The claims stand in results/published/claims.csv, one a line: id, paper, place, claim, kind, predicate. kind says what a
claim is about: `published`, the paper's own numbers; `rows`, measured ones; `study`, the formulas, on a small network.
A predicate is written name(argument; argument), its name one of bench/claims/predicates.py or, of a study, of
bench/claims/identities.py.
"""

import inspect
import re
import sys
from pathlib import Path

import pandas as pd

from bench import choices, config
from bench.claims import evidence, measured
from bench.claims.identities import STUDIES
from bench.claims.predicates import CANNOT_TELL, PREDICATES, Finding
from bench.cli import command
from bench.errors import UserError, did_you_mean
from bench.report.document import Document
from bench.report.table import Entry, Table, columns
from bench.typed import made_again

CLAIMS = choices.ROOT / "results" / "published" / "claims.csv"
KINDS = {"published": "printed numbers", "rows": "measured rows", "study": "a study"}
PAPERS = {"la": "LA", "attexplore": "AttEXplore", "aii": "AII"}
NAME = "claims"
CALL = re.compile(r"(\w+)\((.*)\)")


def load(path: Path = CLAIMS) -> pd.DataFrame:
    """The claims, as strings. UserError: a kind, a predicate or a number of arguments that there is not; an id twice."""
    claims = pd.read_csv(path, dtype="str", keep_default_na=False)
    if len(twice := claims["id"][claims["id"].duplicated()]):
        raise UserError(f"{path}: two claims are called {twice.iloc[0]}. Give each an id of its own.")
    for claim in claims.itertuples():
        if claim.kind not in KINDS:
            raise UserError(f"{path}, {claim.id}: kind {claim.kind!r}: expected one of {', '.join(KINDS)}.")
        name, arguments = parsed(claim.predicate)
        known = STUDIES if claim.kind == "study" else PREDICATES
        if name not in known:
            raise UserError(f"{path}, {claim.id}: there is no predicate {name!r}.{did_you_mean(name, known)}")
        takes = len(inspect.signature(known[name]).parameters) - (claim.kind != "study")
        if takes != len(arguments):
            raise UserError(f"{path}, {claim.id}: {name} takes {takes} arguments, not {len(arguments)}.")
    return claims


def parsed(predicate: str) -> tuple[str, list[str]]:
    """("best", ["la", "unified.insertion", "la_table1"]) of best(la; unified.insertion; la_table1)."""
    found = CALL.fullmatch(predicate.strip())
    if not found:
        raise UserError(f"{predicate!r}: expected name(argument; argument).")
    return found[1], [argument.strip() for argument in found[2].split(";")] if found[2].strip() else []


def decide(claims: pd.DataFrame, rows: pd.DataFrame | None = None) -> pd.DataFrame:
    """`claims` with two more columns: verdict (holds, does not hold, cannot tell) and because. rows: Measured's."""
    found = [_decided(claim.kind, claim.predicate, rows) for claim in claims.itertuples()]
    return claims.assign(verdict=[f.verdict for f in found], because=[f.because for f in found])


def _decided(kind: str, predicate: str, rows: pd.DataFrame | None) -> Finding:
    name, arguments = parsed(predicate)
    if kind == "study":
        return STUDIES[name](*arguments)
    if kind == "published":
        return PREDICATES[name](evidence.as_printed(), *arguments)
    if name != "unmeasured" and (rows is None or rows.empty):
        return Finding(CANNOT_TELL, "no rows were given: experiment.models=[…] names networks")
    return PREDICATES[name](evidence.Measured(rows), *arguments)


def main(arguments: list[str]) -> None:
    claims = load()
    where = [argument for argument in arguments if argument.startswith("paths.")]
    results = Path(config.load(where, builders=False).cfg.paths.results)
    if where and not results.is_dir():
        raise UserError(f"paths.results={results}: there is no such folder. Claims that need no rows ask for none.")
    print(f"{len(claims)} claims; the studies among them take a minute or two.", file=sys.stderr)
    rows = measured.rows(tables(claims), arguments)
    decided = decide(claims, rows)
    paths = document(decided, arguments).save(results / "report")
    print(paths[0].read_text(encoding="utf-8"))
    print(*paths, sep="\n")


def tables(claims: pd.DataFrame) -> list[str]:
    """What the claims about measured rows name: experiments, and words that are none."""
    named = [word for claim in claims[claims["kind"] == "rows"].itertuples() for word in parsed(claim.predicate)[1]]
    return list(dict.fromkeys(named))


def document(decided: pd.DataFrame, overrides: list[str]) -> Document:
    """A table for each paper, and how many claims there are of each verdict."""
    counts = ", ".join(f"{count} {verdict}" for verdict, count in decided["verdict"].value_counts().items())
    found = []
    for paper, part in decided.groupby("paper", sort=False):
        cells = part[["claim", "verdict", "because", "place", "kind"]].itertuples(index=False)
        rows = [
            [Entry(claim), Entry("", verdict=verdict), Entry(because), Entry(place), Entry(KINDS[kind])]
            for claim, verdict, because, place, kind in cells
        ]
        header = columns("Claim", "Verdict", "Because", "Place", "Of")
        found.append(Table(f"{PAPERS.get(paper, paper)}: {len(part)} claims", header, rows))
    facts = [
        f"{len(decided)} claims: {counts}.",
        "Of printed numbers: does the text fit the paper's own tables? Of rows: what was measured here. Of a study: "
        "formulas on a small network. `docs/statistics.md` says when a claim holds.",
        f"{made_again('bench.claims', overrides)}.",
    ]
    return Document(NAME, "Claims of the papers", decided, found, facts)


if __name__ == "__main__":
    command(__doc__, main)
