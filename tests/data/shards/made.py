"""The same photos as a folder of files, as tars and as Parquet files."""

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from project.data import ImageListData, MaskFolderData, MaskShardData, ShardData
from tests.data.files import photo, save

COUNT = 11
CLASSES = {7: "low", 8: "high"}


def png(pixels: np.ndarray) -> bytes:
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "PNG")
    return packed.getvalue()


def mask(number: int) -> np.ndarray:
    pixels = np.full((24, 32), 7, np.uint8)
    pixels[:, number + 1 :] = 8
    return pixels


def write_tar(path: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def members(number: int, masks: bool = False) -> list[tuple[str, bytes]]:
    """Return a sample's members, and some that are none of its parts."""
    target = ("seg.png", png(mask(number))) if masks else ("cls", b"%d\n" % (number % 3))
    parts = [target, ("PNG", png(photo(seed=number))), ("txt", b"a note")]
    return [(f"p/{number:02d}.{name}", content) for name, content in parts]


def tars(root: Path, masks: bool = False, shards: int = 3) -> Path:
    for shard in range(shards):
        own = range(COUNT)[shard * 4 : (shard + 1) * 4]
        write_tar(root / f"set-{shard:03d}.tar", [part for k in own for part in members(k, masks)])
    return root


def table(numbers: Iterable[int], masks: bool = False) -> pa.Table:
    """Return rows as Hugging Face's library writes them."""
    numbers = list(numbers)
    pictures = [{"bytes": png(photo(seed=k)), "path": f"{k:02d}.png"} for k in numbers]
    if masks:
        seen = [{"bytes": png(mask(k)), "path": None} for k in numbers]
        return pa.table({"image": pictures, "mask": seen})
    names = {"names": ["a", "b", "c"], "_type": "ClassLabel"}
    notes = json.dumps({"info": {"features": {"image": {"_type": "Image"}, "label": names}}})
    found = pa.table({"image": pictures, "label": [k % 3 for k in numbers]})
    return found.replace_schema_metadata({"huggingface": notes})


def parquets(root: Path, masks: bool = False, shards: int = 3) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for shard in range(shards):
        own = range(COUNT)[shard * 4 : (shard + 1) * 4]
        path = root / f"set-{shard:05d}-of-00003.parquet"
        pq.write_table(table(own, masks), path, row_group_size=3)
    return root


def files(root: Path, masks: bool = False) -> ImageListData | MaskFolderData:
    """Return the data set as it would be in files."""
    for number in range(COUNT):
        place = root / ("images" if masks else f"{number % 3}") / f"{number:02d}.png"
        save(place, photo(seed=number))
        if masks:
            save(root / "masks" / f"{number:02d}.png", mask(number))
    if masks:
        return MaskFolderData(str(root), classes=CLASSES, things=["high"])
    (root / "labels.csv").write_text(
        "file,class_index\n" + "".join(f"{k % 3}/{k:02d}.png,{k % 3}\n" for k in range(COUNT))
    )
    return ImageListData(str(root), labels="labels.csv", num_classes=3)


WRITERS = {"tar": tars, "parquet": parquets}


def shard_data(root: Path, kind: str, masks: bool = False, **settings) -> ShardData | MaskShardData:
    WRITERS[kind](root, masks)
    return opened(root, masks, **settings)


def opened(root: Path, masks: bool = False, **settings) -> ShardData | MaskShardData:
    if masks:
        return MaskShardData(
            str(root), **{"classes": CLASSES, "things": ["high"], "batch_size": 2} | settings
        )
    return ShardData(str(root), **{"num_classes": 3, "batch_size": 2} | settings)
