"""The keys that no builder has, with their ranges, and the check of a whole configuration before anything is built.

What a method, a metric, a network or a source takes besides stands in the signature of its builder (bench/ranges.py).
"""

import inspect
import pkgutil
from collections.abc import Callable, Mapping
from typing import Annotated, Literal, TypedDict

from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from bench.errors import UserError, did_you_mean
from bench.ranges import MISSING, Between, Colour, Form, Length, Seed, Share, checked, kinds, shown
from bench.text import one_line

Images = Annotated[int, Between(1)]  # how many
Pixels = Annotated[int, Between(8, 8192)]  # of a side


class Built(TypedDict):
    """What Hydra needs to know of anything that is built."""

    _target_: str
    _partial_: bool


BLUR = "blur"  # what the name of a blur starts with: blur8
POST = Form(
    rf"abs|positive|sign|pool|{BLUR}(?!0+(\.0*)?$)\d{{1,3}}(\.\d{{1,3}})?",
    f"abs, positive, sign, pool or {BLUR}S (S pixels, such as {BLUR}8)",
)


class Method(Built):
    """What all methods have in common."""

    post: list[Annotated[str, POST]]  # bench/running/post.py
    stream: str | None  # the name of its random streams, if not its own


class Run(TypedDict):
    seed: Seed
    class_seed: Seed
    image_seed: Seed
    target: Literal["prediction", "label"]
    shard: Annotated[str, Form(r"\d+/\d+", "i/n with 0 <= i < n, for example 0/4")]
    save_attributions: bool
    retry_failed: bool
    check_images: bool


class Data(TypedDict):
    ids: list[str] | str | None
    subset: str | None
    sample: Images | None
    limit: Images | None
    masks: Literal["boxes", "imagenet_s", "folder"] | None
    masks_path: str | None


class Model(TypedDict):
    """What all networks have in common; which of them may be null says the builder."""

    name: str
    version: str
    weights: str | None
    size: Pixels | None
    resize: Pixels | None
    interpolation: Literal["nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"] | None
    mean: Annotated[list[Annotated[float, Between(-10, 10)]], Length(3, exactly=True)] | None
    std: Annotated[list[Annotated[float, Between(0, 10, above=True)]], Length(3, exactly=True)] | None
    crop: Literal["center", "squash", "border"] | None
    feature_layer: str | None
    confusion: Colour | None
    published_confusion: Colour | None


class Compute(TypedDict):
    device: Annotated[str, Form(r"auto|cpu|cuda(:\d{1,3})?|mps", "auto, cpu, cuda, cuda:N or mps")]
    precision: Literal["fp64", "fp32", "tf32", "bf16"]
    batch_size: Literal["auto"] | Annotated[int, Between(1, 4096)]
    compile: bool
    fold: bool
    engine: Literal["torch", "onnxruntime", "compile"]
    provider: Literal["CPU", "CUDA", "TensorRT", "OpenVINO"]
    allow_chance: bool
    workers: Literal["auto"] | Annotated[int, Between(0, 256)]


class Report(TypedDict):
    threshold: Share
    bootstrap: Annotated[int, Between(40, 1_000_000)]  # of fewer than 40 none lies outside of 95 %


class Paths(TypedDict):
    results: str


class Experiment(TypedDict):
    cell: Annotated[int, Between(0)] | None
    models: list[str]
    methods: list[str] | None
    metrics: list[str]
    controls: list[str]
    quantities: list[str] | None
    steps: Annotated[int, Between(2, 10_000)] | None
    sample: dict[str, Images | None]
    panel: Annotated[int, Between(1, 1000)] | list[str] | None
    rendering: Literal["overlay", "grey"]


GROUPS = {
    "run": Run, "data": Data, "model": Model, "compute": Compute, "report": Report, "paths": Paths,
    "experiment": Experiment, "method": Method,
}  # fmt: skip


CLOSED = ("run", "compute", "report", "paths")  # groups that no builder adds a key to
AS_IF_NOT_THERE = {"method": ("post", "stream"), "data": ("masks", "masks_path")}  # where they say nothing
OF_ALL = {
    "data": kinds(Data),
    "model": kinds(Model),
    "method": kinds(Method),
}  # keys that a builder need not take: they are taken off before


def settle(cfg: DictConfig, *, builders: bool = True) -> None:
    """Check every key of a configuration and put values as they are meant in place. UserError: the first that does not fit.

    What must still be given (???) stays: who builds it says so.  builders: whether to import them and check what they take.
    """
    if strange := [str(key) for key in cfg if key not in (*GROUPS, "metric", "hydra")]:
        raise UserError(f"{strange[0]}: there is no such key.{did_you_mean(strange[0], GROUPS)}")
    for group, table in GROUPS.items():
        if cfg.get(group) is not None or group != "experiment":
            _settle(cfg, group, table, builders=builders)
    for group, keys in AS_IF_NOT_THERE.items():
        with open_dict(cfg[group]):
            for key in keys:
                if not cfg[group].get(key):
                    cfg[group].pop(key, None)
    for name in cfg.get("metric") or ():
        _settle(cfg.metric, name, Built, "metric.", builders=builders)


def _settle(cfg: DictConfig, group: str, table: Callable, prefix: str = "", *, builders: bool) -> None:
    where = prefix + group
    try:
        node = cfg.get(group)
        before = OmegaConf.to_container(node, resolve=True) if isinstance(node, DictConfig) else node
    except OmegaConfBaseException as error:
        raise UserError(f"{where}: {str(error).splitlines()[0]}") from error
    if not isinstance(before, dict):
        raise UserError(f"{where}={shown(before)}: expected keys, such as {where}.{next(iter(kinds(table)), 'key')}=…")
    if where in CLOSED and (strange := [str(key) for key in before if key not in kinds(table)]):
        raise UserError(f"{where}.{strange[0]}: {where} takes no such key.{did_you_mean(strange[0], kinds(table))}")
    if where in CLOSED and (lacking := [key for key in kinds(table) if key not in before]):
        raise UserError(f"{where}.{lacking[0]} must be given: {where}.{lacking[0]}=….")
    after = checked(table, {str(key): value for key, value in before.items()}, where)
    _write(node, before, _as_meant(after, where) if builders else after)


def _as_meant(settings: Mapping[str, object], where: str) -> dict[str, object]:
    """The settings of a `_target_`, and of those among its arguments; other settings as they are."""
    found = checked(Built, settings, where)
    if builder := _builder(found, where):
        _all_known(builder, found, where)
        found = checked(builder, found, where)
    return {
        key: _as_meant(value, f"{where}.{key}") if isinstance(value, dict) and "_target_" in value else value
        for key, value in found.items()
    }


def _all_known(builder: Callable, settings: Mapping[str, object], where: str) -> None:
    """UserError: a key that the builder does not take."""
    try:
        takes = inspect.signature(builder).parameters
    except (TypeError, ValueError):  # written in C
        return
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in takes.values()):
        return
    for key in settings:
        if key not in takes and not key.startswith("_") and key not in OF_ALL.get(where, ()):
            raise UserError(f"{where}.{key}: {settings['_target_']} takes no such key.{did_you_mean(key, takes)}")


def _builder(settings: Mapping[str, object], where: str) -> Callable | None:
    """What the `_target_` names, if there is one."""
    target = settings.get("_target_", MISSING)
    if target == MISSING:
        return None
    try:
        builder = pkgutil.resolve_name(target)  # type: ignore[arg-type]
    except Exception as error:  # whatever somebody's module raises
        why = one_line(error, 300)
        raise UserError(
            f"{where}._target_={shown(target)}: cannot be imported ({type(error).__name__}: {why})."
        ) from error
    if not callable(builder):
        raise UserError(f"{where}._target_={shown(target)}: expected a function or a class.")
    return builder


def _write(node: DictConfig, before: dict, after: dict) -> None:
    for key, value in after.items():
        if isinstance(value, dict) and isinstance(before[key], dict):
            _write(node[key], before[key], value)
        elif repr(value) != repr(before[key]):  # what an interpolation gives stays one
            node[key] = value
