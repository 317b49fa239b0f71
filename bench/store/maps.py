"""Attribution maps on disk: <results>/attributions/<attribution id>/<image id>.npy, float32 [3, H, W].

An id that is too long for a file name is shortened: bench/filename.py."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from bench import filename
from bench.store.atomic import atomic_write


class Maps:
    """The maps of one network, method and data set, whatever metrics they are scored by."""

    def __init__(self, results: Path, attribution_id: str):
        self.folder = results / "attributions" / attribution_id

    def has(self, image: str) -> bool:
        return self._file(image).exists()

    def among(self, images: Iterable[str]) -> set[str]:
        """Those of the images that have a map; the folder is listed once."""
        there = {file.name for file in self.folder.glob("*.npy")}
        return {image for image in images if self._file(image).name in there} if there else set()

    def get(self, image: str) -> np.ndarray | None:
        """None: there is no map of it."""
        if not self.has(image):
            return None
        with self._file(image).open("rb") as stream:  # an array, never an archive or an object
            return np.lib.format.read_array(stream, allow_pickle=False)

    def put(self, maps: Mapping[str, np.ndarray]) -> None:
        for image, values in maps.items():
            with atomic_write(self._file(image)) as path, path.open("wb") as stream:
                np.save(stream, values)

    def drop(self, images: Iterable[str]) -> None:
        for image in images:
            self._file(image).unlink(missing_ok=True)

    def _file(self, image: str) -> Path:
        return self.folder / filename.of_image(image, ".npy")
