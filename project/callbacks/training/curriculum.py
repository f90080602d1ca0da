"""Curriculum adversarial training: a budget that grows during training."""

from __future__ import annotations

from project.core.errors import InputError


class Curriculum:
    r"""Grow the attack's budget linearly, to $$\min(1, s + (1 - s)\, t / w)$$ times its own.

    t is the share of the training's optimiser steps already taken; the attack's step sizes are
    scaled by the same factor. A network that starts from scratch may learn nothing at all against
    the full budget.

    Source: Cai et al., "Curriculum Adversarial Training", IJCAI 2018, for attacks that grow
    stronger, there in their number of steps [paper]; the linear course of the budget [ours].

    Args:
        start: s, the first factor, in (0, 1].
        share: w, the share of the training after which the whole budget is used, in (0, 1].
    """

    def __init__(self, start: float = 0.25, share: float = 0.5) -> None:
        if not (0 < start <= 1 and 0 < share <= 1):
            raise InputError(
                f"start and share of a curriculum must lie in (0, 1], got {start} and {share}."
            )
        self.start = start
        self.share = share

    def factor(self, progress: float) -> float:
        """Return the factor by which the budget is multiplied.

        Args:
            progress: t, the share of the training that is done, in [0, 1].
        """
        return min(1.0, self.start + (1 - self.start) * progress / self.share)
