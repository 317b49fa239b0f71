"""What a notebook shows of a result."""

import contextlib
import html as escaping
import io
import sys
from collections.abc import Iterator

from matplotlib.figure import Figure

from bench.report.document import Document
from bench.report.table import Entry, Table


def html(document: Document) -> str:
    """The tables over all images, those of the confidence splits behind a click, and what is to be said of them."""
    first = [_table(table) for table in document.tables if table.of and table.of[3] == "all"]
    rest = [_table(table) for table in document.tables if not table.of or table.of[3] != "all"]
    more = f"<details><summary>By the network's confidence</summary>{''.join(rest)}</details>" if rest else ""
    said = "".join(f"<p>{escaping.escape(line)}</p>" for line in [*document.facts, *document.notes])
    return f"<div>{''.join(first)}{said}{more}</div>"


def _table(table: Table) -> str:
    head = "".join(f"<th>{escaping.escape(column.name)}</th>" for column in table.columns)
    rows = "".join(f"<tr>{''.join(map(_entry, row))}</tr>" for row in table.rows)
    below = "".join(f"<p>{escaping.escape(line)}</p>" for line in table.below)
    title = f"<caption>{escaping.escape(table.title)}</caption>"
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{below}"


def _entry(entry: Entry) -> str:
    text = escaping.escape(entry.text)
    return f"<td>{f'<b>{text} *</b>' if entry.bold else text + ' †' * entry.dagger}</td>"


def shown(figure: Figure) -> Figure:
    """The figure, which a notebook shows where it is the last value of a cell, with or without pyplot."""
    kernel = sys.modules.get("IPython")
    shell = kernel.get_ipython() if kernel else None
    if shell is not None:
        shell.display_formatter.formatters["image/png"].for_type(Figure, _png)
    return figure


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", bbox_inches="tight")
    return file.getvalue()


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Without the lines and bars of a run."""
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        yield
