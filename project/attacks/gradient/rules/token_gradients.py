"""Hooks on the blocks of vision transformers that change gradients on their way back.

Convention
    block   a module with ``attn``, which has a linear layer ``qkv`` and a dropout ``attn_drop``
            right after its softmax, and with ``mlp``: those of timm's ViT, DeiT and FlexiViT
    scores  (N, heads, L, L), what the softmax of attention is taken of; L tokens
    qkv     (N, L, 3 C), queries, keys and values side by side
    mlp     (N, L, C), what a block's MLP adds to the tokens
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, NoReturn, get_args

import torch
from torch import Tensor, nn

from project.attacks.gradient.objectives.objective import Memory
from project.attacks.gradient.rules.rule import GradientRule
from project.core.errors import InputError
from project.victims.acceleration.networks import networks
from project.victims.victim import Victim

Kind = Literal["scores", "qkv", "mlp"]


class TokenBlock(NamedTuple):
    """One attention block of a network.

    Attributes:
        name: dotted, inside its network.
        block: the module.
        above: how many blocks the network has after it.
    """

    name: str
    block: Any
    above: int


@dataclass(frozen=True)
class TokenRule(GradientRule, ABC):
    """Base class of rules that change gradients inside the attention blocks of the source.

    Logits and losses stay what they are; only what flows back is another. While the attack runs,
    attention is computed step by step instead of by a fused kernel, which hides the scores.
    """

    @abstractmethod
    def changed(self, kind: Kind, gradient: Tensor, above: int, memory: Memory) -> Tensor:
        """Return what flows back instead of a gradient, in its shape.

        Args:
            kind: what the gradient is of; see the top of this file.
            gradient: its gradient, a tensor of its own.
            above: how many blocks the network has after this one.
            memory: tensors (N, …) that the rule keeps from block to block of one backward pass.
        """

    @contextmanager
    def around(self, victim: nn.Module) -> Iterator[None]:
        """Hold the hooks on every block of every network of the victim that has blocks.

        Raises:
            InputError: if no network of it has any, or one computes its attention another way.
        """
        found = networks_with_blocks(victim, type(self).__name__)
        with ExitStack() as held:
            for network, blocks in found.items():
                held.enter_context(_hooked(self, network, blocks))
            yield


def networks_with_blocks(victim: nn.Module, name: str) -> dict[nn.Module, list[TokenBlock]]:
    """Return the networks that have attention blocks, with their blocks in the order of layers.

    Raises:
        InputError: if there are none; it names the rule and the networks.
    """
    inside = _networks(victim) or [victim]
    found = {network: _blocks(network) for network in inside}
    if not any(found.values()):
        kinds = ", ".join(sorted({type(network).__name__ for network in inside}))
        raise InputError(
            f"{name} changes gradients inside of attention blocks (attn.qkv, attn.attn_drop and "
            f"mlp, as timm's ViT and DeiT have them), but the source {kinds} has none. Attack a "
            "vision transformer, or leave the rule out."
        )
    return {network: blocks for network, blocks in found.items() if blocks}


def _networks(victim: nn.Module) -> list[nn.Module]:
    victims = [part for part in victim.modules() if isinstance(part, Victim)]
    return list(dict.fromkeys(network for part in victims for network in networks(part)))


def _blocks(network: nn.Module) -> list[TokenBlock]:
    named = [(name, part) for name, part in network.named_modules() if _is_block(part)]
    return [TokenBlock(*each, len(named) - 1 - place) for place, each in enumerate(named)]


def _is_block(module: nn.Module) -> bool:
    attention = getattr(module, "attn", None)
    return (
        isinstance(getattr(module, "mlp", None), nn.Module)
        and isinstance(getattr(attention, "qkv", None), nn.Linear)
        and isinstance(getattr(attention, "attn_drop", None), nn.Dropout)
    )


@contextmanager
def _hooked(rule: TokenRule, network: nn.Module, blocks: list[TokenBlock]) -> Iterator[None]:
    """Hold the hooks on one network, and its attention unfused."""
    with ExitStack() as held:
        seen = _Seen(rule, network, blocks)
        held.callback(network.register_forward_pre_hook(seen.begin).remove)
        held.callback(network.register_forward_hook(seen.end).remove)
        for place in blocks:
            attention = place.block.attn
            if hasattr(attention, "fused_attn"):
                held.callback(setattr, attention, "fused_attn", attention.fused_attn)
                attention.fused_attn = False
            on_qkv, on_mlp = seen.output_hook("qkv", place), seen.output_hook("mlp", place)
            held.callback(attention.qkv.register_forward_hook(on_qkv).remove)
            held.callback(place.block.mlp.register_forward_hook(on_mlp).remove)
            hook = seen.scores_hook(place)
            held.callback(attention.attn_drop.register_forward_pre_hook(hook).remove)
        yield


class _Seen:
    """What the hooks on one network share in one forward pass, and the backward pass of it.

    A hook on a gradient is made in the forward pass, and keeps that pass's memory: of a network
    that is asked several times before any backward pass (sliding windows), no pass sees another.
    """

    def __init__(self, rule: TokenRule, network: nn.Module, blocks: list[TokenBlock]) -> None:
        self.rule = rule
        self.network = network
        self.blocks = blocks
        self.memory: Memory = {}
        self.kinds: set[tuple[str, Kind]] = set()
        self.count = 0

    def begin(self, network: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Start the memory of a pass."""
        self.memory, self.kinds, self.count = {}, set(), len(inputs[0])

    def end(self, network: nn.Module, inputs: object, output: object) -> None:
        """Refuse a network whose blocks did not show everything in a pass with gradients."""
        every = [(place.name, kind) for place in self.blocks for kind in get_args(Kind)]
        missing = [one for one in every if one not in self.kinds]
        if torch.is_grad_enabled() and missing:
            name, kind = missing[0]
            self._refuse(f"the {kind} of block {name} did not pass through the layer of that name")

    def output_hook(self, kind: Kind, place: TokenBlock) -> Any:
        """Return a forward hook that changes the gradient of a layer's output."""

        def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
            if not torch.is_grad_enabled():
                return
            if output.ndim != 3 or len(output) != self.count:
                self._refuse(
                    f"the {kind} of block {place.name} are {tuple(output.shape)} for {self.count} "
                    "images, not a row of tokens for each"
                )
            self.kinds.add((place.name, kind))
            if output.requires_grad:
                output.register_hook(self._change(kind, place))  # type: ignore[no-untyped-call]

        return hook

    def scores_hook(self, place: TokenBlock) -> Any:
        """Return a hook on what follows the softmax, which changes the gradient before it."""

        def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            if not torch.is_grad_enabled():
                return
            attention = inputs[0]
            if attention.ndim != 4 or attention.shape[2] != attention.shape[3]:
                self._refuse(
                    f"the attention of block {place.name} is {tuple(attention.shape)}, not of each "
                    "token to each"
                )
            self.kinds.add((place.name, "scores"))
            if not attention.requires_grad:
                return
            softmax, change = attention.grad_fn, self._change("scores", place)
            if softmax is None or not softmax.name().startswith("SoftmaxBackward"):
                self._refuse(f"block {place.name} changes its attention after the softmax")
            # Of the softmax itself: what flows out of it is the gradient of the scores.
            softmax.register_hook(lambda inner, outer: (change(inner[0]), *inner[1:]))

        return hook

    def _change(self, kind: Kind, place: TokenBlock) -> Callable[[Tensor], Tensor]:
        memory = self.memory  # of the pass that runs now
        return lambda gradient: self.rule.changed(kind, gradient, place.above, memory)

    def _refuse(self, reason: str) -> NoReturn:
        raise InputError(
            f"{type(self.rule).__name__} serves transformers whose attention is over all tokens, "
            f"as timm's ViT and DeiT, but in {type(self.network).__name__} {reason}. Attack "
            "another source, or leave the rule out."
        )


def weakened_tokens(gradient: Tensor, factor: Tensor | float) -> Tensor:
    """Multiply each channel's highest and lowest gradient over the tokens, image by image.

    Args:
        gradient: (N, L, C).
        factor: (N, 1, 1), or a number.
    """
    highest, lowest = gradient.argmax(1, keepdim=True), gradient.argmin(1, keepdim=True)
    for place in (highest, lowest):
        gradient = gradient.scatter(1, place, gradient.gather(1, place) * factor)
    return gradient


def weakened_scores(gradient: Tensor, factor: Tensor | float) -> Tensor:
    """Multiply the rows and columns of each head's highest and lowest gradient, image by image.

    A value where two of these lines cross is multiplied twice.

    Args:
        gradient: (N, heads, L, L).
        factor: (N, 1, 1, 1), or a number.
    """
    size = gradient.shape[3]
    flat = gradient.flatten(2)
    for place in (flat.argmax(2), flat.argmin(2)):
        row = (place // size)[..., None, None].expand(-1, -1, 1, size)
        gradient = gradient.scatter(2, row, gradient.gather(2, row) * factor)
        column = (place % size)[..., None, None].expand(-1, -1, size, 1)
        gradient = gradient.scatter(3, column, gradient.gather(3, column) * factor)
    return gradient
