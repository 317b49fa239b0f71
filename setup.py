"""What pyproject.toml cannot say: a wheel carries folders that lie beside the packages in a checkout."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

# what bench.choices.ROOT is asked for
CARRIED = ("conf", "results/published", "docs/contradictions.md", "docs/methods.md", "docs/metrics.md")
PLACE = Path("heatproof", "files")


class BuildWithFiles(build_py):
    """An editable install finds them where they lie."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        place = Path(self.build_lib, PLACE)
        shutil.rmtree(place, ignore_errors=True)  # of a build before
        for name in CARRIED:
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if Path(name).is_dir() else shutil.copyfile
            copy(name, place / name)


setup(cmdclass={"build_py": BuildWithFiles})
