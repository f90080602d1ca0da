"""FAB's search: back and forth across the boundary between two classes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from project.attacks.core.query import fooled_share, query
from project.attacks.gradient.landscape import mended
from project.attacks.hyperplane import onto_hyperplane
from project.attacks.smallest import Smallest
from project.threat_models import Norm, norm_ball

_OVERSHOOT = 1.05
"""η: how far a step goes, in units of the way to the boundary."""
_PULL = 0.1
"""α_max: the most weight of the step that starts at the clean image."""
_BACK = 0.9
"""β: what is left of a perturbation that fools, before the next step."""


def nearest_boundary(
    victim: nn.Module, images: Tensor, labels: Tensor, wanted: Tensor, norm: Norm, steps: int
) -> Smallest:
    r"""Search the smallest perturbation that leads across the boundary towards a wrong class.

    At x the boundary between the classes is taken for the hyperplane
    $$z_t - z_y + w \cdot (x' - x) = 0$$, w the gradient of the lead $$z_t - z_y$$. With d and d_0
    the least moves onto it from x and from the clean image x_0, each inside [0, 1],

    $$x \leftarrow \mathrm{clip}\left((1 - \alpha)(x + \eta d) + \alpha (x_0 + \eta d_0)\right),
    \quad \alpha = \min\left(\frac{\|d\|}{\|d\| + \|d_0\|}, \alpha_{max}\right),$$

    and where x then is of any wrong class, $$x \leftarrow x_0 + \beta (x - x_0)$$.

    Source: Croce & Hein, "Minimally distorted Adversarial Examples with a Fast Adaptive Boundary
    Attack", ICML 2020, algorithm 1; η = 1.05, α_max = 0.1, β = 0.9, a start at the clean image and
    no search along the last perturbation, as in AutoAttack [code].

    Args:
        victim: a classifier.
        images: (N, 3, H, W), clean, of which the victim predicts the labels.
        labels: (N,), y.
        wanted: (N,), t.
        norm: what is made small, ``linf`` or ``l2``.
        steps: each a forward and a backward pass, and a forward pass more.

    Returns:
        The smallest perturbations that were found, with their sizes.
    """
    best, here = Smallest(images, share=1.0), images
    size = norm_ball(norm, 1.0).size
    for number in range(1, steps + 1):
        here = _crossed(victim, images, here, labels, wanted, norm)
        with torch.no_grad():
            fooled = fooled_share(query(victim, here, labels), labels, targeted=False)
        change = here - images
        best.keep(number, change, size(change), fooled.float())
        here = torch.where(fooled.view(-1, 1, 1, 1) == 1, images + _BACK * change, here)
    return best


def _crossed(
    victim: nn.Module, images: Tensor, here: Tensor, labels: Tensor, wanted: Tensor, norm: Norm
) -> Tensor:
    """Return where a step leads, (N, 3, H, W)."""
    lead, slope = _lead(victim, here, labels, wanted)
    start, point, normal = (part.flatten(1) for part in (images, here, slope))
    own = onto_hyperplane(point, normal, -lead, norm)
    clean = onto_hyperplane(start, normal, -lead + (normal * (point - start)).sum(1), norm)
    size = norm_ball(norm, 1.0).size
    far, near = size(own).clamp(min=1e-8), size(clean).clamp(min=1e-8)
    pull = (far / (far + near)).clamp(max=_PULL)[:, None]
    moved = (1 - pull) * (point + _OVERSHOOT * own) + pull * (start + _OVERSHOOT * clean)
    return moved.clamp(0, 1).view_as(images)


def _lead(victim: nn.Module, here: Tensor, labels: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Return the wanted class's lead over the label, (N,), and its gradient."""
    here = here.detach().requires_grad_()
    logits = query(victim, here, labels)
    other, own = logits.gather(1, torch.stack([wanted, labels], 1)).unbind(1)
    (slope,) = torch.autograd.grad((other - own).sum(), here)
    slope, _ = mended(slope)
    return (other - own).detach(), slope
