"""The loop of every flow attack: images are moved, never painted over."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from project.attacks.core.attack import Attack, Perturbed
from project.attacks.core.query import fooled_share, query
from project.attacks.flow.active_set import ActiveSet
from project.attacks.flow.solvers.solver import Solver
from project.attacks.found import Found, Iterate, Judged
from project.attacks.gradient.objectives import Objective
from project.attacks.gradient.objectives.step import Step, clean_answer
from project.core.errors import InputError
from project.core.losses import margin, mean_over_valid
from project.images.eight_bit import to_8bit
from project.metrics.flows import flow_facts
from project.saliency.provider import Scene
from project.threat_models import Flow, Masked, ThreatModel


class FlowAttack(Attack):
    r"""Find a flow field by descending $$L_{adv} + \tau \cdot L_{flow}$$.

    $$L_{adv} = \max(z_y - \max_{k \ne y} z_k, 0)$$ on logits (the target's lag, where targeted),
    or the negative of an objective; $$L_{flow}$$ the flow's unsmoothness. An iterate counts as a
    success once its **8-bit** image fools the victim. Where only the float image does, the margin
    is not cut at 0, or the search would stall there [ours]. Of several successes the smoothest is
    kept; without any, the iterate that fools most (of a segmenter, the largest share of pixels).

    Args:
        carrier: what moves, and how far at most.
        steps: the most updates of an image.
        smoothness: τ, at least 0.
        early_stop: let each image leave at its own first success.
        objective: what to climb instead of the margin, such as those of the segmentation attacks;
            what it traces is not told, since images leave at different steps.
        targeted: whether the target is wanted.
        seed: the key of all draws.
    """

    kind = "flow"
    carrier: Flow
    """What moves (the image, or a part of it), and how far at most in the end."""

    def __init__(
        self,
        carrier: Flow,
        steps: int,
        smoothness: float,
        early_stop: bool,
        objective: Objective | None,
        targeted: bool,
        seed: int,
    ) -> None:
        if steps < 1 or not smoothness >= 0:
            raise InputError(
                f"steps must be at least 1 and smoothness at least 0, got {steps} and {smoothness}."
            )
        self.carrier = carrier
        self.steps = steps
        self.smoothness = smoothness
        self.early_stop = early_stop
        self.objective = objective
        self.targeted = targeted
        self.seed = seed

    @abstractmethod
    def solver_from(self, start: Tensor) -> Solver:
        """Return what moves the points (N, 2, H, W) that stand for flows, from a start."""

    def start(self, images: Tensor, index: Tensor) -> Tensor:
        """Return the points to start from, (N, 2, H, W)."""
        return self.carrier.zeros(images)

    def flow(self, point: Tensor) -> Tensor:
        """Return the flow in pixels that a point stands for."""
        return point

    def bound(self, step: int) -> float:
        """Return what the values of a point are cut to after update ``step``, from 0 on."""
        return float("inf")

    def prepare(self, images: Tensor, scene: Scene) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Return maps (N, 1, H, W) that ``region`` works on, or None, and facts of images."""
        return None, {}

    def region(self, step: int, maps: Tensor | None) -> Tensor | None:
        """Return where images may change at a step, (n, 1, H, W), or None for everywhere."""
        return None

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Search until the steps are spent or all images have left."""
        maps, facts = self.prepare(images, Scene(victim, target, index))
        active = ActiveSet(images, target, maps, self.solver_from(self.start(images, index)))
        clean = clean_answer(victim, images, target)
        found = Found.nothing(images)
        for number in range(self.steps):
            self._advance(victim, active, found, number, clean)
            if not len(active.rows):
                return self._result(found, facts)
        with torch.no_grad():
            iterate, _ = self._look(victim, active, self.steps)
        found.keep(active.rows, iterate, self._judge(victim, active, iterate, found))
        return self._result(found, facts)

    def _advance(
        self,
        victim: nn.Module,
        active: ActiveSet,
        found: Found,
        number: int,
        clean: Callable[[], Tensor],
    ) -> None:
        """Keep what is better than before, take one step, and let those leave who are done."""
        iterate, logits = self._look(victim, active, number)
        judged = self._judge(victim, active, iterate, found)
        found.keep(active.rows, iterate, judged)
        leaving = judged.success if judged is not None and self.early_stop else None
        if leaving is None or not bool(leaving.all()):
            step = self._step(active, logits, number + 1, clean)
            self._descend(active, step, iterate, judged)
        active.leave(leaving)

    def _look(self, victim: nn.Module, active: ActiveSet, step: int) -> tuple[Iterate, Tensor]:
        """Return the active images' iterate and its logits."""
        mask = self.region(step, active.maps)
        flow = self.flow(active.solver.point)
        adversarial = self._space(mask).apply(active.images, flow)
        logits = query(victim, adversarial, active.target)
        share = fooled_share(logits.detach(), active.target, self.targeted)
        return Iterate(step, adversarial.detach(), flow, mask, share), logits

    def _judge(
        self, victim: nn.Module, active: ActiveSet, iterate: Iterate, found: Found
    ) -> Judged | None:
        """Judge the iterates that fool in float; None where none does.

        Asking again after rounding costs a forward pass, so only iterates smoother than what is
        kept already are asked.
        """
        fools = iterate.share == 1
        if not bool(fools.any()):
            return None
        candidate = fools & (iterate.cost.detach() < found.cost[active.rows])
        places = candidate.nonzero()[:, 0]
        if not len(places):
            return None
        target = active.target[places]
        with torch.no_grad():
            logits = query(victim, to_8bit(iterate.adversarial[places]), target)
        success = candidate.clone()
        success[places] = fooled_share(logits, target, self.targeted) == 1
        return Judged(success, candidate & ~success)

    def _step(
        self, active: ActiveSet, logits: Tensor, number: int, clean: Callable[[], Tensor]
    ) -> Step:
        """Return what an objective may look at; ``clean`` gives the full batch's clean logits."""
        rows, target = active.rows, active.target
        return Step(
            number, self.steps, logits, target, self.targeted, lambda: clean()[rows], active.memory
        )

    def _descend(
        self, active: ActiveSet, step: Step, iterate: Iterate, judged: Judged | None
    ) -> None:
        """Take one step down, and into the budget."""
        solver = active.solver
        losses = self._losses(step, iterate, judged)
        (gradient,) = torch.autograd.grad(losses.sum(), solver.point)
        solver.tell(losses.detach(), gradient)
        bound = self.bound(step.number - 1)
        with torch.no_grad():
            solver.point.clamp_(-bound, bound)

    def _losses(self, step: Step, iterate: Iterate, judged: Judged | None) -> Tensor:
        """Return what each image descends, (n,)."""
        if self.objective is None:
            losses = self._margin(step, judged)
        else:
            climbed = self.objective(step)
            losses = climbed if self.targeted else -climbed
        if self.smoothness:
            losses = losses + self.smoothness * iterate.cost
        return losses

    def _margin(self, step: Step, judged: Judged | None) -> Tensor:
        lead = margin(step.logits, step.target)
        lead = -lead if self.targeted else lead
        losses = lead.clamp(min=0)
        if judged is not None:
            losses = torch.where(judged.stuck.view(-1, *[1] * (lead.ndim - 1)), lead, losses)
        return mean_over_valid(losses, step.valid)

    def _space(self, mask: Tensor | None) -> ThreatModel:
        return self.carrier if mask is None else Masked(self.carrier, mask)

    def _result(self, found: Found, facts: dict[str, Tensor]) -> Perturbed:
        """Return what was found, with the facts that every flow attack tells."""
        moved = found.flow if found.mask is None else found.flow * found.mask
        facts = facts | flow_facts(moved)
        if found.mask is not None:
            facts["mask_area"] = (found.mask > 0).double().mean((1, 2, 3))
        return Perturbed(
            images=to_8bit(found.images),
            float_images=found.images,
            perturbation=found.flow,
            steps=found.steps,
            facts=facts,
            mask=found.mask,
            threat_model=self._space(found.mask),
        )
