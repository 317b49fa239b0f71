"""The seeds of a run, as reports and runs read them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Seeds:
    """The seeds of a run: one, unless what it draws is to vary apart."""

    draws: int  # of an image
    classes: int  # of what all images share
    images: int  # of which images are taken: sampled, or for a pool of references

    @classmethod
    def of(cls, run: Mapping) -> "Seeds":
        """Of the run's settings; records from before the seeds were told apart have the first alone."""
        return cls(run["seed"], run.get("class_seed", run["seed"]), run.get("image_seed", run["seed"]))

    def told(self) -> "int | dict[str, int]":
        """The seed, or all if they differ."""
        return self.draws if {self.classes, self.images} == {self.draws} else asdict(self)
