"""A victim that an attack cannot change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def frozen(victim: nn.Module) -> Iterator[None]:
    """Hold a victim in eval mode with frozen parameters; give every flag back as it was.

    Flags are set on each module directly. ``victim.eval()`` would call overridden ``train``
    methods (frozen BatchNorm), and restoring through them would not give the same flags back.
    Frozen parameters also spare the memory of weight gradients.
    """
    training = [(module, module.training) for module in victim.modules()]
    trainable = [parameter for parameter in victim.parameters() if parameter.requires_grad]
    for module, _ in training:
        module.training = False
    for parameter in trainable:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for module, flag in training:
            module.training = flag
        for parameter in trainable:
            parameter.requires_grad_(True)
