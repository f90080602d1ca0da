"""Norms of the perturbation, MSE and PSNR, on 8-bit images as a file would hold them.

Convention
    images   (N, 3, H, W) in [0, 1]; rounded to k/255 before anything is computed
    change   (N, 3, H, W) int32, of the adversarial from the clean image in grey levels
    values   (N,) float64, one per image, on the images' device
    mask     (N, 1, H, W) bool, where an attack may change the image
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import NamedTuple

import torch
from torch import Tensor

from project.metrics.family import FamilyMember
from project.metrics.sliding_windows import checked_pair, eight_bit


class Change(NamedTuple):
    """A change in grey levels, with what several sizes of it follow from.

    Attributes:
        levels: (N, 3, H, W) int32.
        squared: sum of its squares, (N,) float64 of whole numbers.
    """

    levels: Tensor
    squared: Tensor


class SizeOfChange(FamilyMember[Tensor, Change]):
    """Base of the metrics that depend on the change x' − x alone."""

    smallest = 1

    def prepare(self, clean: Tensor) -> Tensor:
        """Return clean grey levels as they are."""
        return clean

    def measure(self, side: Tensor, adversarial: Tensor) -> Change:
        """Return the change to grey levels (N, 3, H, W)."""
        change = adversarial - side
        return Change(change, _squared(change))


class L0Norm(SizeOfChange):
    """Number of pixels that change in any channel, ‖x' − x‖₀, as sparse attacks report it.

    Source: Su, Vargas, Sakurai, "One pixel attack for fooling deep neural networks", IEEE
    Transactions on Evolutionary Computation 23(5), 2019, eq. (2): a pixel is one unit, whatever
    becomes of its channels.
    """

    name = "l0"

    def value(self, measured: Change) -> Tensor:
        """Return the number of changed pixels, (N,) in [0, HW]."""
        return reduce(or_, measured.levels.unbind(1)).flatten(1).count_nonzero(1).double()


class L2Norm(SizeOfChange):
    """Euclidean length of the change in [0, 1] units, ‖x' − x‖₂ over all pixels and channels."""

    name = "l2"

    def value(self, measured: Change) -> Tensor:
        """Return the length, (N,) in [0, sqrt(3HW)]."""
        return measured.squared.sqrt() / 255


class LinfNorm(SizeOfChange):
    """Largest change of any channel of any pixel in [0, 1] units, ‖x' − x‖∞; × 255 in grey levels.

    It is a multiple of 1/255, so a budget of 8/255 is met exactly.
    """

    name = "linf"

    def value(self, measured: Change) -> Tensor:
        """Return the largest change, (N,) in [0, 1]."""
        return measured.levels.abs().flatten(1).amax(1).double() / 255


class MSE(SizeOfChange):
    """Mean squared change in 0–255 units, mean over pixels and channels, as SSTA's tables use it.

    Source: Liu et al., "SSTA: Salient Spatially Transformed Attack", ICASSP 2024, table 2 [paper].
    """

    name = "mse"

    def value(self, measured: Change) -> Tensor:
        """Return the mean squared change, (N,) in [0, 255²]."""
        return measured.squared / measured.levels[0].numel()


class PSNR(SizeOfChange):
    """Peak signal-to-noise ratio in dB, 10 · log10(255² / MSE); infinite for identical images."""

    name = "psnr"

    def value(self, measured: Change) -> Tensor:
        """Return the PSNR, (N,) in [0, ∞] dB."""
        return 10 * torch.log10(255**2 / MSE().value(measured))


def split_by_mask(clean: Tensor, adversarial: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Measure the change inside and outside the mask of an attack, each side by itself.

    A small mask makes the mean over a whole image look harmless; inside is where one would look.
    Outside nothing may change, so that ``mse_outside`` and ``linf_outside`` are exactly 0.

    Args:
        clean: (N, 3, H, W) in [0, 1].
        adversarial: likewise.
        mask: (N, 1, H, W) bool.

    Returns:
        ``mse_inside``, ``mse_outside`` (0–255 units), ``linf_inside``, ``linf_outside`` ([0, 1]
        units), (N,) float64 each; NaN where an image has no pixel on that side.
    """
    checked_pair(clean, adversarial, 1, "A change")
    change = eight_bit(adversarial) - eight_bit(clean)
    found = {}
    for side, chosen in (("inside", mask), ("outside", ~mask)):
        kept = torch.where(chosen, change, 0).flatten(1)
        count = chosen.flatten(1).sum(1).double()
        squared = kept.square().sum(1, dtype=torch.int64).double()
        largest = kept.abs().amax(1).double() / 255
        found[f"mse_{side}"] = squared / (count * clean.shape[1])
        found[f"linf_{side}"] = torch.where(count > 0, largest, torch.nan)
    return found


def _squared(change: Tensor) -> Tensor:
    """Return the sum of squared changes, (N,) float64 of whole numbers: exact in any order."""
    # Not square(), which takes ten times as long for integers on a CPU.
    return (change * change).flatten(1).sum(1, dtype=torch.int64).double()
