"""Text that says which photos there are, and what they show."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from project.data import ImageListData, VOCData
from tests.data.files import blocks, labelled, photo, save
from tests.fuzz.ground import Ground

_WORDS = (
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\x00", b"\r", b"\r\n", b"\n\n", b'"', b"'"),
    *(b",", b";", b"\t", b"../../", b"/etc/passwd", b"images/00.png", b"1_0", b"-1", b"1e3"),
    *(b"999999999999999999999", b"\xb2", b"\xd9\xa1", b"=cmd()", b"nan", b" ", b"\xe9", b"%s"),
    *(b"{}", b"file,class_index", b"\x1a", b"~", b"images/../images/01.png", b"images", b"\\"),
)


@dataclass(frozen=True)
class Labels(Ground):
    """A CSV of photos and their classes."""

    def __post_init__(self) -> None:
        """Know the words of a CSV."""
        object.__setattr__(self, "words", _WORDS)

    def make(self, folder: Path) -> None:
        """Write photos and their CSV."""
        labelled(folder / "set", ["0", "1", "2", "1", "0"])

    def targets(self, folder: Path) -> list[Path]:
        """Return the CSV."""
        return [folder / "set/labels.csv"]

    def use(self, folder: Path) -> Any:
        """Return every photo's class."""
        data = ImageListData(str(folder / "set"), labels="labels.csv", num_classes=10)
        data.setup("test")
        samples = data.samples
        return [(samples.where(index), samples.label(index)) for index in samples.indices]

    def right(self, folder: Path, result: Any, intact: Any) -> bool:
        """Look every answer up in the text, a line per photo, split at the comma."""
        content = (folder / "set/labels.csv").read_bytes()
        wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        text = content.decode("utf-16" if wide else "utf-8-sig", errors="replace")
        plain = text.replace('"', "").replace(" ", "").replace("\\", "/")
        lines = set(plain.splitlines())
        names = [name for name, _ in result]
        return result == intact or (
            len(names) == len(set(names))
            and all(
                any(line.startswith(f"{name},") and _number(line) == label for line in lines)
                for name, label in result
            )
        )


@dataclass(frozen=True)
class Splits(Ground):
    """The list of a split of PASCAL VOC."""

    def __post_init__(self) -> None:
        """Know the words of a list."""
        object.__setattr__(self, "words", _WORDS)

    def make(self, folder: Path) -> None:
        """Write photos, masks and the list."""
        root = folder / "VOC2012"
        names = [f"2007_{number:06d}" for number in range(4)]
        for number, name in enumerate(names):
            save(root / "JPEGImages" / f"{name}.jpg", photo(seed=number))
            save(root / "SegmentationClass" / f"{name}.png", blocks(24, 32, [0, 3, 255]))
        path = root / "ImageSets/Segmentation/val.txt"
        path.parent.mkdir(parents=True)
        path.write_text("\n".join(names) + "\n")

    def targets(self, folder: Path) -> list[Path]:
        """Return the list."""
        return [folder / "VOC2012/ImageSets/Segmentation/val.txt"]

    def use(self, folder: Path) -> Any:
        """Return the photos of the split, and what their masks hold."""
        data = VOCData(str(folder / "VOC2012"))
        data.setup("test")
        samples = data.samples
        return {samples.where(i): np.unique(samples.read(i)[1]).tolist() for i in samples.indices}

    def right(self, folder: Path, result: Any, intact: Any) -> bool:
        """Look every photo up in the text."""
        content = self.targets(folder)[0].read_bytes()
        wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        text = content.decode("utf-16" if wide else "utf-8-sig", errors="replace")
        return all(
            intact.get(name) == ids and Path(name).stem in text for name, ids in result.items()
        )


def _number(line: str) -> int | None:
    try:
        return int(line.split(",")[1].split(",", maxsplit=1)[0])
    except ValueError:
        return None
