"""Gradient rule TGR for vision transformers: drop extreme gradients of tokens."""

from dataclasses import dataclass

from torch import Tensor

from project.attacks.gradient.objectives.objective import Memory
from project.attacks.gradient.rules.rule import StepContext
from project.attacks.gradient.rules.token_gradients import (
    Kind,
    TokenRule,
    weakened_scores,
    weakened_tokens,
)
from project.core.errors import InputError


@dataclass(frozen=True)
class TGR(TokenRule):
    """Let no extreme token gradient flow back through the blocks of a vision transformer.

    In every block, the gradients of attention scores, of queries, keys and values, and of the
    MLP's output are multiplied by a weight each. Then, channel by channel, those of the two tokens
    with the highest and the lowest gradient are set to 0; of scores, head by head, the rows and
    columns of both. It costs no further pass, and belongs before momentum. The source must be a
    vision transformer; of an ensemble, members without attention blocks stay as they are.

    Source: Zhang et al., "Transferable Adversarial Attacks on Vision Transformers with Token
    Gradient Regularization", CVPR 2023 [code]. There a hook on the dropout after the softmax
    changes what flows out of the softmax, so it is the scores' gradient, and extremes are those of
    the batch's first image; here each image has its own [ours].
    """

    scores: float = 0.25
    """Weight of the scores' gradients, 0.25 as in the code."""
    qkv: float = 0.75
    """Weight of the gradients of queries, keys and values, 0.75 as in the code."""
    mlp: float = 0.5
    """Weight of the gradients of the MLP's output, 0.5 as in the code."""

    def __post_init__(self) -> None:
        if not all(weight >= 0 for weight in (self.scores, self.qkv, self.mlp)):
            raise InputError(
                "scores, qkv and mlp must be weights of at least 0, got "
                f"{self.scores}, {self.qkv}, {self.mlp}."
            )

    def __call__(self, gradient: Tensor, memory: Memory, context: StepContext) -> Tensor:
        """Return the gradient as it is: it has come through the changed blocks."""
        return gradient

    def changed(self, kind: Kind, gradient: Tensor, above: int, memory: Memory) -> Tensor:
        """Return the weighted gradient without its extremes."""
        if kind == "scores":
            return weakened_scores(self.scores * gradient, 0.0)
        return weakened_tokens((self.qkv if kind == "qkv" else self.mlp) * gradient, 0.0)
