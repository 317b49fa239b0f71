"""Tables in LaTeX."""

import re

from bench.report.markdown import TOUCHED, flat
from bench.report.table import Entry, Table

NEEDS = r"needs \usepackage{booktabs}"


def written(table: Table) -> str:
    """A table environment; needs \\usepackage{booktabs} and nothing else."""
    header, rows = flat(table)
    lines = [" & ".join(_escape(name) for name in header) + r" \\", r"\midrule"]
    lines += [" & ".join(map(_entry, row)) + r" \\" for row in rows]
    said = f"{TOUCHED} (docs/contradictions.md): {', '.join(map(str, table.contradictions))}."
    columns = "l" + "r" * (len(header) - 1)
    return "\n".join([
        r"\begin{table}\centering\scriptsize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{_escape(table.title)}}}",
        rf"\makebox[\linewidth][c]{{\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        *lines,
        r"\bottomrule",
        r"\end{tabular}}",
        *(rf"\par {_escape(line)}" for line in [*table.below, *([said] if table.contradictions else [])]),
        r"\end{table}",
        "",
    ])  # fmt: skip


def _entry(entry: Entry) -> str:
    text = rf"\textbf{{{_escape(entry.text)}}}" if entry.bold else _escape(entry.text + " †" * entry.dagger)
    return text + (f"$^{{{','.join(map(str, entry.marks))}}}$" if entry.marks else "")


def comment(text: str) -> str:
    """A line that LaTeX passes over, whatever is in it."""
    return f"% {' '.join(text.split())}\n"


def _escape(text: str) -> str:
    """LaTeX's special characters, and the few others that our tables use."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {c: "\\" + c for c in "_%&#${}"}
    special |= {"±": r"$\pm$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "Δ": r"$\Delta$", "–": "--", "·": r"$\cdot$"}
    special |= {"†": r"$\dagger$", "τ": r"$\tau$"}
    special |= {"<": "$<$", ">": "$>$", "≥": r"$\geq$", "≤": r"$\leq$"}
    pattern = "|".join(map(re.escape, special)) + r"|(?<![\w.])-(?=\d)"  # a minus sign, not a hyphen
    escaped = re.sub(pattern, lambda match: special.get(match[0], "$-$"), " ".join(text.split()))
    return "{}" + escaped if escaped[:1] in ("[", "*") else escaped  # which would belong to the \\\\ before
