"""The file that belongs to an image."""

import hashlib

LONGEST = 255 - 12  # bytes of a file name; 12 are for what a file is called while it is written


def of_image(image: str, suffix: str) -> str:
    """Its id and the suffix; of an id that is too long for a file name, the start of it and a digest of the whole."""
    name = f"{image}{suffix}"
    if len(name.encode()) <= LONGEST:
        return name
    end = f"-{hashlib.sha256(image.encode()).hexdigest()[:16]}{suffix}"
    return image.encode()[: LONGEST - len(end.encode())].decode(errors="ignore") + end
