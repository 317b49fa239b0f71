"""ImageNet's validation images (ILSVRC 2012), in class folders or as the archive unpacks them."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.errors import UserError
from bench.images.files import IMAGENET, ImageFiles
from bench.images.listing import by_id, directory, pictures_in, readable, sizes
from bench.images.preprocessing import Preprocessing
from bench.images.source import duplicates

WNIDS = Path(__file__).with_name("imagenet_wnids.txt").read_text().split()  # sorted; the place is the class index
DEVKIT = "ILSVRC2012_devkit_t12"


def imagenet(root: str | None, devkit: str | None, preprocessing: Preprocessing) -> ImageFiles:
    """`root/n01440764/*.JPEG`: the folder says the class. Or `root/*.JPEG`: the development kit says it.

    The class index is the place among all 1000 wnids, so that some of the folders are enough. The id is the file's name.
    devkit: the unpacked development kit; looked for in root and beside it if null.
    """
    base = directory(root, "imagenet", "ILSVRC 2012 validation images, from https://image-net.org/download-images.php")
    folders = [f for f in base.iterdir() if re.fullmatch(r"n\d{8}", f.name) and (f.is_dir() or f.is_symlink())]
    if strangers := sorted({f.name for f in folders} - set(WNIDS)):
        raise UserError(f"{base / strangers[0]} is not one of ImageNet's 1000 classes; remove it from data.root")
    paths = by_id(_named([file for place in (base, *folders) for file in pictures_in(place)], base))
    if not paths:
        raise UserError(f"data.root={root} has neither class folders (n01440764, …) nor ILSVRC2012_val_*.JPEG")
    index = {wnid: k for k, wnid in enumerate(WNIDS)}
    labels = {id: index[f.parent.name] for id, f in paths.items() if f.parent != base}
    if flat := [id for id in paths if id not in labels]:
        labels |= flat_labels(flat, _find_devkit(base, devkit), index)
    return ImageFiles(paths, labels, preprocessing, classes=IMAGENET, collection=sizes(paths))


def flat_labels(ids: list[str], devkit: Path, index: dict[str, int]) -> dict[str, int]:
    """Labels of ILSVRC2012_val_<n>, line n (from 1) of the ground truth. That counts classes in an order of its own,
    which meta.mat translates to wnids."""
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise UserError(f"reading {devkit / 'data' / 'meta.mat'} takes scipy: pip install scipy") from error
    synsets = np.atleast_1d(loadmat(devkit / "data" / "meta.mat", squeeze_me=True)["synsets"])
    wnid = {int(s["ILSVRC2012_ID"]): str(s["WNID"]) for s in synsets}
    truth = (devkit / "data" / "ILSVRC2012_validation_ground_truth.txt").read_text().split()
    labels = {}
    for id in ids:
        number = re.fullmatch(r"ILSVRC2012_val_(\d{8})", id)
        if number is None or not 1 <= int(number[1]) <= len(truth):
            raise UserError(f"{id} in data.root has no label: expected ILSVRC2012_val_00000001 … {len(truth):08d}")
        labels[id] = index[wnid[int(truth[int(number[1]) - 1])]]
    return labels


def _find_devkit(base: Path, devkit: str | None) -> Path:
    places = [Path(devkit).expanduser()] if devkit else [base / DEVKIT, base.resolve().parent / DEVKIT]
    needed = ("meta.mat", "ILSVRC2012_validation_ground_truth.txt")
    for place in places:
        if all((place / "data" / name).is_file() for name in needed):
            return place
    raise UserError(
        f"images right under data.root need the development kit for their labels; no data/{needed[0]} and "
        f"data/{needed[1]} in {' or '.join(map(str, places))}: give data.devkit=…, or sort images into class folders"
    )


def _named(files: list[Path], base: Path) -> Iterator[tuple[str, Path]]:
    """An id for each: its name; with its class folder before it where folders share names (ImageNet-Sketch)."""
    shared = set(duplicates(file.stem for file in files))
    for file in files:
        within = f"{file.parent.name}__" if file.stem in shared and file.parent != base else ""
        yield readable(within + file.stem), file
