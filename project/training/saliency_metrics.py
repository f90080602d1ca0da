"""Metrics of saliency maps, MAE and max F, over the valid pixels of each image."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from project.core.losses import VOID, mean_over_valid
from project.metrics import PerImageMean

_BETA_SQUARED = 0.3
_LEVELS = 256
_UNIT = 2**40  # F in whole units adds up exactly, whatever the order of images and processes


class SaliencyMeasures(nn.Module):
    """Loss, MAE and max F of one split, each over all of its images and all processes."""

    def __init__(self) -> None:
        super().__init__()
        self.loss = PerImageMean()
        self.mae = PerImageMean()
        self.max_f = MaxF()

    def update(self, losses: Tensor, maps: Tensor, target: Tensor) -> None:
        """Add a batch: losses (N,), maps (N, 1, H, W) in [0, 1], target (N, H, W) of 0, 1, 255."""
        self.loss.update(losses)
        self.mae.update(mean_absolute_error(maps, target))
        self.max_f.update(maps, target)

    def conclude(self) -> dict[str, float]:
        """Return the measures by name, and reset them."""
        means = {"loss": self.loss.compute().value, "mae": self.mae.compute().value}
        results = {**means, "max_f": float(self.max_f.compute())}
        for metric in (self.loss, self.mae, self.max_f):
            metric.reset()
        return results


def mean_absolute_error(maps: Tensor, target: Tensor) -> Tensor:
    """Return each image's mean |map − mask| over its valid pixels, (N,).

    Args:
        maps: (N, 1, H, W) in [0, 1].
        target: (N, H, W) int64 of 0, 1 and 255 (void).
    """
    errors = (maps[:, 0] - (target == 1).to(maps.dtype)).abs()
    return mean_over_valid(errors, target != VOID)


class MaxF(Metric):
    r"""The best mean F-measure over all thresholds, the field's "max F".

    $$\max_k \frac{1}{N} \sum_i \frac{(1 + \beta^2) P_i R_i}{\beta^2 P_i + R_i}$$, β² = 0.3, with
    image i's precision and recall where its map is at least k/255, k = 0 … 255. Images without an
    object have no recall and are left out [ours].

    Source: Achanta et al., "Frequency-tuned Salient Region Detection", CVPR 2009, section 5
    (β²) [paper]; the order of mean and maximum as in the evaluation tools of Fan et al. [port],
    where TRACER's code takes the mean of each image's own maximum.
    """

    full_state_update = False
    higher_is_better = True
    is_differentiable = False

    curve: Tensor
    images: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("curve", torch.zeros(_LEVELS, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("images", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, maps: Tensor, target: Tensor) -> None:
        """Add a batch of maps (N, 1, H, W) in [0, 1] and targets (N, H, W) of 0, 1 and 255."""
        for image, mask in zip(maps[:, 0], target, strict=True):
            if bool((mask == 1).any()):
                units = (f_curve(image, mask) * _UNIT).round().long()
                self.curve = self.curve + units.to(self.curve.device)
                self.images = self.images + 1

    def compute(self) -> Tensor:
        """Return the max F, float64 in [0, 1]; NaN if no image has an object."""
        return self.curve.max().cpu().double() / (_UNIT * self.images.cpu())


def f_curve(image: Tensor, mask: Tensor) -> Tensor:
    """Return F at the thresholds 0/255 … 255/255, (256,) float64 on the CPU.

    Args:
        image: one map, (H, W) in [0, 1].
        mask: (H, W) of 0, 1 and 255, with a pixel of 1.
    """
    levels = (image * (_LEVELS - 1)).long()
    hits, found = (
        torch.bincount(levels[pixels], minlength=_LEVELS).cpu().flip(0).cumsum(0).flip(0).double()
        for pixels in (mask == 1, mask != VOID)
    )
    # With P = hits/found and R = hits/object the measure is a ratio of counts, 0 where no hit is.
    return (1 + _BETA_SQUARED) * hits / (_BETA_SQUARED * hits[0] + found)
