"""What an exhibit is: a file of this folder with a function that makes figures of a report.

    def exhibit(lines: pd.DataFrame, runs: dict[str, dict], plan: DictConfig | None, found: Found) -> Iterable[Figure]

lines: the report's, as bench.report.lines has them, and `kind`, what a quantity is. runs: the records that it draws on, by
run id. plan: the experiment, None of a report on all rows. Every file of the folder that has such a function is asked; its
figures come in the order of the files' names, and those of one place stand together. A file that takes long says a TURN (0
if it says none): the higher it is the later it is asked, while pictures of the others are drawn.
"""

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import quote

import pandas as pd
from omegaconf import DictConfig

from bench.report import means
from bench.report.curves import SIDES, RunCurves
from bench.report.drawing import checked

TOP = "At a glance"  # the place above the tables; any other is a section of its own, below them


def at_once(write: Callable[..., list[Path]], stem: Path, *what) -> list[Path]:
    """The files of a picture, when they are there; bench.figures.apart draws while the report goes on."""
    return write(stem, *what)


@dataclass(frozen=True)
class Found:
    """What a report was made from."""

    cfg: DictConfig
    overrides: list[str]  # the command line
    results: Path
    rows: pd.DataFrame  # bench.store.rows.load_rows's
    runs: dict[str, dict]
    lines: pd.DataFrame
    labels: Mapping[str, str] = field(default_factory=dict)  # {run_id: what tells it from another run of its cell}
    matching: Mapping = field(default_factory=dict)  # {(network, metric): {row: its runs}}
    draw: Callable[..., list[Path]] = (
        at_once  # of a picture that is one of many: draw(write, stem, …) is write(stem, …)
    )

    @property
    def folder(self) -> Path:
        """Where the report lies."""
        return self.results / "report"

    @functools.cached_property
    def images(self) -> dict[str, pd.DataFrame]:
        """The scored images of each run."""
        return means.by_image(self.rows)

    @functools.cached_property
    def curves(self) -> RunCurves:
        """Of all runs, read when they are first asked for."""
        curved = self.lines[self.lines["quantity"].isin(SIDES)]["run_id"].nunique()
        return RunCurves(self.results, self.rows, self.images, self.cfg.report.threshold, curved)


@dataclass(frozen=True)
class Figure:
    """Pictures with one legend; or a piece of a page, which is the page's alone and is not kept with the report."""

    title: str
    place: str = TOP
    files: tuple[str, ...] = ()  # beside the report
    svg: tuple[tuple[str, str], ...] = ()  # what it shows, in words; <svg>
    legend: tuple[tuple[int, str], ...] = ()  # index of style, name
    html: str = ""
    about: str = ""  # what stands above the figures of this place
    notes: tuple[str, ...] = ()  # for the report's notes: what the figure lacks

    @property
    def links(self) -> str:
        """To its files, in Markdown."""
        return ", ".join(f"[{Path(file).suffix[1:].upper()}]({quote(file)})" for file in self.files)

    def plain(self) -> dict:
        """As JSON can say it."""
        return {name: value for name, value in asdict(self).items() if name != "html"}

    @classmethod
    def of(cls, plain: dict) -> "Figure":
        """ValueError: a drawing is not one of ours."""
        pairs = {name: tuple(map(tuple, plain[name])) for name in ("svg", "legend")}
        pairs["svg"] = tuple((words, checked(svg)) for words, svg in pairs["svg"])
        plain = {name: value for name, value in plain.items() if name != "html"}
        return cls(**plain | pairs | {name: tuple(plain[name]) for name in ("files", "notes")})


def figures(lines: pd.DataFrame, runs: dict[str, dict], plan: DictConfig | None, found: Found) -> list[Figure]:
    """All that the exhibits of this folder make of a report."""
    package = importlib.import_module(__package__)
    names = sorted(file.name for file in pkgutil.iter_modules(package.__path__))
    modules = {name: importlib.import_module(f"{__package__}.{name}") for name in names}
    made = {
        name: list(module.exhibit(lines, runs, plan, found))
        for name, module in sorted(modules.items(), key=lambda item: getattr(item[1], "TURN", 0))
        if hasattr(module, "exhibit")
    }
    return [figure for name in sorted(made) for figure in made[name]]
