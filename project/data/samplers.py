"""Samplers: evaluation batches are dealt whole to ranks, training samples are shuffled."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler

from project.core.errors import InputError
from project.core.randomness import generator


class DealtBatchSampler(Sampler[list[int]]):
    """Deals whole batches to ranks: batch k has the same samples at any number of ranks.

    Batch k holds positions k·B … (k+1)·B − 1 (the last may be shorter) and belongs to rank
    k mod W. Nothing is padded, repeated or dropped, so one process and W processes compute the
    same batches. Needs ``Trainer(use_distributed_sampler=False)``.

    Args:
        num_samples: samples of the evaluation set.
        batch_size: samples of a whole batch.
        rank: this process, 0 … world_size − 1.
        world_size: number of processes.

    Raises:
        ValueError: if there are fewer batches than ranks, since ranks with a batch would hang in
            collectives that a rank without one never enters.
    """

    def __init__(self, num_samples: int, batch_size: int, rank: int = 0, world_size: int = 1):
        if batch_size < 1:
            raise InputError(f"batch_size must be at least 1, got {batch_size}.")
        if not 0 <= rank < world_size:
            raise InputError(f"rank must be in 0 … {world_size - 1}, got {rank}.")
        self.num_samples = num_samples
        self.batch_size = batch_size
        self.rank = rank
        self.world_size = world_size
        self._check_enough()

    def __iter__(self) -> Iterator[list[int]]:
        """Yield this rank's batches as lists of positions."""
        for start in range(
            self.rank * self.batch_size, self.num_samples, self.world_size * self.batch_size
        ):
            yield list(range(start, min(start + self.batch_size, self.num_samples)))

    def __len__(self) -> int:
        """Return the number of this rank's batches."""
        return len(range(self.rank, self._num_batches(), self.world_size))

    def _num_batches(self) -> int:
        return -(-self.num_samples // self.batch_size)

    def _check_enough(self) -> None:
        if self._num_batches() < self.world_size:
            raise InputError(
                f"every rank needs at least one batch, got {self._num_batches()} batches "
                f"({self.num_samples} samples, batch size {self.batch_size}) for "
                f"{self.world_size} ranks. Use fewer devices or a smaller batch_size."
            )


def fitting_batch_size(num_samples: int, batch_size: int, world_size: int) -> int:
    """Return the batch size, or a smaller one where ranks would have no batch otherwise.

    Fewer samples than ranks are left to :class:`DealtBatchSampler` to refuse.
    """
    if -(-num_samples // batch_size) >= world_size:
        return batch_size
    return max(1, num_samples // world_size)


class EpochSampler(Sampler[tuple[int, int]]):
    """Shuffles a training set anew in each epoch, in disjoint equal shares for all ranks.

    It yields (epoch, position), so that augmentation can depend on both wherever the sample is
    loaded. Lightning calls :meth:`set_epoch`. Up to ``world_size − 1`` samples, different ones in
    each epoch, are left out to keep the shares equal.

    Args:
        num_samples: samples of the training set.
        seed: key of the order.
        rank: this process, 0 … world_size − 1.
        world_size: number of processes.

    Raises:
        ValueError: if there are fewer samples than ranks.
    """

    def __init__(self, num_samples: int, seed: int = 0, rank: int = 0, world_size: int = 1):
        if num_samples < world_size:
            raise InputError(
                f"every rank needs at least one training sample, got {num_samples} samples for "
                f"{world_size} ranks. Use fewer devices."
            )
        self.num_samples = num_samples
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which decides the order of the next iteration."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield this rank's (epoch, position) pairs."""
        epoch = self.epoch
        draw = generator("order", self.seed, epoch)
        order: list[int] = torch.randperm(self.num_samples, generator=draw).tolist()
        for turn in range(len(self)):
            yield epoch, order[self.rank + turn * self.world_size]

    def __len__(self) -> int:
        """Return the size of this rank's share."""
        return self.num_samples // self.world_size
