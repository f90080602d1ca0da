"""Small data sets in a temporary folder, laid out as the published ones are."""

from pathlib import Path

import numpy as np
from PIL import Image

# A colour for every id: a resized or cropped image still tells what its mask must say.
PALETTE = np.random.default_rng(0).integers(0, 256, (256, 3)).astype(np.uint8)


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def photo(height: int = 24, width: int = 32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def blocks(height: int, width: int, ids: list[int], cell: int = 8, seed: int = 0) -> np.ndarray:
    """A mask of square blocks of random ids."""
    rows, columns = -(-height // cell), -(-width // cell)
    coarse = np.random.default_rng(seed).choice(ids, (rows, columns)).astype(np.uint8)
    return np.kron(coarse, np.ones((cell, cell), np.uint8))[:height, :width]


def camvid(root: Path, splits: tuple[str, ...] = ("test",), count: int = 3) -> Path:
    for split in splits:
        for number in range(count):
            mask = blocks(24, 32, [0, 4, 8, 11], seed=number)
            save(root / split / f"{split}_{number}.png", PALETTE[mask])
            save(root / f"{split}annot" / f"{split}_{number}.png", mask)
    return root


def labelled(root: Path, labels: list[str], header: str = "file,class_index") -> Path:
    rows = [header]
    for number, label in enumerate(labels):
        save(root / "images" / f"{number:02d}.png", photo(seed=number))
        rows.append(f"images/{number:02d}.png,{label}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    return root


def truncate(path: Path, share: float = 0.5) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
