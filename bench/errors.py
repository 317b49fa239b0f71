"""What a user can put right: said in one sentence, without a traceback."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A wrong name, file or setting. The message names the culprit and the cure; `bench.run` prints it and exits 1."""


class Refused(UserError):
    """A method that cannot explain this network; the message says why."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """' Did you mean a, b?' or nothing."""
    close = difflib.get_close_matches(name, list(known), n=3)
    return f" Did you mean {', '.join(close)}?" if close else ""
