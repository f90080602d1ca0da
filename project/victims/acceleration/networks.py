"""Access to the networks inside a victim, and wrapping of their forward passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from project.victims.victim import Victim

Forward = Callable[..., Any]


class Arguments(NamedTuple):
    """What a network is called with."""

    given: tuple[Any, ...]
    named: dict[str, Any]


def networks(victim: Victim) -> list[nn.Module]:
    """Return the networks that hold no further victims, each once.

    A victim of victims (an ensemble, a sliding window) has several, or one deeper inside. The
    victims' own operations (normalisation, resizing, padding, means over members) are not part of
    them.
    """
    inside = [part.network for part in victim.modules() if isinstance(part, Victim)]
    leaves = [net for net in inside if not any(isinstance(part, Victim) for part in net.modules())]
    return list(dict.fromkeys(leaves))


def first_inputs(victim: Victim, images: Tensor) -> dict[nn.Module, Arguments]:
    """Return the arguments of each network's first call when the victim sees images."""
    inputs: dict[nn.Module, Arguments] = {}

    def keep(network: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        inputs.setdefault(network, Arguments(given, named))

    handles = [
        network.register_forward_pre_hook(keep, with_kwargs=True) for network in networks(victim)
    ]
    with torch.no_grad():
        victim(images)
    for handle in handles:
        handle.remove()
    return inputs


def surround(module: nn.Module, around: Callable[[Forward], Forward]) -> None:
    """Wrap a module's forward pass; the module keeps its class, names and hooks."""
    module.forward = around(module.forward)
