"""The Square attack, which never asks for a gradient."""

from __future__ import annotations

import copy
from bisect import bisect_left
from typing import Self

import torch
from torch import Tensor, nn

from project.attacks.core.attack import Attack, Perturbed, Traits
from project.attacks.core.query import query, resisting
from project.attacks.square_moves import L2Moves, LinfMoves
from project.core.errors import InputError
from project.core.losses import margin, mean_over_valid, valid_elements
from project.core.randomness import Draws
from project.threat_models import Norm, ThreatModel, norm_ball

_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""After which moves the squares' area is halved."""
_MOVES = {"linf": LinfMoves, "l2": L2Moves}


class Square(Attack):
    r"""Random search by squares: what lowers the label's lead is kept.

    A move changes the noise inside a square of each image, at a place of its own; see
    :mod:`~project.attacks.square_moves`. It is kept where the label's lead
    $$z_y - \max_{k \ne y} z_k$$ falls (the target's lag, where targeted); of a segmenter, where
    fewer valid pixels resist or, with as many, the mean of their leads falls [ours]. The squares'
    area is p of the image, halved after 10, 50, 200, 500, 1000, 2000, 4000, 6000 and 8000 moves.
    An image leaves once it is fooled as a whole.

    The victim is asked about the 8-bit image that would be saved [ours], and about nothing but
    logits: where it hides its gradient, this finds what is there all the same.

    Source: Andriushchenko et al., "Square Attack: a query-efficient black-box adversarial attack
    via random search", ECCV 2020; a fixed schedule, whatever the number of queries, as in
    AutoAttack [code]. The square of an image is drawn for itself, and reaches its last row and
    column [ours].

    Args:
        eps: budget in units of the [0, 1] range; 8/255, the field's usual one.
        queries: the most moves of an image, each a question; 5000 as in AutoAttack.
        norm: ``linf`` or ``l2``; an L2 budget is over all values of an image (0.5 or more).
        area: p of the first squares, in (0, 1]; 0.8 as in AutoAttack. The paper has 0.05 (linf)
            and 0.1 (l2), and says that robust victims need more.
        targeted: whether the target is wanted.
        seed: the key of all draws.
    """

    kind = "black_box"

    def __init__(
        self,
        eps: float = 8 / 255,
        queries: int = 5000,
        norm: Norm = "linf",
        area: float = 0.8,
        targeted: bool = False,
        seed: int = 0,
    ) -> None:
        norm_ball(norm, eps)
        if queries < 1 or not 0 < area <= 1:
            raise InputError(
                f"queries must be at least 1 and area in (0, 1], got {queries} and {area}."
            )
        self.eps = eps
        self.queries = queries
        self.norm = norm
        self.area = area
        self.targeted = targeted
        self.seed = seed

    @torch.no_grad()
    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Move until all images have left or the queries are spent."""
        ball, moves = norm_ball(self.norm, self.eps), _MOVES[self.norm](self.eps)
        noise = torch.zeros_like(images)
        left = self._left(victim, images, target, noise, ball)
        steps = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        for number in range(self.queries + 1):
            rows = left[:, 0].nonzero()[:, 0]
            if not len(rows):
                break
            draws = Draws(index[rows.cpu()], self.seed, self.name, number)
            here, area = images[rows], self.area_after(number - 1)
            tried = moves.next(noise[rows], area, draws) if number else moves.start(here, draws)
            tried = ball.project(here, tried)
            told = self._left(victim, here, target[rows], tried, ball)
            better = _less(told, left[rows]) | (number == 0)
            chosen = rows[better]
            noise[chosen], left[chosen], steps[chosen] = tried[better], told[better], number + 1
        return self._result(images, noise, steps, ball)

    def area_after(self, moves: int) -> float:
        """Return p after a number of moves."""
        return self.area * 0.5 ** bisect_left(_HALVINGS, moves)

    def traits(self) -> Traits:
        """Tell what the attack is; its steps are its queries."""
        return super().traits() | {"steps": self.queries}

    def scaled(self, factor: float) -> Self:
        """Return the same attack with ``factor`` times its budget."""
        scaled = copy.copy(self)
        scaled.eps = factor * self.eps
        return scaled

    def _left(
        self, victim: nn.Module, images: Tensor, target: Tensor, noise: Tensor, ball: ThreatModel
    ) -> Tensor:
        """Return what is left to do, (N, 2): the share that resists, and the mean of its leads."""
        shown = ball.round(images, ball.apply(images, noise))
        logits = query(victim, shown, target)
        lead = margin(logits, target)
        lead = -lead if self.targeted else lead
        standing, valid = resisting(logits, target, self.targeted), valid_elements(target)
        both = (standing.to(lead), lead.where(standing, 0))
        return torch.stack([mean_over_valid(values, valid) for values in both], 1)

    def _result(self, images: Tensor, noise: Tensor, steps: Tensor, ball: ThreatModel) -> Perturbed:
        float_images = ball.apply(images, noise)
        return Perturbed(
            images=ball.round(images, float_images),
            float_images=float_images,
            perturbation=noise,
            steps=steps,
            threat_model=ball,
        )


def _less(told: Tensor, left: Tensor) -> Tensor:
    """Return where the first of two columns is less or, being equal, the second; (N,) bool."""
    (share, lead), (share_before, lead_before) = told.unbind(1), left.unbind(1)
    return (share < share_before) | ((share == share_before) & (lead < lead_before))
