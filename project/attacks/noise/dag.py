"""Dense Adversary Generation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from project.attacks.core.attack import Attack, Perturbed
from project.attacks.core.query import fooled_share, query, resisting
from project.core.errors import InputError
from project.core.losses import margin
from project.images.eight_bit import as_saved, to_8bit
from project.threat_models import Linf


class DAG(Attack):
    r"""Push all pixels that still resist, a little at a time, until few are left.

    $$r \leftarrow r - \alpha\, g / \|g\|_\infty,\quad g = \nabla_r \sum_{P_T}
    (z_y - \max_{k \ne y} z_k)$$, P_T the pixels that still resist. There is no budget: an image
    stops at the first r whose 8-bit image fools the wanted share of its valid pixels. One that
    never gets there keeps the iterate which fooled most. Rows tell ``reached``, 1 or 0; ``success``
    asks for all pixels.

    Source: Xie et al., "Adversarial Examples for Semantic Segmentation and Object Detection", ICCV
    2017, step size and steps [code]; there each pixel is pushed towards a wrong class drawn at
    random, the strongest wrong class is [port], as is the share. The gradient is that at the
    rounded image, and r never leaves the range of an image [ours].

    A published implementation (adv-lib) is not used: it imports a plotting server, judges images
    that no file can hold, and divides by zero where an image has no valid pixel.

    Args:
        share: of valid pixels to fool, in (0, 1]; 0.99, the field's usual one.
        step_size: α, the most that a value changes in a step, half an 8-bit level as in the code.
        steps: the most steps of an image, 200 as in the code for segmentation.
        targeted: whether the target map is wanted.
        seed: the key of all draws (none is made).
    """

    def __init__(
        self,
        share: float = 0.99,
        step_size: float = 0.5 / 255,
        steps: int = 200,
        targeted: bool = False,
        seed: int = 0,
    ) -> None:
        if not 0 < share <= 1 or not step_size > 0 or steps < 1:
            raise InputError(
                "share must be in (0, 1], step_size greater than 0 and steps at least 1, got "
                f"{share}, {step_size} and {steps}."
            )
        self.share = share
        self.step_size = step_size
        self.steps = steps
        self.targeted = targeted
        self.seed = seed

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Step until all images have left or the steps are spent."""
        found, active = torch.zeros_like(images), torch.zeros_like(images)
        rows = torch.arange(len(images), device=images.device)
        most = torch.full((len(images),), -1.0, dtype=torch.float32, device=images.device)
        steps = torch.zeros_like(rows)
        for step in range(self.steps + 1):
            fooled, moved = self._stepped(victim, images[rows], target[rows], active)
            better = fooled > most[rows]
            chosen = rows[better]
            found[chosen], most[chosen], steps[chosen] = active[better], fooled[better], step
            staying = fooled < self.share
            rows, active = rows[staying], moved[staying]
            if not len(rows):
                break
        float_images = (images + found).clamp(0, 1)
        return Perturbed(
            images=to_8bit(float_images),
            float_images=float_images,
            perturbation=found,
            steps=steps,
            facts={"reached": (most >= self.share).double()},
            threat_model=Linf(1.0),
        )

    def _stepped(
        self, victim: nn.Module, images: Tensor, target: Tensor, perturbation: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the share that is fooled, (n,), and the next perturbation."""
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
