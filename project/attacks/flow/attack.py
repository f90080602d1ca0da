"""The loop of all flow attacks, which search for a displacement of the pixels."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from project.attacks.core.attack import Attack, Traits
from project.attacks.core.best_so_far import REACHED, BestSoFar
from project.attacks.core.query import fooled_share, query
from project.attacks.core.result import Perturbed, measured
from project.attacks.flow.active_set import ActiveSet
from project.attacks.flow.solvers.solver import Solver
from project.attacks.gradient.objectives import Objective
from project.attacks.gradient.objectives.objective import Step, clean_answer
from project.core.errors import InputError
from project.core.losses import margin, mean_over_valid
from project.core.per_image import per_image
from project.images.eight_bit import to_8bit
from project.images.warping import smoothness
from project.saliency.provider import Scene
from project.threat_models import Flow, Masked, ThreatModel


@dataclass(frozen=True)
class FlowSearch:
    """The settings of a flow attack's search.

    Attributes:
        carrier: the threat model: what moves (the image, or its colours), and how far at most in
            the end.
        steps: the largest number of updates of an image.
        smoothness: τ, at least 0.
        early_stop: whether to stop each image at its own first success.
        objective: objective to maximise instead of the margin, such as those of the segmentation
            attacks; its traces are not reported, since images stop at different steps.
        area: the number of pixels of an image at which τ is ``smoothness``, which falls in inverse
            proportion on larger ones; None: it is the same on all.
    """

    carrier: Flow
    steps: int
    smoothness: float
    early_stop: bool
    objective: Objective | None = None
    area: int | None = None

    def weight(self, flow: Tensor) -> float:
        """Return τ for flows (n, 2, H, W)."""
        if self.area is None:
            return self.smoothness
        return self.smoothness * self.area / (flow.shape[2] * flow.shape[3])


@dataclass
class FlowIterate:
    """One iterate of the active images, (n, …) each.

    Attributes:
        adversarial: (n, 3, H, W), before rounding to 8 bits.
        flow: (n, 2, H, W) in pixels, with gradient to the solver's point.
        mask: (n, 1, H, W), or None: everywhere.
        fooled: (n,), the share of valid elements that the float image fools.
    """

    adversarial: Tensor
    flow: Tensor
    mask: Tensor | None
    fooled: Tensor

    @cached_property
    def unsmoothness(self) -> Tensor:
        """The flow loss, (n,), with gradient; computed on demand, since many iterates need none."""
        return smoothness(self.flow)


class FlowVerdict(NamedTuple):
    """Which iterates fool the victim as 8-bit images, and which in float only; (n,) bool each."""

    success: Tensor
    stuck: Tensor


Best = BestSoFar[dict[str, Tensor]]


class FlowAttack(Attack):
    r"""Find a flow field by descending $$L_{adv} + \tau \cdot L_{flow}$$.

    $$L_{adv} = \max(z_y - \max_{k \ne y} z_k, 0)$$ on logits (the target's lag, where targeted),
    or the negative of an objective; $$L_{flow}$$ the flow's unsmoothness. An iterate counts as a
    success once its **8-bit** image fools the victim. Where only the float image does, the margin
    is not cut at 0, or the search would stall there [ours]. Of several successes the smoothest is
    kept; without any, the iterate that fools most (of a segmenter, the largest share of pixels).
    """

    kind = "flow"

    @property
    @abstractmethod
    def search(self) -> FlowSearch:
        """The search's settings, from the fields and, where there is one, the preset."""

    def __post_init__(self) -> None:
        search = self.search
        if search.steps < 1 or not search.smoothness >= 0:
            raise InputError(
                "steps must be at least 1 and smoothness at least 0, got "
                f"{search.steps} and {search.smoothness}."
            )

    def derived(self) -> Any:
        """Return the settings that follow from the fields; see :class:`~project.attacks.Attack`."""
        return self.search

    def traits(self) -> Traits:
        """Describe the attack, with its preset's steps, and whether images make all of them."""
        search = self.search
        told: Traits = {} if search.early_stop else {"early_stop": False}
        return super().traits() | {"steps": search.steps} | told

    @abstractmethod
    def solver_from(self, start: Tensor) -> Solver:
        """Return the minimiser, started from points (N, 2, H, W) that parametrise the flows."""

    def start(self, images: Tensor, index: Tensor) -> Tensor:
        """Return the points to start from, (N, 2, H, W); by default of zero flow."""
        return self.search.carrier.zeros(images)

    def flow(self, point: Tensor) -> Tensor:
        """Return the flow in pixels that a point parametrises; by default the point itself."""
        return point

    def bound(self, step: int) -> float:
        """Return the bound to which points are clipped after update ``step``, from 0 on."""
        return float("inf")

    def prepare(self, images: Tensor, scene: Scene) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Return maps (N, 1, H, W) for ``region``, or None, and facts of the images."""
        return None, {}

    def region(self, step: int, maps: Tensor | None) -> Tensor | None:
        """Return where images may change at a step, (n, 1, H, W), or None for everywhere."""
        return None

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Search until all images are done or the steps are spent."""
        search = self.search
        maps, facts = self.prepare(images, Scene(victim, target, index))
        active = ActiveSet(images, target, maps, self.solver_from(self.start(images, index)))
        clean = clean_answer(victim, images, target)
        best = _nothing(images, self.region(0, maps))
        for number in range(search.steps):
            self._advance(victim, active, best, number, clean)
            if not len(active.rows):
                return self._result(best, facts)
        with torch.no_grad():
            iterate, _ = self._look(victim, active, search.steps)
        judged = self._judge(victim, active, iterate, best)
        _offer(best, active.rows, search.steps, iterate, judged)
        return self._result(best, facts)

    def _advance(
        self,
        victim: nn.Module,
        active: ActiveSet,
        best: Best,
        number: int,
        clean: Callable[[], Tensor],
    ) -> None:
        """Record iterates better than before, take one step, and remove images that are done."""
        iterate, logits = self._look(victim, active, number)
        judged = self._judge(victim, active, iterate, best)
        _offer(best, active.rows, number, iterate, judged)
        leaving = judged.success if judged is not None and self.search.early_stop else None
        if leaving is None or not bool(leaving.all()):
            step = self._step(active, logits, number + 1, clean)
            self._descend(active, step, iterate, judged)
        active.leave(leaving)

    def _look(self, victim: nn.Module, active: ActiveSet, step: int) -> tuple[FlowIterate, Tensor]:
        """Return the active images' iterate and its logits."""
        mask = self.region(step, active.maps)
        flow = self.flow(active.solver.point)
        adversarial = self._space(mask).apply(active.images, flow)
        logits = query(victim, adversarial, active.target)
        fooled = fooled_share(logits.detach(), active.target, self.targeted)
        return FlowIterate(adversarial.detach(), flow, mask, fooled), logits

    def _judge(
        self, victim: nn.Module, active: ActiveSet, iterate: FlowIterate, best: Best
    ) -> FlowVerdict | None:
        """Judge the iterates that fool in float; None where none does.

        Judging the rounded image costs a forward pass, so only iterates smoother than the best
        success so far are judged.
        """
        fools = iterate.fooled == 1
        if not bool(fools.any()):
            return None
        reached, cost = best.reached[active.rows], best.cost[active.rows]
        best_cost = cost.masked_fill(~reached, torch.inf)
        candidate = fools & (iterate.unsmoothness.detach() < best_cost)  # never so where NaN
        places = candidate.nonzero()[:, 0]
        if not len(places):
            return None
        target = active.target[places]
        with torch.no_grad():
            logits = query(victim, to_8bit(iterate.adversarial[places]), target)
        success = candidate.clone()
        success[places] = fooled_share(logits, target, self.targeted) == 1
        return FlowVerdict(success, candidate & ~success)

    def _step(
        self, active: ActiveSet, logits: Tensor, number: int, clean: Callable[[], Tensor]
    ) -> Step:
        """Return the objective's input; ``clean`` returns the full batch's clean logits."""
        rows, target = active.rows, active.target
        steps, memory = self.search.steps, active.memory
        return Step(number, steps, logits, target, self.targeted, lambda: clean()[rows], memory)

    def _descend(
        self, active: ActiveSet, step: Step, iterate: FlowIterate, judged: FlowVerdict | None
    ) -> None:
        """Take one descent step, and clip to the budget."""
        solver = active.solver
        losses = self._losses(step, iterate, judged)
        (gradient,) = torch.autograd.grad(losses.sum(), solver.point)
        with torch.autocast(gradient.device.type, enabled=False):  # its products are no network's
            solver.tell(losses.detach().to(gradient), gradient)
        bound = self.bound(step.number - 1)
        with torch.no_grad():
            solver.point.clamp_(-bound, bound)

    def _losses(self, step: Step, iterate: FlowIterate, judged: FlowVerdict | None) -> Tensor:
        """Return the loss that each image minimises, (n,)."""
        search = self.search
        if search.objective is None:
            losses = self._margin(step, judged)
        else:
            climbed = search.objective(step)
            losses = climbed if self.targeted else -climbed
        if search.smoothness:
            losses = losses + search.weight(iterate.flow) * iterate.unsmoothness
        return losses

    def _margin(self, step: Step, judged: FlowVerdict | None) -> Tensor:
        lead = margin(step.logits, step.target)
        lead = -lead if self.targeted else lead
        # Clipped at 0, so that after success only smoothness counts; not where only the float image
        # succeeds, since a gradient of 0 would leave it where rounding undoes the success.
        losses = lead.clamp(min=0)
        if judged is not None:
            losses = torch.where(per_image(judged.stuck, lead), lead, losses)
        return mean_over_valid(losses, step.valid)

    def _space(self, mask: Tensor | None) -> ThreatModel:
        carrier = self.search.carrier
        return carrier if mask is None else Masked(carrier, mask)

    def _result(self, best: Best, facts: dict[str, Tensor]) -> Perturbed:
        """Return the best iterates, with the facts that all flow attacks report."""
        images, flow, mask = best.found["images"], best.found["flow"], best.found.get("mask")
        found = Perturbed(
            images=to_8bit(images),
            float_images=images,
            perturbation=flow,
            steps=best.found["steps"],
            facts=facts,
            mask=mask,
            threat_model=self._space(mask),
        )
        if mask is None:
            return measured(found)
        area = (mask > 0).double().mean((1, 2, 3))
        return replace(found, facts=measured(found).facts | {"mask_area": area})


def _nothing(images: Tensor, mask: Tensor | None) -> Best:
    """Return the best before the search: the images, unmoved."""
    found = {
        "images": images.clone(),
        "flow": Flow().zeros(images),
        "steps": torch.zeros(len(images), dtype=torch.int64, device=images.device),
    }
    if mask is not None:
        found["mask"] = torch.zeros_like(images[:, :1])
    return BestSoFar(found, images.new_zeros(len(images)))


def _offer(
    best: Best, rows: Tensor, step: int, iterate: FlowIterate, judged: FlowVerdict | None
) -> None:
    """Keep the smoothest iterates that succeed; for images without success, those that fool most.

    Among equal shares without success the last iterate is kept, since it has come farthest.
    """
    found = {
        "images": iterate.adversarial,
        "flow": iterate.flow.detach().clone(),  # solvers may move the point in place
        "steps": torch.full_like(rows, step),
    }
    if iterate.mask is not None:
        found["mask"] = iterate.mask.to(iterate.adversarial.dtype)
    # Without success the cost is -step, so that a later iterate wins among equal shares.
    rank, cost = iterate.fooled, torch.full_like(iterate.fooled, -step)
    if judged is not None:
        rank = rank.masked_fill(judged.success, REACHED)
        cost = torch.where(judged.success, iterate.unsmoothness.detach(), cost)
    best.offer(found, rank, cost, rows, wait=True)
