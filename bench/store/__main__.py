"""The store of rows, put in order: `python -m bench.store compact`, `python -m bench.store merge FROM… --into TO`

    python -m bench.store compact [RESULTS] [curves=false]
                                                     many small files of rows to few large ones (results, if not said);
                                                     without curves, a tenth of the size
    python -m bench.store merge FROM... --into TO    rows, records and maps of other results folders into one

Both can be cut short and started again, and do nothing the second time. A row that contradicts one that is there is named
and not taken, and the command exits with 1.
"""

from pathlib import Path

from bench.cli import command
from bench.errors import UserError
from bench.store.atomic import writable
from bench.store.compact import compact
from bench.store.merge import merge
from bench.text import plural


def main(arguments: list[str]) -> int:
    """Exit status."""
    what, *rest = arguments or [""]
    bare = [word for word in rest if word == "curves=false"]
    places = [word for word in rest if word not in bare]
    if what == "compact" and len(places) <= 1:
        return compacted(_results(places[0] if places else "results"), curves=not bare)
    if what == "merge" and rest.count("--into") == 1 and len(rest) > 2:
        at = rest.index("--into")
        into, sources = rest[at + 1 : at + 2], rest[:at] + rest[at + 2 :]
        if into and sources:
            return merged([_results(source) for source in sources], Path(into[0]).expanduser())
    raise UserError("expected: python -m bench.store compact [RESULTS] [curves=false], or merge FROM... --into TO.")


def compacted(results: Path, *, curves: bool = True) -> int:
    before, after, left = compact(results, curves=curves)
    print(f"{plural(before, 'file')} of rows before, {after:,} now.")
    if left:
        print(f"Left alone, as they are being computed: {', '.join(left)}.")
    return 0


def merged(sources: list[Path], into: Path) -> int:
    writable(into)
    refused = 0
    for source in sources:
        if source.resolve() == into.resolve():
            raise UserError(f"{source} is the folder that is merged into.")
        found = merge(source, into)
        print(
            f"{source}: {plural(found.rows, 'row')} taken, {found.known:,} there already; {plural(found.runs, 'record')} "
            f"and {plural(found.maps, 'map')} taken; {len(found.refused)} refused."
        )
        print(*(f"  {line}" for line in found.refused), sep="\n", end="\n" * bool(found.refused))
        refused += len(found.refused)
    return int(refused > 0)


def _results(name: str) -> Path:
    """UserError: no results are there."""
    results = Path(name).expanduser()
    if not (results / "rows").is_dir() and not (results / "attributions").is_dir():
        raise UserError(f"{results} holds no rows; name the folder that holds rows/ and runs/.")
    return results


if __name__ == "__main__":
    command(__doc__, main)
