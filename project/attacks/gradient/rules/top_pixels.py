"""Gradient rule TopPixels: steps where they count most."""

import math
from dataclasses import dataclass

from torch import Tensor

from project.attacks.gradient.objectives.objective import Memory
from project.attacks.gradient.rules.rule import GradientRule, StepContext
from project.core.errors import InputError


@dataclass(frozen=True)
class TopPixels(GradientRule):
    r"""Step only at the pixels whose gradient is largest, and leave the others as they are.

    $$g_p \leftarrow g_p\,[\,\max_c |g_{pc}| \ge t\,]$$, with t the value that a share of an image's
    pixels reaches. A step by the sign moves every pixel equally far, however little it does there;
    what can be seen is the sum of all. Steps at the strongest pixels need a larger ``eps``, and
    transfer as well with less to see. It belongs behind the momentum.

    Source: [ours]; that few pixels suffice is from Papernot et al., "The Limitations of Deep
    Learning in Adversarial Settings", EuroS&P 2016 [paper].
    """

    share: float = 0.25
    """Share of the pixels that a step moves, in (0, 1]; 1 is all of them. Where gradients are
    equal, such as 0, it may be more."""

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise InputError(f"share must lie in (0, 1], got {self.share}.")

    def __call__(self, gradient: Tensor, memory: Memory, context: StepContext) -> Tensor:
        """Return the gradient where it is largest, and 0 elsewhere."""
        strength = gradient.abs().amax(1, keepdim=True)
        pixels = strength[0].numel()
        left = pixels - math.ceil(self.share * pixels)
        least = strength.flatten(1).kthvalue(left + 1, 1).values
        return gradient * (strength >= least.view(-1, 1, 1, 1))
