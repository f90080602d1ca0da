"""Photos in class folders."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from project.data import ImageListData
from tests.data.files import photo
from tests.fuzz.ground import Ground

_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF")
_SUFFIXES = ("jpg", "png", "bmp", "webp", "tif")


@dataclass(frozen=True)
class Photos(Ground):
    """One photo of each format and of each mode that it takes, verified and served."""

    def make(self, folder: Path) -> None:
        """Write the photos."""
        picture = Image.fromarray(photo(40, 48)).resize((96, 80))
        for kind, suffix in zip(_FORMATS, _SUFFIXES, strict=True):
            for mode in ("RGB", "L", "P", "RGBA"):
                path = folder / "photos" / "one" / f"{kind}_{mode}.{suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                if not (kind == "JPEG" and mode in ("P", "RGBA")):
                    picture.convert(mode).save(path, kind)
        picture.save(folder / "photos" / "one" / "progressive.jpg", progressive=True)

    def targets(self, folder: Path) -> list[Path]:
        """Return the photos."""
        return [path for path in folder.rglob("*") if path.is_file()]

    def use(self, folder: Path) -> Any:
        """Verify and read all."""
        data = ImageListData(str(folder / "photos"))
        data.setup("test")
        samples = data.samples
        return {samples.where(index): samples.read(index)[0] for index in samples.indices}

    def right(self, folder: Path, result: Any, intact: Any) -> bool:
        """Compare with what Pillow decodes, or with the intact photo."""
        return set(result) == set(intact) and all(
            np.array_equal(pixels, intact[name]) or _decodes_to(folder / "photos" / name, pixels)
            for name, pixels in result.items()
        )


def _decodes_to(path: Path, pixels: np.ndarray) -> bool:
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    with Image.open(BytesIO(path.read_bytes()), formats=list(_FORMATS)) as image:
        image.load()
        return np.array_equal(np.asarray(image.convert("RGB")), pixels)
