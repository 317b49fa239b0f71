"""Numbers in sentences, and numbers among words."""

import re


def plural(n: int, noun: str) -> str:
    """'1 image', '1,000 images', '2 passes'."""
    many = noun + ("es" if noun.endswith("s") else "s")
    return f"{n:,} {noun if n == 1 else many}"


def a_kind(value: object) -> str:
    """'a str', 'an int': what kind of thing it is."""
    kind = type(value).__name__
    return f"{'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind}"


def one_line(error: object, most: int) -> str:
    """What an error says, in one line of at most so many letters."""
    return " ".join(str(error).split())[:most]


def number(text: str) -> float | None:
    """10.0 of '10'; None of a word."""
    try:
        return float(text)
    except ValueError:
        return None


def slug(*names: str) -> str:
    """Names as part of a file's name."""
    return re.sub(r"[^\w.-]+", "-", "_".join(names))


def called(network: str) -> str:
    """A network's name as part of a file's: of a folder its last part, of a hub's id owner--name."""
    if network.startswith(("/", "./", "../", "~")):
        network = network.rstrip("/").rpartition("/")[2]
    return network.replace("/", "--")


def natural(name: str) -> list:
    """A key to sort by: la_table9 before la_table10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name)]


def duration(seconds: float) -> str:
    """'12 s', '3 min', '5.2 h'."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
