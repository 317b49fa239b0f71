"""Numbers in sentences, and numbers among words."""


def plural(n: int, noun: str) -> str:
    """'1 image', '1,000 images', '2 passes'."""
    many = noun + ("es" if noun.endswith("s") else "s")
    return f"{n:,} {noun if n == 1 else many}"


def number(text: str) -> float | None:
    """10.0 of '10'; None of a word."""
    try:
        return float(text)
    except ValueError:
        return None
