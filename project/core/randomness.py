"""Random draws keyed by sample, independent of batch, process, device and global state.

Every draw comes from a generator keyed by its purpose (seed, attack, sample index, step …), so it
does not change with batch mates, the order of batches, the number of processes or the device.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from project.core.per_image import PerImage


def derived_seed(*key: int | str) -> int:
    """Return a seed, 0 … 2^63 - 1, that is a hash of ``key``."""
    # Types are part of the text, so that 1 and "1" differ; hash() of text differs between runs.
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in key)
    seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
    return seed & (2**63 - 1)


def generator(*key: int | str) -> torch.Generator:
    """Return a CPU generator seeded by a hash of ``key``."""
    return torch.Generator().manual_seed(derived_seed(*key))


def uniform(
    shape: Sequence[int], index: Tensor, *key: int | str, low: float = 0.0, high: float = 1.0
) -> Tensor:
    """Draw from U(low, high), each sample from its own generator.

    Args:
        shape: shape of one sample's draw.
        index: (N,) int64, the samples' stable ids.
        key: the purpose of the draw, for example (seed, attack name, step).
        low: the least value.
        high: the upper bound, not reached.

    Returns:
        (N, *shape) float32 in [low, high) on the CPU.
    """
    draws = torch.empty(len(index), *shape, dtype=torch.float32)
    # Drawn on the CPU, whatever the device: CUDA's generators give other numbers.
    for own, sample in zip(draws, index.tolist(), strict=True):
        own.uniform_(low, high, generator=generator(*key, sample))
    return draws


def normal(shape: Sequence[int], index: Tensor, *key: int | str) -> Tensor:
    """Draw from N(0, 1), each sample from its own generator; see :func:`uniform`."""
    draws = torch.empty(len(index), *shape, dtype=torch.float32)
    for own, sample in zip(draws, index.tolist(), strict=True):
        own.normal_(generator=generator(*key, sample))
    return draws


class Draws(PerImage):
    """Random draws for the samples of a batch, for one purpose; narrower purposes extend the key.

    Args:
        index: (N,) int64, the samples' stable ids.
        key: the purpose of the draws, for example (seed, attack name).
    """

    def __init__(self, index: Tensor, *key: int | str) -> None:
        self.index = index
        self.key = key

    def keyed(self, *key: int | str) -> Draws:
        """Return draws for a narrower purpose, the key extended by ``key``."""
        return Draws(self.index, *self.key, *key)

    def uniform(self, *shape: int) -> Tensor:
        """Draw from U(0, 1), (N, *shape) on the CPU, each sample from its own generator."""
        return uniform(shape, self.index, *self.key)

    def normal(self, *shape: int) -> Tensor:
        """Draw from N(0, 1), (N, *shape) on the CPU, each sample from its own generator."""
        return normal(shape, self.index, *self.key)

    def shared(self, count: int) -> int:
        """Draw one of 0 … count - 1, the same for all samples and independent of which they are."""
        return int(torch.randint(count, (), generator=generator(*self.key)))
