"""Which training forward passes move BatchNorm's running statistics.

Under every policy, a layer in train mode normalises by the statistics of the current batch, and
batches are of one kind, clean or adversarial. A policy decides which kind updates the running
statistics, which eval mode uses, and so every attack and every evaluation. A frozen layer (in eval
mode while the others train) is unchanged under all of them.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal, get_args

import torch
import torch.distributed as dist
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from project.core.choices import choose
from project.core.errors import InputError
from project.core.logits import logits_of

BatchNorm = Literal["both", "clean", "adversarial", "dual"]


_SINGLE_VALUE = "Expected more than 1 value per channel"  # torch's own words

Kind = Literal["clean", "adversarial"]
"""The kind of the images in a training forward pass."""


class BatchNormPolicy(nn.Module):
    """Running statistics updated by all training forward passes, or by those of one kind of images.

    Attributes:
        asked: the kinds of images seen so far.

    Args:
        kinds: the kinds that update the running statistics.
        needed: kinds that the loss must use for the policy to make sense.
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
            logits = logits_of(victim(images))
        return logits

    def check(self) -> None:
        """Require that the loss has used all kinds of images that the policy needs.

        Raises:
            ValueError: if it has not: statistics that nothing updates would stay 0 and 1.
        """
        missing = sorted(set(self.needed) - self.asked)
        if missing:
            raise InputError(
                f"this batch_norm policy needs a loss of {' and '.join(sorted(self.needed))} "
                f"images, got one that never asks about {' or '.join(missing)} ones. "
                "Choose batch_norm 'both', or a loss that takes them."
            )


class DualBatchNorm(BatchNormPolicy):
    """Separate BatchNorm statistics and affine parameters for clean and for adversarial images.

    The victim's own layers serve adversarial images, and so attacks, evaluation and checkpoints;
    auxiliary copies serve clean ones in training, and are not part of the victim.

    Source: Xie et al., "Adversarial Examples Improve Image Recognition", CVPR 2020, section 4.2
    [paper]. There the clean branch is the one kept, for clean accuracy; which one is kept here is
    [ours], since a victim under attack does not know which kind of image it gets. As there, the
    attack is on the adversarial branch.

    Args:
        victim: the victim, whose layers are copied.

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
        return logits_of(functional_call(victim, self._tensors(), (images,)))

    def _tensors(self) -> dict[str, Tensor]:
        """Return the auxiliary parameters and buffers under the names of the victim's own."""
        return {
            f"{name}.{key}": tensor
            for name, layer in zip(self.names, self.auxiliary, strict=True)
            for key, tensor in (*layer.named_parameters(), *layer.named_buffers())
        }


def make_policy(name: BatchNorm, victim: nn.Module) -> BatchNormPolicy:
    """Make a BatchNorm policy by its name.

    Args:
        name: ``both`` kinds update the statistics, only ``clean`` or only ``adversarial`` images
            do, or each kind has its own (``dual``).
        victim: the victim to train.

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
    """Sets the momentum of every BatchNorm layer before the first step.

    EfficientNet's 0.01 averages over some hundred steps: after a training of that length the
    running statistics still hold a share of their initial 0 and 1 (0.99^100 is 37 %), and the
    network is much worse in eval mode than it was in training.

    Args:
        momentum: weight of the newest batch, in (0, 1]; 0.1 is torch's own default.
    """

    def __init__(self, momentum: float = 0.1) -> None:
        self.momentum = momentum

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Set the momentum, if this is a training."""
        if stage != "fit":
            return
        for layer in pl_module.modules():
            if isinstance(layer, _BatchNorm):
                layer.momentum = self.momentum


def tracking_layers(network: nn.Module) -> dict[str, nn.Module]:
    """Return the layers with running statistics, by name.

    They are recognised by their flag and not by their class, since libraries such as timm have
    BatchNorm classes of their own.
    """
    return {
        name: layer
        for name, layer in network.named_modules()
        if getattr(layer, "track_running_stats", False) is True
    }


@contextmanager
def still(network: nn.Module) -> Iterator[None]:
    """Normalise by the batch in train mode without updating the running statistics."""
    layers: list[Any] = [layer for layer in tracking_layers(network).values() if layer.training]
    for layer in layers:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer in layers:
            layer.track_running_stats = True


@contextmanager
def single_values_told() -> Iterator[None]:
    """Say what to do where BatchNorm refuses to normalise one value per channel.

    It does where a batch is of one image and features were pooled to one pixel, as at the end of
    some classifiers and in DeepLab's pooling.

    Raises:
        InputError: instead of torch's ``ValueError``.
    """
    try:
        yield
    except ValueError as error:
        if _SINGLE_VALUE not in str(error):
            raise
        raise InputError(
            "this network is trained on at least 2 images at a time, since its BatchNorm comes "
            "after features pooled to one pixel, got 1 in each process. Set --data.batch_size 2 "
            "or more, with at least 2 training samples for each process "
            "(accumulate_grad_batches does not help: each forward pass normalises by itself)."
        ) from error


def require_several_values(module: nn.Module, image: Tensor) -> None:
    """Require that a network in train mode can normalise a batch of one image.

    Args:
        module: whose forward pass is tried; afterwards as before.
        image: (1, 3, H, W).

    Raises:
        InputError: if it cannot.
    """
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad(), single_values_told():
            module(image)
    finally:
        with torch.no_grad():
            for name, buffer in module.named_buffers():
                buffer.copy_(before[name])


def share_buffers(module: nn.Module) -> None:
    """Broadcast rank 0's buffers to all ranks; does nothing in a single process.

    DistributedDataParallel does so too, but only in the next training forward pass. An attack, a
    probe or a validation before it would meet a different network in each process, and only the
    first process's would be in a checkpoint. A collective: every rank must call it.
    """
    if dist.is_available() and dist.is_initialized():
        for buffer in module.buffers():
            dist.broadcast(buffer, src=0)
