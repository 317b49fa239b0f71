"""In which order images are taken, so that wherever it is cut off there is a fair sample; and in what pieces."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from bench.rng import lots


def fair(ids: Sequence[str], labels: Mapping[str, int | None], seed: int) -> list[str]:
    """In rounds: of each class one image, then of each another one, as long as it has any. Which, and in what order within a
    round, is drawn from the seed and does not depend on which others there are.
    """
    lot = dict(zip(ids, lots(seed, "bench.reference", ids), strict=True))
    turn, seen = {}, Counter[int | None]()
    for image in sorted(ids, key=lambda image: lot[image]):
        turn[image] = seen[labels[image]]
        seen[labels[image]] += 1
    return sorted(ids, key=lambda image: (turn[image], lot[image]))


def pieces(n: int, size: int, borders: Collection[int] = ()) -> list[range]:
    """0 … n − 1 in stretches of at most `size`, as even as can be, none across a border."""
    ends = sorted({end for end in borders if 0 < end < n} | {n})
    found = []
    for start, end in zip([0, *ends], ends, strict=False):
        count = -(-(end - start) // size)
        cuts = [end - (end - start) * (count - k) // count for k in range(count + 1)]
        found += [range(a, b) for a, b in zip(cuts, cuts[1:], strict=False)]
    return found
