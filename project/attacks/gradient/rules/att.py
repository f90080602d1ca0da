"""Gradient rule ATT for vision transformers: adaptive token tuning."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from project.attacks.gradient.objectives.objective import Memory
from project.attacks.gradient.rules.rule import StepContext
from project.attacks.gradient.rules.token_gradients import (
    Kind,
    TokenBlock,
    TokenRule,
    networks_with_blocks,
    weakened_scores,
    weakened_tokens,
)
from project.core.errors import InputError
from project.core.per_image import per_image

_ALL_AT_FIRST = 0.99
"""The probability of keeping a patch from which all patches set out [code]."""


@dataclass(frozen=True)
class ATT(TokenRule):
    r"""Weaken extreme token gradients as far as their spread grows, and leave patches out.

    *In the blocks* gradients are weighted and their extremes found as in ``TGR``, but multiplied by
    $$f = \mathrm{clip}_{[0, 1]}\left(\gamma + \lambda \left(1 - \frac{\sigma}{\sigma'}\right)
    \right)$$ instead of 0: σ is the standard deviation of the weighted gradient, σ′ that of the
    result in the block after it, of the same kind; f = γ in the last block and where σ′ = 0. The
    scores' gradients of the last blocks are cut off.

    *Of the perturbation* the victim sees some patches only: at step t of T each with probability
    $$0.99 - (0.99 - p)\, t/T,\quad p = \mathrm{offset} + \mathrm{scale} \cdot I$$, I in [0, 1]
    being the patch's importance between the image's least and greatest: feature times gradient of
    the sum of all logits, at the last block but one, on the clean image.

    It comes before momentum, and costs one forward pass on the clean images and a small part of
    the backward pass, and none in a step. The traced objective is that of the patches shown. The
    source must be a vision transformer; of an ensemble, members without attention blocks stay as
    they are, and the importance is the others' mean.

    Source: Ming et al., "Boosting the Transferability of Adversarial Attack on Vision Transformer
    with Adaptive Token Tuning", NeurIPS 2024 [code], with the values for ViT-B/16. There
    deviations and extremes are those of a batch of one image, and draws are the same for all; here
    each image has its own [ours].
    """

    scores: float = 0.45
    """Weight of the scores' gradients, 0.45 as in the code."""
    qkv: float = 0.7
    """Weight of the gradients of queries, keys and values, 0.7 as in the code."""
    mlp: float = 0.65
    """Weight of the gradients of the MLP's output, 0.65 as in the code."""
    penalty: float = 0.5
    """Factor γ of extreme gradients, in [0, 1]; 0.5 as in the code."""
    adaptation: float = 0.01
    """How far λ the factor follows the spread, 0.01 as in the code."""
    cut: int = 2
    """Number of last blocks whose scores let no gradient through; 2 of 12 as in the code."""
    patch: int = 16
    """Side of a patch of the perturbation in pixels, 16 as in the code."""
    scale: float = 0.4
    """By how much a patch's importance raises its probability in the last step, at least 0."""
    offset: float = 0.4
    """Probability of the least important patch in the last step; with the scale at most 1."""

    def __post_init__(self) -> None:
        weights = (self.scores, self.qkv, self.mlp, self.adaptation)
        if not all(weight >= 0 for weight in weights) or not 0 <= self.penalty <= 1:
            raise InputError(
                "scores, qkv, mlp and adaptation must be at least 0 and penalty in [0, 1], got "
                f"{', '.join(map(str, weights))} and {self.penalty}."
            )
        if self.cut < 0 or self.patch < 1:
            raise InputError(
                f"cut must be at least 0 and patch at least 1, got {self.cut}, {self.patch}."
            )
        if min(self.scale, self.offset) < 0 or self.scale + self.offset > 1:
            raise InputError(
                "scale and offset must be at least 0 and together at most 1, got "
                f"{self.scale}, {self.offset}."
            )

    def ahead(self, perturbation: Tensor, memory: Memory, context: StepContext) -> Tensor:
        """Return the perturbation without the patches that are left out in this step."""
        if "importance" not in memory:
            memory["importance"] = self._importance(context.victim, context.images)
        last = self.offset + self.scale * memory["importance"]
        kept = _ALL_AT_FIRST - (_ALL_AT_FIRST - last) * (context.number / context.total)
        drawn = context.draws.uniform(*kept.shape[1:]).to(kept, non_blocking=True)
        patches = (drawn <= kept).to(perturbation.dtype)
        for axis, length in ((2, perturbation.shape[2]), (3, perturbation.shape[3])):
            patches = patches.repeat_interleave(self.patch, axis).narrow(axis, 0, length)
        memory["shown"] = patches
        return perturbation * patches

    def __call__(self, gradient: Tensor, memory: Memory, context: StepContext) -> Tensor:
        """Return the gradient of what was shown: 0 in patches left out."""
        return gradient * memory["shown"]

    def changed(self, kind: Kind, gradient: Tensor, above: int, memory: Memory) -> Tensor:
        """Return the weighted gradient, its extremes weakened."""
        weight = {"scores": self.scores, "qkv": self.qkv, "mlp": self.mlp}[kind]
        if kind == "scores" and above < self.cut:
            weight = 0.0
        gradient = weight * gradient
        factor = per_image(self._factor(gradient, memory.get(kind)), gradient)
        weakened = (weakened_scores if kind == "scores" else weakened_tokens)(gradient, factor)
        memory[kind] = _deviation(weakened)
        return weakened

    def _factor(self, gradient: Tensor, after: Tensor | None) -> Tensor:
        """Return f, (N,), given the deviation in the block after, (N,), if there is one."""
        here = _deviation(gradient)
        if after is None:
            return torch.full_like(here, self.penalty)
        growth = here / torch.where(after > 0, after, torch.ones_like(after))
        adapted = (self.penalty + self.adaptation * (1 - growth)).clamp(0, 1)
        return torch.where(after > 0, adapted, torch.full_like(adapted, self.penalty))

    def _importance(self, victim: nn.Module, images: Tensor) -> Tensor:
        """Return each patch's importance, from the least 0 to the greatest 1, (N, 1, h, w)."""
        found = networks_with_blocks(victim, type(self).__name__)
        with torch.enable_grad(), _features(found) as features:
            logits = victim(images.detach().requires_grad_())
            outputs = [features[network] for network in found]
            gradients = torch.autograd.grad(logits.sum(), outputs)
        size, maps = (images.shape[2], images.shape[3]), []
        for network, output, gradient in zip(found, outputs, gradients, strict=True):
            products = output.detach() * gradient
            grid = _on_grid(network, found[network][0].name, products, size)
            full = F.interpolate(grid, size, mode="bilinear", align_corners=False)
            mean = F.avg_pool2d(full, self.patch, ceil_mode=True, count_include_pad=False)
            maps.append(_scaled(mean))
        return torch.stack(maps).mean(0)


def _deviation(gradient: Tensor) -> Tensor:
    """Return the standard deviation of each image's values, (N,)."""
    # Divided by the largest value first, since squares of tiny gradients underflow to 0.
    flat = gradient.flatten(1)
    largest = flat.abs().amax(1).clamp(min=torch.finfo(gradient.dtype).tiny)
    return (flat / largest[:, None]).std(1) * largest


def _scaled(values: Tensor) -> Tensor:
    """Map each image's values to [0, 1], (N, …); equal values to 0."""
    low, high = values.amin((1, 2, 3), keepdim=True), values.amax((1, 2, 3), keepdim=True)
    return (values - low) / (high - low).clamp(min=torch.finfo(values.dtype).tiny)


@contextmanager
def _features(found: dict[nn.Module, list[TokenBlock]]) -> Iterator[dict[nn.Module, Tensor]]:
    """Collect what comes out of the last block but one of each network."""
    features: dict[nn.Module, Tensor] = {}
    handles = []
    for network, blocks in found.items():

        def keep(
            module: nn.Module, inputs: object, output: Tensor, network: nn.Module = network
        ) -> None:
            if network in features:
                raise InputError(
                    "ATT finds the patches that count in one look at a whole image, but the source "
                    f"runs its {type(network).__name__} several times for one. Attack the network "
                    "without sliding windows, or take TGR."
                )
            features[network] = output

        handles.append(blocks[max(0, len(blocks) - 2)].block.register_forward_hook(keep))
    try:
        yield features
    finally:
        for handle in handles:
            handle.remove()


def _on_grid(network: nn.Module, block: str, tokens: Tensor, size: tuple[int, int]) -> Tensor:
    """Sum tokens (N, L, C) over their channels, and lay those of patches out, (N, 1, h, w).

    Args:
        network: the network.
        block: the dotted name of one of its blocks.
        tokens: what comes out of a block.
        size: height and width of the images.
    """
    transformer = _transformer(network, block)
    sums = tokens[:, getattr(transformer, "num_prefix_tokens", 0) :].sum(2)
    count = sums.shape[1]
    grid = getattr(getattr(transformer, "patch_embed", None), "grid_size", None)
    if grid is None or grid[0] * grid[1] != count:
        # It takes images of any size: of all grids, the one of the images' own shape.
        sides = [(rows, count // rows) for rows in range(1, count + 1) if count % rows == 0]
        shape = math.log(size[0] / size[1])
        grid = min(sides, key=lambda side: abs(math.log(side[0] / side[1]) - shape))
    return sums.reshape(len(sums), 1, *grid)


def _transformer(network: nn.Module, block: str) -> nn.Module:
    """Return the innermost module around a block that cuts images into patches."""
    names = block.split(".")
    around = [network.get_submodule(".".join(names[:end])) for end in range(len(names), -1, -1)]
    return next((module for module in around if hasattr(module, "patch_embed")), network)
