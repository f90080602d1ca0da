"""Querying a victim for logits and inner features, and judging its predictions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from torch import Tensor, nn

from project.core.answers import NO_PREDICTION, predicted_classes
from project.core.errors import InputError, let_memory_errors_pass
from project.core.logits import logits_of, output_told
from project.core.losses import mean_over_valid, valid_elements

_HIGHEST: ContextVar[int | None] = ContextVar("highest label", default=None)


@contextmanager
def labels_up_to(highest: int | None) -> Iterator[None]:
    """Let every query refuse a victim that has no class for the highest label of a batch.

    How many classes a plain ``nn.Module`` has, only its logits say. The label is read once, on the
    host, since comparing tensors at every query would make it wait for the device.
    """
    token = _HIGHEST.set(highest)
    try:
        yield
    finally:
        _HIGHEST.reset(token)


def query(victim: nn.Module, images: Tensor, target: Tensor) -> Tensor:
    """Return a victim's logits, of a shape that fits the target.

    Args:
        victim: maps images to logits.
        images: (N, 3, H, W) in [0, 1].
        target: (N,) or (N, H, W).

    Returns:
        (N, K) or (N, K, H, W).

    Raises:
        InputError: if the logits have another shape than the target asks for, or fewer classes than
            two or than the labels need; if the victim cannot take images of this type and device.
    """
    logits = _answer(victim, images)
    if logits.ndim != target.ndim + 1 or (len(logits), *logits.shape[2:]) != target.shape:
        wanted = ", ".join(["N", "K", *map(str, target.shape[1:])])
        raise InputError(
            f"the victim must return logits ({wanted}) for a target {tuple(target.shape)}, got "
            f"{tuple(logits.shape)}. A classifier takes class labels, a segmenter takes masks of "
            f"the size of its logits.{_BINARY if logits.ndim == target.ndim else ''}"
        )
    count, highest = logits.shape[1], _HIGHEST.get()
    if count < 2:
        raise InputError(
            f"the victim must return a logit for each of two or more classes, got 1.{_BINARY}"
        )
    if highest is not None and highest >= count:
        raise InputError(
            f"labels must lie in 0 … {count - 1}, the victim's classes (255 is void in masks), got "
            f"{highest}. Check the labels, or take a victim with these classes."
        )
    return logits


_BINARY = (
    " A binary victim with one logit z (for BCE) is the same with two, 0 and z: return "
    "torch.cat([torch.zeros_like(z), z], 1)."
)


def _answer(victim: nn.Module, images: Tensor) -> Tensor:
    try:
        logits = victim(images)
    except RuntimeError as error:
        let_memory_errors_pass(error)
        if unfit := _unfit(victim, images, str(error)):
            raise InputError(unfit) from error
        raise
    return logits_of(logits)


def _unfit(victim: nn.Module, images: Tensor, error: str) -> str | None:
    """Return what differs between a victim's weights and the images, if an error is about that."""
    weights = next((p for p in victim.parameters() if p.is_floating_point()), None)
    if weights is None:
        return None
    if "device" in error and weights.device != images.device:
        return (
            f"victim and images must be on one device, got {weights.device} and {images.device}. "
            "Move one of them with .to(...)."
        )
    if "type" in error and weights.dtype != images.dtype:
        return (
            f"the victim must take {images.dtype} images, but its weights are {weights.dtype}. "
            "Call victim.float() (with images.double(): victim.double()); for half precision leave "
            "the weights as they are, and attack under torch.autocast."
        )
    return None


def resisting(logits: Tensor, target: Tensor, targeted: bool) -> Tensor:
    """Return where the attack has not reached its aim: still correct, or not yet the target class.

    An element without a prediction resists, whatever the aim: a victim that breaks is not fooled.

    Args:
        logits: (N, K, ...).
        target: (N, ...), the labels, or the wanted classes where ``targeted``.
        targeted: whether the victim shall predict the target.

    Returns:
        bool, of the target's shape, False where the target is void.
    """
    predicted = predicted_classes(logits)
    hit = predicted == target
    left = ~hit if targeted else hit | (predicted == NO_PREDICTION)
    return left & valid_elements(target)


def fooled_share(logits: Tensor, target: Tensor, targeted: bool) -> Tensor:
    """Return the share of each image's valid elements at which the attack reached its aim.

    An element without a prediction stays in the denominator, so that no search prefers an image
    for breaking the victim.

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
        f"{output_told(output)}. Name a convolutional block, or one of several outputs in "
        "brackets: network.encoder[-2]."
    )


def _layer(victim: nn.Module, name: str) -> nn.Module:
    try:
        return victim.get_submodule(name)
    except AttributeError as error:
        raise InputError(
            f"the victim has no layer {name!r} ({error}). List its layers with "
            "victim.named_modules()."
        ) from error
