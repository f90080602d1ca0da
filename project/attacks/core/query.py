"""Querying a victim for logits and inner features, and judging its predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from project.core.errors import InputError
from project.core.losses import mean_over_valid, predicted_classes, valid_elements


def query(victim: nn.Module, images: Tensor, target: Tensor) -> Tensor:
    """Return a victim's logits, of a shape that fits the target.

    Args:
        victim: maps images to logits.
        images: (N, 3, H, W) in [0, 1].
        target: (N,) or (N, H, W).

    Returns:
        (N, K) or (N, K, H, W).

    Raises:
        ValueError: if the logits have another shape than the target asks for.
    """
    logits: Tensor = victim(images)
    if logits.ndim != target.ndim + 1 or (len(logits), *logits.shape[2:]) != target.shape:
        wanted = ", ".join(["N", "K", *map(str, target.shape[1:])])
        raise InputError(
            f"the victim must return logits ({wanted}) for a target {tuple(target.shape)}, got "
            f"{tuple(logits.shape)}. A classifier takes class labels, a segmenter takes masks of "
            "the size of its logits."
        )
    return logits


def resisting(logits: Tensor, target: Tensor, targeted: bool) -> Tensor:
    """Return where the attack has not reached its aim: still correct, or not yet the target class.

    Args:
        logits: (N, K, ...).
        target: (N, ...), the labels, or the wanted classes where ``targeted``.
        targeted: whether the victim shall predict the target.

    Returns:
        bool, of the target's shape, False where the target is void.
    """
    hit = predicted_classes(logits) == target
    return (~hit if targeted else hit) & valid_elements(target)


def fooled_share(logits: Tensor, target: Tensor, targeted: bool) -> Tensor:
    """Return the share of each image's valid elements at which the attack reached its aim.

    Returns:
        (N,) in [0, 1]: for a classifier 0 or 1; 0 for an image that is void everywhere.
    """
    reached = ~resisting(logits, target, targeted)
    return mean_over_valid(reached.float(), valid_elements(target))


class Answer(NamedTuple):
    """A victim's logits for a batch and, if a layer was named, its features.

    Attributes:
        logits: (N, K, ...).
        features: the output of the named layer, (N, C, h, w); None if no layer was named.
    """

    logits: Tensor
    features: Tensor | None


def ask(victim: nn.Module, images: Tensor, target: Tensor, layer: str | None) -> Answer:
    """Return a victim's logits and, if a layer is named, that layer's output.

    Args:
        victim: maps images to logits.
        images: (N, 3, H, W) in [0, 1].
        target: (N,) or (N, H, W), which the logits must fit.
        layer: dotted name of a submodule whose output to return, with an index or key in brackets
            where it gives several: ``network.encoder[-2]``, ``network.backbone[out]``; or None.

    Raises:
        ValueError: if the logits have another shape than the target asks for, or the layer is
            not there or does not give feature maps.
    """
    if layer is None:
        return Answer(query(victim, images, target), None)
    seen: list[Any] = []

    def keep(module: nn.Module, inputs: object, output: object) -> None:
        seen.append(output)

    name, _, key = layer.partition("[")
    hook = _layer(victim, name).register_forward_hook(keep)
    try:
        logits = query(victim, images, target)
    finally:
        hook.remove()
    if len(seen) != 1:
        raise InputError(f"layer {layer!r} must be run once for an answer, not {len(seen)} times.")
    return Answer(logits, _feature_maps(seen[0], layer, key.removesuffix("]")))


def _feature_maps(output: Any, layer: str, key: str) -> Tensor:
    """Return a layer's output or, if there is a key, the one of several outputs that it names."""
    try:
        several = isinstance(output, Sequence)
        maps = output[int(key) if several else key] if key else output
    except (KeyError, IndexError, TypeError, ValueError):
        maps = None
    if isinstance(maps, Tensor) and maps.ndim == 4:
        return maps
    raise InputError(
        f"layer {layer!r} must give feature maps (N, C, h, w), but the layer's output is "
        f"{_told(output)}. Name a convolutional block, or one of several outputs in brackets: "
        "network.encoder[-2]."
    )


def _told(output: Any) -> str:
    if isinstance(output, Tensor):
        return f"a tensor {tuple(output.shape)}"
    if isinstance(output, Mapping):
        return f"a dictionary with {', '.join(map(str, output))}"
    if isinstance(output, Sequence):
        return f"a list of {len(output)}"
    return type(output).__name__


def _layer(victim: nn.Module, name: str) -> nn.Module:
    try:
        return victim.get_submodule(name)
    except AttributeError as error:
        raise InputError(
            f"the victim has no layer {name!r} ({error}). List its layers with "
            "victim.named_modules()."
        ) from error
