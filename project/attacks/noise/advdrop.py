"""AdvDrop: an attack that takes detail away instead of adding noise."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from project.attacks.core.attack import Attack, Traits, filled_in
from project.attacks.core.query import fooled_share, query
from project.attacks.core.result import Perturbed
from project.core.choices import choose
from project.core.errors import InputError
from project.core.losses import cross_entropy, mean_over_valid, valid_elements
from project.core.per_image import rows_of
from project.images.dct import block_dct, block_idct
from project.images.eight_bit import clip, to_8bit
from project.threat_models import Linf

_FIRST_SOFTNESS, _LAST_SOFTNESS = 0.1, 1e-20


@dataclass(frozen=True)
class AdvDropSettings:
    """The settings that a preset of AdvDrop fixes.

    Attributes:
        steps: the largest number of updates of an image.
        step_size: change of every q in an update, in 8-bit levels.
    """

    steps: int
    step_size: float


PRESETS = {"paper": AdvDropSettings(50, 1.0), "fast": AdvDropSettings(15, 3.0)}


@dataclass(frozen=True)
class AdvDrop(Attack):
    r"""Round the cosine coefficients of 8×8 blocks, which removes the detail that the victim needs.

    On each channel of the RGB image in levels 0 … 255, block by block,
    $$x_{adv} = \mathrm{IDCT}\left(q\, \mathrm{round}(\mathrm{DCT}(x - 128) / q)\right) + 128$$,
    clamped. Every coefficient of every block has a q of its own, which starts at ``q_size`` and
    moves by $$q \leftarrow \mathrm{clamp}(q - \alpha\, \mathrm{sign}\, \partial L / \partial q,
    q_{min}, q_{size})$$, L the negative cross-entropy (targeted: the cross-entropy), where
    rounding is soft: see :func:`soft_round`, whose a falls linearly from 0.1 to 1e-20.

    Source: Duan et al., "AdvDrop: Adversarial Attack to DNNs by Dropping Information", ICCV 2021,
    section 3 [paper]; bounds, steps, schedule and the update by the sign [code]. That code calls
    the channels YCbCr though they are RGB, and judges images that are rounded softly only; here
    each image stops at its own first success with hard rounding, as the 8-bit image it would be.
    Preset ``fast`` is [ours].

    An image is changed even where every q is at ``q_min``, and one that stops at once has every q
    at ``q_size``: the search is for success at given coarseness, not for the least change.
    """

    q_size: float = 60.0
    """Coarsest q, in 8-bit levels; 20, 60 and 100 are the paper's settings."""
    steps: int | None = None
    """Largest number of updates of an image; None is the preset's."""
    step_size: float | None = None
    """Step size α, the change of every q in an update, in 8-bit levels; None is the preset's."""
    q_min: float = 5.0
    """Finest q, in 8-bit levels, greater than 0."""
    preset: Literal["paper", "fast"] = "paper"
    """Preset: ``paper``, 50 steps of size 1, or ``fast``, 15 steps of size 3, which get about as
    far."""
    targeted: bool = False
    """Whether the attack is targeted: the victim shall predict the target."""
    seed: int = 0
    """Seed of random draws; this attack makes none."""

    def __post_init__(self) -> None:
        if not 0 < self.q_min <= self.q_size:
            raise InputError(
                "q_min must be greater than 0 and at most q_size, got "
                f"{self.q_min} and {self.q_size}."
            )
        chosen = self.settings
        if chosen.steps < 1:
            raise InputError(f"steps must be at least 1, got {chosen.steps}.")
        if not chosen.step_size > 0:
            raise InputError(f"step_size must be greater than 0, got {chosen.step_size}.")

    @property
    def settings(self) -> AdvDropSettings:
        """The preset's settings, overridden by the fields that are not None."""
        return filled_in(choose("preset", PRESETS, self.preset), self)

    def derived(self) -> Any:
        """Return the settings that follow from the fields; see :class:`~project.attacks.Attack`."""
        return self.settings

    def traits(self) -> Traits:
        """Describe the attack, with the number of steps of its preset."""
        return super().traits() | {"steps": self.settings.steps}

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Search until all images are fooled or the steps are spent."""
        coefficients = block_dct(images * 255 - 128)
        table = torch.full_like(coefficients, self.q_size)
        rows = torch.arange(len(images), device=images.device)
        found, tables, steps = torch.empty_like(images), torch.empty_like(table), rows.clone()
        most = self.settings.steps
        for step in range(most + 1):
            hard = rendered(coefficients, table, torch.round, images.shape[2:])
            # Images that succeed are stored and removed; at the last step the rest is stored too.
            ready = self._succeeds(victim, hard, target) | (step == most)
            found[rows[ready]], tables[rows[ready]] = hard[ready], table[ready]
            steps[rows[ready]] = step
            left = rows_of((rows, coefficients, table, target), ~ready)
            rows, coefficients, table, target = left
            if not len(rows):
                break
            table = self._updated(victim, coefficients, table, target, step, images.shape[2:])
        return Perturbed(
            images=to_8bit(found),
            float_images=found,
            perturbation=found - images,
            threat_model=Linf(1.0),
            steps=steps,
            facts={"q_mean": tables.flatten(1).mean(1)},
        )

    def _succeeds(self, victim: nn.Module, images: Tensor, target: Tensor) -> Tensor:
        with torch.no_grad():
            logits = query(victim, to_8bit(images), target)
        return fooled_share(logits, target, self.targeted) == 1

    def _updated(
        self,
        victim: nn.Module,
        coefficients: Tensor,
        table: Tensor,
        target: Tensor,
        step: int,
        size: Sequence[int],
    ) -> Tensor:
        """Return the tables of q after one update: against the gradient, inside the bounds."""
        table = table.requires_grad_()
        softness = softness_at(step, self.settings.steps)
        images = rendered(coefficients, table, lambda v: soft_round(v, softness), size)
        losses = cross_entropy(query(victim, images, target), target)
        loss = mean_over_valid(losses, valid_elements(target)).sum()
        (gradient,) = torch.autograd.grad(loss if self.targeted else -loss, table)
        moved = table.detach() - self.settings.step_size * gradient.sign()
        return moved.clamp_(self.q_min, self.q_size)


def rendered(
    coefficients: Tensor,
    table: Tensor,
    rounding: Callable[[Tensor], Tensor],
    size: Sequence[int],
) -> Tensor:
    """Return the images whose coefficients are quantised: rounded to multiples of a table.

    Args:
        coefficients: (N, 3, ⌈H/8⌉, ⌈W/8⌉, 8, 8), of images in levels less 128.
        table: q, of the same shape, greater than 0.
        rounding: rounds multiples of q to integers, hard or soft.
        size: (H, W).

    Returns:
        (N, 3, H, W) in [0, 1].
    """
    multiples = rounding(coefficients / table)
    levels = block_idct(multiples * table, size) + 128
    return clip(levels, 0, 255) / 255


def soft_round(values: Tensor, softness: float) -> Tensor:
    r"""Round to integers softly, so that there is a gradient.

    $$\lfloor v \rfloor + \frac{s \tanh(k (v - \lfloor v \rfloor - 1/2)) + 1}{2},\quad
    s = \frac{1}{1 - a},\quad k = \log(2 / a - 1)$$: integers are unchanged, and for a → 0 all other
    values go to the nearest.

    Source: Gong et al., "Differentiable Soft Quantization", ICCV 2019, as used by AdvDrop [code].

    Args:
        values: v, any shape.
        softness: a, in (0, 1).
    """
    below = values.floor()
    rise = torch.tanh(math.log(2 / softness - 1) * (values - below - 0.5))
    return below + (rise / (1 - softness) + 1) / 2


def softness_at(step: int, steps: int) -> float:
    """Return a after ``step`` of ``steps`` updates: from 0.1 linearly to 1e-20."""
    done = step / steps
    return _FIRST_SOFTNESS * (1 - done) + _LAST_SOFTNESS * done
