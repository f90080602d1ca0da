"""Refinement: reduce a successful perturbation as far as it still fools as much."""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from project.attacks.combined.best_of import BestOf
from project.attacks.combined.combination import Combination, traits_around
from project.attacks.combined.distance import Distance, distance_named, require_distance
from project.attacks.combined.sea import SEA
from project.attacks.core.attack import Attack, Traits
from project.attacks.core.best_so_far import BestSoFar
from project.attacks.core.query import fooled_share, query
from project.attacks.core.result import Perturbed, measured
from project.core.errors import InputError
from project.core.losses import margin, mean_over_valid, valid_elements
from project.core.per_image import per_image
from project.core.samples import Samples
from project.threat_models import ThreatModel

_HALVINGS = 8
_LAST_RATE = 0.1


@dataclass(frozen=True)
class Refined(Combination):
    r"""Any attack, then for each image the smallest change that still fools as much of it.

    First the perturbation p is shrunk along its own direction, by bisection. Then it walks along
    the victim's decision boundary: while the image fools, down the gradient of its distance to the
    clean image; where it does not, back down the victim's lead, and sideways towards the clean
    image. A step is about $$\alpha_t \|p\|_2$$ long, $$\alpha_t$$ falling as a cosine to a tenth.
    All is judged on 8-bit images, and only on them: the gradient is that at the rounded image. The
    result is the closest image whose fooled share is no less than the attack had reached; an image
    that the attack could not fool is not changed.

    The perturbation stays inside the attack's threat model: a flow remains a flow in the same
    region, and under the attack's largest budget (SSTA's grows, so that an image which stopped
    early may use more than was allowed then). AdvDrop's quantisation cannot be scaled: its
    perturbation is refined as plain noise.

    Rows hold as ``shrunk`` the remaining part of the distance.

    Source: [ours]; walking along the boundary towards the clean image is the idea of Brendel et
    al., "Accurate, reliable and fast robustness evaluation", NeurIPS 2019.
    """

    attack: Attack
    """Attack that finds the perturbation."""
    steps: int = 40
    """Number of steps of the walk, each a forward and a backward pass; 0 is shrinking alone."""
    rate: float = 0.1
    """Length α of the first step, as a part of the perturbation's length."""
    distance: Distance = "mse"
    """Distance to minimise: ``mse``, or ``lpips_squeeze``, ``lpips_alex`` or ``lpips_vgg`` (weights
    as for the metric of that name)."""

    def __post_init__(self) -> None:
        if self.steps < 0 or not self.rate > 0:
            raise InputError(
                "steps must be at least 0 and rate greater than 0, got "
                f"{self.steps} and {self.rate}."
            )
        if isinstance(self.attack, BestOf | SEA):
            raise InputError(
                f"{self.attack.name} chooses among the perturbations of several attacks, so there "
                "is no one threat model to refine in. Refine those attacks instead: "
                "BestOf([Refined(…), Refined(…)]), of SEA its APGD runs."
            )
        distance_named(self.distance)

    def attach(self, samples: Samples) -> None:
        """Give the attack access to the samples, and check that the distance can be computed."""
        require_distance(self.distance)
        super().attach(samples)

    def scaled(self, factor: float) -> Self:
        """Raise ``ValueError``, since a smallest perturbation has no budget."""
        return Attack.scaled(self, factor)

    def traits(self) -> Traits:
        """Describe the attack that is refined, with its method in brackets."""
        return traits_around(self, self.attack)

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Attack, shrink, walk."""
        found = self.attack.perturb(victim, images, target, index)
        if found.threat_model is None:
            raise InputError(
                f"{type(self.attack).__name__} does not say what its perturbation is one of, so it "
                "cannot be refined. Its perturb must return a threat_model."
            )
        scene = _Scene(victim, images, target, self.targeted, found.threat_model)
        with torch.no_grad():
            whole = self._look(scene, found.perturbation)
            aim = whole.share
            best = BestSoFar(whole, whole.distance)
            best.offer(whole, torch.zeros_like(aim), whole.distance)
            self._shrink(scene, whole.perturbation, best, aim)
        self._walk(scene, best, aim)
        least = best.found
        facts = found.facts | {
            "shrunk": (least.distance / whole.distance.clamp(min=1e-30)).double()
        }
        refined = replace(
            found,
            images=least.images,
            float_images=scene.space.apply(images, least.perturbation),
            perturbation=least.perturbation,
            facts=facts,
        )
        return measured(refined)

    def _shrink(
        self, scene: "_Scene", full: Tensor, best: "BestSoFar[_Trial]", aim: Tensor
    ) -> None:
        """Bisect for the smallest factor of each perturbation that still reaches the aim."""
        low, high = full.new_zeros(len(full)), full.new_ones(len(full))
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            trial = self._look(scene, full * per_image(middle, full))
            holds = _offer(best, trial, aim)
            low, high = torch.where(holds, low, middle), torch.where(holds, middle, high)

    def _walk(self, scene: "_Scene", best: "BestSoFar[_Trial]", aim: Tensor) -> None:
        """Walk along the decision boundary towards the clean image."""
        perturbation = best.found.perturbation
        for step in range(self.steps):
            rate = self.rate * (
                _LAST_RATE + (1 - _LAST_RATE) * (1 + math.cos(math.pi * step / self.steps)) / 2
            )
            perturbation = perturbation.detach().requires_grad_()
            trial = self._look(scene, perturbation)
            (away,) = torch.autograd.grad(trial.distance.sum(), perturbation, retain_graph=True)
            (lead,) = torch.autograd.grad(trial.lead.sum(), perturbation)
            holds = _offer(best, trial.detached(), aim)
            lead = _unit(lead)
            along = away - (away * lead).sum((1, 2, 3), keepdim=True) * lead
            back = lead + 0.5 * _unit(along)
            direction = torch.where(per_image(holds, back), _unit(away), back)
            moved = perturbation.detach()
            moved = moved - rate * _length(moved) * direction
            perturbation = scene.space.project(scene.images, moved)

    def _look(self, scene: "_Scene", perturbation: Tensor) -> "_Trial":
        """Evaluate a perturbation by its 8-bit image."""
        floats = scene.space.apply(scene.images, perturbation)
        rounded = scene.space.round(scene.images, floats.detach())
        seen = rounded + (floats - floats.detach())  # the rounded image, with the other's gradient
        logits = query(scene.victim, seen, scene.target)
        lead = margin(logits, scene.target)
        return _Trial(
            perturbation=perturbation.detach(),
            images=rounded,
            distance=distance_named(self.distance)(scene.images, seen),
            share=fooled_share(logits.detach(), scene.target, scene.targeted),
            lead=mean_over_valid(-lead if scene.targeted else lead, valid_elements(scene.target)),
        )


@dataclass(frozen=True)
class _Scene:
    """The inputs that all trials of one batch share."""

    victim: nn.Module
    images: Tensor
    target: Tensor
    targeted: bool
    space: ThreatModel


class _Trial(NamedTuple):
    """Perturbations (N, …), their 8-bit images, and distance, fooled share and lead, (N,) each."""

    perturbation: Tensor
    images: Tensor
    distance: Tensor
    share: Tensor
    lead: Tensor

    def detached(self) -> "_Trial":
        return _Trial(*(value.detach() for value in self))


def _offer(best: BestSoFar[_Trial], trial: _Trial, aim: Tensor) -> Tensor:
    """Keep trials that are closer and still reach the aim; return where they do, (N,) bool."""
    holds = (trial.share >= aim) & (aim > 0)
    best.offer(trial, torch.zeros_like(aim).masked_fill(~holds, -torch.inf), trial.distance)
    return holds


def _length(values: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(values, dim=(1, 2, 3), keepdim=True)
    return length


def _unit(values: Tensor) -> Tensor:
    """Return each image's values divided by their length; 0 stays 0."""
    return values / _length(values).clamp(min=torch.finfo(values.dtype).tiny)
