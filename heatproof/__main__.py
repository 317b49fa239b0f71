"""The command `heatproof`: a word that says what is to be done, and what that takes. `python -m heatproof` is the same."""

import importlib.util
import os
import runpy
import sys

from bench import __version__
from bench.errors import did_you_mean

COMMANDS = {  # command: (what `python -m` would be given, in a line what it does); one whose module is not there is left out
    "run": ("bench.run", "attribute, score, store: method=la model=resnet50 data=folder data.root=DIR; -m sweeps"),
    "report": ("bench.report", "tables, figures and a page of the rows that are there"),
    "claims": ("bench.claims", "what the papers claim, and whether it is so"),
    "sanity": ("bench.sanity", "do maps change when the network forgets?"),
    "status": ("bench.status", "how far a sweep is"),
    "verify": ("bench.verify", "are the numbers of a results folder those that its records make?"),
    "profile": ("bench.profile", "what a run costs, and where"),
    "compare": ("bench.compare", "your method among rows that others have made: is it better?"),
    "merge": ("bench.store merge", "several results folders to one"),
    "export": ("heatproof.export", "a results folder to a data set that can be shared"),
    "demo": ("heatproof.demo", "heatmaps and a table from a pretrained network, on photographs, in minutes"),
    "list": ("heatproof.catalogue", "methods | metrics | models | data | experiments, a line each"),
    "new": ("heatproof.new", "method NAME | metric NAME: the files of one, to begin with, and its test"),
    "completion": ("heatproof.completion", "bash | zsh | fish: a script that completes this command"),
}


def main() -> None:
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage())
        return
    if words[0] == "--version":
        print(__version__)
        return
    name, known = words[0], there()
    if name not in known:
        sys.exit(f"error: heatproof has no command {name}.{did_you_mean(name, known)} `heatproof --help` lists them.")
    importable()
    module, *before = COMMANDS[name][0].split()
    sys.argv = [f"heatproof {name}", *before, *words[1:]]
    runpy.run_module(module, run_name="__main__")


def there() -> dict[str, str]:
    """{command: what it does}, of those whose modules are there."""
    return {name: about for name, (words, about) in COMMANDS.items() if _runnable(words.split()[0])}


def usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  heatproof {name:{width}}  {about}" for name, about in there().items()]
    return "\n".join([f"Heatproof {__version__}: puts attribution heatmaps to the proof.\n", *lines])


def importable() -> None:
    """Modules in the working folder can be imported, as by `python -m`; libraries that have their names come first."""
    here = os.getcwd()
    if not {here, ""} & {*sys.path}:
        sys.path.append(here)


def _runnable(module: str) -> bool:
    spec = importlib.util.find_spec(module)
    package = spec is not None and spec.submodule_search_locations is not None
    return importlib.util.find_spec(f"{module}.__main__") is not None if package else spec is not None


if __name__ == "__main__":
    main()
