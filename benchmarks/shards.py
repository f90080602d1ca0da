"""What it costs to read a sample from shards, beside a folder of the same files, and the index.

python benchmarks/shards.py [--photos 10000] [--rounds 3] [--samples 1281167]

The first table is about photos of ImageNet's size (500×375, some 90 KB as JPEG): as files, as tars
and as Parquet files with row groups of 100 and of 1000, in the order in which they lie and
shuffled. Per sample: CPU milliseconds of getting its bytes (open, read, close), and of all that a
loader does (decode, frame, tensor), median of the rounds. All lie in the page cache, so a disk's
own time comes on top: one read of the photo's size, but for Parquet one of a whole row group.

The second is about the index of many samples in 147 tars, as ImageNet's training set has: seconds
of the one scan, seconds to open it again from the kept index, the index's bytes per sample, and
what the process grows by. Its photos are a few bytes, since only headers are read; the tars take
2.6 KB of disk per sample while it runs.
"""

from __future__ import annotations

import argparse
import io
import os
import pickle
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from project.data import CentreCrop, ImageListData, ShardData
from project.data.sample_set import SampleSet
from project.data.shards.tar_index import FOLDER_VARIABLE

_SHARDS = 147
_DIFFERENT = 400  # photos, which come again and again
_PAGE = os.sysconf("SC_PAGE_SIZE")


def drawn(number: int) -> bytes:
    """Return a JPEG with about as many bytes as one of ImageNet's."""
    draw = np.random.default_rng(number)
    coarse = draw.integers(0, 256, (75, 100, 3)).astype(np.uint8)
    pixels = cv2.resize(coarse, (500, 375), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    noisy = (pixels + draw.integers(-12, 13, pixels.shape)).clip(0, 255).astype(np.uint8)
    packed = io.BytesIO()
    Image.fromarray(noisy).save(packed, "JPEG", quality=88)
    return packed.getvalue()


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a member to a tar."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def write(root: Path, photos: Sequence[bytes]) -> dict[str, SampleSet]:
    """Write photos in all layouts, and return them opened."""
    files = root / "files"
    (files / "images").mkdir(parents=True)
    for number, photo in enumerate(photos):
        (files / "images" / f"{number:06d}.jpg").write_bytes(photo)
    lines = "".join(f"images/{number:06d}.jpg,0\n" for number in range(len(photos)))
    (files / "labels.csv").write_text(f"file,class_index\n{lines}")
    (root / "tar").mkdir()
    for first in range(0, len(photos), 1000):
        with tarfile.open(root / "tar" / f"{first:06d}.tar", "w") as tar:
            for number, photo in enumerate(photos[first : first + 1000], first):
                add(tar, f"{number:06d}.jpg", photo)
                add(tar, f"{number:06d}.cls", b"0")
    frame = CentreCrop()
    found = {
        "files": ImageListData(str(files), labels="labels.csv", frame=frame).samples,
        "tar": ShardData(str(root / "tar"), frame=frame).samples,
    }
    for size in (100, 1000):
        folder = root / f"parquet{size}"
        folder.mkdir()
        writer = None
        for first in range(0, len(photos), size):
            own = enumerate(photos[first : first + size], first)
            rows = [{"bytes": photo, "path": f"{number:06d}.jpg"} for number, photo in own]
            table = pa.table({"image": rows, "label": [0] * len(rows)})
            writer = writer or pq.ParquetWriter(folder / "a.parquet", table.schema)
            writer.write_table(table)
        assert writer is not None
        writer.close()
        found[f"Parquet, groups of {size}"] = ShardData(str(folder), frame=frame).samples
    return found


def raw(samples: SampleSet, index: int) -> object:
    """Get the bytes of a sample, without decoding them."""
    if hasattr(samples, "shards"):
        return samples.shards.encoded(index)
    return (samples.root / samples.files_of(index)[0]).read_bytes()  # type: ignore[attr-defined]


def milliseconds(work: Callable[[int], object], order: Sequence[int]) -> float:
    """Return CPU milliseconds per sample."""
    begin = time.process_time()
    for index in order:
        work(index)
    return 1000 * (time.process_time() - begin) / len(order)


def access(photos: int, rounds: int) -> None:
    """Print what a sample costs in each layout."""
    with tempfile.TemporaryDirectory() as folder:
        different = [drawn(number) for number in range(min(photos, _DIFFERENT))]
        made = [different[number % len(different)] for number in range(photos)]
        print(f"{photos} photos of {sum(map(len, made)) / photos / 1000:.0f} KB, CPU ms per sample")
        sets = write(Path(folder), made)
        shuffled = np.random.default_rng(0).permutation(photos).tolist()
        print("| layout | bytes, in order | bytes, shuffled | all, in order | all, shuffled |")
        print("|---|---:|---:|---:|---:|")
        for name, samples in sets.items():
            few = shuffled[:100] if "Parquet" in name else shuffled
            told = []
            for work, orders in (
                (lambda index, own=samples: raw(own, index), (range(photos), few)),
                (samples.__getitem__, (range(min(photos, 500)), few[:500])),
            ):
                for order in orders:
                    rates = [milliseconds(work, order) for _ in range(rounds)]
                    told.append(f"{median(rates):.3f}")
            print(f"| {name} | {' | '.join(told)} |", flush=True)


def resident() -> int:
    """Return the bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def keys(samples: int) -> Iterator[tuple[int, str]]:
    """Yield the shard and the key of each sample, named as ImageNet's are."""
    for number in range(samples):
        yield number * _SHARDS // samples, f"n{number % 1000:08d}_{number:07d}"


def index(samples: int) -> None:
    """Print what the index of many samples costs."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ[FOLDER_VARIABLE] = f"{folder}/cache"
        root = Path(folder) / "tars"
        root.mkdir()
        for shard, own in groupby(keys(samples), key=itemgetter(0)):
            with tarfile.open(root / f"imagenet-{shard:06d}.tar", "w") as tar:
                for number, (_, key) in enumerate(own):
                    tar.members.clear()  # type: ignore[attr-defined]
                    add(tar, f"{key}.jpg", b"jpeg")
                    add(tar, f"{key}.cls", b"%d" % (number % 1000))
        pattern = f"imagenet-{{000000..{_SHARDS - 1:06d}}}.tar"
        print(f"\n{samples} samples in {_SHARDS} tars")
        for what in ("scanned", "from the kept index"):
            before, begin = resident(), time.perf_counter()
            found = ShardData(str(root), shards=pattern, verify=False).samples
            seconds = time.perf_counter() - begin
            print(
                f"{what}: {seconds:.1f} s, the process grows by {(resident() - before) >> 20} MiB"
            )
            begin = time.perf_counter()
            found.fingerprint()
            print(f"  fingerprint: {time.perf_counter() - begin:.2f} s")
            travels = len(pickle.dumps(found.shards))  # type: ignore[attr-defined]
            whole = len(pickle.dumps(found))
            told = f"{travels / samples:.0f}, with all that a worker gets {whole / samples:.0f}"
            print(f"  bytes per sample: {told}")
            del found


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=1_281_167)
    options = parser.parse_args()
    if options.photos:
        access(options.photos, options.rounds)
    if options.samples:
        index(options.samples)


if __name__ == "__main__":
    main()
