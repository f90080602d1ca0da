"""The adaptive pixel-intensity loss of salient object detection, image by image.

Convention
    logits  (N, M, H, W), M maps of each image
    target  (N, H, W) int64: 1 object, 0 background, 255 void, which counts nowhere
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from project.core.losses import VOID

_WINDOWS = (3, 15, 31)  # sides in pixels
_WEIGHT = 0.5


def pixel_intensity_loss(logits: Tensor, target: Tensor) -> Tensor:
    r"""Return BCE + IoU + L1, each weighted pixel by pixel, so that fine object parts count more.

    With p = sigmoid(logits), mask m and the weights ω of :func:`intensity_weights`, sums over the
    pixels of one image,

    $$\frac{\sum \omega\, \mathrm{BCE}(p, m)}{\sum \omega}
    + 1 - \frac{1 + \sum \omega p m}{1 + \sum \omega (p + m - p m)}
    + \frac{\sum \omega |p - m|}{\sum \omega}.$$

    Source: Lee, Shin and Han, "TRACER: Extreme Attention Guided Salient Object Tracing Network",
    AAAI 2022, adaptive pixel intensity loss [paper]; the 1 in the IoU [code]; both means over Σω
    [ours]. The released code averages BCE and L1 over the whole batch *before* it weights them,
    which leaves every pixel the same weight and couples the images, and divides the L1 by
    Σ(ω − 1), which is 0 for an empty mask (loss and gradients NaN) and else blows the L1 up by the
    ratio of the sums. Its common factor 0.7 is left out.

    Args:
        logits: (N, M, H, W).
        target: (N, H, W) int64 of 0, 1 and 255, for all M maps.

    Returns:
        (N, M), at least 0; exactly 0 for an image of void alone.
    """
    logits = logits.float()  # half precision cannot add up a map
    omega = intensity_weights(target)[:, None]
    mask = (target == 1).float()[:, None].expand_as(logits)
    total = omega.sum((2, 3)).clamp(min=1)  # every weight is at least 1: only void alone is below
    bce = F.binary_cross_entropy_with_logits(logits, mask, reduction="none")
    p = logits.sigmoid()
    both = (omega * p * mask).sum((2, 3))
    either = (omega * (p + mask - p * mask)).sum((2, 3))
    mean_bce, mean_l1 = ((omega * loss).sum((2, 3)) / total for loss in (bce, (p - mask).abs()))
    return mean_bce + 1 - (both + 1) / (either + 1) + mean_l1


def intensity_weights(target: Tensor) -> Tensor:
    r"""Return a weight per pixel, larger on the object where its surroundings are not object.

    $$\omega = 1 + 0.5 \sum_{k \in \{3, 15, 31\}} |\mathrm{avgpool}_k(m) - m| \cdot m$$, the means
    over k×k pixels, those outside the image counted as background [code], as is void [ours].

    Args:
        target: (N, H, W) int64 of 0, 1 and 255.

    Returns:
        (N, H, W) float32, at least 1; 0 where the target is void.
    """
    mask = (target == 1).float()
    contrast = torch.stack([(_window_mean(mask, side) - mask).abs() for side in _WINDOWS])
    omega = 1 + _WEIGHT * contrast.sum(0) * mask
    return omega * (target != VOID)


def edge_target(target: Tensor) -> Tensor:
    """Return the object's outline as a target of the same kind, a line two pixels wide.

    A pixel is on it where its left and right or its upper and lower neighbour differ, the image
    continued by its border: the non-zero gradient of TRACER's edge generator [code], there taken
    of the file before it is resized, here of the mask that the network is shown [ours]. Void counts
    as background to the object beside it, and stays void itself [ours]: published rims of void
    would else leave no outline at all.

    Args:
        target: (N, H, W) int64 of 0, 1 and 255.

    Returns:
        (N, H, W) int64 of 0, 1 and 255.
    """
    mask = F.pad((target == 1).float()[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    across = mask[:, 1:-1, 2:] != mask[:, 1:-1, :-2]
    down = mask[:, 2:, 1:-1] != mask[:, :-2, 1:-1]
    return (across | down).to(target.dtype).masked_fill(target == VOID, VOID)


def _window_mean(mask: Tensor, side: int) -> Tensor:
    """Return the mean over side×side pixels, down and then across: 31 + 31 steps, not 31²."""
    columns = F.avg_pool2d(mask, (side, 1), stride=1, padding=(side // 2, 0))
    return F.avg_pool2d(columns, (1, side), stride=1, padding=(0, side // 2))
