"""python -m bench.claims: what the three papers claim, and whether it is so.

    python -m bench.claims                   printed numbers among themselves, and small studies
    python -m bench.claims FILE.parquet      measured rows too: see bench/claims/evidence.py, Measured
    python -m bench.claims --csv             as CSV

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

from bench.claims import evidence
from bench.claims.identities import STUDIES
from bench.claims.predicates import CANNOT_TELL, PREDICATES, Finding
from bench.errors import UserError, did_you_mean

CLAIMS = Path(__file__).parents[2] / "results" / "published" / "claims.csv"
KINDS = ("published", "rows", "study")
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
        return Finding(CANNOT_TELL, "no rows were given")
    return PREDICATES[name](evidence.Measured(rows), *arguments)


def main(arguments: list[str]) -> int:
    """Exit status."""
    if {"--help", "-h"} & {*arguments}:
        print(__doc__)
        return 0
    files = [argument for argument in arguments if not argument.startswith("-")]
    try:
        decided = decide(load(), pd.concat(map(_rows, files), ignore_index=True) if files else None)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(decided.to_csv(index=False) if "--csv" in arguments else as_text(decided), end="")
    return 0


def as_text(decided: pd.DataFrame) -> str:
    """A Markdown table, and how many claims there are of each verdict."""
    lines = ["| claim | place | verdict | because |", "| --- | --- | --- | --- |"]
    for line in decided.itertuples():
        cells = (f"{line.claim} (`{line.id}`)", f"{line.paper}, {line.place}", line.verdict, line.because)
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    counts = ", ".join(f"{count} {verdict}" for verdict, count in decided["verdict"].value_counts().items())
    return "\n".join([*lines, "", f"{len(decided)} claims: {counts}.", ""])


def _rows(file: str) -> pd.DataFrame:
    if not Path(file).exists():
        raise UserError(f"There is no file {file}. Give a parquet file of rows, or nothing.")
    return pd.read_parquet(file)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
