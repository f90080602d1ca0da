"""When a training has overfitted to its own attack."""

from __future__ import annotations

from typing import Any

from project.core.errors import InputError


class CollapseRule:
    r"""Robust accuracy has lost half of its best, and the training's own attack does not see it.

    With R under a strong attack, T under the training's own, and b the probe of the best R so far,
    it is a collapse where $$R \le (1 - l)\, R_b$$ and $$(T - R) - (T_b - R_b) \ge w$$. Either alone
    would mistake something else for it: a learning rate too high ruins both accuracies, and an
    honest one-step attack is always somewhat weaker than a strong one.

    Source: the rule is [ours]. Wong et al., "Fast is better than free", ICLR 2020, stop where
    robust accuracy on a training batch is 0.2 lower than an epoch before [code]; that misses a
    collapse from a small accuracy, and one that takes several probes.

    Args:
        lost: l, in (0, 1]; half of it is beyond the noise of a probe with 64 images.
        widened: w, in (0, 1]; three standard deviations of a difference between such probes.
    """

    def __init__(self, lost: float = 0.5, widened: float = 0.2) -> None:
        if not (0 < lost <= 1 and 0 < widened <= 1):
            raise InputError(
                f"lost and widened are shares in (0, 1], got {lost} and {widened}. Smaller ones "
                "report a collapse sooner, and sooner without one."
            )
        self.lost = lost
        self.widened = widened
        self._best = (0.0, 0.0)
        self._collapsed = False

    def __call__(self, robust: float, training: float) -> bool:
        """Take one probe; return whether a collapse begins with it.

        It is told once, and again only after robust accuracy came at least halfway back.

        Args:
            robust: R, in [0, 1].
            training: T, in [0, 1].
        """
        if robust >= self._best[0]:
            self._best = (robust, training)
        best, gap = self._best[0], self._best[1] - self._best[0]
        now = robust <= (1 - self.lost) * best and (training - robust) - gap >= self.widened
        begins = now and not self._collapsed
        lasts = self._collapsed and robust < (1 - self.lost / 2) * best
        self._collapsed = now or lasts
        return begins

    def state_dict(self) -> dict[str, Any]:
        """Return what the next probe is compared with."""
        return {"best": self._best, "collapsed": self._collapsed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the probes of an interrupted run."""
        self._best, self._collapsed = state["best"], state["collapsed"]
