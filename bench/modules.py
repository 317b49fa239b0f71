"""Where the source of a module lies, found without importing anything: names in a stranger's record are looked up, too."""

import importlib.util
from pathlib import Path


def source(module: str) -> Path | None:
    """The file of a module or package; None if there is none, or no Python file."""
    top, *rest = module.split(".")
    if not all(part.isidentifier() for part in (top, *rest)):
        return None
    try:
        spec = importlib.util.find_spec(top)  # imports nothing, as the name has no dot
    except ValueError:  # of what is no module but calls itself one, such as __main__
        return None
    if spec is None:
        return None
    if not rest:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    for place in spec.submodule_search_locations or ():
        for file in (Path(place, *rest, "__init__.py"), Path(place, *rest).with_suffix(".py")):
            if file.is_file():
                return file
    return None
