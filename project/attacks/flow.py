"""The loop of every flow attack: images are moved, never painted over."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from project.attacks.active_set import ActiveSet, FlowOptimizer
from project.attacks.attack import Attack, Perturbed
from project.attacks.verdict import fooled_share, query
from project.errors import InputError
from project.losses import margin, mean_over_valid, valid_elements
from project.quantise import to_8bit
from project.saliency.provider import Scene
from project.threat_models import Flow, Masked, ThreatModel
from project.warping import smoothness


class FlowAttack(Attack):
    r"""Find a flow field by descending $$L_{adv} + \tau \cdot L_{flow}$$ from zero flow.

    $$L_{adv} = \max(z_y - \max_{k \ne y} z_k, 0)$$ on logits (the target's lag, where targeted),
    $$L_{flow}$$ the flow's unsmoothness. An iterate counts as a success once its **8-bit** image
    fools the victim. Where only the float image does, the loss is not cut at 0, or the search
    would stall there [ours]. Of several successes the smoothest is kept.

    Args:
        steps: the most updates of an image.
        step_size: learning rate in pixels.
        optimizer: ``adam`` or ``adamw``.
        smoothness: τ, at least 0.
        early_stop: let each image leave at its own first success.
        targeted: whether the target is wanted.
        seed: the key of all draws (none is made).
    """

    def __init__(
        self,
        steps: int,
        step_size: float,
        optimizer: FlowOptimizer,
        smoothness: float,
        early_stop: bool,
        targeted: bool,
        seed: int,
    ) -> None:
        if steps < 1 or not step_size > 0 or smoothness < 0:
            raise InputError(
                "steps must be at least 1, step_size greater than 0 and smoothness at least 0, got "
                f"{steps}, {step_size}, {smoothness}."
            )
        self.steps = steps
        self.step_size = step_size
        self.optimizer = optimizer
        self.smoothness = smoothness
        self.early_stop = early_stop
        self.targeted = targeted
        self.seed = seed

    @abstractmethod
    def bound(self, step: int) -> float:
        """Return the budget ξ of each displacement after ``step`` updates, in pixels."""

    def prepare(self, images: Tensor, scene: Scene) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Return maps (N, 1, H, W) that ``region`` works on, or None, and facts about them."""
        return None, {}

    def region(self, step: int, maps: Tensor | None) -> Tensor | None:
        """Return where images may change at a step, (n, 1, H, W), or None for everywhere."""
        return None

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Search until the steps are spent or all images have left."""
        maps, facts = self.prepare(images, Scene(victim, target, index))
        active = ActiveSet(images, target, maps, self.optimizer, self.step_size)
        found = _Found.nothing(images)
        for step in range(self.steps):
            iterate, logits = self._look(victim, active, step)
            success, stuck = self._judge(victim, active, iterate, logits.detach(), found)
            found.keep(active.rows, iterate, success)
            if self.early_stop and bool(success.all()):
                return found.result(facts)
            loss = self._loss(logits, active, stuck).sum()
            (gradient,) = torch.autograd.grad(loss, active.flow)
            active.descend(gradient, self.bound(step))
            if self.early_stop:
                active.keep(~success)
        with torch.no_grad():
            iterate, logits = self._look(victim, active, self.steps)
        success, _ = self._judge(victim, active, iterate, logits, found)
        found.keep(active.rows, iterate, success)
        found.keep_last(active.rows, iterate)
        return found.result(facts)

    def _look(self, victim: nn.Module, active: ActiveSet, step: int) -> tuple[_Iterate, Tensor]:
        """Return the active images' iterate, detached, and its logits."""
        mask = self.region(step, active.maps)
        threat: ThreatModel = Flow() if mask is None else Masked(Flow(), mask)
        adversarial = threat.apply(active.images, active.flow)
        logits = query(victim, adversarial, active.target)
        flow = active.flow.detach()
        return _Iterate(step, adversarial.detach(), flow, mask, smoothness(flow)), logits

    def _judge(
        self,
        victim: nn.Module,
        active: ActiveSet,
        iterate: _Iterate,
        logits: Tensor,
        found: _Found,
    ) -> tuple[Tensor, Tensor]:
        """Tell which iterates are to be kept, and which fool the victim in float only.

        Asking again after rounding costs a forward pass, so only iterates smoother than what is
        kept already are asked.

        Returns:
            success (n,) and stuck (n,), bool.
        """
        fooled = fooled_share(logits, active.target, self.targeted) == 1
        candidate = fooled & (iterate.cost < found.cost[active.rows])
        success = candidate.clone()
        if bool(candidate.any()):
            rounded = to_8bit(iterate.adversarial[candidate])
            target = active.target[candidate]
            with torch.no_grad():
                share = fooled_share(query(victim, rounded, target), target, self.targeted)
            success[candidate] = share == 1
        return success, candidate & ~success

    def _loss(self, logits: Tensor, active: ActiveSet, stuck: Tensor) -> Tensor:
        lead = margin(logits, active.target)
        lead = -lead if self.targeted else lead
        uncut = stuck.view(-1, *[1] * (lead.ndim - 1))
        cut = torch.where(uncut, lead, lead.clamp(min=0))
        loss = mean_over_valid(cut, valid_elements(active.target))
        if self.smoothness:
            loss = loss + self.smoothness * smoothness(active.flow)
        return loss


@dataclass
class _Iterate:
    """One iterate of the active images, (n, …) each; ``cost`` is the flow's unsmoothness."""

    step: int
    adversarial: Tensor
    flow: Tensor
    mask: Tensor | None
    cost: Tensor


@dataclass
class _Found:
    """The best iterate so far of every image of the batch, (N, …) each; cost ∞: no success."""

    images: Tensor
    flow: Tensor
    mask: Tensor | None
    steps: Tensor
    cost: Tensor

    @classmethod
    def nothing(cls, images: Tensor) -> _Found:
        return cls(
            images=images.clone(),
            flow=Flow().zeros(images),
            mask=None,
            steps=torch.zeros(len(images), dtype=torch.int64, device=images.device),
            cost=images.new_full((len(images),), float("inf")),
        )

    def keep(self, rows: Tensor, iterate: _Iterate, success: Tensor) -> None:
        """Keep the iterates that succeed.

        Args:
            rows: (n,), places of the active images in the batch.
            iterate: of the active images.
            success: (n,) bool.
        """
        self._write(rows, iterate, success)
        self.cost[rows[success]] = iterate.cost[success]

    def keep_last(self, rows: Tensor, iterate: _Iterate) -> None:
        """Keep the last iterate of images without any success."""
        self._write(rows, iterate, self.cost[rows] == float("inf"))

    def _write(self, rows: Tensor, iterate: _Iterate, chosen: Tensor) -> None:
        rows = rows[chosen]
        self.images[rows] = iterate.adversarial[chosen]
        self.flow[rows] = iterate.flow[chosen]
        self.steps[rows] = iterate.step
        if iterate.mask is not None:
            if self.mask is None:
                self.mask = torch.zeros_like(self.images[:, :1])
            self.mask[rows] = iterate.mask[chosen].to(self.mask)

    def result(self, facts: dict[str, Tensor]) -> Perturbed:
        """Return what was found, with the facts that every flow attack tells."""
        facts = facts | {
            "flow_max": Flow().size(self.flow),
            "flow_mean": torch.linalg.vector_norm(self.flow, dim=1).mean((1, 2)),
        }
        if self.mask is not None:
            facts["mask_area"] = self.mask.mean((1, 2, 3))
        return Perturbed(
            images=to_8bit(self.images),
            float_images=self.images,
            perturbation=self.flow,
            steps=self.steps,
            facts=facts,
            mask=self.mask,
        )
