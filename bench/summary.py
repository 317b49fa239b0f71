"""The means of a run, printed when it ends."""

import pyarrow.compute as pc

from bench.cell import Cell


def summary(cell: Cell) -> tuple[str, int]:
    """One line a metric, over the images that this process was asked for; and how many of them failed."""
    lines, failed = [], set()
    for metric in cell.metrics:
        rows = cell.rows(metric).read()
        rows = rows.filter(pc.is_in(rows["image_id"], pc.cast(cell.ids, "string")))
        ok = rows.filter(pc.equal(rows["status"], "ok"))
        failed |= set(rows["image_id"].to_pylist()) - set(ok["image_id"].to_pylist())
        means = {name: pc.mean(ok[name]).as_py() for name in ("insertion", "deletion", "score")}
        if means["insertion"] is not None:
            means["gap"] = means["insertion"] - means["deletion"]
        shown = "  ".join(f"{name} {value:.4f}" for name, value in means.items() if value is not None)
        lines.append(f"{metric:20} n {len(ok):5}  {shown or 'no scores'}")
    lines.append(f"Rows: {cell.results / 'rows'}")
    return "\n".join(lines), len(failed)
