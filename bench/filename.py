"""Names of files: which are safe ones, and the one that belongs to an image."""

import hashlib
import re

LONGEST = 255 - 12  # bytes of a file name; 12 are for what a file is called while it is written
SEPARATORS = r"[/\\\0]"


def plain(name: str) -> bool:
    """Whether it is a file's own name, and no way to another folder."""
    return name not in ("", ".", "..") and not re.search(SEPARATORS, name)


def of_image(image: str, suffix: str) -> str:
    """Its id and the suffix; of an id that is too long for a file name, or holds a folder's separator, the start of it and a
    digest of the whole.
    """
    name = f"{image}{suffix}"
    if len(name.encode()) <= LONGEST and plain(name):
        return name
    end = f"-{hashlib.sha256(image.encode()).hexdigest()[:16]}{suffix}"
    start = re.sub(SEPARATORS, "_", image).encode()[: LONGEST - len(end.encode())]
    return start.decode(errors="ignore") + end
