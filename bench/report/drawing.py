"""Is a drawing one of ours? A report's JSON holds its pictures as <svg>, which pages take in as they are, and the file may
be anybody's: a drawing may hold shapes, text and references to its own parts, and nothing else.
"""

import re

from bench.markup import tree

ELEMENTS = {"svg", "g", "defs", "path", "use", "text", "tspan", "clipPath", "rect"}
LOOKS = {
    "style",
    "x",
    "y",
    "d",
    "transform",
    "clip-path",
    "id",
    "data-line",
    "viewBox",
    "aria-hidden",
    "width",
    "height",
}
LINK = "{http://www.w3.org/1999/xlink}href"
WITHOUT = re.compile(r"<[!?]|url\((?!#)", re.I)  # comments, CDATA, instructions; what is fetched


def checked(svg: str) -> str:
    """The drawing as it is. ValueError: it holds what ours never do."""
    if found := WITHOUT.search(svg):
        raise ValueError(f"a drawing holds {found[0]!r}")
    whole = tree(f'<x xmlns:xlink="http://www.w3.org/1999/xlink">{svg}</x>'.encode())
    for element in [part for drawing in whole for part in drawing.iter()]:
        if element.tag not in ELEMENTS:
            raise ValueError(f"a drawing holds <{element.tag}>")
        for name, value in element.attrib.items():
            if name not in LOOKS and not (name == LINK and value.startswith("#")):
                raise ValueError(f"a drawing holds {name}={value!r}")
    return svg
