"""Image sources: what an image is, and which of them a run takes.

A source knows the ids of its images and loads one of them. Everything else is the same for all sources: `open_source`
picks the ids that a run was asked for, `stream` (beside this file) turns ids into batches. Where images come from is said
in conf/data/: `files` (pictures on disk), `imagenet`, `huggingface` and `synthetic`, beside this file too.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from bench.errors import UserError, did_you_mean
from bench.images.labels import composed, read_ids
from bench.images.preprocessing import Preprocessing
from bench.rng import lots
from bench.text import plural

SELECTION = ("ids", "subset", "sample", "limit")  # in the order in which they apply
MASKS = ("masks", "masks_path")  # bench/images/masks.py


class ImageError(Exception):
    """One image that cannot be read, in words that name it. The run goes on without it.

    fingerprint: of its bytes, if these could be had.
    """

    def __init__(self, message: str, fingerprint: str | None = None):
        super().__init__(message)
        self.fingerprint = fingerprint


@dataclass(frozen=True)
class Sample:
    id: str
    pixels: Tensor  # float32 [3, H, W], in [0, 1]
    fingerprint: str  # as the source's, of the very bytes that were decoded
    label: int | None = None  # class index
    mask: Tensor | None = None  # bool [H, W], where the labelled object is, if the source knows
    ignored: Tensor | None = None  # bool [H, W], outside of the mask: what is neither object nor ground
    size: tuple[int, int] | None = None  # width and height of the picture that it was made from, upright


@dataclass(frozen=True)
class Failure:
    id: str
    error: str
    fingerprint: str | None = None  # None: not even its bytes could be read


@dataclass(frozen=True)
class Batch:
    """`x` always holds `width` images, so that every pass has one shape: a short batch repeats its last image.

    Only the first len(ids) count. If every image of a batch is broken, ids is empty and x is [0, 3, 0, 0].
    """

    ids: list[str]
    x: Tensor  # float32 [width, 3, H, W], in [0, 1]
    labels: list[int | None]  # len(ids)
    masks: Tensor | None  # bool [width, H, W], or None: the source has none
    failures: list[Failure]
    ignored: Tensor | None = None  # likewise
    fingerprints: dict[str, str] = field(default_factory=dict)  # of images and of failures, as far as bytes were read
    stamps: dict[str, str] = field(default_factory=dict)  # likewise, where the source has stamps; older than the bytes

    @property
    def padded_ids(self) -> list[str]:
        """`width` ids: whose image lies at each place of x."""
        return self.ids + self.ids[-1:] * (len(self.x) - len(self.ids))


class Source(Protocol):
    ids: list[str]  # every image, each once, in natural order (9 before 10); safe as file names
    collection: str | None  # what tells these images from others of the same ids; None: the settings do
    classes: int | None  # how many classes the labels number, whether or not all occur; None: nobody knows
    # sources of pictures also say `crop`, whether these are cropped on their way, and the size of each in its Sample

    def label(self, id: str) -> int | None:
        """The class index, without reading the image."""

    def fingerprint(self, id: str) -> str:
        """sha256, in hex, of what the image is made from: other bytes or another label give another one.

        Never raises ImageError: an image that is gone has a fingerprint too, one that it loses when it comes back."""

    def stamp(self, id: str) -> str | None:
        """What changes with the fingerprint in all but odd cases, and is had without reading the image: size, time of
        change and label of its file. None where there is none: then the fingerprint itself is cheap, or the only way.
        """

    def load(self, id: str) -> Sample:
        """The image, preprocessed. Raises ImageError if it cannot be read."""


def open_source(
    cfg: DictConfig, preprocessing: Preprocessing, seed: int, given: Callable[..., Source] | None = None
) -> tuple[Source, list[str]]:
    """The source that `cfg` (the run's `data`) describes, and the ids that it selects from it.

    First `ids` (a list) or `subset` (a text file, one id a line), then `sample` (n at random), then `limit` (first n).
    given: what makes the source in place of its `_target_`.
    """
    settings: Any = OmegaConf.to_container(cfg, resolve=True)
    settings = {key: None if value == "???" else value for key, value in settings.items()}  # the source says what to do
    selection = {key: settings.pop(key, None) for key in SELECTION}
    masks = [settings.pop(key, None) for key in MASKS]
    # partial: Hydra would turn a dataclass among its arguments into a config, and wrap what a constructor raises
    build = given or instantiate(settings, _partial_=True, _convert_="all")
    try:
        source = build(preprocessing=preprocessing)
    except (TypeError, ValueError) as error:
        raise UserError(f"data: {error}; it was given {_shown(settings)}") from error
    if not source.ids:
        raise UserError(f"{settings['_target_']} found no images with {_shown(settings)}; check data.root")
    from bench.images.masks import masked  # which knows what a source is

    kind, place = masks
    return masked(source, kind, place, preprocessing), select(source.ids, seed, **selection)


def select(
    known: list[str], seed: int, *, ids: Any = None, subset: str | None = None, sample: Any = None, limit: Any = None
) -> list[str]:
    """The ids that a run takes, in the order asked for, else in the source's."""
    if ids is not None and subset is not None:
        raise UserError("data.ids and data.subset both name images; give one of them")
    chosen = known
    if ids is not None:
        chosen = _checked([_written(i, known) for i in (ids if isinstance(ids, list) else [ids])], known, "data.ids")
    if subset is not None:
        chosen = _checked(read_ids(Path(str(subset)).expanduser(), known), known, f"data.subset={subset}")
    if sample is not None:
        if (n := _count(sample, "data.sample")) > len(chosen):
            raise UserError(f"data.sample={n} asks for more than there are ({plural(len(chosen), 'image')}); lower it")
        # Every id has a lot of its own, so the draw knows no order, and a larger sample contains the smaller ones.
        lot = lots(seed, "data.sample", chosen)
        drawn = set(sorted(range(len(chosen)), key=lambda k: (lot[k], chosen[k]))[:n])
        chosen = [id for k, id in enumerate(chosen) if k in drawn]
    if limit is not None:
        chosen = chosen[: _count(limit, "data.limit")]
    return list(chosen)


def check_labels(source: Source, ids: Sequence[str], classes: int | None = None) -> None:
    """UserError: images whose label is to be explained have none, or one that the network's `classes` do not have."""
    labels = {id: source.label(id) for id in ids}
    missing = [id for id, label in labels.items() if label is None]
    beyond = [id for id, label in labels.items() if label is not None and classes is not None and label >= classes]
    for which, what in ((missing, "no label"), (beyond, f"a label beyond the network's {classes} classes")):
        if which:
            have = "has" if len(which) == 1 else "have"
            raise UserError(
                f"run.target=label, but {len(which):,} of {plural(len(labels), 'image')} {have} {what} "
                f"({', '.join(which[:3])}{', …' * (len(which) > 3)}): give labels, or use run.target=prediction"
            )


def duplicates(values: Iterable[Hashable]) -> list:
    """Values that occur more than once."""
    seen, twice = set(), {}  # type: ignore[var-annotated]
    for value in values:
        if value in seen:
            twice[value] = None
        seen.add(value)
    return list(twice)


def _checked(wanted: list[str], known: list[str], by: str) -> list[str]:
    if not wanted:
        raise UserError(f"{by} names no image")
    if twice := duplicates(map(composed, wanted)):
        raise UserError(f"{by} names {', '.join(twice[:5])} twice; name each image once")
    there = {composed(id): id for id in known} | {id: id for id in known}  # ä is ä in whichever of Unicode's forms
    found = [there.get(id) or there.get(composed(id)) for id in wanted]
    if strangers := [id for id, known_as in zip(wanted, found, strict=True) if known_as is None]:
        more = f" and {len(strangers) - 5} more" if len(strangers) > 5 else ""
        hint = did_you_mean(strangers[0], known) or f" Ids look like {', '.join(known[:3])}."
        raise UserError(f"{by} names {', '.join(strangers[:5])}{more}, which the source does not have.{hint}")
    return found  # type: ignore[return-value]


def _written(id: Any, known: list[str]) -> str:
    """An id as it was written, where YAML has read a number, a switch or nothing: 2007_000032, 1e5, null."""
    if isinstance(id, str):
        return id
    meant = [name for name in known if _read(name) == [(type(id), id)]]
    if len(meant) > 1:
        raise UserError(
            f"data.ids: {id} may be {' or '.join(meant[:5])}; put it in quotes: 'data.ids=[\"{meant[0]}\"]'"
        )
    return meant[0] if meant else str(id)


def _read(name: str) -> list[tuple[type, Any]]:
    """What YAML makes of a word that it may not take for text; else nothing."""
    if not re.fullmatch(r"[-+.\d][\w.+-]*|\d+(:\d+)+|~|(?i:null|true|false|yes|no|on|off)", name):
        return []
    return [(type(value), value) for value in OmegaConf.create(f"[{name}]")]


def _count(value: Any, by: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UserError(f"{by}={value} is not a number of images; give 1 or more, or null for all")
    return value


def _shown(settings: dict[str, Any]) -> str:
    return ", ".join(f"data.{k}={v}" for k, v in settings.items() if not k.startswith("_")) or "its settings"
