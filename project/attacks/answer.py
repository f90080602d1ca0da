"""Asking a victim for its logits and, where an objective wants them, for features inside of it."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from project.attacks.verdict import query
from project.errors import InputError


class Answer(NamedTuple):
    """What a victim says of a batch.

    Attributes:
        logits: (N, K, ...).
        features: the output of the layer that was asked for, (N, C, h, w); None without one.
    """

    logits: Tensor
    features: Tensor | None


def ask(victim: nn.Module, images: Tensor, target: Tensor, layer: str | None) -> Answer:
    """Return a victim's answer.

    Args:
        victim: from images to logits.
        images: (N, 3, H, W) in [0, 1].
        target: (N,) or (N, H, W), which the logits must fit.
        layer: dotted name of a submodule whose output is wanted, or None.

    Raises:
        ValueError: if the logits have another shape than the target asks for, or the layer is
            not there or does not give feature maps.
    """
    if layer is None:
        return Answer(query(victim, images, target), None)
    seen: list[Tensor] = []

    def keep(module: nn.Module, inputs: object, output: Tensor) -> None:
        seen.append(output)

    hook = _layer(victim, layer).register_forward_hook(keep)
    try:
        logits = query(victim, images, target)
    finally:
        hook.remove()
    if not (len(seen) == 1 and isinstance(seen[0], Tensor) and seen[0].ndim == 4):
        raise InputError(
            f"layer {layer!r} must be run once and give feature maps (N, C, h, w), got "
            f"{len(seen)} outputs {[tuple(getattr(s, 'shape', ())) for s in seen]}. Name a "
            "convolutional block of the encoder."
        )
    return Answer(logits, seen[0])


def _layer(victim: nn.Module, name: str) -> nn.Module:
    try:
        return victim.get_submodule(name)
    except AttributeError as error:
        raise InputError(
            f"the victim has no layer {name!r} ({error}). List its layers with "
            "victim.named_modules()."
        ) from error
