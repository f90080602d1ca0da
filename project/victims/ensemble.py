"""Ensembles: several victims as one, on which attacks transfer better to others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from project.core.errors import InputError
from project.core.randomness import Draws
from project.victims.victim import Victim


class EnsembleVictim(Victim):
    """The mean of several victims' logits; each member normalises and resizes for itself.

    An attack on the ensemble is an attack from several sources at once. A member that is also a
    victim of the experiment on its own is then no black box: its column does not measure transfer.

    Source: Liu et al., "Delving into Transferable Adversarial Examples and Black-box Attacks",
    ICLR 2017, section 4 (there the mean of probabilities); of logits: Dong et al., "Boosting
    Adversarial Attacks with Momentum", CVPR 2018, section 3.4 [paper].

    Args:
        victims: at least one, all of one task and with the same classes.
    """

    def __init__(self, victims: Sequence[Victim]) -> None:
        kinds = {(victim.task, victim.num_classes) for victim in victims}
        if len(kinds) != 1:
            raise InputError(
                "an ensemble's victims must share one task and one number of classes, got "
                f"{', '.join(f'{task} with {count}' for task, count in sorted(kinds)) or 'none'}."
            )
        ((task, count),) = kinds
        super().__init__(nn.ModuleList(victims), count, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        self.victims = victims
        self.task = task

    def asked(self, draws: Draws) -> Sequence[nn.Module]:
        """Return the victims that a gradient attack queries at one step: the ensemble as a whole.

        Args:
            draws: random draws of the samples, for this step.
        """
        return [self]

    def forward(self, images: Tensor) -> Tensor:
        """Return the mean logits of images (N, 3, H, W) in [0, 1]."""
        assert isinstance(self.network, nn.ModuleList)
        return torch.stack([member(images) for member in self.network]).mean(0)


class MeanLossEnsemble(EnsembleVictim):
    """An ensemble on which gradient attacks maximise the mean of its members' losses.

    A pixel is then split or weighted by each member's own prediction. Other attacks and the final
    judgement use the logits, which are the members' mean.

    Source: Dong et al., "Boosting Adversarial Attacks with Momentum", CVPR 2018, section 3.4, the
    alternative called "in loss" [paper].
    """

    def asked(self, draws: Draws) -> Sequence[nn.Module]:
        """Return all members."""
        assert isinstance(self.network, nn.ModuleList)
        return list(self.network)


class RandomEnsemble(EnsembleVictim):
    """An ensemble of which gradient attacks query one random member at each step.

    A step costs as much as on one victim. All images of a step are shown to the same member, so
    that no image depends on its batch mates. The logits are the members' mean.

    Source: [ours], after the random source networks of Li et al., "Learning Transferable
    Adversarial Examples via Ghost Networks", AAAI 2020.
    """

    def asked(self, draws: Draws) -> Sequence[nn.Module]:
        """Return the member drawn for this step."""
        assert isinstance(self.network, nn.ModuleList)
        return [self.network[draws.shared(len(self.network))]]


def asked(victim: nn.Module, draws: Draws) -> Sequence[nn.Module]:
    """Return the networks that a gradient attack queries in a step; see :class:`EnsembleVictim`."""
    return victim.asked(draws) if isinstance(victim, EnsembleVictim) else [victim]
