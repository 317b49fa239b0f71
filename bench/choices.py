"""What there is to choose from: the yamls of conf/, and those of the user's own beside them, which Hydra is not the first to
read: of most mistakes it says less than where they are.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from bench.errors import UserError, did_you_mean
from bench.text import a_kind, natural

CODE = Path(__file__).resolve().parent.parent  # where bench, methods and metrics lie
PACKED = CODE / "heatproof" / "files"  # what a wheel carries of the folders that lie beside the code in a checkout
ROOT = PACKED if PACKED.is_dir() else CODE
CONF = ROOT / "conf"
OWN = "conf"  # of the working folder: yamls that are found beside ours
SEE = {group: f" `heatproof list {group}s` has them all." for group in ("method", "metric", "model", "experiment")}


def own() -> Path | None:
    """The folder with yamls of the user's own, if the working folder has one."""
    place = Path.cwd() / OWN
    return place if place.is_dir() and place.resolve() != CONF else None


def file(group: str, name: str) -> Path:
    """Of a choice: ours, else one of the user's own. It may not be there."""
    ours, place = CONF / group / f"{name}.yaml", own()
    return ours if ours.exists() or place is None else place / group / f"{name}.yaml"


def files(group: str) -> dict[str, Path]:
    """{name: its yaml}, in natural order, the user's own among them.  group: a folder of conf/."""
    folders = [place / group for place in (own(), CONF) if place]  # of one name ours counts
    return dict(sorted(((file.stem, file) for f in folders for file in f.glob("*.yaml")), key=lambda n: natural(n[0])))


def own_files() -> list[Path]:
    """The yamls of the user's own, of all groups."""
    place = own()
    return sorted(place.rglob("*.yaml")) if place else []


def stamps() -> tuple[tuple[Path, int], ...]:
    """Which yamls of the user's own there are, and when each was written."""
    return tuple((path, path.stat().st_mtime_ns) for path in own_files())


def unmistaken(choices: Mapping[str, str | None], metrics: Iterable[str]) -> None:
    """UserError: a file of the user's own that was chosen has the name of one of ours, which would be taken in its place."""
    place = own()
    names = [(str(group), str(name)) for group, name in choices.items()] + [("metric", str(name)) for name in metrics]
    for group, name in names if place else ():
        theirs, ours = place / group / f"{name}.yaml", CONF / group / f"{name}.yaml"
        if theirs.is_file() and ours.is_file() and theirs.read_bytes() != ours.read_bytes():
            raise UserError(
                f"{OWN}/{group}/{name}.yaml has the name of a file of Heatproof's own; give it another one."
            )


def named(group: str, value: str) -> None:
    """UserError: a name that no file of this group has.  value: as typed; what is more than names is left to Hydra."""
    if re.fullmatch(r"[\w./~-]*[./][\w./~-]*", value) and ("." in value or not file(group, value).exists()):
        meant = f" The weights of a network are model.weights={value}." if group == "model" else SEE.get(group, "")
        raise UserError(f"{group}={value}: expected a name, not a path.{meant}")
    if not re.fullmatch(r"\[?[\w, -]+\]?", value):
        return
    for name in (word.strip() for word in value.strip("[]").split(",")):
        if not name:
            continue
        if (found := file(group, name)).exists():
            if CONF not in found.parents:
                _readable(group, name, found)
        else:
            hint = did_you_mean(name, files(group)) or SEE.get(group, "")
            raise UserError(f"{group}={name}: there is no such {group}.{hint}")


def _readable(group: str, name: str, found: Path) -> None:
    """UserError: a file of the user's own is none that a choice can be made of."""
    settings = settings_of(found)
    if group == "metric" and not {name, "metric", "defaults"} & {*settings}:
        raise UserError(f"{found}: a metric's settings stand under its name; expected the key {name}, and them below.")


def settings_of(file: Path) -> dict:
    """The keys in a file. UserError: it cannot be read, is no yaml, or holds something else."""
    try:
        tree = yaml.safe_load(file.read_bytes().decode("utf-8"))
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is in another encoding than UTF-8; save it as UTF-8.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{file}{line}: this is no yaml ({getattr(error, 'problem', None) or error}).") from error
    if not isinstance(tree, dict):
        kind = "nothing" if tree is None else a_kind(tree)
        raise UserError(f"{file} holds {kind}: expected keys and values, such as _target_: mine.mine.")
    return tree
