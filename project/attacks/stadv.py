"""stAdv: the first flow attack."""

from __future__ import annotations

from project.attacks.flow import FlowAttack


class StAdv(FlowAttack):
    """Warp the whole image along a smooth flow.

    The loss and the choice among iterates are :class:`~project.attacks.flow.FlowAttack`'s.

    Source: Xiao et al., "Spatially Transformed Adversarial Examples", ICLR 2018, eq. (2)–(4):
    τ = 0.05, κ = 0 [paper]. The paper solves with L-BFGS; Adam, its rate and its number of steps
    are [ours].

    Args:
        smoothness: τ, the weight of the flow loss.
        steps: the most updates of an image.
        step_size: Adam's learning rate in pixels.
        early_stop: let each image leave at its first success instead of searching on for the
            smoothest one.
        targeted: whether the target is wanted.
        seed: the key of all draws (none is made).
    """

    def __init__(
        self,
        smoothness: float = 0.05,
        steps: int = 200,
        step_size: float = 0.1,
        early_stop: bool = False,
        targeted: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(steps, step_size, "adam", smoothness, early_stop, targeted, seed)

    def bound(self, step: int) -> float:
        """Return no bound: the flow loss takes its place."""
        return float("inf")
