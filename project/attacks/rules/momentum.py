"""Momentum."""

from __future__ import annotations

import torch
from torch import Tensor

from project.attacks.rules.rule import GradientRule, Here
from project.attacks.step import Memory


class Momentum(GradientRule):
    r"""Ascend along a decaying sum of normalised gradients, which transfers better.

    $$g_{t+1} = \mu g_t + \nabla / \mathrm{mean}|\nabla|$$, the mean taken image by image.

    Source: Dong et al., "Boosting Adversarial Attacks with Momentum", CVPR 2018, eq. (6) [paper];
    the mean for the paper's L1 norm is a constant factor, taken so that values stay near 1.

    Args:
        decay: μ, the weight of the past; 0 is no momentum.
    """

    def __init__(self, decay: float = 1.0) -> None:
        self.decay = decay

    def __call__(self, gradient: Tensor, memory: Memory, here: Here) -> Tensor:
        """Return the new sum."""
        tiny = torch.finfo(gradient.dtype).tiny  # confident victims have tiny gradients, not none
        scale = gradient.abs().mean((1, 2, 3), keepdim=True).clamp(min=tiny)
        past = memory.get("sum")
        memory["sum"] = gradient / scale if past is None else self.decay * past + gradient / scale
        return memory["sum"]
