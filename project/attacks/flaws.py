"""Gradients that lead nowhere: all zeros, or no numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from project.core.losses import valid_elements

SLOPE = "slope"
"""The trace that tells of flaws: (N,), 0 where the gradient is 0 everywhere, ∞ where a value of it
is no number, and else any number between."""


def mended(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Take a gradient as 0 where it is NaN or infinite, and tell whether there is any slope.

    Image by image, one such value would else spread over the whole perturbation.

    Args:
        gradient: (N, C, H, W).

    Returns:
        The gradient, finite, and :data:`SLOPE`.
    """
    flat = gradient.flatten(1)
    if gradient.is_cpu:  # a GPU would have to be waited for
        sums = flat.sum(1).abs()  # one pass rules out both flaws, but where a sum happens to be 0
        if sums.amin() > 0 and sums.amax() < math.inf:
            return gradient, sums
    largest = torch.maximum(-flat.amin(1), flat.amax(1))  # NaN where a value is
    return gradient.nan_to_num(0.0, 0.0, 0.0), largest.nan_to_num(torch.inf, torch.inf)


def flaw_facts(traces: dict[str, Tensor], target: Tensor) -> dict[str, Tensor]:
    """Take :data:`SLOPE` out of a run's traces, (N, T) each, and count the flaws in it.

    Args:
        traces: NaN where an image made no step.
        target: (N,) or (N, H, W); of an image that is void everywhere a gradient of 0 is right.

    Returns:
        (N,) in [0, 1] each, shares of an image's steps: ``zero_gradient``, exactly 0 everywhere;
        ``bad_gradient``, NaN or infinite somewhere.
    """
    slope = traces.pop(SLOPE)
    labelled = valid_elements(target).flatten(1).any(1) if target.ndim > 1 else True
    steps = (~slope.isnan()).sum(1).clamp(min=1)
    zero, bad = (slope == 0).sum(1), (slope == torch.inf).sum(1)
    return {"zero_gradient": zero * labelled / steps, "bad_gradient": bad / steps}
