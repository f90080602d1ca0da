"""DAG: Dense Adversary Generation, which pushes all resisting pixels without a budget."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from project.attacks.core.attack import Attack
from project.attacks.core.best_so_far import BestSoFar
from project.attacks.core.query import fooled_share, query, resisting
from project.attacks.core.result import Perturbed
from project.core.errors import InputError
from project.core.losses import margin
from project.core.per_image import rows_of
from project.images.eight_bit import as_saved, to_8bit
from project.threat_models import Linf


@dataclass(frozen=True)
class DAG(Attack):
    r"""Push all pixels that still resist, a little at a time, until few are left.

    $$r \leftarrow r - \alpha\, g / \|g\|_\infty,\quad g = \nabla_r \sum_{P_T}
    (z_y - \max_{k \ne y} z_k)$$, P_T the pixels that still resist. There is no budget: an image
    stops at the first r whose 8-bit image fools the wanted share of its valid pixels. An image that
    never gets there keeps the iterate which fooled most. Rows hold ``reached``, 1 or 0; ``success``
    asks for all pixels.

    Source: Xie et al., "Adversarial Examples for Semantic Segmentation and Object Detection", ICCV
    2017, step size and steps [code]; there each pixel is pushed towards a wrong class drawn at
    random, the strongest wrong class is [port], as is the share. The gradient is that at the
    rounded image, and r never leaves the range of an image [ours].

    A published implementation (adv-lib) is not used: it imports a plotting server, judges images
    that no file can hold, and divides by zero where an image has no valid pixel.
    """

    share: float = 0.99
    """Share of the valid pixels to fool, in (0, 1]; 0.99, the field's usual one."""
    step_size: float = 0.5 / 255
    """Step size α, the largest change of a value in a step, half an 8-bit level as in the code."""
    steps: int = 200
    """Largest number of steps of an image, 200 as in the code for segmentation."""
    targeted: bool = False
    """Whether the attack is targeted: the victim shall predict the target map."""
    seed: int = 0
    """Seed of random draws; this attack makes none."""

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1 or not self.step_size > 0 or self.steps < 1:
            raise InputError(
                "share must be in (0, 1], step_size greater than 0 and steps at least 1, got "
                f"{self.share}, {self.step_size} and {self.steps}."
            )

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Step until all images reach the share or the steps are spent."""
        rows = torch.arange(len(images), device=images.device)
        found = {"perturbation": torch.zeros_like(images), "steps": torch.zeros_like(rows)}
        best = BestSoFar(found, images.new_zeros(len(images), dtype=torch.float32))
        active = torch.zeros_like(images)
        for step in range(self.steps + 1):
            fooled, moved = self._stepped(victim, images[rows], target[rows], active)
            tried = {"perturbation": active, "steps": torch.full_like(rows, step)}
            best.offer(tried, fooled, rows=rows)
            rows, active = rows_of((rows, moved), fooled < self.share)
            if not len(rows):
                break
        perturbation = best.found["perturbation"]
        float_images = (images + perturbation).clamp(0, 1)
        return Perturbed(
            images=to_8bit(float_images),
            float_images=float_images,
            perturbation=perturbation,
            steps=best.found["steps"],
            facts={"reached": (best.rank >= self.share).double()},
            threat_model=Linf(1.0),
        )

    def _stepped(
        self, victim: nn.Module, images: Tensor, target: Tensor, perturbation: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the share of fooled elements, (n,), and the next perturbation."""
        perturbation = perturbation.detach().requires_grad_()
        logits = query(victim, as_saved(images, perturbation), target)
        left = resisting(logits.detach(), target, self.targeted)
        lead = margin(logits, target) * left
        (gradient,) = torch.autograd.grad(lead.sum(), perturbation)
        gradient = -gradient if self.targeted else gradient
        largest = gradient.abs().amax((1, 2, 3), keepdim=True)
        step = self.step_size * gradient / largest.clamp(min=torch.finfo(gradient.dtype).tiny)
        moved = Linf(1.0).within_range(images, perturbation.detach() - step)
        return fooled_share(logits.detach(), target, self.targeted), moved
