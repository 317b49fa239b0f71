"""A document: what a report or a study has to say. It lies as NAME.json beside NAME.md, .csv and .tex, and pages read it."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pandas as pd

from bench.errors import UserError
from bench.report import latex, lines, markdown
from bench.report.exhibits.exhibit import TOP, Figure
from bench.report.table import Column, Entry, Table

FORMAT = 2  # of the JSON; a reader knows its own only


@dataclass
class Document:
    """numbers: what the CSV holds, with the lines' schema (bench/report/lines.py) or, of a study, columns of its own."""

    name: str
    title: str
    numbers: pd.DataFrame
    tables: list[Table] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)  # above the tables
    notes: list[str] = field(default_factory=list)  # below them
    figures: list[Figure] = field(default_factory=list)

    def save(self, folder: Path) -> list[Path]:
        """NAME.md, .csv, .tex and .json; the paths, in this order."""
        folder.mkdir(parents=True, exist_ok=True)
        contents = {
            "md": self._markdown(folder),
            "csv": self.numbers.to_csv(index=False, float_format="%.6g", lineterminator="\n"),
            "tex": self._latex(),
            "json": json.dumps(self._plain(), ensure_ascii=False, indent=1, allow_nan=False) + "\n",
        }
        paths = [folder / f"{self.name}.{ending}" for ending in contents]
        for path, text in zip(paths, contents.values(), strict=True):
            path.write_text(text, encoding="utf-8")
        return paths

    @classmethod
    def load(cls, file: Path) -> "Document":
        """UserError: a file that this version cannot read."""
        again = "make it again with python -m bench.report, or take it away"
        try:
            plain = json.loads(file.read_text(encoding="utf-8"))
            found = plain.pop("format", None) if isinstance(plain, dict) else None
        except ValueError:
            raise UserError(f"{file} is not a report of ours: {again}.") from None
        if found != FORMAT:
            raise UserError(f"{file} has the format {found}, and this version reads {FORMAT}: {again}.")
        try:
            schema, rows = plain.pop("schema"), plain.pop("numbers")
            numbers = lines.typed(pd.DataFrame(rows, columns=list(schema)), schema)
            tables = [_table(table) for table in plain.pop("tables")]
            figures = [Figure.of(figure) for figure in plain.pop("figures")]
            return cls(**plain, numbers=numbers, tables=tables, figures=figures)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{file} is of format {FORMAT} and yet not whole ({error}): {again}.") from error

    def _plain(self) -> dict:
        numbers = self.numbers.astype(object).where(self.numbers.notna(), None)
        return {
            "format": FORMAT,
            "name": self.name,
            "title": self.title,
            "facts": self.facts,
            "notes": self.notes,
            "tables": [asdict(table) for table in self.tables],
            "figures": [figure.plain() for figure in self.figures],
            "schema": lines.types(self.numbers),
            "numbers": numbers.to_numpy().tolist(),
        }

    def _markdown(self, folder: Path) -> str:
        shown = [figure for figure in self.figures if figure.place == TOP and figure.files]
        prose = markdown.prose
        parts = [f"# {prose(self.title)}\n", "".join(f"- {prose(fact)}\n" for fact in self.facts)]
        parts += ["".join(f"- {prose(figure.title)}: {figure.links}\n" for figure in shown)] if shown else []
        parts += [markdown.written(table) for table in self.tables]
        if self.notes:
            parts.append("## Notes\n\n" + "".join(f"{i}. {prose(note)}\n" for i, note in enumerate(self.notes, 1)))
        if ending := markdown.references((number for t in self.tables for number in t.contradictions), folder):
            parts.append(ending)
        return "\n".join(parts)

    def _latex(self) -> str:
        comments = [latex.comment(line) for line in [self.title, latex.NEEDS, *self.facts, *self.notes]]
        return "".join(comments) + "\n" + "\n".join(latex.written(table) for table in self.tables if not table.folded)


def _table(plain: dict) -> Table:
    rows = [[Entry(**entry | {"marks": tuple(entry["marks"])}) for entry in row] for row in plain["rows"]]
    columns = [Column(**column) for column in plain["columns"]]
    groups = [(title, span) for title, span in plain["groups"]]
    of = tuple(plain["of"]) if plain["of"] else None
    return Table(**plain | {"rows": rows, "columns": columns, "groups": groups, "of": of})
