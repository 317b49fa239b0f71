"""The code behind a builder, as far as it can change a number.

What ships is known by a version of its numbers (shipped.yaml: builder -> version, digest). A method, metric or network that
is not what shipped, a user's own or an edited one, is known by the digest of its syntax tree and of the modules of its own
that it imports; comments, docstrings, layout and place do not count.

    python -m bench.store.code      writes shipped.yaml anew, versions kept: after a change that changes no number
"""

import ast
import functools
import hashlib
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import yaml

from bench.choices import CONF, own_files, settings_of
from bench.errors import UserError

SHIPPED = Path(__file__).with_name("shipped.yaml")
ASIDE = ("QUANTITIES", "DRAWS")  # what a metric says of its numbers, for reports: no number comes from it
OURS = ("bench", "methods", "metrics")
LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
INSTALLED = ("site-packages", "dist-packages")  # folders of libraries, the user's and the system's too
METADATA = "*.dist-info"  # what an installer leaves beside a library wherever it puts it, as by pip install --target


@functools.cache
def version(target: str) -> int | str:
    """Of the builder at this import path: the version of its numbers if it is what shipped, else a digest of its code."""
    known = shipped().get(name(target), {})
    now = digest(target)
    return known["version"] if known.get("digest") == now else now


def digest(target: str) -> str:
    """Of the code at an import path; of a library's, its path alone: which release of it ran stands in the record."""
    module = None if _library(target) else _module(target)
    return _of_module(module) if module and _own(module) else target


def of_source(text: str) -> str:
    """Digest of a piece of code that lies in no module, a function of a notebook."""
    return hashlib.sha256(_told(ast.parse(text)).encode()).hexdigest()[:16]


def installed(module: str) -> bool:
    """Whether it belongs to a library; of its code the release stands in the record."""
    return module != "__main__" and (module.partition(".")[0] in sys.stdlib_module_names or _library(module))


def name(target: str) -> str:
    """Of a builder, without where it lies."""
    return target.rpartition(".")[2]


def versions(config: dict) -> dict[str, int | str]:
    """{builder: its version} of all that a configuration builds."""
    return {name(target): version(target) for target in targets(config)}


@functools.cache
def shipped() -> dict[str, dict]:
    """{builder: its version and digest}."""
    return yaml.safe_load(SHIPPED.read_text()) if SHIPPED.exists() else {}


def _module(target: str) -> str | None:
    """The longest part of an import path that is a module. Imports packages on the way, not the module itself."""
    found = None
    for k in range(1, target.count(".") + 2):
        part = ".".join(target.split(".")[:k])
        try:
            spec = importlib.util.find_spec(part)
        except (ImportError, ValueError):
            spec = None
        if spec is None:
            break
        found = part
        if spec.submodule_search_locations is None:
            break
    return found


@functools.cache
def _library(name: str) -> bool:
    """Whether its first part is a package that was installed; asked without importing anything."""
    top = name.partition(".")[0]
    spec = importlib.util.find_spec(top) if top else None
    return bool(spec and top not in OURS and _installed(spec.origin))


def _own(module: str) -> bool:
    """Whether it is a Python file that no library installed."""
    spec = importlib.util.find_spec(module)
    ours = module.split(".")[0] in OURS
    return bool(spec and (spec.origin or "").endswith(".py")) and (ours or not _installed(spec.origin or ""))


def _installed(file: str | None) -> bool:
    file = file or ""
    known = file.startswith(LIBRARIES) or bool({*INSTALLED} & {*Path(file).parts})
    return known or any(_of_libraries(folder) for folder in Path(file).parents)


@functools.cache
def _of_libraries(folder: Path) -> bool:
    """A project under work has no such thing beside it: an editable install leaves its metadata where libraries lie."""
    return next(folder.glob(METADATA), None) is not None


def _of_module(module: str) -> str:
    seen: dict[str, str] = {}
    _collect(module, seen)
    return hashlib.sha256("\n".join(sorted(seen.values())).encode()).hexdigest()[:16]


def _collect(module: str, seen: dict[str, str]) -> None:
    """Of a module and of all of its own that it imports: {module: digest}."""
    tree = ast.parse(Path(importlib.util.find_spec(module).origin).read_bytes())  # type: ignore[arg-type]
    seen[module] = hashlib.sha256(_told(tree).encode()).hexdigest()
    for name in _imports(tree, module):
        # the harness itself has one version, the protocol's
        if name not in seen and name.split(".")[0] != "bench" and _own(name):
            _collect(name, seen)


def _imports(tree: ast.AST, module: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            package = importlib.util.find_spec(module).parent
            base = importlib.util.resolve_name(base, package) if node.level else base
            named = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in named:
            if name.split(".")[0] not in sys.stdlib_module_names and not _library(name) and _module(name) == name:
                yield name


def _told(node: object) -> str:
    """A syntax tree in words that no Python version and no layout changes; without docstrings and where imports lie."""
    if isinstance(node, ast.ImportFrom | ast.Import):
        return "import " + " ".join(sorted(_bound(node, alias) for alias in node.names))
    if isinstance(node, ast.AST):
        fields = {name: value for name, value in ast.iter_fields(node) if value not in (None, [])}
        fields.pop("kind", None)
        if isinstance(node, ast.Module):
            fields["body"] = [part for part in node.body if not _aside(part)]
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(getattr(first.value, "value", None), str):
                fields["body"] = fields["body"][1:]
        return f"{type(node).__name__}({', '.join(f'{k}={_told(v)}' for k, v in sorted(fields.items()))})"
    return f"[{', '.join(map(_told, node))}]" if isinstance(node, list) else repr(node)


def _bound(node: ast.ImportFrom | ast.Import, alias: ast.alias) -> str:
    """What a name stands for after an import: of a library's the whole path; of one's own, whose modules are told by what is
    in them, wherever they lie, what it is called there.
    """
    absolute = isinstance(node, ast.Import) or not node.level
    path = f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
    if absolute and installed(path):
        return f"{path} as {alias.asname}" if alias.asname else path
    last = alias.name.rpartition(".")[2]
    return f"{last} as {alias.asname}" if alias.asname and isinstance(node, ast.ImportFrom) else alias.asname or last


def _aside(node: ast.AST) -> bool:
    of = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
    return getattr(of, "id", None) in ASIDE


def targets(tree: object) -> Iterator[str]:
    """Every `_target_` in a configuration."""
    if isinstance(tree, dict):
        if "_target_" in tree:
            yield tree["_target_"]
        for value in tree.values():
            yield from targets(value)


@functools.cache
def addresses() -> dict[str, str]:
    """{builder: where it lies} of all that conf/ builds."""
    files = sorted(file for group in ("model", "data", "method", "metric") for file in (CONF / group).glob("*.yaml"))
    found = {target for file in files for target in targets(yaml.safe_load(file.read_text()))}
    by_name = {name(target): target for target in sorted(found)}
    assert len(by_name) == len(found), "two builders share a name"
    return by_name


def of_the_user() -> set[str]:
    """What the user's own yamls build, in ./conf of the working folder."""
    found = set()
    for file in own_files():
        try:
            found |= set(targets(settings_of(file)))
        except UserError:  # one that cannot be read builds nothing
            continue
    return found


def current() -> dict[str, dict]:
    """What shipped.yaml should say of conf/."""
    return {
        name: {"version": shipped().get(name, {}).get("version", 1), "digest": digest(target)}
        for name, target in addresses().items()
    }


if __name__ == "__main__":
    SHIPPED.write_text(yaml.safe_dump(current()))
