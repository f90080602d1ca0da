"""The datamodule that attacks and training share: verified samples, dealt and shuffled."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar

import cv2
import torch
from lightning import LightningDataModule
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torch.utils.data import DataLoader

from project.core.errors import InputError
from project.data.augmentation import Augmentation, Augmented
from project.data.decoding import AS_STORED, Reading
from project.data.eval_transform import Frame, Native
from project.data.loader import Batch, WatchedLoader, collate, require_one_size
from project.data.resumable_loader import ResumableLoader, TrainingBatches
from project.data.sample_set import SampleSet
from project.data.samplers import DealtBatchSampler, EpochSampler, fitting_batch_size
from project.data.verify import OnError, verify_samples

Loader = TypeVar("Loader", bound=WatchedLoader)


class AttackDataModule(LightningDataModule, ABC):
    """Loaders of ``{image, target, index}`` batches; see the batch contract of :class:`SampleSet`.

    Evaluation batches are dealt whole to ranks (:class:`DealtBatchSampler`), so the trainer needs
    ``use_distributed_sampler=False``.

    Attributes:
        root: the data set's folder; empty where there is none.
        passes: names of the test dataloaders, one loader over the same samples per entry. The
            attack callback sets it to one name per (source, attack) before loaders are made.
        replays: how many times in a row each training batch comes, with the same augmentation;
            training for free sets it before loaders are made.
        notices: lines about the data for the report, such as samples left out.
        train_split: the split that training uses; None: there is nothing to train on.
        val_split: the split that validation during training uses.

    Args:
        eval_split: the split that testing and attacks use.
        frame: the evaluation transform; None keeps the size on disk.
        augment: training augmentation; None trains on the evaluation frame.
        batch_size: samples per batch and process.
        num_workers: loader processes per loader; 0 loads in the main process.
        limit: evaluate only so many samples, evenly spaced over the sorted list; None is all.
        on_error: ``raise`` refuses to go on with unusable samples, ``skip`` leaves them out.
        verify: decode every sample before anything runs.
        seed: key of the training order and of augmentation.
        reading: how files are read, where the data are files; None: pixels as they are stored, of
            at most Pillow's limit, inside of the root.

    Raises:
        ValueError: if a number is too small, or bad samples are to be skipped unseen.
    """

    root: str = ""
    passes: Sequence[str] = ("clean",)
    replays: int = 1
    train_split: str | None = "train"
    val_split: str | None = "val"

    def __init__(
        self,
        eval_split: str | None,
        *,
        frame: Frame | None = None,
        augment: Augmentation | None = None,
        batch_size: int = 8,
        num_workers: int = 0,
        limit: int | None = None,
        on_error: OnError = "raise",
        verify: bool = True,
        seed: int = 0,
        reading: Reading | None = None,
    ) -> None:
        super().__init__()
        if batch_size < 1 or num_workers < 0:
            raise InputError(
                "batch_size must be at least 1 and num_workers at least 0, got "
                f"{batch_size}, {num_workers}. Correct --data.batch_size or --data.num_workers."
            )
        if on_error == "skip" and not verify:
            raise InputError(
                "on_error 'skip' needs verify true, since bad samples are found by verifying; got "
                "verify false. Set one of them otherwise."
            )
        self.eval_split = eval_split
        self.frame = frame
        self.augment = augment
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.limit = limit
        self.on_error = on_error
        self.verify = verify
        self.seed = seed
        self.reading = reading or AS_STORED
        self.notices: list[str] = []
        self._training: SampleSet | None = None
        self._training_loader: ResumableLoader | None = None
        self._resumed: dict[str, Any] | None = None
        self._evaluation: dict[str | None, SampleSet] = {}
        self._verified: set[int] = set()
        self._current = eval_split

    @abstractmethod
    def build(self, split: str | None, frame: Frame, limit: int | None) -> SampleSet:
        """List the samples of a split without decoding them.

        Raises:
            FileNotFoundError: if the data set is not where it should be.
            ValueError: if the split does not exist, or lists are malformed.
        """

    @property
    def samples(self) -> SampleSet:
        """The evaluation set of the last ``setup``'s stage; before any setup, of ``eval_split``."""
        return self._listed(self._current)

    @property
    def train_samples(self) -> SampleSet:
        """The training set.

        Raises:
            ValueError: if the data set has no split to train on.
        """
        if self.train_split is None:
            raise InputError(
                "training needs a split of its own, got train_split null. Set --data.train_split."
            )
        if self._training is None:
            # Training takes all samples: the trainer has its own limits.
            self._training = self.build(self.train_split, self.frame or Native(), None)
        return self._training

    @property
    def task(self) -> str:
        """``classification`` or ``segmentation``."""
        return self.samples.task

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return self.samples.num_classes

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.samples.class_names

    @property
    def training_batch(self) -> int:
        """Number of samples in a training batch of one process: all batches are equal."""
        return min(self.batch_size, max(1, len(self.train_samples) // self._place()[1]))

    def training_example(self) -> Tensor:
        """Return one training image (1, 3, H, W), augmented."""
        return Augmented(self.train_samples, self.augment, self.seed)[0, 0]["image"][None]

    def setup(self, stage: str = "test") -> None:
        """List and verify what the stage needs, before any of it is used.

        Raises:
            DataError: if samples cannot be used; see :func:`verify_samples`.
        """
        self._check_trainer()
        self._resumed = None  # a checkpoint's state is loaded after setup
        self._current = self.val_split if stage in ("fit", "validate") else self.eval_split
        needed = [(self.train_samples, self.augment)] if stage == "fit" else []
        for samples, augment in [*needed, (self.samples, None)]:
            if self.verify and id(samples) not in self._verified:
                self.notices += verify_samples(samples, self.on_error, augment)
                self._verified.add(id(samples))
        size = self.dealt_batch_size(self.samples)
        if size < self.batch_size:
            self.notice(
                f"batches have {size} samples instead of {self.batch_size}, so that each of "
                f"{self._place()[1]} processes has one; last bits may differ from one process's"
            )

    def notice(self, text: str) -> None:
        """Tell something about the data once, in the terminal and in the report."""
        if text not in self.notices:
            self.notices.append(text)
            rank_zero_warn(text)

    def tell_if_partial(self, split: str, found: int, published: int) -> None:
        """Tell that a split has another number of samples than the published data set."""
        if found != published:
            self.notice(
                f"{self.root} has {found} {split} photos, and {published} as published: results "
                "are not those of the whole data set."
            )

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return a loader of shuffled, augmented batches.

        A short last batch is left out unless it is the only one.
        """
        rank, world_size = self._place()
        if self.batch_size > 1:  # shuffled, so that any two may meet
            require_one_size(self.train_samples.sizes.values())
        dataset = Augmented(self.train_samples, self.augment, self.seed)
        sampler = EpochSampler(len(dataset), self.seed, rank, world_size)
        batches = TrainingBatches(sampler, self.batch_size, self.replays)
        self._training_loader = self._loader(ResumableLoader, dataset, batch_sampler=batches)
        if self._resumed is not None:
            self._training_loader.load_state_dict(self._resumed)
        return self._training_loader

    def state_dict(self) -> dict[str, Any]:
        """Return the training's place in its epoch, for a checkpoint."""
        return {} if self._training_loader is None else self._training_loader.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the training loader's place in its epoch from a checkpoint.

        Lightning gives loaders their state itself, but not where a schedule has asked for the
        number of steps before: https://github.com/Lightning-AI/pytorch-lightning/issues/20550.
        """
        self._resumed = state_dict

    def val_dataloader(self) -> DataLoader[Batch]:
        """Return a loader of the validation split, whose whole batches are dealt to ranks."""
        return self._evaluation_loader(self._listed(self.val_split))

    def test_dataloader(self) -> list[DataLoader[Batch]]:
        """Return one loader per entry of ``passes``, all over the evaluation split."""
        return [self._evaluation_loader(self._listed(self.eval_split)) for _ in self.passes]

    def dealt_batch_size(self, samples: SampleSet) -> int:
        """Return how many samples are evaluated at a time: fewer where ranks would be idle."""
        return fitting_batch_size(len(samples), self.batch_size, self._place()[1])

    def _listed(self, split: str | None) -> SampleSet:
        if split not in self._evaluation:
            self._evaluation[split] = self.build(split, self.frame or Native(), self.limit)
        return self._evaluation[split]

    def _evaluation_loader(self, samples: SampleSet) -> DataLoader[Batch]:
        size, (rank, world_size) = self.dealt_batch_size(samples), self._place()
        for first in range(0, len(samples), size):
            batch = samples.indices[first : first + size]
            require_one_size(samples.sizes[index] for index in batch if index in samples.sizes)
        batches = DealtBatchSampler(len(samples), size, rank, world_size)
        return self._loader(WatchedLoader, samples, batch_sampler=batches)

    def _loader(self, kind: type[Loader], dataset: Any, **dealing: Any) -> Loader:
        return kind(
            dataset,
            num_workers=self.num_workers,
            collate_fn=collate,
            worker_init_fn=_one_thread,
            pin_memory=torch.cuda.is_available(),
            **dealing,
        )

    def _place(self) -> tuple[int, int]:
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size

    def _check_trainer(self) -> None:
        if self._place()[1] == 1 or self.trainer is None:
            return
        # Lightning has no public way to ask; its sampler would pad batches and repeat samples.
        connector = self.trainer._accelerator_connector
        if getattr(connector, "use_distributed_sampler", False):
            raise InputError(
                "batches are dealt to ranks by the datamodule, so the trainer must not add its own "
                "sampler, got use_distributed_sampler=True. Use "
                "Trainer(use_distributed_sampler=False)."
            )


def _one_thread(worker: int) -> None:
    # OpenCV's thread pool does not survive a fork, and workers share the cores anyway.
    cv2.setNumThreads(0)
