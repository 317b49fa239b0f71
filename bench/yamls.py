"""A yaml of the user's own, read before Hydra reads it, which says of most mistakes less than where they are."""

from pathlib import Path

import yaml

from bench.errors import UserError
from bench.text import a_kind


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
