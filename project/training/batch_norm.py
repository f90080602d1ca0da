"""Which training forward passes move BatchNorm's running statistics.

Whatever the policy, a layer in train mode normalises by the statistics of the batch in front of it,
and batches are of one kind, clean or adversarial. A policy says whose statistics are remembered,
for eval mode, and so for every attack and every evaluation. A frozen layer (in eval mode while the
others train) stays as it is under each of them.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal, get_args

import torch.distributed as dist
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from project.core.choices import choose
from project.core.errors import InputError

BatchNorm = Literal["both", "clean", "adversarial", "dual"]


Kind = Literal["clean", "adversarial"]
"""Of the images that are shown to a victim in training."""


class BatchNormPolicy(nn.Module):
    """Running statistics that follow all answers, or those to one kind of images.

    Attributes:
        asked: the kinds that were answered so far.

    Args:
        kinds: whose statistics are remembered.
        needed: kinds without which the policy makes no sense.
    """

    def __init__(self, kinds: Collection[Kind], needed: Collection[Kind]) -> None:
        super().__init__()
        self.kinds = kinds
        self.needed = needed
        self.asked: set[Kind] = set()

    def forward(self, victim: nn.Module, images: Tensor, kind: Kind) -> Tensor:
        """Return the victim's logits in a training forward pass."""
        self.asked.add(kind)
        with nullcontext() if kind in self.kinds else still(victim):
            logits: Tensor = victim(images)
        return logits

    def check(self) -> None:
        """Require that a loss has asked for all that the policy needs.

        Raises:
            ValueError: if it has not: statistics that nothing moves would stay 0 and 1.
        """
        missing = sorted(set(self.needed) - self.asked)
        if missing:
            raise InputError(
                f"this batch_norm policy needs a loss of {' and '.join(sorted(self.needed))} "
                f"images, got one that never asks about {' or '.join(missing)} ones. "
                "Choose batch_norm 'both', or a loss that takes them."
            )


class DualBatchNorm(BatchNormPolicy):
    """Statistics and affine parameters of their own for each kind of images.

    The victim's own layers serve adversarial images, and so attacks, evaluation and checkpoints;
    auxiliary copies serve clean ones in training, and are left behind with the training.

    Source: Xie et al., "Adversarial Examples Improve Image Recognition", CVPR 2020, section 4.2
    [paper]. There the clean branch is the one kept, for clean accuracy; which one is kept here is
    [ours], since a victim that has to stand attacks does not know what it is shown. As there, the
    attack is on the adversarial branch.

    Args:
        victim: whose layers are doubled.

    Raises:
        ValueError: if it has no layer with running statistics.
    """

    def __init__(self, victim: nn.Module) -> None:
        super().__init__(("clean", "adversarial"), ("clean", "adversarial"))
        layers = tracking_layers(victim)
        if not layers:
            raise InputError(
                "batch_norm 'dual' needs layers with running statistics, got a victim without any. "
                "Choose batch_norm 'both'."
            )
        self.names = tuple(layers)
        self.auxiliary = nn.ModuleList(copy.deepcopy(layer) for layer in layers.values())

    def forward(self, victim: nn.Module, images: Tensor, kind: Kind) -> Tensor:
        """Return the victim's logits in a training forward pass."""
        if kind == "adversarial":
            return super().forward(victim, images, kind)
        self.asked.add(kind)
        logits: Tensor = functional_call(victim, self._tensors(), (images,))
        return logits

    def _tensors(self) -> dict[str, Tensor]:
        """Return the auxiliary parameters and buffers under the names of the victim's own."""
        return {
            f"{name}.{key}": tensor
            for name, layer in zip(self.names, self.auxiliary, strict=True)
            for key, tensor in (*layer.named_parameters(), *layer.named_buffers())
        }


def make_policy(name: BatchNorm, victim: nn.Module) -> BatchNormPolicy:
    """Return the policy of a name.

    Args:
        name: ``both`` kinds move the statistics, only ``clean`` or only ``adversarial`` images do,
            or each kind has its own (``dual``).
        victim: what is trained.

    Raises:
        ValueError: if there is no such policy, or the victim cannot have it.
    """
    choose("batch_norm", get_args(BatchNorm), name)
    if name == "dual":
        return DualBatchNorm(victim)
    if name == "both":
        return BatchNormPolicy(("clean", "adversarial"), ())
    return BatchNormPolicy((name,), (name,))


class BatchNormMomentum(Callback):
    """Give every BatchNorm layer one momentum before the first step.

    EfficientNet's 0.01 means over some hundred steps: after a training of that length the running
    statistics still hold a share of their start, 0 and 1 (0.99^100 is 37 %), and the network is
    much worse in eval mode than it was in training.

    Args:
        momentum: share of the newest batch, in (0, 1]; 0.1 is torch's own default.
    """

    def __init__(self, momentum: float = 0.1) -> None:
        self.momentum = momentum

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Set it, if this is a training."""
        if stage != "fit":
            return
        for layer in pl_module.modules():
            if isinstance(layer, _BatchNorm):
                layer.momentum = self.momentum


def tracking_layers(network: nn.Module) -> dict[str, nn.Module]:
    """Return the layers with running statistics by name.

    They are known by their flag and not by their class: libraries have BatchNorm of their own.
    """
    return {
        name: layer
        for name, layer in network.named_modules()
        if getattr(layer, "track_running_stats", False) is True
    }


@contextmanager
def still(network: nn.Module) -> Iterator[None]:
    """Let layers in train mode normalise by their batch without remembering its statistics."""
    layers: list[Any] = [layer for layer in tracking_layers(network).values() if layer.training]
    for layer in layers:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer in layers:
            layer.track_running_stats = True


def share_buffers(module: nn.Module) -> None:
    """Give the module of every process the buffers of the first; alone, do nothing.

    DistributedDataParallel does so too, but in the next training forward pass. What comes before
    it, an attack, a probe, a validation, would meet another network in each process, and none but
    the first process's would be in a checkpoint.
    """
    if dist.is_available() and dist.is_initialized():
        for buffer in module.buffers():
            dist.broadcast(buffer, src=0)
