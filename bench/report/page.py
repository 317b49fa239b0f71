"""All documents of a folder as one page that needs no other file: figures, tables, curves and a gallery of heatmaps."""

from base64 import b64encode
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from pathlib import Path

from bench.figures.lines import look
from bench.papers import contradictions
from bench.report.document import Document
from bench.report.exhibits import explorer
from bench.report.exhibits.exhibit import TOP, Figure
from bench.report.table import Table
from bench.report.templates import environment
from bench.text import natural, slug

VERDICTS = {
    "agrees": "✓",
    "differs": "✗",
    "holds": "✓",
    "does not hold": "✗",
    "cannot tell": "?",
    "cannot fail": "∅",
    "design only": "◇",
    "derived": "=",
    "not run": "○",
    "not readable": "…",
    "impossible": "⊘",
}


@dataclass(frozen=True)
class Tab:
    """A confidence split and its tables."""

    name: str
    title: str
    tables: list[Table]


@dataclass(frozen=True)
class Section:
    """A document, or one network's part of it."""

    id: str
    title: str
    document: Document
    tables: list[Table]

    @property
    def tabs(self) -> list[Tab]:
        """One per confidence split, in the tables' order; one for all of them where they are of none."""
        found = {}
        for table in self.tables:
            found.setdefault(table.of[3] if table.of else "all", []).append(table)
        return [Tab(name, SPLITS.get(name, name), tables) for name, tables in found.items()]

    @property
    def figures(self) -> list[Figure]:
        return [figure for figure in self.document.figures if figure.place == TOP]

    @property
    def files(self) -> list[str]:
        """Beside the page."""
        own = [f"{self.document.name}.{ending}" for ending in ("md", "csv", "tex", "json")]
        return own + [file for figure in self.document.figures for file in figure.files]

    @property
    def verdicts(self) -> dict[str, int]:
        """How often each was said, the known ones first."""
        said = Counter(e.verdict for table in self.tables for row in table.rows for e in row if e.verdict)
        return {word: said[word] for word in [*VERDICTS, *said] if word in said}

    @property
    def run(self) -> tuple[int, int] | None:
        """How many rows of a table have been run, of how many; None of a study."""
        numbers = self.document.numbers
        if not {"data", "model", "metric", "row", "run_id"} <= set(numbers):
            return None
        cells = numbers.drop_duplicates(["data", "model", "method", "metric", "row"])
        return int(cells["run_id"].notna().sum()), len(cells)

    def contradictions(self, folder: Path) -> dict[int, tuple[str, str | None]]:
        """Title and place of every entry of docs/contradictions.md that touches a number here."""
        entries, touching = contradictions.entries(), {n for table in self.tables for n in table.contradictions}
        return {n: (entries[n].title, contradictions.href(n, folder)) for n in sorted(touching & set(entries))}


SPLITS = {"all": "All images", "low": "Low confidence", "high": "High confidence"}


def write(folder: Path, everything: Document) -> Path:
    """<folder>/index.html, of a document on all rows and of all others that lie there."""
    files = sorted(folder.glob("*.json"), key=lambda file: natural(file.stem))
    files.sort(key=lambda file: file.stem != "claims")  # is the paper right? is asked before by how much
    others = [Document.load(file) for file in files if file.stem != everything.name]
    drawn = [figure for figure in everything.figures if figure.svg or figure.html]
    places = groupby(sorted(drawn, key=lambda figure: figure.place != TOP), lambda figure: figure.place)
    figures = {place: list(part) for place, part in places}
    templates = environment()
    script = "".join(templates.get_template(name).render() for name in ("page.js", "explorer.js"))
    html = templates.get_template("page.html").render(
        script=script,
        script_digest=b64encode(sha256(script.encode()).digest()).decode(),  # a browser runs no other
        everything=everything,
        documents=[Section(f"experiment-{slug(d.name)}", d.title, d, d.tables) for d in others],
        networks=_networks(everything),
        explore=figures.pop(explorer.PLACE, []),
        glance=figures.pop(TOP, []),
        places=figures,
        files=[figure for figure in everything.figures if figure.files and figure not in drawn],
        folder=folder,
        symbols=VERDICTS,
        style=look,
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "index.html"
    path.write_text(html, encoding="utf-8")
    return path


def _networks(everything: Document) -> list[Section]:
    """By data and network."""
    found = {}
    for table in everything.tables:
        found.setdefault((table.of[0], table.of[1]), []).append(table)
    return [
        Section(f"rows-{slug(data, model)}", f"{model} on {data}", everything, tables)
        for (data, model), tables in found.items()
    ]
