"""ALMA-prox: proximal splitting for the smallest noise that fools a segmenter's pixels."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from project.attacks.core.attack import Attack
from project.attacks.core.best_so_far import BestSoFar, smallest
from project.attacks.core.query import fooled_share, query, resisting
from project.attacks.core.result import Perturbed
from project.attacks.gradient.objectives.dlr import logit_spread
from project.core.errors import InputError
from project.core.losses import margin, valid_elements
from project.images.eight_bit import as_saved, to_8bit
from project.threat_models import Linf

_SMOOTHING = 0.8
_SMALLEST_SCALE, _SCALE_RATE = 0.1, 0.02
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class ALMAProx(Attack):
    r"""The smallest noise that fools a share of the pixels: one constraint for each pixel.

    Minimises $$\|\delta\|_\infty$$ subject to $$c_i \le 0$$ at that share of the valid pixels, c
    the ratio of :class:`~project.attacks.DLR` with the opposite sign. Proximal gradient steps
    $$\delta \leftarrow \mathrm{prox}^H_{\lambda \|\cdot\|_\infty}(\delta - \lambda H^{-1} g)$$
    with the metric $$H = \sqrt{\overline{g^2}}$$, g the gradient of
    $$\sum_i P(w c_i, \rho_i, \mu_i)$$; see :class:`~project.attacks.noise.alma_prox.Multipliers`
    and :func:`~project.attacks.noise.alma_prox.shrunk`. The scale w falls while an image succeeds
    and rises while it does not. The hardest constraints are left out, in the end as many as may
    fail.

    There is no budget. The smallest δ is kept whose 8-bit image fools the share; where none does,
    the one that fooled most. Rows hold ``reached``, 1 or 0; ``success`` asks for all pixels.

    Source: Rony, Pesquet, Ben Ayed, "Proximal Splitting Adversarial Attacks for Semantic
    Segmentation", CVPR 2023 [code]. The victim is asked at the 8-bit image, since on floats
    the search ends below what a file can hold; and the tolerance asks a little more of targeted
    pixels too, of which the code asks less [ours].

    The authors' adv-lib is not used: it imports a plotting server and compiles at run time; its
    proximal step takes a number of iterations that depends on the whole batch, and it fails where
    an image has too few valid pixels to leave any out while another has enough.
    """

    share: float = 0.99
    """Share of the valid pixels to fool, in (0, 1]; 0.99 as in the code."""
    steps: int = 500
    """Number of steps, each a forward and a backward pass; 500 as in the code."""
    step_size: float = 0.001
    """Step size λ of the first step, 0.001 as in the code."""
    step_decay: float = 0.1
    """Factor of λ at the last step, in (0, 1); λ falls from an image's first success on, at the
    latest from half of the steps on."""
    targeted: bool = False
    """Whether the attack is targeted: the victim shall predict the target map."""
    seed: int = 0
    """Seed of random draws; this attack makes none."""

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1 or not 0 < self.step_decay < 1:
            raise InputError(
                "share must be in (0, 1] and step_decay in (0, 1), got "
                f"{self.share} and {self.step_decay}."
            )
        if self.steps < 1:
            raise InputError(f"steps must be at least 1, got {self.steps}.")
        if not self.step_size > 0:
            raise InputError(f"step_size must be greater than 0, got {self.step_size}.")

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Run all steps."""
        steps = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        best = BestSoFar((torch.zeros_like(images), steps), images.new_zeros(len(images)))
        search = _Search(images, target)
        for step in range(self.steps):
            perturbation = search.perturbation.requires_grad_()
            logits = query(victim, as_saved(images, perturbation), target)
            fooled = fooled_share(logits.detach(), target, self.targeted)
            search.note(fooled >= self.share, step, self.steps // 2)
            size = perturbation.detach().flatten(1).abs().amax(1)
            found = perturbation.detach(), torch.full_like(steps, step)
            best.offer(found, *smallest(fooled, self.share, size))
            loss = self._lagrangian(search, logits, target, step)
            (gradient,) = torch.autograd.grad(loss, perturbation)
            search.move(gradient, self._step_size(search.found, step), step)
        perturbation, steps = best.found
        float_images = (images + perturbation).clamp(0, 1)
        return Perturbed(
            images=to_8bit(float_images),
            float_images=float_images,
            perturbation=perturbation,
            steps=steps,
            facts={"reached": best.reached.double()},
            threat_model=Linf(1.0),
        )

    def _lagrangian(self, search: "_Search", logits: Tensor, target: Tensor, step: int) -> Tensor:
        """Return the sum of all penalties, after the multipliers' update from this step."""
        lead = margin(logits, target)
        lead = (-lead if self.targeted else lead) + _TOLERANCE
        ratios = (lead / logit_spread(logits, self.targeted)).reshape(len(target), -1)
        constraints = search.scale[:, None] * ratios
        met = ~resisting(logits.detach(), target, self.targeted).reshape(len(target), -1)
        counted = self._counted(constraints.detach(), search.valid, step)
        search.multipliers.update(step, constraints.detach(), counted, met)
        return (search.multipliers.penalty(constraints) * counted).sum()

    def _counted(self, constraints: Tensor, valid: Tensor, step: int) -> Tensor:
        """Return the mask of valid constraints, less the largest; ever more are left out."""
        may_fail = (1 - self.share) * valid.sum(1, keepdim=True)
        left_out = (may_fail * step / max(self.steps - 1, 1)).long()
        most = max(1, int((1 - self.share) * valid.shape[1]))
        largest = constraints.masked_fill(~valid, -torch.inf).topk(most, 1).values
        limit = largest.gather(1, (left_out - 1).clamp(0, most - 1))
        return valid & ((constraints <= limit) | (left_out == 0))

    def _step_size(self, found: Tensor, step: int) -> Tensor:
        """Return each image's λ, which falls as 1 / time from its first success on."""
        left = (self.steps - found).clamp(min=1)
        slowness = self.step_decay / (1 - self.step_decay) * left
        return self.step_size * slowness / ((step - found).clamp(min=0) + slowness)


class _Search:
    """The state of the search for each image of a batch.

    Attributes:
        perturbation: δ, (N, 3, H, W).
        scale: w, (N,).
        found: (N,), the step from which on λ falls: the first success, or half of the steps; ∞
            until then.
        valid: bool (N, E), which of an image's E elements are not void.
        multipliers: the multipliers of all constraints.
    """

    def __init__(self, images: Tensor, target: Tensor) -> None:
        self.perturbation = torch.zeros_like(images)
        self.scale = images.new_ones(len(images))
        self.valid = valid_elements(target).reshape(len(target), -1)
        self.found = torch.full_like(self.scale, torch.inf)
        self.multipliers = Multipliers(self.valid)
        self._low, self._high = -images, 1 - images
        # Penalties of pixels that are never met grow with ρ; the squares of their gradients exceed
        # float32.
        self._square = torch.zeros_like(images, dtype=torch.float64)

    def note(self, reached: Tensor, step: int, latest: int) -> None:
        """Record which images (N,) reach their share at this step, and adapt the scale w."""
        self.found = torch.where(reached, self.found.clamp(max=step), self.found)
        self.found = self.found if step < latest else self.found.clamp(max=latest)
        rate = torch.where(reached, 1 + _SCALE_RATE, 1 - _SCALE_RATE)
        self.scale = (self.scale / rate).clamp(_SMALLEST_SCALE, 1)

    def move(self, gradient: Tensor, size: Tensor, step: int) -> None:
        """Make a proximal gradient step of size λ, (N,)."""
        self._square = _SMOOTHING * self._square + (1 - _SMOOTHING) * gradient.double() ** 2
        # The average starts at 0; the division removes this bias, as in Adam.
        metric = (self._square / (1 - _SMOOTHING ** (step + 1))).sqrt().clamp(min=1e-8).to(gradient)
        moved = self.perturbation.detach() - size.view(-1, 1, 1, 1) / metric * gradient
        self.perturbation = shrunk(moved, size, metric, self._low, self._high)


_MU_SMOOTHING = 0.8
_PERIOD = 10
_IMPROVEMENT = 0.95
_GROWTH = 2.0
_FIRST_MU, _FIRST_RHO = 1.0, 0.01
_LARGEST_RHO = 1e13  # 500 steps do not get there; far beyond, gradients would not fit float32
_SMALLEST_MU = 1e-12


class Multipliers:
    r"""Multipliers and penalty parameters of an augmented Lagrangian of constraints c ≤ 0.

    Each constraint has a multiplier $$\mu \leftarrow 0.8 \mu + 0.2\, P'(c, \rho, \mu)$$ in
    [1e-12, 1], and a penalty parameter ρ that doubles after every ten steps in which the constraint
    was never met and did not fall by 5 %.

    Source: Rony et al., "Augmented Lagrangian Adversarial Attacks", ICCV 2021, and "Proximal
    Splitting Adversarial Attacks for Semantic Segmentation", CVPR 2023 [code]; a
    largest ρ, 1e13 [ours].

    Args:
        met: bool (N, E); only its shape and device count: there are as many constraints.

    Attributes:
        mu: μ, (N, E) float64.
        rho: ρ, (N, E) float64.
    """

    def __init__(self, met: Tensor) -> None:
        self.mu = torch.full_like(met, _FIRST_MU, dtype=torch.float64)
        self.rho = torch.full_like(self.mu, _FIRST_RHO)
        self._before = torch.zeros_like(self.mu)
        self._met = torch.zeros_like(met)

    def update(self, step: int, constraints: Tensor, counted: Tensor, met: Tensor) -> None:
        """Update μ and ρ after a step.

        Args:
            step: number of the step, from 0; at the first one only c is stored for comparison.
            constraints: c, (N, E), without gradient.
            counted: bool (N, E), which constraints count at this step.
            met: bool (N, E), which constraints are met.
        """
        constraints = constraints.double()
        self._met = self._met | met
        if step == 0:
            self._before = constraints
            return
        if (step + 1) % _PERIOD == 0:
            improved = constraints * counted <= _IMPROVEMENT * self._before
            grown = (_GROWTH * self.rho).clamp(max=_LARGEST_RHO)
            self.rho = torch.where(self._met | improved, self.rho, grown)
            self._before, self._met = constraints, torch.zeros_like(met)
        aim = penalty_slope(constraints, self.rho, self.mu) * counted
        mu = _MU_SMOOTHING * self.mu + (1 - _MU_SMOOTHING) * aim
        self.mu = mu.clamp(_SMALLEST_MU, 1)

    def penalty(self, constraints: Tensor) -> Tensor:
        """Return P of each constraint, (N, E), with gradient."""
        return penalty(constraints.double(), self.rho, self.mu)


def penalty(constraints: Tensor, rho: Tensor, mu: Tensor) -> Tensor:
    r"""Return the penalty-Lagrangian function P2.

    $$\mu y + \mu \rho y^2 + \rho^2 y^3 / 6$$ for y ≥ 0, and $$\mu y / (1 - \max(\rho, 1) y)$$
    below.

    Source: Birgin et al., "Numerical comparison of augmented Lagrangian algorithms for nonconvex
    problems", 2005; Rony et al., ICCV 2021 [code].

    Args:
        constraints: y, any shape.
        rho: ρ, of the same shape.
        mu: μ, of the same shape.
    """
    above = mu * constraints + mu * rho * constraints**2 + rho**2 * constraints**3 / 6
    below = mu * constraints / (1 - rho.clamp(min=1) * constraints.clamp(max=0))
    return torch.where(constraints >= 0, above, below)


def penalty_slope(constraints: Tensor, rho: Tensor, mu: Tensor) -> Tensor:
    """Return the derivative of :func:`penalty` by the constraint; it is μ at 0.

    The released ALMA-prox has μ·y instead of μ as its first term above 0, which makes it 0 at 0;
    this is the derivative.
    """
    above = mu + 2 * mu * rho * constraints + rho**2 * constraints**2 / 2
    below = mu / (1 - rho.clamp(min=1) * constraints.clamp(max=0)) ** 2
    return torch.where(constraints >= 0, above, below)


_HALVINGS = 30


def shrunk(values: Tensor, weight: Tensor, metric: Tensor, low: Tensor, high: Tensor) -> Tensor:
    r"""Shrink the maximum norm of values by a proximal step, image by image.

    $$\arg\min_{low \le p \le high} \lambda \|p\|_\infty + \frac{1}{2} \sum_i H_i (p_i - v_i)^2$$.
    The solution is v cut to the box and then to [-t, t], where t is the least radius at which
    $$\sum_{|\bar v_i| > t} H_i (|v_i| - t) \le \lambda$$, v̄ being v cut to the box.

    Source: Rony et al., "Proximal Splitting Adversarial Attacks for Semantic Segmentation", CVPR
    2023 [code], where t is found by ternary search; the condition on t is the sign of
    the derivative, found by bisection with equally many halvings for every image [ours].

    Args:
        values: v, (N, ...).
        weight: λ, (N,), greater than 0.
        metric: H, (N, ...), greater than 0.
        low: the box's lower bounds, (N, ...), at most 0.
        high: the box's upper bounds, (N, ...), at least 0.

    Returns:
        p, (N, ...).
    """
    shape = (-1, *[1] * (values.ndim - 1))
    inside = values.clamp(low, high)
    sizes, lengths = inside.abs().flatten(1), values.abs().flatten(1)
    metric = metric.flatten(1)
    least, most = torch.zeros_like(weight), sizes.amax(1)
    # A fixed number of halvings: no image depends on its batch mates, and the host never waits.
    for _ in range(_HALVINGS):
        middle = (least + most) / 2
        radius = middle[:, None]
        excess = (metric * (lengths - radius) * (sizes > radius)).sum(1)
        least = torch.where(excess > weight, middle, least)
        most = torch.where(excess > weight, most, middle)
    radius = most.view(shape)
    return inside.clamp(-radius, radius)
