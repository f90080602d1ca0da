"""Targeted attacks on data sets that have only the true labels, by choosing a wanted class."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from project.attacks.combined.aims import Aim
from project.attacks.combined.combination import Combination, traits_around
from project.attacks.core.attack import Attack, Traits
from project.attacks.core.query import fooled_share, query
from project.attacks.core.result import Perturbed
from project.core.errors import InputError
from project.core.losses import VOID, valid_elements
from project.core.samples import Samples


@dataclass(frozen=True)
class Aimed(Combination):
    """A targeted attack that takes labels, as every attack of an experiment does.

    An aim chooses the wanted classes; the targeted attack leads there. Void elements stay void.
    Success is judged as everywhere else, by the labels; rows also hold as ``reached`` the share of
    the elements with a wanted class at which it is predicted, on the 8-bit image.

    Source: [ours].
    """

    targeted = False

    attack: Attack
    """Targeted attack that leads to the wanted classes."""
    aim: Aim
    """Aim that chooses the wanted classes."""

    def __post_init__(self) -> None:
        if not self.attack.targeted:
            raise InputError(
                f"Aimed needs a targeted attack, got an untargeted {self.attack.name}. "
                "Give it targeted=True."
            )

    def attach(self, samples: Samples) -> None:
        """Give attack and aim access to the samples."""
        super().attach(samples)
        self.aim.attach(samples)

    def traits(self) -> Traits:
        """Describe the targeted attack, with its method in brackets."""
        return traits_around(self, self.attack)

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Choose the wanted classes, and run the targeted attack."""
        wanted = self._wanted(victim, images, target, index)
        found = self.attack.perturb(victim, images, wanted, index)
        with torch.no_grad():
            reached = fooled_share(query(victim, found.images, wanted), wanted, targeted=True)
        return replace(found, facts=found.facts | {"reached": reached})

    def _wanted(self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor) -> Tensor:
        with torch.no_grad():
            logits = query(victim, images, target)
        wanted = self.aim.wanted(logits, target, index)
        if wanted.shape != target.shape:
            raise InputError(
                f"{type(self.aim).__name__} must give a wanted class for each label, "
                f"{tuple(target.shape)}, got {tuple(wanted.shape)}. Make its maps of that size."
            )
        wanted = wanted.where(valid_elements(target), VOID)
        _check_classes(wanted, logits.shape[1])
        return wanted


def _check_classes(wanted: Tensor, count: int) -> None:
    classes = wanted[valid_elements(wanted)]
    if classes.numel() and not 0 <= int(classes.amin()) <= int(classes.amax()) < count:
        raise InputError(
            f"wanted classes must lie in 0 … {count - 1}, the victim's classes (255 is void in "
            f"maps), got {int(classes.amin())} … {int(classes.amax())}. Correct the aim."
        )
