"""What an image costs on its way from its file to its row, where the victim costs nothing.

python benchmarks/pipeline.py [--rounds 5] [--images 128] [--sizes 224 513] [--workers 0 1]
                              [--photos FOLDER]

Experiments with FGSM on a victim of 4 × 4 mean colours run through the Trainer on JPEG photos,
which are drawn, or those of a folder: on an empty store, and again on the store that this filled.
Each stage is timed where it happens, in whichever thread, less the stages inside of it. What an
experiment with one attack takes is subtracted from what one with three takes: that leaves two
passes over adversarial images. Printed are milliseconds of CPU time per image and pass at one
thread, the median of all rounds and of the sums the least and the greatest, too; beside them what
libraries alone take: torchvision's decoder, and a raw write of the pixels. Last, the same with a
loader process, whose CPU time is told apart.
"""

from __future__ import annotations

import argparse
import functools
import logging
import os
import resource
import tempfile
import threading
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import cv2
import lightning as L
import numpy as np
import torch
from nothing import Mosaic
from PIL import Image
from timing import spread
from torchvision.io import ImageReadMode, decode_jpeg

from project.attacks import FGSM, Attack
from project.callbacks import AttackCallback
from project.callbacks.experiment import attack, images_of_a_pass
from project.core import raster
from project.data import (
    CentreCrop,
    Frame,
    ImageListData,
    PadToSquare,
    datamodule,
    file_set,
    sample_set,
)
from project.evaluation import TransferEvaluation, transfer
from project.evaluation.classification import ClassificationJudge, ClassificationMetrics
from project.evaluation.quality import Quality
from project.storage.saving import Saving
from project.storage.store import Store
from project.victims import ClassificationVictim

BATCH, CLASSES = 16, 10
PASSES = (1, 3)  # over adversarial images, of two experiments
SUMS = ("this process", "loader process", "clock")
WIDTH, HEIGHT = 500, 375  # of the usual photo of ImageNet and VOC

STAGES = (
    ("read", raster, "read_regular"),
    ("decode", file_set, "read_photo"),
    ("frame", sample_set, "framed"),
    ("to a batch", sample_set, "to_tensor"),
    ("to a batch", datamodule, "collate"),
    ("transfer", TransferEvaluation, "transfer_batch_to_device"),
    ("hash of the image", images_of_a_pass, "CleanOrigins"),
    ("attack", Attack, "run"),
    ("from the store", Store, "load"),
    ("to 8 bits", images_of_a_pass, "stored_samples"),
    ("to 8 bits", attack, "stacked_images"),
    ("into the store", Store, "save"),
    ("into the store", Store, "_packed"),  # in threads of their own
    ("into the store", Saving, "add"),
    ("victim", ClassificationVictim, "forward"),
    ("judge", ClassificationJudge, "rows"),
    ("judge", ClassificationMetrics, "update"),
    ("metrics", transfer, "visibility"),
    ("rows", TransferEvaluation, "_known"),
    ("rows", Quality, "update"),
    ("rows", TransferEvaluation, "test_step"),
)
"""Each stage's functions, by the place that they are called from."""


class Stages:
    """CPU seconds of each stage, over all threads, without the stages that it calls."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._lock = threading.Lock()
        self._local = threading.local()

    def watched(self, stage: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function under the watch."""

        @functools.wraps(work)
        def run(*arguments: Any, **named: Any) -> Any:
            outer, self._local.inside = getattr(self._local, "inside", 0.0), 0.0
            start = time.thread_time()
            try:
                return work(*arguments, **named)
            finally:
                took = time.thread_time() - start
                with self._lock:
                    self.seconds[stage] += took - self._local.inside
                self._local.inside = outer + took

        return run

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Put every stage under the watch."""
        before = [(owner, name, getattr(owner, name)) for _, owner, name in STAGES]
        try:
            for (stage, _, _), (owner, name, work) in zip(STAGES, before, strict=True):
                setattr(owner, name, self.watched(stage, work))
            yield
        finally:
            for owner, name, work in before:
                setattr(owner, name, work)


class Spent(NamedTuple):
    """What experiments took: seconds of the clock, of CPU time, and of CPU time in stages."""

    clock: float
    own: float
    loaders: float
    stages: Mapping[str, float]

    def per_image(self, shorter: Spent, images: int) -> dict[str, float]:
        """Return milliseconds per image and pass, less those of an experiment of fewer passes."""
        stages = {name: self.stages[name] - shorter.stages.get(name, 0.0) for name in self.stages}
        own = self.own - shorter.own
        told = stages | {"Trainer, callbacks": own - sum(stages.values())}
        told |= {"this process": own, "loader process": self.loaders - shorter.loaders}
        told |= {"clock": self.clock - shorter.clock}
        count = images * (PASSES[1] - PASSES[0])
        return {name: 1000 * seconds / count for name, seconds in told.items()}


def draw_photos(folder: Path, count: int) -> None:
    """Draw JPEG photos, about as large in bytes as real ones of their size."""
    for number in range(count):
        draws = np.random.default_rng(number)
        photo = np.full((HEIGHT, WIDTH, 3), 128, np.float32)
        for cells, strength in ((3, 120), (12, 60), (50, 30), (190, 24)):
            coarse = draws.uniform(-1, 1, (cells, cells, 3)).astype(np.float32)
            photo += strength * cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        pixels = photo.clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:04d}.jpg", quality=92)


def arranged(photos: Path, count: int, folder: Path) -> None:
    """Link photos, each as often as it takes to have so many, into one folder per class."""
    found = sorted(path for path in photos.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    for number in range(count):
        place = folder / str(number % CLASSES)
        place.mkdir(exist_ok=True)
        (place / f"{number:04d}.jpg").symlink_to(found[number % len(found)].absolute())


def experiment(root: Path, store: Path, frame: Frame, attacks: int, workers: int) -> Spent:
    """Run an experiment of the clean pass and so many passes over adversarial images."""
    torch.manual_seed(0)
    data = ImageListData(
        str(root), frame=frame, batch_size=BATCH, num_workers=workers, verify=False
    )
    evaluation = TransferEvaluation({"v": ClassificationVictim(Mosaic(CLASSES), CLASSES)}, [])
    made = {f"fgsm_{k}": FGSM(eps=(8 - k / 1000) / 255) for k in range(attacks)}
    trainer = L.Trainer(
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=store,
        callbacks=[AttackCallback(made, store=str(store), threads=1)],
    )
    stages = Stages()
    with stages.watching():
        before = time.perf_counter(), time.process_time(), loaders_time()
        trainer.test(evaluation, datamodule=data, verbose=False)
        after = time.perf_counter(), time.process_time(), loaders_time()
    return Spent(*(b - a for a, b in zip(before, after, strict=True)), stages.seconds)


def loaders_time() -> float:
    """Return the CPU time of processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measured(root: Path, frame: Frame, images: int, workers: int) -> list[dict[str, float]]:
    """Return what images cost on an empty store, and on the one that was filled."""
    with tempfile.TemporaryDirectory() as folder:
        told = []
        for _ in ("on an empty store", "on the one that this filled"):
            shorter, longer = (
                experiment(root, Path(folder) / str(count), frame, count, workers)
                for count in PASSES
            )
            told.append(longer.per_image(shorter, images))
    return told


def alone(root: Path, side: int, folder: Path) -> dict[str, float]:
    """Return milliseconds of CPU time that libraries alone take for an image."""
    photos = [
        torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)
        for path in sorted(root.rglob("*.jpg"))
    ]
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    start = time.process_time()
    for photo in photos:
        decode_jpeg(photo, ImageReadMode.RGB)
    decoded = time.process_time()
    for place in range(0, len(photos), BATCH):
        with (folder / f"{place}.raw").open("wb") as file:
            for _ in photos[place : place + BATCH]:
                file.write(image.tobytes())
            file.flush()
            os.fsync(file.fileno())
    written = time.process_time()
    each = 1000 / len(photos)
    return {
        "torchvision's decoder": each * (decoded - start),
        "raw write": each * (written - decoded),
    }


def table(columns: Mapping[str, Sequence[Mapping[str, float]]]) -> Iterator[str]:
    """Yield the lines of a table, whose columns are given as rounds."""
    names = dict.fromkeys(name for rounds in columns.values() for one in rounds for name in one)
    yield f"{'ms per image and pass':24}" + "".join(f"{name:>24}" for name in columns)
    for name in names:
        cells = ([one.get(name, 0.0) for one in rounds] for rounds in columns.values())
        told = [spread(cell, 2) if name in SUMS else f"{median(cell):.2f}" for cell in cells]
        yield f"{name:24}" + "".join(f"{cell:>24}" for cell in told)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--sizes", type=int, nargs="+", default=[224, 513])
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--photos", type=Path)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "drawn").mkdir()
        (folder / "root").mkdir()
        if options.photos is None:
            draw_photos(folder / "drawn", min(64, options.images))
        arranged(options.photos or folder / "drawn", options.images, folder / "root")
        for side in options.sizes:
            frame: Frame = CentreCrop(side * 256 // 224, side) if side < 256 else PadToSquare(side)
            experiment(folder / "root", folder / "warm", frame, 1, 0)  # what is done once, is
            for workers in options.workers:
                rounds = [
                    measured(folder / "root", frame, options.images, workers)
                    for _ in range(options.rounds)
                ]
                filled, taken = zip(*rounds, strict=True)
                print(f"\n{side}², {workers} loader processes")
                print(*table({"attacked": filled, "from the store": taken}), sep="\n", flush=True)
            told = [alone(folder / "root", side, folder) for _ in range(options.rounds)]
            print(*table({"libraries alone": told}), sep="\n", flush=True)


if __name__ == "__main__":
    main()
