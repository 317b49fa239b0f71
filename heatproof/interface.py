"""The interface for Python: a network, images and methods at hand, and the command line's way through the harness.

import heatproof

maps = heatproof.attribute(model, images, method="la")
result = heatproof.evaluate(model, images, methods=["la", "ig", mine], metrics=["unified"])
"""

import contextlib
import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.images.source import duplicates
from bench.report import means, quantities
from bench.run import computed
from bench.running.job import Job
from bench.running.remarks import failures
from bench.store.maps import Maps
from bench.store.rows import load_rows
from bench.text import a_kind, plural
from heatproof import notebook
from heatproof.case import Case, Method, case
from heatproof.result import Result, row_names


def attribute(
    model: nn.Module | str,
    images: Any,
    method: Method = "la",
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    size: int | None = None,
    recipe: Any = None,
    settings: Iterable[str] = (),
    progress: bool = True,
) -> Tensor:
    """A map of each image, float32 [B, 3, H, W], in the order of the images. Larger is more important.

    Args:
        model: A torch module from normalised images to logits [B, C], which is copied and left as it is; or a name, as
            after `model=` on a command line.
        images: A folder; paths; pictures of Pillow, tensors [3, size, size] in [0, 1] or arrays, in a list or in a dict by
            name; a tensor [B, 3, size, size]. Pictures and files are cut and resized as the network's weights want it.
            None: as the settings say, `data=synthetic` for one.
        method: A name, as after `method=` on a command line, with settings if need be (`"ig method.steps=100"`); or a
            function `(model, x, target)` or `(model, x, target, rng)`, whose `model` takes pixels in [0, 1].
        mean: Of the normalisation, three numbers. Needed where `model` does not say how its images are prepared: timm's
            and transformers' modules do.
        std: Likewise.
        size: Pixels of a side, likewise.
        recipe: In place of these, weights of torchvision's (`ResNet50_Weights.IMAGENET1K_V1`) or an image processor of
            transformers'.
        settings: Any more of a command line: `["compute.precision=fp64", "run.seed=1", "model.feature_layer=layer4"]`.
        progress: Whether a bar shows how far it is.

    Raises:
        UserError: In a sentence, what cannot be and what would help.
    """
    with _passing(model, images, mean=mean, std=std, size=size, recipe=recipe, settings=settings) as of:
        job = of.job(method, [], save=True)
        _, failed = _carried_out(job, progress)
        if failed:
            raise UserError(failures(failed))
        if not job.ids:
            raise UserError("The settings leave no image: run.shard and data.limit, say.")
        return torch.stack([torch.from_numpy(job.maps.get(image)) for image in job.ids])


def score(
    model: nn.Module | str,
    images: Any,
    maps: Any,
    metrics: Sequence[str] = ("unified",),
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    size: int | None = None,
    recipe: Any = None,
    settings: Iterable[str] = (),
    progress: bool = True,
) -> pd.DataFrame:
    """A row for each image, with the network's confidence and, for each metric, its scores: `unified.insertion`.

    Args:
        model: As for `attribute`.
        images: As for `attribute`.
        maps: Made anywhere, one for each image in their order, or by their names in a dict: [3, H, W], or [H, W], which
            holds for all three colours, of the size that the network takes; tensors or arrays. They explain the class that
            the network sees.
        metrics: Names, as in `metric=[unified,kl]`.
        mean: As for `attribute`.
        std: As for `attribute`.
        size: As for `attribute`.
        recipe: As for `attribute`.
        settings: As for `attribute`.
        progress: As for `attribute`.

    Raises:
        UserError: In a sentence, what cannot be and what would help.
    """
    metrics = _names(metrics)
    with _passing(model, images, mean=mean, std=std, size=size, recipe=recipe, settings=settings) as of:
        store = Maps(of.folder, "given")
        store.folder.mkdir(parents=True)
        job = of.job(f"precomputed 'method.root=\"{store.folder}\"'", metrics)
        store.put(
            {image: np.asarray(_plain(one)) for image, one in zip(job.ids, _in_order(maps, job.ids), strict=True)}
        )
        _, failed = _carried_out(job, progress)
        rows = load_rows(of.folder)
        found = rows.drop_duplicates("image_id").set_index("image_id").loc[job.ids, ["confidence"]]
        for image in job.ids:
            if image in failed:
                raise UserError(f"{image}: {failed[image].replace(f'{store.folder}/', '')}.")
        for metric in metrics:
            part = rows[rows["metric"] == metric].set_index("image_id").loc[job.ids]
            kinds = quantities.of_metric(metric, dict(job.config.cfg.metric[metric]))
            for name, kind in kinds.items():
                found[f"{metric}.{name}"] = means.values(part, name, kind)
        return found


def evaluate(
    model: nn.Module | str,
    images: Any,
    methods: Sequence[Method],
    metrics: Sequence[str] = ("unified",),
    *,
    folder: str | os.PathLike | None = None,
    labels: Any = None,
    name: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    size: int | None = None,
    recipe: Any = None,
    settings: Iterable[str] = (),
    progress: bool = True,
) -> Result:
    """Explain every image by every method, score the maps by every metric, and set the methods beside each other.

    Args:
        model: As for `attribute`.
        images: As for `attribute`.
        methods: Names or functions, as for `attribute`.
        metrics: Names, as in `metric=[unified,kl]`.
        folder: Where rows and records go, as with `paths.results=` on a command line: what is there is not computed again,
            and `heatproof report` reads it. None: nowhere, they go with the result.
        labels: Classes of images at hand, for `run.target=label` among the settings.
        name: What the rows of a torch module are filed under; its class's, if there is none.
        mean: As for `attribute`.
        std: As for `attribute`.
        size: As for `attribute`.
        recipe: As for `attribute`.
        settings: As for `attribute`.
        progress: As for `attribute`.

    Raises:
        UserError: In a sentence, what cannot be and what would help.
    """
    metrics = _names(metrics)
    if isinstance(methods, str) or not isinstance(methods, Iterable) or not (methods := list(methods)):
        raise UserError(f"methods={methods!r}: expected a list of names and functions.")
    kept = folder is not None
    place = _place(folder) if folder is not None else Path(tempfile.mkdtemp())
    try:
        of = case(
            model,
            images,
            labels=labels,
            name=name,
            mean=mean,
            std=std,
            size=size,
            recipe=recipe,
            settings=settings,
            folder=place,
            kept=kept,
        )
        result = _evaluated(of, methods, metrics, progress)
    except BaseException:
        _taken_away(place, kept)
        raise
    weakref.finalize(result, _taken_away, place, kept)  # rows of no folder go with the result
    return result


def rows(folder: str | os.PathLike) -> pd.DataFrame:
    """All rows of a results folder: one for each image, network, method and metric, failed ones too.

    Raises:
        UserError: There is no such folder.
    """
    place = _place(folder)
    if not (place / "rows").is_dir():
        raise UserError(f"There are no rows in {place}: expected a results folder, with a folder rows in it.")
    return load_rows(place)


@contextlib.contextmanager
def _passing(model: nn.Module | str, images: Any, **said: Any) -> Iterator[Case]:
    """A case whose folder goes when the block has ended."""
    with tempfile.TemporaryDirectory() as folder:
        yield case(model, images, folder=Path(folder), kept=False, **said)


def _evaluated(of: Case, methods: Sequence[Method], metrics: list[str], progress: bool) -> Result:
    run_ids: dict[tuple[str, str], str] = {}
    failed: dict[str, dict[str, str]] = {}
    remarks: list[str] = []
    called = row_names(methods, [getattr(getattr(method, "func", method), "__name__", "") for method in methods])
    for label, method in zip(called, methods, strict=True):
        job = of.job(method, metrics)  # one at a time: each has a copy of the network
        odd, failed[label] = _carried_out(job, progress)
        remarks += odd
        run_ids |= {(label, metric): job.run_id(metric) for metric in metrics}
    return Result(
        folder=of.folder,
        images=job.ids,
        methods=called,
        metrics=metrics,
        run_ids=run_ids,
        failed=failed,
        remarks=remarks,
        _case=of,
        _given=dict(zip(called, methods, strict=True)),
        _report=job.config.cfg.report,
    )


def _taken_away(folder: Path, kept: bool) -> None:
    if not kept:
        shutil.rmtree(folder, ignore_errors=True)


def _carried_out(job: Job, progress: bool) -> tuple[list[str], dict[str, str]]:
    """What is odd of its maps, and the images that failed, with the reasons."""
    try:
        with contextlib.nullcontext() if progress else notebook.silence():
            _, remarks = computed(job)
    except SystemExit as end:  # a signal: a command ends, a session goes on
        raise KeyboardInterrupt from end
    return remarks.lines(), remarks.failed


def _names(metrics: Sequence[str]) -> list[str]:
    names = [metrics] if isinstance(metrics, str) else [*metrics] if isinstance(metrics, Iterable) else []
    if not names or not all(isinstance(name, str) and re.fullmatch(r"[\w-]+", name) for name in names):
        raise UserError(f"metrics={metrics!r}: expected names, such as ['unified', 'kl'].")
    if twice := duplicates(names):
        raise UserError(f"metrics names {twice[0]} twice.")
    return names


def _place(folder: Any) -> Path:
    if not isinstance(folder, str | os.PathLike) or folder == "":
        raise UserError(f"folder={folder!r}: expected the path of a folder.")
    if "${" in str(folder):
        raise UserError(f"folder={folder!r} holds ${{, which settings fill in: name another.")
    return Path(folder).expanduser()


def _in_order(maps: Any, ids: list[str]) -> Sequence[Any]:
    """Maps in the order of the images.  maps: in this order, or by the images' names. UserError: not one each."""
    if isinstance(maps, Mapping):
        if lacking := [image for image in ids if image not in maps]:
            raise UserError(f"maps has none of image {lacking[0]}; its names are those of the images.")
        if strange := [image for image in maps if image not in ids]:
            raise UserError(f"maps names {strange[0]!r}, which is none of the images.")
        return [maps[image] for image in ids]
    if isinstance(maps, str) or not isinstance(maps, Iterable):
        raise UserError(f"maps is {a_kind(maps)}: expected a tensor, an array or a list, one map for each image.")
    if len(maps := list(maps)) != len(ids):
        raise UserError(f"{len(maps)} maps of {plural(len(ids), 'image')}: expected one each, in their order.")
    return maps


def _plain(one: Any) -> Any:
    if isinstance(one, np.ma.MaskedArray) or isinstance(one, Tensor) and one.layout is not torch.strided:
        raise UserError("a map is masked or sparse: give all of its values, map.filled(0) or map.to_dense().")
    if not isinstance(one, Tensor):
        return one
    one = one.detach().cpu()
    return (one.float() if one.dtype is torch.bfloat16 else one).numpy()
