"""Grad-CAM saliency: the victim's features that raise the logit of the target class."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from project.core.errors import InputError
from project.core.logits import logits_of
from project.core.losses import valid_elements
from project.saliency.provider import Scene, SceneSaliency, normalised
from project.victims.ensemble import EnsembleVictim


@dataclass(frozen=True)
class GradCAM(SceneSaliency):
    r"""Sum of the victim's features, weighted by how much each raises the target's logit.

    $$\alpha_k = mean_{ij}\, \partial y / \partial A^k_{ij}$$ and $$L = ReLU(\sum_k \alpha_k A^k)$$,
    enlarged to the image and stretched to [0, 1]; y the target class's logit, for a segmenter the
    sum of the target classes' logits over the valid pixels.

    Source: Selvaraju et al., "Grad-CAM", ICCV 2017, eqs. (1) and (2) [paper]; the sum over pixels:
    Vinogradova et al., "Towards Interpretable Semantic Segmentation via Gradient-weighted Class
    Activation Mapping", AAAI 2020 [paper].

    A is the last spatial output on which y depends: maps (N, C, h, w) or (N, h, w, C), or the
    tokens that a LayerNorm gives. A segmenter's own logits do not count as features. Where y does
    not depend on an image's last features at all (patch tokens after the last attention of a ViT
    that reads its class token), those before them are taken [ours].

    For an ensemble it is the mean of its members' maps [ours].
    """

    layer: str | None = None
    """Dotted name of the victim's submodule whose output is A; None finds the last suitable one."""

    def maps(self, images: Tensor, scene: Scene) -> Tensor:
        """Return maps (N, 1, H, W) in [0, 1].

        Raises:
            ValueError: if the victim has no spatial features, or not under the name given.
        """
        if isinstance(scene.victim, EnsembleVictim):
            members = [replace(scene, victim=member) for member in scene.victim.victims]
            return torch.stack([self.maps(images, member) for member in members]).mean(0)
        with torch.enable_grad(), recorded(scene.victim) as features:
            logits = logits_of(scene.victim(images.detach().requires_grad_()))
            candidates = self._candidates(features, scene.victim, logits)
            frame = features.frame or (images.shape[2], images.shape[3])
            maps = _last_that_matters(_score(logits, scene.target), candidates, images, frame)
        return normalised(_in_image(maps, images, scene.victim))

    def _candidates(
        self, features: "Activations", victim: nn.Module, logits: Tensor
    ) -> list[Tensor]:
        if self.layer is not None:
            found = [output for name, output in features.seen if name == self.layer]
        else:
            found = [output for _, output in features.seen if not _is_logits(output, logits)]
        if not found:
            names = [name for name, _ in features.seen]
            raise InputError(
                f"GradCAM needs spatial features of {type(victim).__name__}, found none"
                f"{'' if self.layer is None else f' under {self.layer!r}'}. "
                + (f"There are {', '.join(names[-5:])}. " if names else "")
                + "Name one as layer, or choose another provider, for example VictimGradient."
            )
        return found


def _is_logits(output: Tensor, logits: Tensor) -> bool:
    return logits.ndim == 4 and output.shape[1] == logits.shape[1]


def _score(logits: Tensor, target: Tensor) -> Tensor:
    """Return the target's logit, (N,), for a segmenter summed over the valid pixels."""
    valid = valid_elements(target)
    chosen = target.where(valid, target.new_zeros(())).unsqueeze(1)
    own = logits.gather(1, chosen).squeeze(1).where(valid, logits.new_zeros(()))
    return own.flatten(1).sum(1) if own.ndim > 1 else own


def _last_that_matters(
    score: Tensor, candidates: list[Tensor], images: Tensor, frame: tuple[int, int]
) -> Tensor:
    """Return each image's map from the last candidate that its score depends on, 0 if none.

    Returns:
        (N, 1, *frame), at least 0.
    """
    maps = images.new_zeros((len(images), 1, *frame))
    wanting = torch.ones_like(score, dtype=torch.bool)
    for output in reversed(candidates):
        (slope,) = torch.autograd.grad(score.sum(), output, retain_graph=True, allow_unused=True)
        if slope is None:
            continue
        features, slopes = (spatial(value.to(images), frame) for value in (output.detach(), slope))
        assert features is not None
        assert slopes is not None
        found = (slopes.mean((2, 3), keepdim=True) * features).sum(1, keepdim=True).relu()
        matters = slopes.flatten(1).any(1)
        chosen = (wanting & matters).view(-1, 1, 1, 1)
        maps = torch.where(chosen, _resized(found, frame), maps)
        wanting = wanting & ~matters
        if not wanting.any():
            break
    return maps


def _in_image(maps: Tensor, images: Tensor, victim: nn.Module) -> Tensor:
    """Bring maps (N, 1, h, w) from the network's frame into that of the images.

    The victim may have stretched images to a square, and padded them at the right and the bottom.
    """
    side = getattr(victim, "input_size", None)
    height, width = images.shape[2:] if side is None else (side, side)
    if getattr(victim, "divisor", 1) > 1:
        maps = maps[..., :height, :width]
    return _resized(maps, (images.shape[2], images.shape[3]))


def _resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(maps, size, mode="bilinear")


_PREFIXES = (0, 1, 2, 5)
"""Possible numbers of tokens before the patches': none; class; class and distillation; class and
four registers."""
_SQUARE_TO = 1.25
"""Largest ratio of the strides along rows and columns that rounding may cause."""


@dataclass
class Activations:
    """Spatial features recorded by hooks in one forward pass.

    Attributes:
        frame: height and width of the input of the first submodule called.
        seen: names and outputs of submodules, in the order in which they were computed.
    """

    frame: tuple[int, int] | None = None
    seen: list[tuple[str, Tensor]] = field(default_factory=list)


@contextmanager
def recorded(victim: nn.Module) -> Iterator[Activations]:
    """Record the spatial features of every submodule that is called inside the block."""
    features = Activations()
    handles = []
    for name, module in victim.named_modules():
        if name:
            handles.append(module.register_forward_pre_hook(_frame_hook(features)))
            handles.append(module.register_forward_hook(_output_hook(features, name)))
    try:
        yield features
    finally:
        for handle in handles:
            handle.remove()


def spatial(output: Tensor, frame: tuple[int, int]) -> Tensor | None:
    """Return an output as maps (N, C, h, w), or None if it is not spatial.

    Args:
        output: (N, C, h, w), (N, h, w, C), or tokens (N, T, C), row by row, perhaps after class or
            register tokens.
        frame: size of the network's input; the maps have its shape, up to rounding.
    """
    if output.ndim == 4:
        for maps in (output, output.permute(0, 3, 1, 2)):
            if _fits(maps.shape[2], maps.shape[3], frame):
                return maps
    if output.ndim == 3:
        for prefix in _PREFIXES:
            count = output.shape[1] - prefix
            height, width = _grid(count, frame)
            if height * width == count > 1 and frame[0] * width == frame[1] * height:
                tokens = output[:, prefix:].mT
                return tokens.reshape(len(output), -1, height, width)
    return None


def _grid(count: int, frame: tuple[int, int]) -> tuple[int, int]:
    stride = math.sqrt(frame[0] * frame[1] / max(1, count))
    return round(frame[0] / stride), round(frame[1] / stride)


def _fits(height: int, width: int, frame: tuple[int, int]) -> bool:
    if height * width <= 1 or height > frame[0] or width > frame[1]:
        return False
    strides = (frame[0] / height, frame[1] / width)
    return max(strides) <= _SQUARE_TO * min(strides)


def _frame_hook(features: "Activations") -> Any:
    def hook(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        first = arguments[0] if arguments else None
        if features.frame is None and isinstance(first, Tensor) and first.ndim == 4:
            features.frame = (first.shape[2], first.shape[3])

    return hook


def _output_hook(features: "Activations", name: str) -> Any:
    def hook(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        if not (isinstance(output, Tensor) and output.requires_grad and features.frame):
            return
        tokens = output.ndim == 3 and isinstance(module, nn.LayerNorm)
        if (output.ndim == 4 or tokens) and spatial(output, features.frame) is not None:
            features.seen.append((name, output))

    return hook
