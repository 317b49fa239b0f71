"""What the printed tables say of themselves: arithmetic, the same everywhere."""

from collections.abc import Iterator

import pandas as pd

from bench.papers.published import FOLDER
from bench.studies.contradictions.words import Finding

NETWORKS = ("inception_v3", "resnet50", "vgg16")
OTHER_SET = ("guided_ig", "eg", "deeplift", "sg")  # the rows of AII's Tables 5 and 6 that are of other images
SAME_SET = ("sm", "ig", "fast_ig", "big", "mfaba", "attexplore", "agi", "aii")
NUMBERS = (1, 2, 3, 4, 23, 24)  # of the entries


def of_the_tables() -> Iterator[tuple[int, Finding]]:
    u, f, kl = (pd.concat([printed("aii", part), printed("aii", whole)]) for part, whole in ((1, 5), (2, 6), (3, 7)))
    for name, table, metric, methods in (
        ("AII Tables 1 and 5", u, "unified.insertion", SAME_SET),
        ("AII Tables 2 and 6", f, "fair.insertion", SAME_SET),
        ("AII Tables 3 and 7", kl, "kl.insertion", SAME_SET + OTHER_SET),
    ):
        shares = " / ".join(f"{high_share(table, network, metric, methods):.3f}" for network in NETWORKS)
        yield 1, Finding(f"{name}: share of images with confidence ≥ 70 %, {' / '.join(NETWORKS)}", shares)
    for methods in (OTHER_SET, SAME_SET):
        wrong, cells = map(sum, zip(outside(u, "unified", methods), outside(f, "fair", methods), strict=True))
        yield (
            2,
            Finding(f"AII Tables 5, 6, {', '.join(methods)}: means of all outside [low, high]", f"{wrong} of {cells}"),
        )
    la = {table: printed("la", table) for table in (1, 3)}
    same = [la[3]["vgg16", m, q, "all"] == la[3]["maxvit_t", m, q, "all"] for m, q in rows(la[3])]
    yield 3, Finding("LA Table 3: cells of MaxViT-T equal to VGG16's", f"{sum(same)} of {len(same)}")
    shared = [key for key in la[3].index if key[0] in NETWORKS and key[1] in SAME_SET]
    same = [abs(la[3][key] - u[key]) < 0.00006 for key in shared]
    yield 4, Finding("AII Table 5: cells equal to LA Table 3's", f"{sum(same)} of {len(same)}")
    fps = printed("attexplore", 2)
    rates = {"ig": 50, "sg": 50, "attexplore": 200}  # forward and backward passes an image
    text = ", ".join(f"{m} {fps['', m, 'fps', 'all'] * n:.0f}" for m, n in rates.items())
    yield 23, Finding("AttEXplore Table 2: forward and backward passes a second that its images a second need", text)
    rivals = [m for m in la[1].index.unique("method") if m != "la"]
    for name, against in (("AGI, AttEXplore", ("agi", "attexplore")), ("all 11", rivals)):
        changes = " / ".join(
            f"{100 * relative_change(la[1], q, against):+.2f} %" for q in ("unified.insertion", "unified.deletion")
        )
        yield 24, Finding(f"LA Table 1: relative change of insertion / deletion against {name}", changes)


def printed(paper: str, table: int) -> pd.Series:
    """The values of a table that sweeps nothing, by (model, method, metric.quantity, confidence)."""
    values = pd.read_csv(
        FOLDER / f"{paper}_table{table}.csv", dtype={"value": float}, keep_default_na=False, na_values={"value": ""}
    )
    values["metric"] = (values["metric"] + "." + values["quantity"]).str.lstrip(".")
    return values.dropna(subset="value").set_index(["model", "method", "metric", "confidence"])["value"].sort_index()


def rows(table: pd.Series) -> list[tuple[str, str]]:
    return sorted({(method, metric) for _, method, metric, _ in table.index})


def high_share(table: pd.Series, network: str, metric: str, methods: tuple[str, ...]) -> float:
    """p of all = (1 - p) low + p high, by least squares over methods: the share of images with high confidence."""
    low, high, all_ = (
        table.loc[[(network, method, metric, split) for method in methods]].to_numpy()
        for split in ("low", "high", "all")
    )
    return float(((all_ - low) * (high - low)).sum() / ((high - low) ** 2).sum())


def outside(table: pd.Series, family: str, methods: tuple[str, ...]) -> tuple[int, int]:
    """How many means over all images are not between those of their parts, and how many there are."""
    cells = [(n, m, f"{family}.{q}") for n in NETWORKS for m in methods for q in ("insertion", "deletion")]
    splits = [[table[(*job, split)] for split in ("low", "all", "high")] for job in cells]
    return sum(not min(low, high) <= all_ <= max(low, high) for low, all_, high in splits), len(cells)


def relative_change(table: pd.Series, metric: str, against: tuple[str, ...]) -> float:
    """Of LA, (new - old) / old, mean over networks and the methods it is set against."""
    networks = table.index.unique("model")
    pairs = [(table[n, "la", metric, "all"], table[n, m, metric, "all"]) for n in networks for m in against]
    return sum((new - old) / old for new, old in pairs) / len(pairs)
