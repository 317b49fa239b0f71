"""What all drawings share: ink, colours, files for a paper, and <svg> for a page."""

import io
import re
from pathlib import Path

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")  # Okabe and Ito: for every colour vision
INK = "#1b1f24"  # of text and axes; the page puts its own in its place
DPI = 200
FOR_PAPER = {"pdf.fonttype": 42, "text.usetex": False, "text.parse_math": False}  # a name is text, whatever is in it
CLEANING = {  # what matplotlib writes: what a page needs of it
    r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->": "",
    r'<svg [^>]*?(viewBox="[^"]*")[^>]*>': r'<svg \1 aria-hidden="true">',
    r'<g id="line:([^"]*)"': r'<g data-line="\1"',
    r'<g id="[^"]*"': "<g",
    r"font-family: [^;]*; ": "",
    r"(?<=\d\.\d)\d+(?=[^<>]*>)": "",  # of coordinates, not of text: a tenth of a point is enough
    r"\s+": " ",
    r"> <": ">\n<",
    INK: "currentColor",
}


def save(figure: Figure, stem: Path) -> list[Path]:
    """<stem>.png and <stem>.pdf; the same picture, the same files."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    png, pdf = files(stem)
    FigureCanvasAgg(figure).print_png(png)  # savefig would draw each file twice, the first time for its layout
    figure.set_layout_engine("none")  # laid out once, not once for each file
    FigureCanvasPdf(figure).print_pdf(pdf, metadata={"CreationDate": None})
    return [png, pdf]


def files(stem: Path) -> list[Path]:
    """<stem>.png and <stem>.pdf; a name may hold a dot."""
    return [stem.with_name(f"{stem.name}.{ending}") for ending in ("png", "pdf")]


def svg(figure: Figure) -> str:
    """An <svg> to stand in a page: text is text in the page's colour and font."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    for pattern, replacement in CLEANING.items():
        text = re.sub(pattern, replacement, text, flags=re.DOTALL)
    return text.strip()


def rc(salt: str):
    """One ink for all that is not data; text stays text; the same figure is the same file."""
    inks = ("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color")
    return rc_context(
        dict.fromkeys(inks, INK) | {"svg.fonttype": "none", "svg.hashsalt": salt, "path.snap": False} | FOR_PAPER
    )
