"""Numbers in sentences."""


def count(n: int, noun: str) -> str:
    """'1 image', '1,000 images', '2 passes'."""
    plural = noun + ("es" if noun.endswith("s") else "s")
    return f"{n:,} {noun if n == 1 else plural}"
