"""A small experiment: shapes of 32 pixels, victims fitted in closed form, two fast attacks.

Eleven images in batches of four: neither the batch size nor two processes divide them.
"""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.loggers import Logger
from PIL import Image
from torch import Tensor, nn

from project.attacks import FGSM, PGD, Attack
from project.callbacks import AttackCallback, EndingAtOnce, RunFolder
from project.core.losses import VOID
from project.data import AttackDataModule, ShapesData
from project.evaluation import TransferEvaluation
from project.victims import ClassificationVictim, SegmentationVictim, Victim
from project.victims.acceleration import Acceleration
from tests.storage import damage

IMAGES = 11
BATCH = 4
BATCHES = 3
METRICS = ("ssim", "psnr", "mse", "l2", "linf")


def shapes(task: str = "classification", **more) -> ShapesData:
    arguments = {"size": 32, "num_test": IMAGES, "batch_size": BATCH}
    return ShapesData(task, **arguments | more)


def attacks() -> dict[str, Attack]:
    return {"pgd": PGD(4 / 255, 2 / 255, steps=3), "fgsm": FGSM(8 / 255)}


def victims(task: str = "classification") -> dict[str, Victim]:
    """Return two victims that are right on different images."""
    return {"a": victim(task, seed=1), "b": victim(task, seed=2)}


def victim(task: str = "classification", seed: int = 1) -> Victim:
    """Return random features under a read-out fitted to some of the images."""
    return FittedClassifier(seed) if task == "classification" else FittedSegmenter(seed)


class FittedClassifier(ClassificationVictim):
    """Random features of images under a read-out fitted to some of them."""

    def __init__(self, seed: int = 1) -> None:
        network, classes = _network("classification", _pooled(seed), seed)
        super().__init__(network, classes, mean=(0.5,) * 3, std=(1.0,) * 3)
        self.seed = seed  # that it can be described


class FittedSegmenter(SegmentationVictim):
    """Random features of pixels under a read-out fitted to some of them."""

    def __init__(self, seed: int = 1) -> None:
        network, classes = _network("segmentation", _per_pixel(seed), seed)
        super().__init__(network, classes, mean=(0.5,) * 3, std=(1.0,) * 3)
        self.seed = seed  # that it can be described


def _network(task: str, features: nn.Module, seed: int) -> tuple[nn.Module, int]:
    """Put a read-out on features, by least squares, and tell the number of classes."""
    samples = shapes(task).samples
    known = [samples[place] for place in range(IMAGES) if place % 3 != seed % 3]
    images = torch.stack([sample["image"] for sample in known])
    target = torch.stack([sample["target"] for sample in known])
    read_out = _fitted(features(images - 0.5), target, samples.num_classes)
    head = nn.Linear if task == "classification" else nn.Conv2d
    last = head(len(read_out), samples.num_classes, *([] if head is nn.Linear else [1]))
    with torch.no_grad():
        last.weight.copy_(read_out.T.reshape(last.weight.shape))
        last.bias.zero_()
    return nn.Sequential(features, last), samples.num_classes


def run(
    folder: Path,
    *,
    data: AttackDataModule | None = None,
    victims: dict[str, Victim],
    attacks: dict[str, Attack],
    sources: Sequence[str] | None = None,
    store: Path | None = None,
    more: Sequence[L.Callback] = (),
    acceleration: Acceleration = Acceleration(),  # noqa: B008 frozen
    logger: Logger | Literal[False] = False,
    **trainer,
) -> TransferEvaluation:
    """Run an experiment into ``folder/run``, with the store ``folder/store`` by default.

    More callbacks, such as an estimate or progress, come between the attack and the folder.
    """
    evaluation = TransferEvaluation(victims, METRICS)
    callbacks = [
        AttackCallback(attacks, sources, str(store or folder / "store"), acceleration, threads=1),
        *more,
        RunFolder(str(folder / "run"), gallery=2),
        EndingAtOnce(),
    ]
    L.Trainer(
        accelerator="cpu",
        logger=logger,
        enable_progress_bar=any(isinstance(one, ProgressBar) for one in more),
        enable_checkpointing=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=folder,
        callbacks=callbacks,
        **{"devices": 1, **trainer},
    ).test(evaluation, datamodule=data or shapes(), verbose=False)
    return evaluation


def results(folder: Path) -> dict[str, bytes]:
    """Return the files whose bytes an experiment determines."""
    names = ("rows.parquet", "metrics.csv", "traces.parquet")
    paths = [folder / "run" / name for name in names]
    return {path.name: path.read_bytes() for path in paths if path.is_file()}


def stored(store: Path) -> dict[str, bytes]:
    """Return every file of a store by its path; a batch is one."""
    return {
        str(path.relative_to(store)): path.read_bytes()
        for path in sorted(store.rglob("*"))
        if path.is_file()
    }


def photos(folder: Path) -> None:
    """Write the shapes as photos ``photo_INDEX.png``, one folder per class."""
    samples = shapes().samples
    for name in samples.class_names:
        (folder / name).mkdir(parents=True)
    for index in range(IMAGES):
        pixels, label = samples.read(index)
        Image.fromarray(pixels).save(folder / samples.class_names[label] / f"photo_{index}.png")


def visible(store: Path) -> dict[str, bytes]:
    """Return the files of a store without the temporary ones that a kill may leave behind."""
    return {
        name: content
        for name, content in stored(store).items()
        if not Path(name).name.startswith(".")
    }


def stored_images(store: Path, attack: str, source: str) -> np.ndarray:
    """Return the adversarial images of one pass as files hold them, (N, H, W, 3) uint8."""
    files = damage.stored(store / pass_folder(store.parent / "run", attack, source))
    images = [files[name] for name in sorted(files) if name.endswith(".png")]
    return np.stack([np.asarray(Image.open(io.BytesIO(image))) for image in images])


def stored_batch(folder: Path, attack: str, source: str, index: int) -> Path:
    """Return the archive of an image's batch of a finished run in ``folder``, in its own store."""
    store = folder / "store" / pass_folder(folder / "run", attack, source)
    (archive,) = (path for path in store.glob("*.zip") if f"{index:08d}.png" in damage.names(path))
    return archive


def pass_folder(run_folder: Path, attack: str, source: str) -> str:
    """Return the name of the folder, in its store, of one pass of a finished run."""
    told = json.loads((run_folder / "adversarial.json").read_text())["passes"]
    (found,) = (one for one in told if (one["attack"], one["source"]) == (attack, source))
    return Path(found["folder"]).name


def _pooled(seed: int) -> nn.Module:
    return nn.Sequential(_Sines(seed, 8, stride=2), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _per_pixel(seed: int) -> nn.Module:
    return _Sines(seed, 24, stride=1)


class _Sines(nn.Module):
    def __init__(self, seed: int, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        draw, own = torch.Generator().manual_seed(0), torch.Generator().manual_seed(seed)
        shape = (channels, 3, 5, 5)
        # Mostly what all victims share, or nothing would transfer between them.
        weight = torch.randn(shape, generator=draw) + 0.5 * torch.randn(shape, generator=own)
        self.weight = nn.Parameter(weight / 2)

    def forward(self, images: Tensor) -> Tensor:
        mixed = nn.functional.conv2d(images, self.weight, stride=self.stride, padding=2)
        return torch.sin(mixed)


@torch.no_grad()
def _fitted(features: Tensor, target: Tensor, classes: int) -> Tensor:
    """Return the ridge regression from features to one-hot targets, (F, K)."""
    columns = features.movedim(1, -1).flatten(0, -2).double()
    valid = target.flatten() != VOID
    columns, labels = columns[valid], target.flatten()[valid]
    wanted = nn.functional.one_hot(labels, classes).double() * 10
    gram = columns.T @ columns + 0.1 * torch.eye(columns.shape[1], dtype=torch.float64)
    return torch.linalg.solve(gram, columns.T @ wanted).float()
