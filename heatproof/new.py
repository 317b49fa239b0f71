"""heatproof new method NAME, heatproof new metric NAME: NAME.py, conf/method/NAME.yaml and tests/test_NAME.py to begin with.

They are written into the working folder, and run as they stand: heatproof run method=NAME; pytest.
"""

import builtins
import importlib.util
import keyword
import re
from pathlib import Path
from string import Template

from bench.choices import CONF, OWN
from bench.cli import command
from bench.errors import UserError

TEMPLATES = Path(__file__).with_name("templates")
KINDS = ("method", "metric")
NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")


def main(arguments: list[str]) -> None:
    if len(arguments) != 2 or arguments[0] not in KINDS:
        raise UserError("expected heatproof new method NAME, or heatproof new metric NAME.")
    kind, name = arguments
    for file in written(kind, name):
        print(file)
    choice = f"method={name}" if kind == "method" else f"'metric=[{name}]'"
    print(
        f"\nIt runs: heatproof run {choice} model=tiny data=synthetic data.limit=4\nIts test: pytest tests/test_{name}.py"
    )


def written(kind: str, name: str, folder: Path = Path()) -> list[Path]:
    """The files, new in this folder. UserError: the name cannot be, or one of them is there; then none is written."""
    check(kind, name)
    files = {
        folder / f"{name}.py": f"{kind}.py.txt",
        folder / OWN / kind / f"{name}.yaml": f"{kind}.yaml.txt",
        folder / "tests" / f"test_{name}.py": f"test_{kind}.py.txt",
    }
    for file in files:
        if file.exists():
            raise UserError(f"{file} is there already: take another name, or move it away.")
    for file, template in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        text = Template((TEMPLATES / template).read_text(encoding="utf-8")).substitute(name=name)
        file.write_text(text, encoding="utf-8")
    return list(files)


def check(kind: str, name: str) -> None:
    """UserError: no name of a module and a function, or somebody else's."""
    if not NAME.fullmatch(name) or keyword.iskeyword(name) or keyword.issoftkeyword(name) or hasattr(builtins, name):
        raise UserError(f"{name}: expected a name of small letters, digits and _, such as my_{kind}.")
    if (CONF / kind / f"{name}.yaml").exists():
        raise UserError(f"{name} is a {kind} that Heatproof has (heatproof list {kind}s); take another name.")
    spec = importlib.util.find_spec(name)
    if spec is not None and Path.cwd() not in Path(spec.origin or "").parents:
        raise UserError(f"{name} is a module that Python would import instead ({spec.origin}); take another name.")


if __name__ == "__main__":
    command(__doc__, main)
