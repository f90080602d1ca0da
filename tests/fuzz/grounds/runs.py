"""What a run leaves: its folder, read by the report, and its store, read by the next run."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from project.report import build_report
from project.storage import layout
from tests.experiment import scene
from tests.fuzz.ground import Ground

_RECORDS = (*layout.RECORDS, layout.CONFIG)


@dataclass(frozen=True)
class Reports(Ground):
    """The folder of a run; the page is made of it anew."""

    def make(self, folder: Path) -> None:
        """Run a small experiment."""
        _run(folder)
        shutil.rmtree(folder / "store")

    def targets(self, folder: Path) -> list[Path]:
        """Return the records and the pictures."""
        found = [folder / "run" / name for name in _RECORDS]
        pictures = (folder / "run" / layout.GALLERY).rglob("*.png")
        return [path for path in (*found, *pictures) if path.is_file()]

    def use(self, folder: Path) -> Any:
        """Return the page."""
        return build_report(folder / "run").read_bytes()


@dataclass(frozen=True)
class Stores(Ground):
    """The store of a run; the same run takes its images from there, or makes them again."""

    def make(self, folder: Path) -> None:
        """Run a small experiment."""
        _run(folder)
        shutil.rmtree(folder / "run")

    def targets(self, folder: Path) -> list[Path]:
        """Return every file of the store."""
        return [path for path in (folder / "store").rglob("*") if path.is_file()]

    def use(self, folder: Path) -> Any:
        """Return the results of the run, and the images that the store holds afterwards."""
        _run(folder)
        images = {
            name: content
            for name, content in scene.visible(folder / "store").items()
            if name.endswith(".zip")
        }
        return scene.results(folder), images


def _run(folder: Path) -> None:
    scene.run(folder, victims=scene.victims(), attacks=scene.attacks(), sources=["a"])
