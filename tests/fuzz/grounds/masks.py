"""Masks of class ids beside photos."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from project.core.losses import VOID
from project.data import CamVidData
from tests.data.files import camvid
from tests.fuzz.ground import Ground


@dataclass(frozen=True)
class Masks(Ground):
    """The masks of a small set in CamVid's layout, verified and served."""

    def make(self, folder: Path) -> None:
        """Write photos and masks, one of them with a palette."""
        camvid(folder / "camvid")
        path = folder / "camvid/testannot/test_0.png"
        mask = Image.open(path)
        mask.putpalette([value for value in range(256) for _ in range(3)])
        mask.save(path)

    def targets(self, folder: Path) -> list[Path]:
        """Return the masks."""
        return list((folder / "camvid/testannot").iterdir())

    def use(self, folder: Path) -> Any:
        """Verify and read all."""
        data = CamVidData(str(folder / "camvid"))
        data.setup("test")
        samples = data.samples
        return {samples.where(index): samples.read(index)[1] for index in samples.indices}

    def right(self, folder: Path, result: Any, intact: Any) -> bool:
        """Compare with the ids that Pillow decodes, unlabelled as void."""
        return set(result) == set(intact) and all(
            np.array_equal(ids, intact[name]) or _holds(folder, name, ids)
            for name, ids in result.items()
        )


def _holds(folder: Path, name: str, ids: np.ndarray) -> bool:
    file = folder / "camvid" / name.replace("test/", "testannot/")
    with Image.open(file, formats=["PNG"]) as image:
        stored = np.asarray(image)
    return np.array_equal(np.where(stored == 11, VOID, stored), ids)
